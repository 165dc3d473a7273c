"""What is lost at microphone and speaker, told once a burst and in sum. Knows no session and no view."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

import anyio

from agent.events import Lossy, SoundLost, Watcher
from audio.devices.bursts import Bursts

if TYPE_CHECKING:
    from audio.devices.live import Microphone, Speaker
    from audio.frame import Frame


LOOK = 0.5
"""Seconds between two looks where no frame comes that could be looked with."""


class SoundWatch:
    """Looks at the counts of a speaker, and of a microphone where there is one, with every frame of it."""

    def __init__(self, microphone: Microphone | None, speaker: Speaker, watchers: Sequence[Watcher]) -> None:
        self._speaker, self._watchers = speaker, watchers
        self._counts: dict[Lossy, tuple[Callable[[], int], Bursts]] = {
            "speaker": (lambda: speaker.underflows, Bursts())
        }
        if microphone is not None:
            hearing = (lambda: microphone.dropped + microphone.overflows, Bursts())
            self._counts = {"microphone": hearing, **self._counts}

    async def counting(self, frames: AsyncIterable[Frame]) -> AsyncIterator[Frame]:
        """`frames` as they are, while SoundLost events tell what is lost."""
        async for frame in frames:
            yield frame
            self._look(frame.end)

    async def watching(self, now: Callable[[], float]) -> None:
        """The same where nobody is heard, until it is cancelled; now: seconds on the session's clock."""
        try:
            while True:
                await anyio.sleep(LOOK)
                self._look(now())
        finally:
            self._look(now(), over=True)

    def _look(self, now: float, *, over: bool = False) -> None:
        for device, (count, bursts) in self._counts.items():
            if lost := bursts.news(count(), now) or (over and bursts.rest()):
                for watch in self._watchers:
                    watch(SoundLost(now, device, lost))

    @property
    def summary(self) -> str:
        """One line on the whole conversation."""
        gaps = {device: count() for device, (count, _) in self._counts.items()}
        lost = ", ".join(f"{device} {count} gaps" for device, count in gaps.items() if count)
        return f"sound: {lost or 'nothing lost'}; speaker latency {self._speaker.latency * 1000:.0f} ms"
