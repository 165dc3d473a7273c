"""One turn from the user's words to what the history keeps of the reply. Knows not when to speak.

A turn is authorized by that: until then all of this is made unheard and leaves no trace.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from agent import events as ev
from agent import languages
from agent.causes import Cause, Kind, Reason
from agent.conversation.acts import Asks
from agent.conversation.history import History, said_by
from agent.conversation.image_input import ImageInput, PendingImage
from agent.conversation.pipeline import Pipeline
from agent.conversation.recognition import Recognition
from agent.conversation.reply import Manner, Reply
from agent.conversation.tool_use import Ask, ToolUse
from agent.errors import BackchatError, leaves
from agent.llm.context import ContextWindow, Prompt, known_context
from agent.llm.deltas import Deltas
from agent.messages import Message
from agent.protocols import Delta, Engines, told_of
from agent.runner import Runner
from agent.settings import Config
from agent.speakers import Speaker, amid
from agent.tools.execution import Execution, Running
from agent.turns.comprehension import Comprehension, misheard, understood
from agent.turns.corrections import corrected
from agent.turns.elicitation import Elicitation
from agent.turns.endpointing import EndpointingDecision
from agent.turns.phrases import words_of
from audio.frame import Frame
from audio.stt import Transcript

NO_TURN: dict[Kind, Reason] = {
    "nothing": "unintelligible",
    "echo": "echo",
    "stop": "silence_wanted",
    "backchannel": "backchannel",
    "stranger": "stranger",
}
"""What asks for no answer, and the reason to tell."""
AHEAD = 2.0
"""Seconds that reading ahead may wait for the language model: later it is asked for what was read anyway."""
BELONGS = 1.0
"""Seconds after a reply in which "okay" still belongs to it, and asks for no answer."""


Judge: TypeAlias = Callable[[Reply, EndpointingDecision], None]
"""Is told, for a turn, how long to wait before it is over."""


def begun(engines: Engines, config: Config) -> History:
    """The history of a conversation in which nothing was said yet."""
    several = words_of(languages.code(engines.tts.language)).speakers.several
    told = config.told(tools=bool(engines.tools), several=several)
    context = known_context(engines.llm) or config.llm.context
    return History(told, context, engines.tts.language)


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
        self._llm, self._llm_config = engines.llm, config.llm
        self._limits = config.limits
        self._execution = execution
        self._tool_use = ToolUse(config, runner, execution, recognition)
        self._recognition = recognition
        self._pipeline, self.voices = pipeline, pipeline.voices
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
        self.offer()

    def offer(self) -> None:
        """Tell the language model, from the next answer on, of the tools that there are now."""
        self._windows: dict[tuple[object, ...], ContextWindow] = {}

    def _window(self, manner: Manner) -> ContextWindow:
        """What asks the model, told of the tools of such a reply."""
        tools = self._execution.among(manner.tools, own=manner.own_tools)
        told = [tool.schema for tool in tools.values()]
        if (kind := (*told, manner.must_call)) not in self._windows:
            llm = told_of(self._llm, told, required=manner.must_call)
            made = ContextWindow(llm, self._llm_config.context, self._llm_config.max_tokens, self._llm)
            self._windows = {**dict(list(self._windows.items())[-1:]), kind: made}
        return self._windows[kind]

    async def answer(self, reply: Reply) -> bool:
        """Work on `reply` until it was heard or given up; False when it left no trace.

        An engine that fails ends the reply with an Error event, and nothing is raised; the user's words
        are kept when their reply is over, as always.
        """
        try:
            async with reply:
                with nullcontext() if reply.notice else self._images.taken() as pending:
                    await self._begin(reply, pending)
        except* BackchatError as group:
            self._failed(reply, group)
        finally:
            cut_short = reply.interrupted is not None
            self._execution.turn_over(reply.acts.calls, kept=reply.authorized.is_set(), cut=cut_short)
        if reply.answerable and reply.authorized.is_set():
            await reply.follows.wait()  # one after the other, also where neither was heard
            self._note(reply, None)
            if reply.manner.respond:
                self._keep(reply)
            return True
        if reply.discarded is not None and reply.discarded.reason in NO_TURN.values():
            self._comprehension.heard(reply.misheard, reply.understood)
        cut: Reason = "went_on" if reply.interrupted is not None else "unintelligible"
        cause = reply.discarded or Cause("failed" if reply.failed else cut)
        self._emit(ev.TurnDiscarded(self._runner.now(), reply.number, cause, reply.tokens))
        return False

    async def prefill(self, question: str, manner: Manner) -> None:
        """Have the language model read the conversation, and the question so far, while nobody waits.
        manner: how it will be answered.

        Where others need it meanwhile, no more of it is read.
        """
        tools = replace(Manner(), tools=manner.tools, own_tools=manner.own_tools)
        asked = self._images.so_far(question) if question else []
        past = self._past(tools)
        prompt = self._prompt(past, asked, tools, self._known(tools) if past else "")
        try:
            await self._runner.ahead("llm", prompt.prefill, self._limits.first_token, AHEAD)
        except BackchatError as error:
            self._emit(ev.failure(self._runner.now(), "llm", error))
        else:
            self._history.keep(prompt.said, prompt.fitted)

    def returned(self, running: Running) -> None:
        """A call is over, perhaps after its reply: the next prompt has its result."""
        if running.kept:
            self._history.returned(running.call.id, running.told)
        if running.kept and running.background and not running.untold and not running.by_client:
            self.news.append(running)

    def _past(self, manner: Manner) -> Sequence[Message]:
        """What was said before, as such a reply has it."""
        return self._history.said() if manner.context is None else manner.context

    def _known(self, manner: Manner) -> str:
        """What its tools tell unasked, for such a reply."""
        tools = self._execution.among(manner.tools, own=manner.own_tools)
        return self._execution.told(tools) if manner.context is None else ""

    def _prompt(
        self,
        past: Sequence[Message],
        question: Sequence[Message],
        manner: Manner,
        known: str,
        behind: str = "",
        done: Sequence[Message] = (),
    ) -> Prompt:
        """What was said, the question, what was done for it, and what else the language model is told.

        What is known stands before the question: it changes, and all behind it is then read anew. Where
        nothing was said yet it stands behind: next to the instructions it would be one with them.
        """
        asked = [each for each in question if not each.empty] if manner.context is None else []
        past = self._history.still_said([*past, *asked])[: -len(asked) or None]
        told = [Message("system", known)] if known and not self._history.forgets(known) else []
        asked = [*told, *asked] if past else [*asked, *told] if asked else []
        said = [*past, *asked, *done, *([Message("system", behind)] if behind else [])]
        return self._window(manner).prompt(self._history.system, said)

    def _meant(self, reply: Reply, said: Transcript) -> str:
        """The question as it is meant: what is called for it has no place for what the user took back."""
        if not self._execution.among(reply.manner.tools, own=reply.manner.own_tools):
            return reply.question or ""
        return corrected(reply.question or "", self._recognition.language_of(said))

    def _behind(self, reply: Reply) -> str:
        """What the language model is told last, for one reply: what its client says, and which language."""
        asked, name = "", self._recognition.name_of(reply.answers_in)
        heard = reply.transcript.language if reply.transcript is not None else ""
        spoken = {reply.answers_in, heard or reply.answers_in, self._recognition.spoken.first}
        if name and len(self._history.languages | spoken) > 1:
            asked = f"Answer in {name}."
        return " ".join(filter(None, (reply.manner.instructions, asked)))

    async def _begin(self, reply: Reply, pending: PendingImage | None) -> None:
        if reply.audio is not None:
            await self._understand(reply, reply.audio)
            if not reply.answerable:
                return
        await reply.follows.wait()
        question = reply.question or ""
        if pending is not None:
            await self._images.looked(pending, reply.number)
        if not reply.manner.respond:
            await reply.authorized.wait()
            self._note(reply, pending)
            return
        said = reply.transcript or Transcript(question)
        asked = self._images.asked(pending, self._by(reply, self._meant(reply, said)))
        reply.answers_in = self.voices.able(self._recognition.answer_in(said, reply.kind))
        worded = Transcript(question, language=said.language)
        kind = self._recognition.kind(worded, self._asked(reply.onset), None)
        again = {"go_on": self._history.unheard, "repeat": self._history.last_sentence}.get(kind, "")
        agrees = self._recognition.language_of(said).agrees
        if self._asks is not None and agrees(question, self._asks.question):
            self._tool_use.agreed(reply, self._asks.calls)
            again = ""
        words = re.findall(r"\s*\S+", reply.notice or reply.rest or again)
        past, told = self._past(reply.manner), (self._known(reply.manner), self._behind(reply))
        prompt = self._prompt(past, asked, reply.manner, *told)

        def ask(done: Sequence[Message]) -> Callable[[], Iterator[str | Delta]]:
            nonlocal prompt
            if done:
                prompt = self._prompt(past, asked, replace(reply.manner, must_call=False), *told, done)
            first = partial(prompt.stream, end_of_turn=not done and self._in_doubt(reply))
            return (lambda: iter(words)) if words else first

        reply.tasks.start_soon(self._commit, reply, pending)
        try:
            await self._say(reply, ask)
        except* BackchatError as group:
            self._failed(reply, group)
        finally:
            self._history.keep(prompt.said, prompt.fitted)
            if prompt.refused is not None and reply.authorized.is_set():
                self._emit(ev.failure(self._runner.now(), "llm", prompt.refused, reply.number))
                reply.ready()

    async def _say(self, reply: Reply, ask: Ask) -> None:
        """Say what is written for `ask`; and once more from where it shows that all before was a thought."""
        async with (
            aclosing(self._tool_use.written(reply, ask)) as written,
            aclosing(self._judged(reply, written)) as stream,
        ):
            while await self._pipeline.run(reply, stream):
                reply.anew()

    def _in_doubt(self, reply: Reply) -> bool:
        """Whether the language model is asked, too, if the user has said all: where nothing is sure yet."""
        turns = self._recognition.turns
        if not turns.by_model or reply.audio is None or reply.authorized.is_set():
            return False
        return not reply.listened or self._decision(reply).wait > turns.complete

    async def _judged(self, reply: Reply, written: Deltas) -> AsyncGenerator[Delta]:
        """The same; what the model expects of the user is weighed on the way, as soon as it is known."""
        async for delta in written:
            if delta.end_of_turn is not None:
                reply.expected = delta.end_of_turn
                self._decide(reply)
            yield delta

    async def _commit(self, reply: Reply, pending: PendingImage | None) -> None:
        """Note the user's words when their turn is over, whatever has become of the reply by then."""
        await reply.authorized.wait()
        self._note(reply, pending)

    def _note(self, reply: Reply, pending: PendingImage | None) -> None:
        """The user's words enter the history, once."""
        if reply.noted:
            return
        reply.noted = True
        question = reply.question or ""
        if question:
            self._asks, self.news = None, []
        said = reply.transcript or Transcript(question)
        self._history.user(self._images.kept(pending, self._by(reply, question)), said.language)
        if question:
            self._recognition.taken(said, reply.kind)
        self._comprehension.heard(reply.misheard, reply.understood)
        if reply.notice and reply.misheard:
            self._emit(ev.NotUnderstood(self._runner.now(), reply.number, reply.misheard))
        now, respond = self._runner.now(), reply.manner.respond
        told = (question, reply.committed, respond, said.language, reply.said_by, said.tokens)
        self._emit(ev.TurnCommitted(now, reply.number, *told))

    def _failed(self, reply: Reply, group: BaseExceptionGroup) -> None:
        reply.failed = True
        for error in leaves(group):
            if isinstance(error, BackchatError):
                self._emit(ev.failure(self._runner.now(), "reply", error, reply.number))
                reply.ready()

    def _asked(self, onset: float) -> Elicitation:
        """What the agent had asked for when the user began to speak, at `onset` (s)."""
        silent = onset - self._last_said >= BELONGS
        return self._recognition.asked(self._history.heard, "silent" if silent else "just_silent")

    async def _understand(self, reply: Reply, audio: Frame) -> None:
        """The words, and from them and the sound whether the user has finished: each on its own core."""
        if reply.cut_before:
            await reply.follows.wait()  # until it is known what was left to say
        began, reply.elicits = self._runner.now(), self._asked(reply.onset)
        reply.tasks.start_soon(self._listen, reply, audio)
        if reply.question is None:
            words = partial(self._recognition.transcribe, audio)
            said, who = await self._recognition.beside(audio, words)
            reply.speaker = reply.speaker or amid(who, stranger=reply.amid_stranger)
            kind = self._recognition.kind(said, reply.elicits, (reply.onset, audio.end))
            self._weigh(reply, said, self.identified(reply.speaker, kind, reply.number))
            now = self._runner.now()
            told = (said.text, now - began, said.language, reply.said_by)
            self._emit(ev.Transcribed(now, reply.number, *told))
        elif reply.transcript is not None:
            self._weigh(reply, reply.transcript, "words")
        self._decide(reply)

    def identified(self, who: Speaker | None, kind: Kind, turn: int | None) -> Kind:
        """What words of that kind are by whose they are."""
        if who is None:
            return kind
        self._emit(ev.SpeakerIdentified(self._runner.now(), turn, who.verdict, who.name, who.score))
        return kind if self._recognition.manners.treatment(who) == "answered" else "stranger"

    def _by(self, reply: Reply, question: str) -> str:
        """The user's words as the language model is told them."""
        return said_by(reply.said_by if self._recognition.manners.config.named else "", question)

    def _weigh(self, reply: Reply, said: Transcript, kind: Kind) -> None:
        """What these words are given: an answer, nothing, or that they were not understood."""
        reply.transcript, reply.kind = said, kind
        reply.misheard = misheard(kind, said.confidence, reply.speech_seconds)
        reply.understood = understood(kind, said.confidence)
        if reply.cut_before and kind in NO_TURN and kind != "stop":
            reply.rest = self._history.unheard
        elif reply.manner.respond and self._comprehension.tells(reply.misheard):
            reply.notice = self._recognition.apology
        elif kind in NO_TURN and (reply.manner.respond or kind in ("nothing", "echo", "stranger")):
            reply.discarded = Cause(NO_TURN[kind], said.text)
        reply.question = "" if reply.discarded or reply.notice else said.text

    async def _listen(self, reply: Reply, audio: Frame) -> None:
        reply.voice = await self._recognition.complete(audio)
        reply.listened = True
        self._decide(reply)

    def _decide(self, reply: Reply) -> None:
        """Tell how long to wait, once words and voice are known, and anew when the model has told."""
        if reply.listened and reply.question is not None and reply.answerable:
            self._judge(reply, self._decision(reply))

    def _decision(self, reply: Reply) -> EndpointingDecision:
        said = reply.transcript or Transcript(reply.question or "")
        return self._recognition.decision(said, reply.voice, reply.elicits, reply.expected)

    def _keep(self, reply: Reply) -> None:
        """Only what was heard enters the history, and all of it."""
        cut = reply.failed or reply.interrupted is not None or reply.shortened
        heard = reply.heard(float("inf")) if cut else reply.text
        unheard = reply.text[len(heard) :]
        if cut:
            reply.acts.cut(heard)
        done, said = reply.acts.done(reply.text, heard)
        language = languages.code(reply.language)
        left = self._history.unheard if reply.notice and not reply.misheard else ""
        self._history.agent(said, left or unheard, done, language)
        self._asks = reply.acts.asked(heard) or self._asks
        if reply.notice and reply.misheard and heard:
            self._comprehension.told()
        self._last_said = self._runner.now()
        reason = "error" if reply.failed else "interrupted" if cut else "finished"
        now = self._runner.now()
        limited = reply.end == "length" and not cut
        self._emit(ev.TurnEnded(now, reply.number, reason, heard, unheard, limited, language))
