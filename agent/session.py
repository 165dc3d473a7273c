"""The listener: opens turns, barges in, keeps the history. Knows no device, no wire and no threshold."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence

import anyio

from agent import events as ev
from agent.answer import Answerer
from agent.bridge import Bridge
from agent.config import Config
from agent.ears import Ears
from agent.engines import Engines
from agent.errors import BackchatError
from agent.history import History
from agent.turn import Turn
from agent.turntaking import Action, Drop, Prepare, Release, Yield
from audio.frame import Frame
from audio.playback import Playback


class Session:
    """One conversation: frames in, replies to `playback`, events to `watchers`."""

    def __init__(
        self,
        engines: Engines,
        config: Config,
        bridge: Bridge,
        playback: Playback,
        watchers: Sequence[ev.Watcher] = (),
    ) -> None:
        self.history = History(config.session.system, config.llm.context, config.llm.max_tokens)
        self._config = config
        self._engines = engines
        self._bridge = bridge
        self._playback = playback
        self._watchers = watchers
        self._ears = Ears(config, bridge, self._emit)
        self._answerer = Answerer(engines, config, bridge, playback, self.history, self._emit)
        self._turn: Turn | None = None
        self._turns = 0

    async def run(self, microphone: AsyncIterable[Frame]) -> None:
        """Listen and answer until the microphone (16 kHz mono frames) ends; the last reply is spoken out."""
        names = self._engines.names
        self._emit(ev.SessionStarted(self._bridge.now(), names["llm"], names["stt"], names["tts"]))
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._answerer.prefill)
            async for frame in microphone:
                self._hear(frame)
        self._emit(ev.SessionEnded(self._bridge.now()))

    def _hear(self, frame: Frame) -> None:
        speaking = self._turn is not None and self._turn.track is not None
        if speaking and not self._config.turns.interrupt:
            return
        for action in self._ears.feed(frame):
            self._emit(ev.Decision(self._bridge.now(), type(action).__name__.lower(), action.why))
            self._act(action)
        if (audio := self._ears.half_said(frame.end)) is not None:
            self._tasks.start_soon(self._caption, audio)

    def _act(self, action: Action) -> None:
        if isinstance(action, Prepare):
            self._open(self._ears.utterance(), action.speech_end)
            return
        assert self._turn is not None  # only a prepared turn is released, dropped or interrupted
        match action:
            case Release():
                self._ears.cut()
                self._turn.gate.set()
            case Drop(why):
                self._turn.dropped = why
                self._turn.cancel()
            case Yield(onset):
                if self._turn.question is None and self._turn.audio is not None:
                    self._ears.keep(self._turn.audio)
                self._turn.interrupted = onset
                self._turn.cancel()
                self._emit(ev.Interrupted(self._bridge.now(), self._turn.number, onset))

    def typed(self, text: str) -> None:
        """Answer words that were typed rather than said; what is being said now is interrupted."""
        now = self._bridge.now()
        if self._turn is not None:
            self._turn.interrupted = now
            self._turn.cancel()
        turn = self._open(None, now)
        turn.question = text
        turn.gate.set()

    def _open(self, audio: Frame | None, speech_end: float) -> Turn:
        self._turns += 1
        turn = self._turn = Turn(self._turns, audio, speech_end, self._playback)
        self._emit(ev.TurnOpened(self._bridge.now(), turn.number, speech_end))
        self._tasks.start_soon(self._reply, turn)
        return turn

    async def _reply(self, turn: Turn) -> None:
        kept = await self._answerer.answer(turn)
        if not kept and turn.dropped is None and turn.interrupted is None:
            self._ears.cut()
        if turn is self._turn:
            self._turn = None
            self._ears.reply_over()
            await self._answerer.prefill()

    async def _caption(self, audio: Frame) -> None:
        try:
            text = await self._answerer.transcribe(audio, final=False)
        except BackchatError as error:
            self._emit(ev.Error(self._bridge.now(), "stt", str(error)))
        else:
            self._emit(ev.Partial(self._bridge.now(), text))
            if text and self._turn is None:
                await self._answerer.prefill(text)

    def _emit(self, event: ev.Event) -> None:
        for watch in self._watchers:
            watch(event)
