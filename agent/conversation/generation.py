"""One turn from the user's words to what the history keeps of the reply. Knows not when to speak.

A turn is authorized by that: until then all of this is made unheard and leaves no trace.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, nullcontext
from typing import TypeAlias

import anyio

from agent import events as ev
from agent.causes import Cause, Kind, Reason
from agent.conversation.acts import Asks
from agent.conversation.history import History
from agent.conversation.image_input import ImageInput, PendingImage
from agent.conversation.pipeline import Pipeline
from agent.conversation.recognition import Recognition
from agent.conversation.reply import Manner, Reply
from agent.conversation.tool_use import Ask, ToolUse
from agent.errors import BackchatError, leaves
from agent.llm.context import ContextWindow, Prompt
from agent.messages import Message
from agent.protocols import Delta, Engines, told_of
from agent.runner import Runner
from agent.settings import Config
from agent.tools.execution import Execution, Running
from agent.turns.comprehension import Comprehension, misheard, understood
from agent.turns.elicitation import Elicitation
from agent.turns.endpointing import EndpointingDecision
from audio.frame import Frame
from audio.stt import Transcript

NO_TURN: dict[Kind, Reason] = {
    "nothing": "unintelligible",
    "echo": "echo",
    "stop": "silence_wanted",
    "backchannel": "backchannel",
}
"""What asks for no answer, and the reason to tell."""
AHEAD = 2.0
"""Seconds that reading ahead may wait for the language model: later it is asked for what was read anyway."""
BELONGS = 1.0
"""Seconds after a reply in which "okay" still belongs to it, and asks for no answer."""


Judge: TypeAlias = Callable[[Reply, EndpointingDecision], None]
"""Is told, for a turn, how long to wait before it is over."""


class Generation:
    """Understands, has the pipeline reply, and writes down what was heard."""

    def __init__(
        self,
        engines: Engines,
        config: Config,
        recognition: Recognition,
        pipeline: Pipeline,
        runner: Runner,
        history: History,
        emit: ev.Watcher,
        judge: Judge,
        view: ImageInput,
        execution: Execution,
    ) -> None:
        llm = told_of(engines.llm, [tool.schema for tool in execution.tools.values()])
        self._window = ContextWindow(llm, config.llm.context, config.llm.max_tokens)
        self._limits = config.limits
        self._execution = execution
        self._tool_use = ToolUse(config, runner, execution, recognition.language)
        self._recognition = recognition
        self._pipeline = pipeline
        self._runner = runner
        self._history = history
        self._emit = emit
        self._judge = judge
        self._images = view
        self._comprehension = Comprehension()
        self._last_said = -60.0
        self._asks: Asks | None = None
        """What the user was asked last, before something is done."""
        self.news: list[Running] = []
        """Calls that are over, whose replies did not wait for them: nobody was told of their results."""

    async def answer(self, turn: Reply) -> bool:
        """Work on `turn` until its reply was heard or given up; False when it left no trace.

        An engine that fails ends the reply with an Error event, and nothing is raised; the user's words
        are kept when their turn is over, as always.
        """
        try:
            async with turn:
                with nullcontext() if turn.notice else self._images.taken() as pending:
                    await self._begin(turn, pending)
        except* BackchatError as group:
            self._failed(turn, group)
        finally:
            cut_short = turn.interrupted is not None
            self._execution.turn_over(turn.acts.calls, kept=turn.authorized.is_set(), cut=cut_short)
        if turn.answerable and turn.authorized.is_set():
            await turn.follows.wait()  # one after the other, also where neither was heard
            self._note(turn, None)
            if turn.manner.respond:
                self._keep(turn)
            return True
        if turn.discarded is not None and turn.discarded.reason in NO_TURN.values():
            self._comprehension.heard(turn.misheard, turn.understood)
        cut: Reason = "went_on" if turn.interrupted is not None else "unintelligible"
        cause = turn.discarded or Cause("failed" if turn.failed else cut)
        self._emit(ev.TurnDiscarded(self._runner.now(), turn.number, cause, turn.tokens))
        return False

    async def prefill(self, question: str = "") -> None:
        """Have the language model read the conversation, and the question so far, while nobody waits.

        Where others need it meanwhile, nothing is read.
        """
        prompt = self._prompt(self._images.so_far(question) if question else [])
        until = self._runner.now() + AHEAD
        try:
            await self._runner.spare("llm", prompt.prefill, self._limits.first_token, until)
        except BackchatError as error:
            self._emit(ev.failure(self._runner.now(), "llm", error))
        else:
            self._history.keep(prompt.said, prompt.fitted)

    def returned(self, running: Running) -> None:
        """A call is over, perhaps after its reply: the next prompt has its result."""
        if running.kept:
            self._history.returned(running.call.id, running.told)
        if running.kept and running.background and not running.untold:
            self.news.append(running)

    def _prompt(self, question: Sequence[Message], manner: Manner | None = None) -> Prompt:
        """The conversation, the question, and what else it is told, for the language model."""
        manner = manner or Manner()
        said = self._history.said(question) if manner.context is None else manner.context
        told = [Message("system", manner.instructions)] if manner.instructions else []
        return self._window.prompt(self._history.system, [*said, *told])

    async def _begin(self, turn: Reply, pending: PendingImage | None) -> None:
        if turn.audio is not None:
            await self._understand(turn, turn.audio)
            if not turn.answerable:
                return
        await turn.follows.wait()
        question = turn.question or ""
        if pending is not None:
            await self._images.looked(pending, turn.number)
        if not turn.manner.respond:
            await turn.authorized.wait()
            self._note(turn, pending)
            return
        asked = self._images.asked(pending, question)
        kind = self._recognition.kind(Transcript(question), self._asked(turn.onset), None)
        again = {"go_on": self._history.unheard, "repeat": self._history.last_sentence}.get(kind, "")
        if self._asks is not None and self._recognition.language.agrees(question, self._asks.question):
            self._tool_use.agreed(turn, self._asks.calls)
            again = ""
        words = re.findall(r"\s*\S+", turn.notice or turn.rest or again)
        prompt = self._prompt(asked, turn.manner)
        at = len(prompt.said) - bool(turn.manner.instructions)

        def ask(done: Sequence[Message]) -> Callable[[], Iterator[str | Delta]]:
            nonlocal prompt
            if done:
                prompt = self._window.prompt(prompt.system.content, [*said[:at], *done, *said[at:]])
            return (lambda: iter(words)) if words else prompt.stream

        said = prompt.said
        turn.tasks.start_soon(self._commit, turn, pending)
        try:
            await self._say(turn, ask)
        except* BackchatError as group:
            self._failed(turn, group)
        finally:
            self._history.keep(prompt.said, prompt.fitted)
            if prompt.refused is not None and turn.authorized.is_set():
                self._emit(ev.failure(self._runner.now(), "llm", prompt.refused, turn.number))
                turn.ready()

    async def _say(self, turn: Reply, ask: Ask) -> None:
        """Say what is written for `ask`; and once more from where it shows that all before was a thought."""
        async with aclosing(self._tool_use.written(turn, ask)) as stream:
            while await self._pipeline.run(turn, stream):
                turn.anew()

    async def _commit(self, turn: Reply, pending: PendingImage | None) -> None:
        """Note the user's words when their turn is over, whatever has become of the reply by then."""
        await turn.authorized.wait()
        self._note(turn, pending)

    def _note(self, turn: Reply, pending: PendingImage | None) -> None:
        """The user's words enter the history, once."""
        if turn.noted:
            return
        turn.noted = True
        question = turn.question or ""
        if question:
            self._asks, self.news = None, []
        self._history.user(self._images.kept(pending, question))
        self._comprehension.heard(turn.misheard, turn.understood)
        if turn.notice and turn.misheard:
            self._emit(ev.NotUnderstood(self._runner.now(), turn.number, turn.misheard))
        now, respond = self._runner.now(), turn.manner.respond
        self._emit(ev.TurnCommitted(now, turn.number, question, turn.committed, respond))

    def _failed(self, turn: Reply, group: BaseExceptionGroup) -> None:
        turn.failed = True
        for error in leaves(group):
            if isinstance(error, BackchatError):
                self._emit(ev.failure(self._runner.now(), "reply", error, turn.number))
                turn.ready()

    def _asked(self, onset: float) -> Elicitation:
        """What the agent had asked for when the user began to speak, at `onset` (s)."""
        silent = onset - self._last_said >= BELONGS
        return self._recognition.asked(self._history.heard, "silent" if silent else "just_silent")

    async def _understand(self, turn: Reply, audio: Frame) -> None:
        """The words, and from them and the sound whether the user has finished: each on its own core."""
        if turn.cut_before:
            await turn.follows.wait()  # until it is known what was left to say
        began, worded = self._runner.now(), anyio.Event()
        asked = self._asked(turn.onset)
        turn.tasks.start_soon(self._judge_end, turn, audio, worded, asked)
        if turn.question is None:
            said = await self._recognition.transcribe(audio)
            kind = self._recognition.kind(said, asked, (turn.onset, audio.end))
            self._weigh(turn, said, kind)
            now = self._runner.now()
            self._emit(ev.Transcribed(now, turn.number, said.text, now - began))
        elif turn.transcript is not None:
            self._weigh(turn, turn.transcript, "words")
        worded.set()

    def _weigh(self, turn: Reply, said: Transcript, kind: Kind) -> None:
        """What these words are given: an answer, nothing, or that they were not understood."""
        turn.transcript = said
        turn.misheard = misheard(kind, said.confidence, turn.speech_seconds)
        turn.understood = understood(kind, said.confidence)
        if turn.cut_before and kind in NO_TURN and kind != "stop":
            turn.rest = self._history.unheard
        elif turn.manner.respond and self._comprehension.tells(turn.misheard):
            turn.notice = self._recognition.apology
        elif kind in NO_TURN and (turn.manner.respond or kind in ("nothing", "echo")):
            turn.discarded = Cause(NO_TURN[kind], said.text)
        turn.question = "" if turn.discarded or turn.notice else said.text

    async def _judge_end(self, turn: Reply, audio: Frame, worded: anyio.Event, asked: Elicitation) -> None:
        complete = await self._recognition.complete(audio)
        await worded.wait()
        if turn.answerable:
            text = turn.transcript.text if turn.transcript is not None else turn.question or ""
            self._judge(turn, self._recognition.decision(text, complete, asked))

    def _keep(self, turn: Reply) -> None:
        """Only what was heard enters the history, and all of it."""
        cut = turn.failed or turn.interrupted is not None
        heard = turn.heard(float("inf")) if cut else turn.text
        unheard = turn.text[len(heard) :]
        if cut:
            turn.acts.cut(heard)
        done, said = turn.acts.done(turn.text, heard)
        self._history.agent(said, unheard, done)
        self._asks = turn.acts.asked(heard) or self._asks
        if turn.notice and turn.misheard and heard:
            self._comprehension.told()
        self._last_said = self._runner.now()
        reason = "error" if turn.failed else "interrupted" if cut else "finished"
        now = self._runner.now()
        self._emit(ev.TurnEnded(now, turn.number, reason, heard, unheard, turn.full and not cut))
