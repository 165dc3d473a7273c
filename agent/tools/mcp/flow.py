"""How much a server may send before it is taken for one that floods. Knows no wire."""

from __future__ import annotations

import time

MESSAGE = 4_000_000
"""Most bytes of one message."""
BURST, RATE = 12_000_000, 1_000_000
"""Bytes that may come at once, and in each second from then on."""
LEAST = 10_000
"""Bytes that any message counts for: many small ones cost as much work."""


class Flow:
    """What has come from one server, as a bucket that runs empty at `RATE`."""

    def __init__(self) -> None:
        self._level, self._at = 0.0, time.monotonic()

    def floods(self, size: int, messages: int = 0) -> bool:
        """Whether that was too much: `size` more bytes, in which so many messages ended."""
        now = time.monotonic()
        self._level = max(0.0, self._level - RATE * (now - self._at)) + max(size, LEAST * messages)
        self._at = now
        return self._level > BURST
