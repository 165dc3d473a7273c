"""One thing said aloud, and what the user says to it: for a program that speaks for itself.

No language model answers. What the user says is handed back, and what they talk over is cut, as always.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import anyio

from agent import events as ev
from agent.conversation.reply import Manner
from agent.conversation.session import Session
from agent.errors import EngineFault
from audio.frame import Frame

PATIENCE = 60.0
"""Seconds that what is being said may still take to be understood when the time to wait is over."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What came of it. said: the words that were heard; whole: whether those were all. heard: the user's."""

    said: str
    whole: bool
    heard: str


class Place(Protocol):
    """Where a session is held: a microphone and a speaker, such as `agent.transports.local.LocalSession`."""

    @property
    def session(self) -> Session:
        """The session."""
        ...

    async def run(self, through: Callable[[AsyncIterable[Frame]], AsyncIterable[Frame]] = ...) -> None:
        """Hold it until the frames that have gone `through` end."""
        ...


class Voice:
    """Says and hears one thing after the other. The microphone is open meanwhile, and at no other time.

    place: makes where the next one is held, given who watches.
    """

    def __init__(self, place: Callable[[Sequence[ev.Watcher]], Place]) -> None:
        self._place = place
        self._lock = anyio.Lock()

    async def exchange(self, say: str = "", wait: float | None = None) -> Exchanged:
        """Say this, and listen until the user has answered, or has not begun to within `wait` seconds.

        wait: None listens only to what they say over the words. Raises DeviceError, EngineFault.
        """
        async with self._lock:
            exchange = _Exchange(say, wait)
            place = self._place([exchange.watch])
            place.session.controller.manner = Manner(respond=False)
            await place.run(lambda frames: exchange.through(place.session, frames))
            return exchange.result()


class _Exchange:
    def __init__(self, say: str, wait: float | None) -> None:
        self._say, self._wait = say, wait
        self._heard = ""
        self._ended: ev.TurnEnded | None = None
        self._error = ""

    def watch(self, event: ev.Event) -> None:
        """Note what was said, and heard."""
        match event:
            case ev.TurnCommitted(text=text, answered=False):
                self._heard = text
            case ev.TurnEnded():
                self._ended = self._ended or event
            case ev.Error(message=message):
                self._error = message
            case _:
                pass

    async def through(self, session: Session, frames: AsyncIterable[Frame]) -> AsyncIterator[Frame]:
        """The microphone's frames, until it is over."""
        speaking, since = bool(self._say), 0.0
        begun = False
        async for frame in frames:
            if speaking and not begun:
                session.send_text("", self._say)
            if not begun or (speaking and self._ended is not None):
                begun, since = True, frame.time
                speaking = speaking and self._ended is None
            if self._over(session, speaking, frame.time - since):
                return
            yield frame

    def _over(self, session: Session, speaking: bool, waited: float) -> bool:
        """Whether nothing more is to come. waited: seconds since nothing is being said."""
        if self._heard or self._error:
            return True
        if speaking:
            return False
        wait = self._wait or 0.0
        busy = session.controller.busy
        return waited >= wait + (PATIENCE if busy else 0.0)

    def result(self) -> Exchanged:
        """What came of it. Raises EngineFault where a part of it failed."""
        if self._error and not self._heard:
            raise EngineFault(self._error)
        said = self._ended.heard if self._ended is not None else ""
        whole = self._ended is None or self._ended.reason != "interrupted"
        return Exchanged(said, whole, self._heard)
