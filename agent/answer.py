"""One turn from the person's words to what the history keeps of the reply. Knows not when to speak.

The gate of the turn says that: until it opens, all of this is made unheard and leaves no trace.
"""

from __future__ import annotations

from agent import events as ev
from agent.bridge import Bridge
from agent.config import Config
from agent.engines import Engines
from agent.errors import BackchatError
from agent.history import History
from agent.pipeline import Pipeline
from agent.turn import Turn
from audio.frame import Frame
from audio.playback import Playback


class Answerer:
    """Transcribes, has the pipeline reply, and writes down what was heard."""

    def __init__(
        self,
        engines: Engines,
        config: Config,
        bridge: Bridge,
        playback: Playback,
        history: History,
        emit: ev.Watcher,
    ) -> None:
        self._engines = engines
        self._limits = config.limits
        self._bridge = bridge
        self._history = history
        self._emit = emit
        self._pipeline = Pipeline(engines, bridge, playback, config, emit)

    async def answer(self, turn: Turn) -> bool:
        """Work on `turn` until its reply was heard or given up; False when it left no trace.

        An engine that fails ends the turn with an Error event; nothing is raised.
        """
        failed: list[BackchatError] = []
        try:
            async with turn:
                await self._begin(turn)
        except* BackchatError as group:
            failed += [error for error in group.exceptions if isinstance(error, BackchatError)]
        for error in failed:
            self._emit(ev.Error(self._bridge.now(), "reply", str(error), turn.number))
        if turn.question and turn.gate.is_set():
            self._keep(turn, bool(failed))
            return True
        went_on = "the person went on" if turn.interrupted else "nothing intelligible was said"
        why = turn.dropped or ("it failed" if failed else went_on)
        self._emit(ev.TurnDropped(self._bridge.now(), turn.number, why, turn.tokens))
        return False

    async def transcribe(self, audio: Frame, *, final: bool) -> str:
        """The words in `audio`. Raises EngineFault."""
        stt, limit = self._engines.stt, self._limits.stt
        return (await self._bridge.call("stt", lambda: stt.transcribe(audio, final=final), limit)).text

    async def prefill(self, question: str = "") -> None:
        """Have the language model read the conversation, and the question so far, while nobody waits."""
        llm, messages = self._engines.llm, self._history.messages(question)
        try:
            await self._bridge.call("llm", lambda: llm.prefill(messages), self._limits.first_token)
        except BackchatError as error:
            self._emit(ev.Error(self._bridge.now(), "llm", str(error)))

    async def _begin(self, turn: Turn) -> None:
        if turn.audio is not None:
            began = self._bridge.now()
            turn.question = await self.transcribe(turn.audio, final=True)
            now = self._bridge.now()
            self._emit(ev.Transcribed(now, turn.number, turn.question, now - began))
        if turn.question:
            self._pipeline.start(turn, self._history.messages(turn.question))
            await turn.gate.wait()
            self._history.person(turn.question)
            self._emit(ev.TurnReleased(self._bridge.now(), turn.number, turn.question))

    def _keep(self, turn: Turn, failed: bool) -> None:
        """Only what was heard enters the history, and all of it."""
        cut = failed or turn.interrupted is not None
        heard = turn.heard(float("inf")) if cut else turn.text
        unheard = turn.text[len(heard) :]
        self._history.agent(heard, unheard)
        self._history.trim()
        reason = "error" if failed else "interrupted" if cut else "finished"
        self._emit(ev.TurnEnded(self._bridge.now(), turn.number, reason, heard, unheard))
