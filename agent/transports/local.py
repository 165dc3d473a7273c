"""A session on this machine's microphone and speaker, its own voice taken out of what it hears.

Knows no screen and no file: who watches, records or counts frames is handed in.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Sequence

from agent.conversation.session import Session
from agent.events import Watcher
from agent.protocols import Engines
from agent.runner import Runner
from agent.settings import Config
from agent.transports.echo import without_echo
from agent.transports.sound_watch import SoundWatch
from audio.devices.live import Microphone, Speaker
from audio.echo.front_end import FrontEnd
from audio.frame import Frame
from audio.playback import Playback


class LocalSession:
    """Microphone, echo canceller, session and speaker. Runs once.

    watchers: are told of every event. played: is given each block that the speaker plays, in the sound
    card's thread.
    """

    def __init__(
        self,
        engines: Engines,
        config: Config,
        watchers: Sequence[Watcher] = (),
        played: Callable[[Frame], None] | None = None,
    ) -> None:
        self.runner = Runner()
        self._watchers = watchers
        self._front = (
            FrontEnd(noise_suppression=config.echo.noise_suppression) if config.echo.cancel else None
        )
        self._taps = [tap for tap in (played, self._front and self._front.played) if tap is not None]
        self._playback = Playback(tap=self._played)
        self.session = Session(engines, config, self.runner, self._playback, watchers)
        self.sound: SoundWatch | None = None
        """What the devices lose; None before they are open."""

    async def run(
        self,
        microphone: int | str | None = None,
        speaker: int | str | None = None,
        through: Callable[[AsyncIterable[Frame]], AsyncIterable[Frame]] = lambda frames: frames,
    ) -> None:
        """Listen and answer until the frames end. Raises DeviceError.

        microphone, speaker: number, name or None for the default. through: what the microphone's frames go
        through before anything else hears them.
        """
        async with (
            Speaker(speaker, self._playback.read, self._playback.rate, self.runner.now) as speaking,
            Microphone(microphone, self.runner.now, calm=lambda: not self.session.controller.busy) as frames,
        ):
            self.sound = SoundWatch(frames, speaking, self._watchers)
            heard = through(self.sound.counting(frames))
            await self.session.run(without_echo(heard, self._front, self._watchers))

    def _played(self, frame: Frame) -> None:
        for tap in self._taps:
            tap(frame)
