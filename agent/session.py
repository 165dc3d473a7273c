"""The listener: opens turns, barges in, keeps the history. Knows no device, no wire and no threshold."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence

import anyio

from agent import events as ev
from agent.bridge import Bridge
from agent.config import Config
from agent.ears import Ears
from agent.engines import Engines
from agent.errors import BackchatError
from agent.history import History
from agent.pipeline import Pipeline
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
        self._pipeline = Pipeline(engines, bridge, playback, config, self._emit)
        self._turn: Turn | None = None
        self._turns = 0

    async def run(self, microphone: AsyncIterable[Frame]) -> None:
        """Listen and answer until the microphone (16 kHz mono frames) ends; the last reply is spoken out."""
        names = self._engines.names
        self._emit(ev.SessionStarted(self._bridge.now(), names["llm"], names["stt"], names["tts"]))
        async with anyio.create_task_group() as self._tasks:
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
        failed: list[BackchatError] = []
        try:
            async with turn:
                await self._answer(turn)
        except* BackchatError as group:
            failed += [error for error in group.exceptions if isinstance(error, BackchatError)]
        self._close(turn, failed)

    async def _answer(self, turn: Turn) -> None:
        if turn.audio is not None:
            began = self._bridge.now()
            turn.question = await self._transcribe(turn.audio)
            now = self._bridge.now()
            self._emit(ev.Transcribed(now, turn.number, turn.question, now - began))
        if turn.question:
            self._pipeline.start(turn, self.history.messages(turn.question))
            await turn.gate.wait()
            self.history.person(turn.question)
            self._emit(ev.TurnReleased(self._bridge.now(), turn.number, turn.question))

    def _close(self, turn: Turn, failed: list[BackchatError]) -> None:
        """Keep what was heard; a turn that was never released leaves no trace."""
        now = self._bridge.now()
        for error in failed:
            self._emit(ev.Error(now, "reply", str(error), turn.number))
        if not turn.question or not turn.gate.is_set():
            went_on = "the person went on" if turn.interrupted else "nothing intelligible was said"
            why = turn.dropped or ("it failed" if failed else went_on)
            self._emit(ev.TurnDropped(now, turn.number, why, turn.tokens))
            if turn.dropped is None and turn.interrupted is None:
                self._ears.cut()
        else:
            heard = turn.heard(float("inf")) if failed or turn.interrupted else turn.text
            self.history.agent(heard, turn.text[len(heard) :])
            self.history.trim()
            reason = "error" if failed else "interrupted" if turn.interrupted else "finished"
            self._emit(ev.TurnEnded(now, turn.number, reason, heard, turn.text[len(heard) :]))
        if turn is self._turn:
            self._turn = None
            self._ears.reply_over()

    async def _transcribe(self, audio: Frame) -> str:
        limit = self._config.limits.stt
        transcript = await self._bridge.call("stt", lambda: self._engines.stt.transcribe(audio), limit)
        return transcript.text

    async def _caption(self, audio: Frame) -> None:
        try:
            text = await self._transcribe(audio)
        except BackchatError as error:
            self._emit(ev.Error(self._bridge.now(), "stt", str(error)))
        else:
            self._emit(ev.Partial(self._bridge.now(), text))

    def _emit(self, event: ev.Event) -> None:
        for watch in self._watchers:
            watch(event)
