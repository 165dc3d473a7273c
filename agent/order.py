"""Who is next where several wait for one engine: whoever falls silent soonest. Knows no engine.

Earliest deadline first (Liu and Layland 1973), an item at a time: what is being made is not broken off. Work
that nobody would miss comes after all that is needed, and is given up where there is no time for it. A
deadline ages: however far off it is, nothing that came `PATIENCE` and `LATE` seconds later goes first.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

import anyio

Kind = Literal["needed", "spare", "background"]
"""An item that a conversation waits for; one that is only of use if it comes early, such as an interim
transcript; one that belongs to no conversation."""

Due = Callable[[], float]
"""When somebody will notice that an item is not there yet (s). Asked anew whenever the engine is free: the
speech that is ahead of a reply grows meanwhile."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How one item of an engine's work is waited for; it travels with what is done in another process.

    due: seconds from its beginning until somebody will notice that it is not there; None: they wait already.
    limit: seconds after which it is given up.
    """

    kind: Kind = "needed"
    due: float | None = None
    limit: float = 60.0


_wish: ContextVar[Wish] = ContextVar("wish")


@contextmanager
def wishing(wish: Wish) -> Generator[None]:
    """Within, and in threads that are started there, `wished` gives this."""
    before = _wish.set(wish)
    try:
        yield
    finally:
        _wish.reset(before)


def wished() -> Wish:
    """How the item that is made here is waited for."""
    return _wish.get(Wish())


LATE = 1.0
"""Seconds by which who has been silent for longer is preferred; beyond that, who came first is."""
PATIENCE = 5.0
"""Seconds after which an item is needed, however much speech is ahead of it."""
BACKGROUND = 2.0
"""The same for one in the background, once it is the first of those."""


REST, CONTENDED = 2.0, 5.0
"""How many times as long as spare work took none follows, where needed work had to wait in the last so many
seconds: it would keep the engine, and the cores, busy whenever nobody else does."""


@dataclass(slots=True, eq=False)
class _Waiter:
    """One who waits since `came` (s)."""

    kind: Kind
    due: Due | None
    came: float
    ready: anyio.Event = field(default_factory=anyio.Event)

    def rank(self) -> tuple[bool, float, float]:
        """The lowest is next."""
        if self.kind == "background":
            due = self.came + BACKGROUND
        else:
            due = self.came if self.due is None else self.due()
        return self.kind == "spare", min(max(due, self.came - LATE), self.came + PATIENCE), self.came


class Queue:
    """Those who wait for one engine, one item of one of them at a time."""

    def __init__(self) -> None:
        self._held = False
        self._waiting: list[_Waiter] = []
        self._background = anyio.Lock()
        self._contended = self._rested = -math.inf

    @asynccontextmanager
    async def place(self, kind: Kind, due: Due | None = None) -> AsyncGenerator[None]:
        """The engine for one item. due: on anyio's clock; None: somebody waits from now on.

        However many there are in the background, they wait as one.
        """
        async with self._background if kind == "background" else nullcontext():
            if kind == "spare":
                await anyio.sleep_until(max(self._rested, anyio.current_time()))
            await self._enter(_Waiter(kind, due, anyio.current_time()))
            began = anyio.current_time()
            try:
                yield
            finally:
                if kind == "spare" and self._contended > began - CONTENDED:
                    now = anyio.current_time()
                    self._rested = now + REST * (now - began)
                self._pass_on()

    async def _enter(self, waiter: _Waiter) -> None:
        if not self._held:
            self._held = True
            return
        self._waiting.append(waiter)
        if waiter.kind == "needed":
            self._contended = waiter.came
        got = False
        try:
            await waiter.ready.wait()
            got = True
        finally:
            if not got and waiter.ready.is_set():  # it was handed over in the moment of being cancelled
                self._pass_on()
            elif not got:
                self._waiting.remove(waiter)

    def _pass_on(self) -> None:
        """Let the next one in."""
        self._held = bool(self._waiting)
        if self._waiting:
            following = min(self._waiting, key=_Waiter.rank)
            self._waiting.remove(following)
            following.ready.set()
