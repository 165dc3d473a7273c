"""One conversation: wires the parts together and listens. Knows no device, no wire and no threshold."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from typing import Literal

import anyio

from agent import events as ev
from agent.conversation.controller import TurnController
from agent.conversation.generation import begun
from agent.conversation.history import History
from agent.conversation.image_input import Camera
from agent.conversation.reply import Manner
from agent.errors import SessionError
from agent.images import Source
from agent.protocols import Engines
from agent.runner import Runner
from agent.settings import Config
from agent.text.cleaning import cleaned
from audio.frame import HEARING_RATE, Frame, silence
from audio.playback import Playback

BLOCK = 0.02
"""Seconds of one frame of the silence after the microphone's end."""

State = Literal["new", "listening", "ended"]
WRONG: dict[State, str] = {
    "new": "does not listen yet; wait for its event SessionStarted",
    "listening": "listens already, and runs once; make another one",
    "ended": "has ended; make another one",
}


class Session:
    """Frames in, replies to `playback`, events to `watchers`; keeps the history. Runs once."""

    def __init__(
        self,
        engines: Engines,
        config: Config,
        runner: Runner,
        playback: Playback,
        watchers: Sequence[ev.Watcher] = (),
    ) -> None:
        self.history: History = begun(engines, config)
        self._names = [engines.names[kind] for kind in ("llm", "stt", "tts")]
        self._runner, self._watchers = runner, watchers
        self.controller = TurnController(engines, config, runner, playback, self.history, self._emit)
        self._state: State = "new"

    async def run(self, microphone: AsyncIterable[Frame]) -> None:
        """Listen and answer until the microphone (16 kHz mono frames) ends, and all that was said by then."""
        self._check("run", "new")
        try:
            async with anyio.create_task_group() as tasks:
                self.controller.enter(tasks)
                self._state = "listening"
                self._emit(ev.SessionStarted(self._runner.now(), *self._names))
                self.controller.attention.begin()
                ended = self._runner.now()
                async for frame in microphone:
                    ended = self._hear(frame)
                    if self.controller.over:
                        break
                self.controller.leave()
                while self.controller.busy:  # where no microphone is, there is silence
                    await anyio.sleep(BLOCK)
                    ended = self._hear(Frame(silence(BLOCK, HEARING_RATE), HEARING_RATE, ended))
        finally:
            self._state = "ended"
        self._emit(ev.SessionEnded(self._runner.now()))

    def _check(self, what: str, *states: State) -> None:
        if self._state not in states:
            raise SessionError(f"{what}: this session {WRONG[self._state]}")

    def _hear(self, frame: Frame) -> float:
        self.controller.push(frame)
        return frame.end

    def send_text(self, text: str, say: str = "", manner: Manner | None = None, language: str = "") -> None:
        """Answer words that were typed, in this manner, or as always; what is being said is interrupted.
        Without words, speak unasked: say these (`say`), or else something on what the history holds.
        language: ISO code of the text, where it is known.
        """
        self._check("send_text", "listening")
        self.controller.send_text(cleaned(text), cleaned(say), manner, language)

    def show(self, image: Source | None, *, once: bool = False, live: bool = False) -> None:
        """The user shows this from now on, or in one turn (`once`); None: nothing any more.

        image: PNG, JPEG or WebP, as a path, a data URL, bytes, or decoded; one that is no good is told in an
        Error event. live: a frame of a camera, looked at if speech begins or pauses while it is the newest.
        """
        self._check("show", "new", "listening")
        self.controller.view.show(image, once=once, live=live)

    def follow(self, camera: Camera) -> None:
        """Show what this camera gives from now on, or from when `run` begins."""
        self._check("follow", "new", "listening")
        self.controller.view.follow(camera)

    def update(self, config: Config) -> None:
        """Find turns, and expect languages, as `config` says from the next pause on. All else stays."""
        self.controller.update(config.turns, config.vad, config.stt)

    def clear_audio(self) -> None:
        """What the user has begun to say is not listened to any more, and not answered."""
        self.controller.clear_audio()

    def cancel(self, by: Literal["interrupt_call", "client"] = "interrupt_call") -> None:
        """End the reply that is being made or said, without another one. by: who wants that."""
        self.controller.cancel(by)

    def _emit(self, event: ev.Event) -> None:
        for watch in self._watchers:
            watch(event)
