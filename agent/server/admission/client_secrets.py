"""Client secrets: what lets a stranger's program into a session for a while. Knows no request."""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.errors import RequestError
from agent.settings import ServerConfig
from agent.transports.memory import weight

PREFIX = "ek_"
"""How they begin; by it they are told from the token."""


@dataclass(frozen=True, slots=True)
class _Bound:
    expires: float
    session: Mapping[str, Any]
    weight: int


class ClientSecrets:
    """Those that are out, and what session each is bound to.

    They are kept as hashes alone: neither memory nor a log gives one away.
    """

    def __init__(self, limits: ServerConfig) -> None:
        self._limits = limits
        self._out: dict[bytes, _Bound] = {}

    def make(self, session: Mapping[str, Any], seconds: float) -> tuple[str, int]:
        """A new one and when it expires (s since 1970). Raises RequestError where too many are out."""
        self._forget()
        size, now = weight(session), time.time()
        kept = size + sum(each.weight for each in self._out.values())
        if len(self._out) >= self._limits.secrets or (self._out and kept > self._limits.memory):
            setting = "secrets" if len(self._out) >= self._limits.secrets else "memory"
            soonest = min(each.expires for each in self._out.values())
            raise RequestError(
                f"too many client secrets are out (server.{setting}); the next one expires soon",
                429,
                "rate_limit_exceeded",
                retry_after=max(1, math.ceil(soonest - now)),
            )
        secret, expires = PREFIX + secrets.token_hex(24), math.floor(now + seconds)
        self._out[_hash(secret)] = _Bound(expires, session, size)
        return secret, expires

    def session(self, shown: str) -> Mapping[str, Any] | None:
        """What session one is bound to; None for what is none, or has expired."""
        self._forget()
        bound = self._out.get(_hash(shown))
        return None if bound is None else bound.session

    def _forget(self) -> None:
        now = time.time()
        self._out = {key: each for key, each in self._out.items() if each.expires > now}


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
