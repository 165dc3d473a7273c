"""Whose turn it is: generates, commits, pauses, discards replies as the policy says. Knows no threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

import anyio
from anyio.abc import TaskGroup

from agent import events as ev
from agent.causes import Cause, Kind, Reason
from agent.conversation.attention import Attention
from agent.conversation.generation import Generation
from agent.conversation.history import History
from agent.conversation.image_input import ImageInput
from agent.conversation.interim import InterimTranscript
from agent.conversation.pipeline import Pipeline
from agent.conversation.recognition import Recognition
from agent.conversation.reply import Manner, Reply
from agent.conversation.utterances import UtteranceDetector
from agent.conversation.voices import SessionVoice
from agent.order import Kind as Urgency
from agent.protocols import Engines
from agent.runner import Engine, Runner
from agent.settings import Config, STTConfig, TurnsConfig, VADConfig
from agent.speakers import Speaker, amid
from agent.text.cleaning import cleaned
from agent.tools.execution import Execution, Running
from agent.turns.endpointing import EndpointingDecision
from agent.turns.policy import (
    Action,
    Commit,
    Discard,
    Duck,
    Generate,
    Interrupt,
    Pause,
    Resume,
    TranscribeOverlap,
)
from agent.turns.spoken_language import SpokenLanguage
from audio.chime import RISING, chime
from audio.frame import Frame
from audio.personal_vad import PersonalVAD
from audio.playback import Playback
from audio.stt import Transcript

TICK = 0.02
"""Seconds between two looks at whether a sentence has been said to its end."""
SPOKEN_OVER = ("words", "speech", "typed")
"""Reasons for which what was to be said by itself is said once more, where little of it was heard."""
TELLING, MORE = 1.5, 0.6
"""Seconds of speech from which a voice that is in doubt is the user's, and for how long it is waited whether
there is more of it; words that ask for silence do not wait."""
NOTICED = 0.01
"""Seconds from which it is told that something waited for other conversations."""


@dataclass(frozen=True, slots=True, eq=False)
class Notice:
    """What is to be said when there is room; `soon`: at the end of a sentence."""

    text: str
    soon: bool


class TurnController:
    """Hears the user, asks the policy, and does to the current reply what it says."""

    def __init__(
        self,
        engines: Engines,
        config: Config,
        runner: Runner,
        playback: Playback,
        history: History,
        emit: ev.Watcher,
    ) -> None:
        self._runner = runner
        self._playback = playback
        self._emit = emit
        self.view = ImageInput(engines.vision, config, runner, emit)
        """What the user shows."""
        self.attention = Attention(engines, config.wake, runner, emit, self)
        """Whether what is heard is for it."""
        self._utterances = UtteranceDetector(engines, config, runner, emit, self)
        self._recognition = Recognition(engines, config, runner, emit)
        self._history = history
        self.voice = SessionVoice(engines.tts, config.tts, playback)
        """How the agent speaks."""
        pipeline = Pipeline(self.voice, runner, playback, config, emit)
        tools, boxes = engines.tools, engines.toolboxes
        self._execution = Execution(
            tools, config.tools, runner, emit, self, self._returned, boxes, self._tools_changed
        )
        heard, seen, done = self._recognition, self.view, self._execution
        self._generation = Generation(
            engines, config, heard, pipeline, runner, history, emit, self._judge, seen, done
        )
        self._active: Reply | None = None
        """The reply that turn-taking decides about; None from its end, or from the moment it is given up."""
        self._latest: Reply | None = None
        self._turns = 0
        self.manner = Manner()
        """How what the user says is answered."""
        self._cut_short = False
        """The client has cut a reply while the user spoke over it, and they are not answered yet."""
        self._notices: list[Notice] = []
        """What is to be said when there is room."""
        self._saying: tuple[int, Notice] | None = None
        """What of that is being said, and the number of its reply."""
        self._ending = False
        self._interim = InterimTranscript()
        self._reading = False
        """An interim transcript is being made: a slow machine must not fall behind with them."""
        self._overlap: Kind = "nothing"
        """What the words said over the reply are, by what has been understood of them."""
        self._overheard: Transcript | None = None
        """What came out of what was said over the reply last."""
        self._known: tuple[float, Speaker | None] = (0.0, None)
        """Who was last known by their voice, and until when (s)."""
        self._speaker: Speaker | None = None
        """Whose voice that was."""
        self._onset = 0.0
        self._last: Frame | None = None
        """What was said over the reply, up to the last pause."""

    @property
    def sounding(self) -> bool:
        """Whether a reply is being played, and not held."""
        return self._active is not None and self._active.track is not None and not self._active.paused

    @property
    def busy(self) -> bool:
        """Whether something was said, or is being said, that is not settled yet."""
        return self._active is not None or self._utterances.hearing

    @property
    def hearing(self) -> bool:
        """Whether the user speaks, or has said what nobody has taken yet."""
        return self._utterances.hearing or self._utterances.unsettled

    def said(self, turn: int) -> Frame | None:
        """What was said in that turn (16 kHz), while it is the newest; None where it was typed."""
        return self._latest.audio if self._latest is not None and self._latest.number == turn else None

    def coming(self, turn: int, now: float) -> list[tuple[float, int]]:
        """See `Reply.coming`, of the reply `turn`; nothing where it is not the latest."""
        reply = self._latest
        return reply.coming(now) if reply is not None and reply.number == turn else []

    def enter(self, tasks: TaskGroup) -> None:
        """Work in this task group from now on."""
        self._tasks = tasks
        self._runner.watch_waits(self._queued)
        self.view.enter(tasks)
        self._execution.enter(tasks)
        tasks.start_soon(self._generation.prefill, "", self.manner)

    def push(self, frame: Frame) -> None:
        """Take in one frame of the user (16 kHz), for as far as it is meant for the agent."""
        for heard in self.attention.hears(frame):
            if self._recognition.turns.interrupt or not self.sounding:
                self._listen(heard)
        self._speak_up()

    def _listen(self, frame: Frame) -> None:
        self._do(self._utterances.feed(frame))
        aside, self._utterances.aside = self._utterances.aside, []
        for audio in aside:
            self._tasks.start_soon(self._note_aside, audio)
        if not self._reading and (audio := self._utterances.half_said(frame.end)) is not None:
            self._reading = True
            self._tasks.start_soon(self._overhear, audio, False)
        personal = self._utterances.personal
        if personal is not None and (newest := personal.unsure()) is not None:
            self._tasks.start_soon(self._tell_apart, personal, newest)

    async def _tell_apart(self, personal: PersonalVAD, speech: Frame) -> None:
        """Whose voice is heard now: nobody's speech is taken for the user's who is not answered."""
        if (who := await self._recognition.speaker(speech)) is not None:
            answered = self._recognition.manners.treatment(who) == "answered"
            known = "known" if who.verdict == "stranger" else who.verdict
            whose = personal.told(speech, known if answered else "stranger", who.score)
            if answered and who.verdict == "known":
                self._known = (speech.end, who)
            elif whose == "doubt" and not answered:  # somebody who is known may speak beside them
                self._known = (speech.end, Speaker("doubt", "", who.score))

    async def _note_aside(self, audio: Frame) -> None:
        """What somebody says who is only overheard."""
        if (found := await self._recognition.overheard(audio)) is not None:
            said, who = found
            name = who.name or self._recognition.language_of(said).speakers.other
            self._history.overhear(said.text, name, said.language)
            self._emit(ev.OverheardSpeech(self._runner.now(), said.text, name))

    def _known_in(self, audio: Frame) -> Speaker | None:
        """Who was known by their voice while that was said, whoever else was heard beside them."""
        at, who = self._known
        return who if at > audio.time else None

    @property
    def engaged(self) -> bool:
        """Whether the talk goes on by itself."""
        return self.busy

    def called(self) -> None:
        """The wake word was said: a reply gives way at once, what was being said before it is forgotten."""
        self._stop(Cause("wake_word"))
        self._utterances.reset()
        self._cut_short = self._ending = False
        if self.attention.sign:
            self._playback.sign(chime(RISING, self._playback.rate))

    def turned_away(self) -> None:
        """What comes now is not for the agent."""
        self.clear_audio()

    def speech_started(self, at: float) -> None:
        """The user speaks, since `at` (s)."""
        self.view.speech_started()
        self._interim.begin()
        self._onset = at

    def speech_resumed(self) -> None:
        """The user goes on after a pause."""
        self.view.speech_resumed()

    def speech_paused(self) -> None:
        """The user has paused."""
        self.view.speech_paused()

    @property
    def last_said(self) -> str:
        """The last sentence that the user has heard; see `agent.tools.tool.ToolContext`."""
        return self._history.last_sentence

    @property
    def user_said(self) -> Sequence[str]:
        """All that the user has said; see `agent.tools.tool.ToolContext`. The newest may not be noted yet."""
        latest = self._latest
        newest = latest.question if latest is not None and not latest.noted else ""
        said = [message.content for message in self._history.said() if message.role == "user"]
        return [*said, newest] if newest else said

    def say(self, text: str, *, soon: bool = False) -> None:
        """Say this when there is room; see `agent.tools.tool.ToolContext`."""
        self._runner.here(partial(self._take, Notice(cleaned(text), soon)))

    def _take(self, notice: Notice) -> None:
        self._notices.append(notice)
        self._speak_up()
        if notice.soon:
            self._tasks.start_soon(self._make_room, notice)

    async def _make_room(self, notice: Notice) -> None:
        """Have it said at the end of the sentence that is being said, if it has not been said before."""
        while notice in self._notices:
            reply = self._active
            if reply is not None and not (self.hearing or self.voice.muted) and reply.end_sentence():
                finished = reply.track.finished if reply.track is not None else None
                if finished is not None and finished <= self._runner.now():
                    self._make_way(reply)
            await anyio.sleep(TICK)

    def _make_way(self, reply: Reply) -> None:
        """It has ended with a sentence, and the rest of it is not said."""
        now, cause = self._runner.now(), Cause("notice")
        self._emit(ev.Decision(now, reply.number, "interrupt", cause))
        reply.interrupted = now
        self._give_up(reply)
        self._emit(ev.Interrupted(now, reply.number, now, cause))
        self._do(self._utterances.policy.reply_over())
        self._speak_up()

    def forget(self, about: Callable[[str], bool]) -> None:
        """Have it that nothing was said of this; see `agent.tools.tool.ToolContext`."""
        self._runner.here(partial(self._history.forget, about))

    def end(self) -> None:
        """End the conversation when what is being said has been heard, unless the user goes on."""
        self._ending = True

    @property
    def over(self) -> bool:
        """Whether the conversation has come to its end."""
        return self._ending and not self.busy

    def time(self) -> float:
        """Seconds since 1970, on the conversation's clock."""
        return self._runner.time()

    def outside(self) -> AbstractContextManager[None]:
        """Within, a tool waits for something that keeps its own time."""
        return self._runner.outside()

    def _tools_changed(self) -> None:
        self._generation.offer()
        if self._active is None:
            self._tasks.start_soon(self._generation.prefill, "", self.manner)

    def leave(self) -> None:
        """Nothing more comes from outside: no frame of a camera, and nothing by itself."""
        self.view.leave()
        self._execution.leave()

    def _queued(self, engine: Engine, kind: Urgency, seconds: float) -> None:
        """Something of this conversation has waited for others."""
        if kind == "needed" and seconds >= NOTICED:
            turn = self._active.number if self._active is not None else None
            self._emit(ev.Queued(self._runner.now(), engine, seconds, turn))

    def _returned(self, running: Running) -> None:
        self._generation.returned(running)
        self._speak_up()

    def _speak_up(self) -> None:
        """Say what nobody has asked for, if nobody speaks."""
        if self.busy or not (self._notices or self._generation.news):
            return
        reply = self._open(None, self._runner.now(), "")
        reply.manner = replace(self.manner, respond=True)
        if self._notices:
            notice = self._notices.pop(0)
            self._saying = (reply.number, notice)
            reply.notice = notice.text
        else:
            reply.acts.told_late(reply.number, self._generation.news)
            self._generation.news = []
        reply.commit(Cause("asked"))
        self._do(self._utterances.policy.replying())

    def send_text(
        self, text: str, notice: str = "", manner: Manner | None = None, language: str = ""
    ) -> None:
        """The user typed this: it interrupts, and is answered. What they say meanwhile is listened to.

        notice: what is said instead of an answer. manner: how it is answered; None: as what is said.
        language: ISO code of the text, where it is known.
        """
        unread = self._active is not None and self._active.unread
        cause = Cause("typed", text) if text else Cause("asked")
        self._stop(cause)
        reply = self._open(None, self._runner.now(), text)
        self._cut_short = False
        reply.notice = notice
        reply.transcript = Transcript(text, language=language) if language else None
        reply.manner = replace(manner or self.manner, respond=True)
        self._ending = False
        reply.commit(cause)
        self._do(self._utterances.policy.replying(said=unread))

    def commit(self) -> bool:
        """The user's turn ends here, and waits for `send_text`; False where they have said nothing."""
        if (said := self._utterances.so_far()) is None:
            return False
        self._stop(Cause("client"))
        reply = self._open(said, said.end, None)
        reply.manner = replace(self.manner, respond=False)
        self._utterances.reset()
        reply.commit(Cause("client"))
        self._do(self._utterances.policy.replying())
        return True

    def update(self, turns: TurnsConfig, vad: VADConfig, stt: STTConfig) -> None:
        """Find turns in another way from the next pause on, and expect the languages of `stt`."""
        self._utterances.update(turns, vad, stt)
        self._recognition.update(turns, stt)

    @property
    def spoken(self) -> SpokenLanguage:
        """The languages of the conversation."""
        return self._recognition.spoken

    @property
    def voices(self) -> Mapping[str, str]:
        """The voices that replies may be said with, each with its language; none: that of the settings."""
        return self._generation.voices.loaded

    def clear_audio(self) -> None:
        """Forget what the user has begun to say; an answer to it is not said, a reply goes on."""
        if self._active is not None and not self._active.authorized.is_set():
            self.cancel("deafened")
        self._utterances.reset()
        self._cut_short = False
        if self._active is not None and self._active.authorized.is_set():
            self._utterances.policy.replying()
            self._change(self._active, Resume(Cause("deafened")))

    def cancel(self, reason: Reason) -> None:
        """The reply that is being made or said is not wanted any more; who speaks over it is answered."""
        if self._active is not None:
            self._cut_short = (
                reason == "client" and self._active.authorized.is_set() and self._utterances.unsettled
            )
            self._stop(Cause(reason))
            self._do(self._utterances.policy.reply_over())

    def _stop(self, cause: Cause) -> None:
        """End the current reply, whatever turn-taking thinks."""
        if (reply := self._active) is None:
            return
        now = self._runner.now()
        action = Interrupt(now, cause) if reply.authorized.is_set() else Discard(cause)
        reply.discarded = cause
        self._emit(ev.Decision(now, reply.number, action.name, cause))
        self._change(reply, action)

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            about = self._turns + 1 if isinstance(action, Generate) else self._active and self._active.number
            self._emit(ev.Decision(self._runner.now(), about, action.name, action.cause))
            if isinstance(action, Generate):
                reply = self._open(self._utterances.utterance(), action.speech_end, action.text)
                if action.text is not None:
                    reply.transcript, reply.speaker = self._overheard, self._speaker
            elif isinstance(action, TranscribeOverlap):
                self._last = self._utterances.utterance()
                self._tasks.start_soon(self._overhear, self._last, True)
            elif self._active is not None:
                self._change(self._active, action)

    def _change(self, reply: Reply, action: Action) -> None:
        now = self._runner.now()
        match action:
            case Commit(cause):
                self._utterances.cut()
                self._cut_short = False
                self._ending = False
                reply.commit(cause)
            case Discard(cause):
                reply.discarded = cause
                self._give_up(reply)
            case Duck():
                reply.duck()
            case Pause(cause):
                self._overlap = "nothing"
                if reply.pause():
                    self._recognition.guard.paused(now, self._onset)
                    self._emit(ev.AudioPaused(now, reply.number, reply.resume_point(), cause))
            case Resume(cause, again):
                self._resume(reply, cause, again)
            case Interrupt(onset, cause, no_response):
                self._interrupted(reply, onset, cause)
                if no_response:
                    self._utterances.cut()
            case _:
                pass

    def _resume(self, reply: Reply, cause: Cause, again: bool) -> None:
        now, held, point = self._runner.now(), reply.paused, reply.resume_point(again=again)
        reply.resume(point if held or again else None)
        if not self._utterances.speaking:  # else it is not known yet what they say
            self._utterances.cut()
        if held:
            self._recognition.guard.resumed(now, suspected=self._overlap in ("nothing", "echo"))
            self._emit(ev.AudioResumed(now, reply.number, point, cause))

    def _interrupted(self, reply: Reply, onset: float, cause: Cause) -> None:
        """The reply is given up, unless all of it has been played."""
        if reply.question is None and reply.audio is not None:
            self._utterances.keep(reply.audio)
        if reply.spoken and not reply.shortened:
            self._active = None
            return
        if cause.reason not in SPOKEN_OVER:  # who wants silence has heard enough
            self._saying = None
        reply.interrupted = onset
        self._give_up(reply)
        self._emit(ev.Interrupted(self._runner.now(), reply.number, onset, cause))

    def _give_up(self, reply: Reply) -> None:
        """No more is decided about it, from this moment on; what works on it ends as soon as it can."""
        reply.cancel()
        self._active = None

    def _open(self, audio: Frame | None, speech_end: float, text: str | None) -> Reply:
        self._turns += 1
        reply = Reply(
            self._turns,
            audio,
            speech_end,
            self._playback,
            self._latest,
            self._ready,
            self._recognition.guard.heard,
        )
        reply.question, reply.manner, reply.read = text, self.manner, self.voice.muted
        reply.speaker = None if audio is None else self._known_in(audio)
        reply.amid_stranger = self._utterances.amid_stranger
        reply.cut_before = self._cut_short
        reply.onset, reply.speech_seconds = self._onset, self._utterances.voiced
        self._active = self._latest = reply
        self._emit(ev.TurnOpened(self._runner.now(), reply.number, speech_end))
        self._tasks.start_soon(self._reply, reply)
        return reply

    async def _reply(self, reply: Reply) -> None:
        kept = await self._generation.answer(reply)
        reply.closed.set()
        if self._saying is not None and self._saying[0] == reply.number:
            (_, notice), self._saying = self._saying, None
            spoken_over = reply.interrupted is not None and not reply.failed
            if spoken_over and len(reply.heard(math.inf)) < len(notice.text) / 2:
                self._take(notice)
        if reply is self._active:  # it came to its end by itself
            self._active = None
            if reply.transcript is not None and self._recognition.language.takes_leave(reply.transcript.text):
                self.attention.dismiss()
            if not kept and not reply.authorized.is_set():
                self._utterances.cut()
                self._cut_short = False
            self._do(self._utterances.policy.reply_over())
        self._speak_up()
        if self._active is None:
            await self._generation.prefill("", self.manner)

    def _judge(self, reply: Reply, decision: EndpointingDecision) -> None:
        if reply is self._active:
            self._do(self._utterances.policy.understood(decision))
            if not reply.manner.respond:
                self._do(self._utterances.policy.ready())  # there is no answer to wait for

    async def _overhear(self, audio: Frame, final: bool) -> None:
        """What is being said: over a reply it decides what becomes of it, else the model reads along."""
        began = self._runner.now()
        words = partial(self._recognition.try_transcribe, audio, final=final)
        over = self._active is not None and self._active.authorized.is_set()
        said, who = await self._recognition.beside(audio, words) if over else (await words(), None)
        self._reading = self._reading and final
        if not final and said is not None:
            self._utterances.interim_took = self._runner.now() - began
        if said is None:  # others need the transcriber more
            return
        final = final and audio is self._last  # they have said more since, and paused again
        text = said.text
        now = self._runner.now()
        if not final:
            self._emit(ev.InterimTranscript(now, *self._interim.show(text)))
        reply = self._active
        if reply is not None and reply.authorized.is_set():
            await self._spoken_over(reply, audio, said, who, final=final)
        elif reply is None and text:
            await self._generation.prefill(text, self.manner)

    async def _spoken_over(
        self, reply: Reply, audio: Frame, said: Transcript, who: Speaker | None, *, final: bool
    ) -> None:
        """Words were said over a reply: by whom and what they are decides what becomes of it."""
        now = self._runner.now()
        heard, known = reply.heard(now), self._known_in(audio)
        asked = self._recognition.asked(heard, "speaking", reply.text[len(heard) :])
        who = known or amid(who, stranger=self._utterances.amid_stranger)
        kind = self._recognition.overlap(said, asked, (self._onset, audio.end))
        kind = self._generation.identified(who, kind, reply.number)
        if kind in ("words", "stop") and not self._recognition.manners.may_interrupt(who):
            kind = "no_leave"
        self._overlap = kind
        self._emit(ev.OverlapTranscribed(now, reply.number, said.text, kind))
        doubt = known is None and who is not None and who.verdict == "doubt"
        if doubt and kind == "words" and self._utterances.voiced < TELLING:
            if final:
                await anyio.sleep(MORE)
            if not final or self._utterances.speaking or audio is not self._last or reply is not self._active:
                return  # what they say more tells who it is
            who = self._known_in(audio) or amid(who, stranger=self._utterances.amid_stranger)
            kind = self._generation.identified(who, kind, reply.number)
        self._overheard, self._speaker = said, who
        self._do(self._utterances.policy.words(said.text, kind, final))

    def _ready(self, reply: Reply) -> None:
        if reply is self._active:
            self._do(self._utterances.policy.ready())
