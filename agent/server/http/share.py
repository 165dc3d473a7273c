"""What connections may take of the event loop: a costly one is read a little at a time. Knows no protocol.

What comes at once may be cut very small, into chunks of a body or frames of a WebSocket: while the libraries
read them nobody else is looked after, whoever sent them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

SMALL, LARGE = 512, 65_536
"""Bytes that are read in one go, at the least and at the most."""
BRIEF = 0.001
"""Seconds of the processor that this may take; what takes longer is costly, and is read in smaller parts."""
REST = 4.0
"""Seconds for which all rest of which more waits, for each that reading a part of one has taken."""


class Transport(Protocol):
    """What is asked of a connection of asyncio's."""

    def abort(self) -> None:
        """End it at once."""
        ...

    def pause_reading(self) -> None:
        """Take in no more."""
        ...

    def resume_reading(self) -> None:
        """Take in more."""
        ...


class RoundRobin:
    """Where those of a server wait that have more to do than can be done in one go: one after the other."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._free = 0.0

    def took(self, spent: float) -> None:
        """One of them has just taken so many seconds: the others of the server have their turn now."""
        self._free = max(self._free, time.monotonic() + REST * spent)

    def join(self, work: Callable[[], None]) -> None:
        """Do this when it is its turn."""
        self._waiting.append(work)
        self._wait()

    def _wait(self) -> None:
        if self._waiting and self._timer is None:
            after = max(0.0, self._free - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(after, self._next)

    def _next(self) -> None:
        self._timer = None
        try:
            if time.monotonic() >= self._free:
                self._waiting.popleft()()
        finally:
            self._wait()


class Share:
    """One connection's: what comes is passed on in parts, in order, and no more is taken in meanwhile.

    handle: takes the next part. wanted: whether whoever handles it wants more to be read.
    """

    def __init__(
        self,
        round_robin: RoundRobin,
        transport: Transport,
        handle: Callable[[bytes], None],
        wanted: Callable[[], bool],
    ) -> None:
        self._round_robin, self._transport = round_robin, transport
        self._handle, self._wanted = handle, wanted
        self._waiting = bytearray()
        self._size = SMALL
        self._resting = False

    def feed(self, data: bytes) -> None:
        """The next that came."""
        self._waiting += data
        if self._resting:
            self._transport.pause_reading()
        else:
            self._step()

    def end(self) -> None:
        """Nothing more is passed on."""
        self._waiting.clear()

    def _step(self) -> None:
        part = bytes(self._waiting[: self._size])
        del self._waiting[: self._size]
        began, whole = time.thread_time(), False
        try:
            if part:  # none is the end to some
                self._handle(part)
            whole = True
        finally:
            if not whole:  # as asyncio does it with a connection in which something fails
                self._transport.abort()
        spent = time.thread_time() - began
        self._size = min(LARGE, 2 * self._size) if spent < BRIEF / 2 else max(SMALL, self._size // 2)
        rested, self._resting = self._resting, bool(self._waiting) or spent > BRIEF
        if rested or self._resting:
            self._round_robin.took(spent)
        if self._resting:
            self._transport.pause_reading()
            self._round_robin.join(self._step)
        elif rested and self._wanted():
            self._transport.resume_reading()
