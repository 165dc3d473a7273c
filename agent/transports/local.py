"""A session on this machine's microphone and speaker, its own voice taken out of what it hears.

Knows no screen and no file: who watches, records or counts frames is handed in.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Generator, Sequence
from contextlib import contextmanager

from agent.conversation.session import Session
from agent.events import Watcher
from agent.protocols import Engines
from agent.runner import Runner
from agent.settings import Config, EchoConfig
from agent.transports.echo import without_echo
from agent.transports.sound_watch import SoundWatch
from audio.devices.live import Microphone, Speaker
from audio.echo.front_end import FrontEnd
from audio.frame import Frame
from audio.playback import Playback


class LocalDevices:
    """This machine's microphone and speaker, and what takes the agent's own voice out of what is heard.

    microphone, speaker: number, name or None for the default.
    """

    def __init__(
        self,
        echo: EchoConfig,
        microphone: int | str | None = None,
        speaker: int | str | None = None,
    ) -> None:
        self.runner = Runner()
        self.microphone = microphone
        self.front = FrontEnd(noise_suppression=echo.noise_suppression) if echo.cancel else None
        self.taps: list[Callable[[Frame], None]] = [self.front.played] if self.front is not None else []
        """What is given each block that the speaker plays, in the sound card's thread."""
        self.playback = Playback(tap=self._played)
        self.speaker = Speaker(speaker, self.playback.read, self.playback.rate, self.runner.now)

    @contextmanager
    def awake(self) -> Generator[None]:
        """Within, the speaker's device begins while something else goes on, such as loading engines. Raises
        DeviceError.
        """
        try:
            self.speaker.open()
            yield
        finally:
            self.speaker.close()

    def _played(self, frame: Frame) -> None:
        for tap in self.taps:
            tap(frame)


class LocalSession:
    """Microphone, echo canceller, session and speaker. Runs once.

    watchers: are told of every event. devices: None for the default ones. played: as `LocalDevices.taps`.
    """

    def __init__(
        self,
        engines: Engines,
        config: Config,
        watchers: Sequence[Watcher] = (),
        devices: LocalDevices | None = None,
        played: Callable[[Frame], None] | None = None,
    ) -> None:
        self._devices = devices or LocalDevices(config.echo)
        if played is not None:
            self._devices.taps.append(played)
        self._watchers = watchers
        self.runner = self._devices.runner
        self.session = Session(engines, config, self.runner, self._devices.playback, watchers)
        self.sound: SoundWatch | None = None
        """What the devices lose; None before they are open."""

    async def run(
        self, through: Callable[[AsyncIterable[Frame]], AsyncIterable[Frame]] = lambda frames: frames
    ) -> None:
        """Listen and answer until the frames end. Raises DeviceError.

        through: what the microphone's frames go through before anything else hears them.
        """
        devices, controller = self._devices, self.session.controller
        # The microphone first: what is said while the speaker warms up is heard.
        async with (
            Microphone(devices.microphone, self.runner.now, calm=lambda: not controller.busy) as frames,
            devices.speaker as speaking,
        ):
            self.sound = SoundWatch(frames, speaking, self._watchers)
            heard = through(self.sound.counting(frames))
            await self.session.run(without_echo(heard, devices.front, self._watchers))
