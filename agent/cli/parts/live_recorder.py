"""Writes a live conversation down while it goes on. A watcher; knows no session."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Self

import click

from agent.errors import BackchatError
from agent.events import Error, Event, Watcher
from agent.reports.event_log import Journal
from audio.files import Recorder
from audio.frame import Frame, silence

HELD = 1.0
"""Seconds of the user's sound that wait while nobody listens: a wake word is known after what follows it."""


class LiveRecorder:
    """Keeps a live conversation while it goes on: both voices in one file, and the events in another.

    Within `with`. A disk that gets full ends the recording and not the talk: an Error event says so, once;
    what was kept before is whole. tell: the watcher that shows it. seen: all events, kept or not. Raises
    BackchatError on creation.
    """

    def __init__(self, folder: Path, tell: Watcher) -> None:
        self.seen: list[Event] = []
        self._failed = False
        self._played: deque[Frame] = deque()
        self._heard: deque[Frame] = deque()
        self._tell = tell
        self._recorder = Recorder(folder / "conversation.wav")
        self._journal = Journal(folder / "events.jsonl")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with self._journal:
                self._recorder.close()
        except BackchatError as fault:
            if not self._failed:  # the view has been left
                click.echo(f"backchat: {fault}", err=True)

    def watch(self, event: Event) -> None:
        """Keep an event."""
        self.seen.append(event)
        self._keep(lambda: self._journal.watch(event), event.time)

    def played(self, frame: Frame) -> None:
        """What the speaker was given; from the sound card's thread."""
        self._played.append(frame)

    async def recording(
        self, frames: AsyncIterable[Frame], since: Callable[[], float | None] = lambda: 0.0
    ) -> AsyncIterator[Frame]:
        """`frames` as they are, while they and what was played meanwhile are written down.

        since: tells from when on they are listened to (s), None where they are not: then silence is written.
        """
        async for frame in frames:
            self._heard.append(frame)
            self._write(since(), frame.end - HELD)
            while self._played:
                self._keep(partial(self._recorder.agent, self._played.popleft()), frame.end)
            yield frame
        self._write(since(), math.inf)

    def _write(self, since: float | None, until: float) -> None:
        """Write what the user said; where it is not listened to, only what is older than `until` (s)."""
        while self._heard and (since is not None or self._heard[0].end <= until):
            frame = self._heard.popleft()
            if since is None or frame.end <= since:
                frame = Frame(silence(frame.duration, frame.rate), frame.rate, frame.time)
            self._keep(partial(self._recorder.user, frame), frame.end)

    def _keep(self, write: Callable[[], None], now: float) -> None:
        """Write something down, unless that has failed before."""
        if self._failed:
            return
        try:
            write()
        except BackchatError as fault:
            self._failed = True
            error = Error(now, "recording", f"not recorded from here on: {fault}")
            self.seen.append(error)
            self._tell(error)
