"""What is lost at microphone and speaker, told once a burst and in sum. Knows no session and no view."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from agent.events import Lossy, SoundLost, Watcher
from audio.devices.bursts import Bursts

if TYPE_CHECKING:
    from audio.devices.live import Microphone, Speaker
    from audio.frame import Frame


class SoundWatch:
    """Looks at the counts of both devices with every frame."""

    def __init__(self, microphone: Microphone, speaker: Speaker, watchers: Sequence[Watcher]) -> None:
        self._speaker, self._watchers = speaker, watchers
        self._counts: dict[Lossy, tuple[Callable[[], int], Bursts]] = {
            "microphone": (lambda: microphone.dropped + microphone.overflows, Bursts()),
            "speaker": (lambda: speaker.underflows, Bursts()),
        }

    async def counting(self, frames: AsyncIterable[Frame]) -> AsyncIterator[Frame]:
        """`frames` as they are, while SoundLost events tell what is lost."""
        async for frame in frames:
            yield frame
            for device, (count, bursts) in self._counts.items():
                if lost := bursts.news(count(), frame.end):
                    for watch in self._watchers:
                        watch(SoundLost(frame.end, device, lost))

    @property
    def summary(self) -> str:
        """One line on the whole conversation."""
        gaps = {device: count() for device, (count, _) in self._counts.items()}
        lost = ", ".join(f"{device} {count} gaps" for device, count in gaps.items() if count)
        return f"sound: {lost or 'nothing lost'}; speaker latency {self._speaker.latency * 1000:.0f} ms"
