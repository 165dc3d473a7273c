"""How often each address comes. Knows no request, and not what is counted."""

from __future__ import annotations

import math
import time
from collections import deque

from agent.errors import RequestError
from agent.server.admission.forwarded import subscriber

MINUTE = 60.0
ADDRESSES = 10_000
"""Addresses that are counted; beyond that the one that was quiet longest is forgotten."""


class RateLimit:
    """At most `most` of `what` from one address in any minute; of IPv6 from all that one subscriber has.

    setting: the one that decides, for the refusal.
    """

    def __init__(self, most: int, what: str, setting: str) -> None:
        self._most, self._what, self._setting = most, what, setting
        self._times: dict[str, deque[float]] = {}

    def count(self, address: str) -> None:
        """One more. Raises RequestError for one too many, which is not counted."""
        now, key = time.monotonic(), subscriber(address)
        times = self._times.pop(key, None) or deque[float]()
        while times and times[0] <= now - MINUTE:
            times.popleft()
        self._times[key] = times
        if len(self._times) > ADDRESSES:
            del self._times[next(iter(self._times))]
        if len(times) >= self._most:
            raise RequestError(
                f"more than {self._most} {self._what} in a minute ({self._setting}); slow down",
                429,
                "rate_limit_exceeded",
                retry_after=max(1, math.ceil(times[0] + MINUTE - now)),
            )
        times.append(now)
