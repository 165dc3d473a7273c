"""The servers that help the packets of a call find their way (ICE). Knows no wire and no library."""

from __future__ import annotations

import base64
import hmac
import os
import time
from collections.abc import Mapping
from hashlib import sha1
from typing import Any

from agent.errors import ConfigError
from agent.settings import IceServer, ServerConfig

SPARE = 600.0
"""Seconds beyond the longest session for which a password of its own holds."""


def ice_servers(
    settings: ServerConfig, now: float | None = None, environ: Mapping[str, str] = os.environ
) -> list[dict[str, Any]]:
    """Each as browsers and aiortc take it (W3C's `RTCIceServer`), for one call.

    now: seconds since 1970; None: as the clock says. Raises ConfigError where a password is missing.
    """
    until = round((time.time() if now is None else now) + settings.longest + SPARE)
    return [
        {"urls": list(each.urls), **(_credentials(each, until, environ) if each.credential_env else {})}
        for each in settings.ice_servers
    ]


def _credentials(server: IceServer, until: int, environ: Mapping[str, str]) -> dict[str, str]:
    """Who may use it. Without a user's name the password is the secret by which it knows users and passwords
    that hold until a moment ("A REST API For Access To TURN Services", draft-uberti-behave-turn-rest-00).
    """
    if not (secret := environ.get(server.credential_env, "").strip()):
        where = f"server.ice_servers: the environment variable {server.credential_env}"
        raise ConfigError(f"{where} is to hold the password of {server.urls[0]}; set it")
    if server.username:
        return {"username": server.username, "credential": secret}
    name = f"{until}:backchat"
    made = hmac.new(secret.encode(), name.encode(), sha1).digest()
    return {"username": name, "credential": base64.b64encode(made).decode()}
