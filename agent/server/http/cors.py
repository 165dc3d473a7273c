"""What a browser must be told before a page of another host may read our answers (CORS). Knows no route.

Only the pages of `server.origins` are told anything, each by its own name and never "*". The steps are those
of the Fetch standard.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from agent.server.http.responses import TEXT, Answer, Scope, Send

METHODS = "GET, POST"
HEADERS = ("authorization", "content-type")
"""Headers of ours; a page may send others too, as libraries do that put their version into some."""
EXPOSED = "retry-after, www-authenticate"
"""What a page may read besides the body and the few headers that the standard always shows."""
REMEMBERED = "600"
"""Seconds for which a browser need not ask again."""


def telling(send: Send, headers: Mapping[str, str], origins: Sequence[str]) -> Send:
    """`send`, which tells the browser in each answer, also a refusal, that the page may read it."""
    if not origins:
        return send
    pairs = {"vary": "Origin"}
    if headers.get("origin") in origins:
        pairs |= {"access-control-allow-origin": headers["origin"], "access-control-expose-headers": EXPOSED}
    more = [(name.encode(), value.encode("latin1")) for name, value in pairs.items()]

    async def told(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return told


def preflight(scope: Scope, headers: Mapping[str, str], origins: Sequence[str]) -> Answer | None:
    """The answer to a browser that asks, without a token, what its page may send; None for other requests."""
    asks = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
    if not asks or headers.get("origin") not in origins:
        return None
    wanted = re.findall(r"[a-z0-9-]+", headers.get("access-control-request-headers", "").lower())
    allowed = {
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": ", ".join(dict.fromkeys([*HEADERS, *wanted])),
        "access-control-max-age": REMEMBERED,
    }
    return Answer(b"", TEXT, 200, allowed)
