"""Whose turn it is: generates, commits, pauses, discards replies as the policy says. Knows no threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anyio.abc import TaskGroup

from agent import events as ev
from agent.causes import Cause, Kind, Reason
from agent.conversation.generation import Generation
from agent.conversation.history import History
from agent.conversation.image_input import ImageInput
from agent.conversation.interim import InterimTranscript
from agent.conversation.pipeline import Pipeline
from agent.conversation.recognition import Recognition
from agent.conversation.reply import Manner, Reply
from agent.conversation.utterances import UtteranceDetector
from agent.protocols import Engines
from agent.runner import Runner
from agent.settings import Config, TurnsConfig, VADConfig
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
from audio.frame import Frame
from audio.playback import Playback
from audio.stt import Transcript


class TurnController:
    """Hears the user, asks the policy, and does to the current turn what it says."""

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
        self._watch = emit
        self.view = ImageInput(engines.vision, config, runner, emit)
        """What the user shows."""
        self._utterances = UtteranceDetector(engines, config, runner, self._heard)
        self._recognition = Recognition(engines, config, runner, emit)
        pipeline = Pipeline(engines.tts, runner, playback, config, self._emit)
        self._execution = Execution(engines.tools, config.tools, runner, self._emit, self, self._returned)
        self._generation = Generation(
            engines,
            config,
            self._recognition,
            pipeline,
            runner,
            history,
            self._emit,
            self._judge,
            self.view,
            self._execution,
        )
        self._turn: Reply | None = None
        """The turn that turn-taking decides about; None from its end, or from the moment it is given up."""
        self._latest: Reply | None = None
        self._turns = 0
        self.manner = Manner()
        """How what the user says is answered."""
        self._cut_short = False
        """The client has cut a reply while the user spoke over it, and they are not answered yet."""
        self._notices: list[str] = []
        """What is to be said when there is room."""
        self._ending = False
        self._interim = InterimTranscript()
        self._reading = False
        """A partial transcript is being made: a slow machine must not fall behind with them."""
        self._overlap: Kind = "nothing"
        """What the words said over the reply are, by what has been understood of them."""
        self._overheard: Transcript | None = None
        """What came out of what was said over the reply last."""
        self._onset = 0.0
        self._last: Frame | None = None
        """What was said over the reply, up to the last pause."""

    @property
    def sounding(self) -> bool:
        """Whether a reply is being played, and not held."""
        return self._turn is not None and self._turn.track is not None and not self._turn.paused

    @property
    def busy(self) -> bool:
        """Whether something was said, or is being said, that is not settled yet."""
        return self._turn is not None or self._utterances.hearing

    @property
    def hearing(self) -> bool:
        """Whether the user speaks, or has said what nobody has taken yet."""
        return self._utterances.hearing or self._utterances.unsettled

    def said(self, turn: int) -> Frame | None:
        """What was said in that turn (16 kHz), while it is the newest; None where it was typed."""
        return self._latest.audio if self._latest is not None and self._latest.number == turn else None

    def enter(self, tasks: TaskGroup) -> None:
        """Work in this task group from now on."""
        self._tasks = tasks
        self.view.enter(tasks)
        self._execution.enter(tasks)
        tasks.start_soon(self._generation.prefill)

    def hear(self, frame: Frame) -> None:
        """Take in one frame of the user (16 kHz)."""
        self._do(self._utterances.feed(frame))
        if not self._reading and (audio := self._utterances.half_said(frame.end)) is not None:
            self._reading = True
            self._tasks.start_soon(self._overhear, audio, False)
        self._speak_up()

    def say(self, text: str) -> None:
        """Say this when there is room; see `agent.tools.tool.ToolContext`."""
        self._notices.append(cleaned(text))
        self._speak_up()

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

    def leave(self) -> None:
        """Nothing more comes from outside: no frame of a camera, and nothing by itself."""
        self.view.leave()
        self._execution.leave()

    def _returned(self, running: Running) -> None:
        self._generation.returned(running)
        self._speak_up()

    def _speak_up(self) -> None:
        """Say what nobody has asked for, if nobody speaks."""
        if self.busy or not (self._notices or self._generation.news):
            return
        turn = self._open(None, self._runner.now(), "")
        turn.manner = replace(self.manner, respond=True)
        if self._notices:
            turn.notice = self._notices.pop(0)
        else:
            turn.acts.told_late(turn.number, self._generation.news)
            self._generation.news = []
        turn.commit(Cause("asked"))
        self._do(self._utterances.policy.replying())

    def typed(self, text: str, notice: str = "", manner: Manner | None = None) -> None:
        """The user typed this: it interrupts, and is answered. What they say meanwhile is listened to.

        notice: what is said instead of an answer. manner: how it is answered; None: as what is said.
        """
        unread = self._turn is not None and self._turn.unread
        cause = Cause("typed", text) if text else Cause("asked")
        self._stop(cause)
        turn = self._open(None, self._runner.now(), text)
        self._cut_short = False
        turn.notice = notice
        turn.manner = replace(manner or self.manner, respond=True)
        self._ending = False
        turn.commit(cause)
        self._do(self._utterances.policy.replying(said=unread))

    def commit(self) -> bool:
        """The user's turn ends here, and waits for `typed`; False where they have said nothing."""
        if (said := self._utterances.so_far()) is None:
            return False
        self._stop(Cause("client"))
        turn = self._open(said, said.end, None)
        turn.manner = replace(self.manner, respond=False)
        self._utterances.reset()
        turn.commit(Cause("client"))
        self._do(self._utterances.policy.replying())
        return True

    def tune(self, turns: TurnsConfig, vad: VADConfig) -> None:
        """Find turns in another way from the next pause on."""
        self._utterances.tune(turns, vad)
        self._recognition.turns = turns

    def deafen(self) -> None:
        """Forget what the user has begun to say; an answer to it is not said, a reply goes on."""
        if self._turn is not None and not self._turn.authorized.is_set():
            self.cancel("deafened")
        self._utterances.reset()
        self._cut_short = False
        if self._turn is not None and self._turn.authorized.is_set():
            self._utterances.policy.replying()
            self._change(self._turn, Resume(Cause("deafened")))

    def cancel(self, reason: Reason) -> None:
        """The reply that is being made or said is not wanted any more; who speaks over it is answered."""
        if self._turn is not None:
            self._cut_short = (
                reason == "client" and self._turn.authorized.is_set() and self._utterances.unsettled
            )
            self._stop(Cause(reason))
            self._do(self._utterances.policy.reply_over())

    def _stop(self, cause: Cause) -> None:
        """End the current turn, whatever turn-taking thinks."""
        if (turn := self._turn) is None:
            return
        now = self._runner.now()
        action = Interrupt(now, cause) if turn.authorized.is_set() else Discard(cause)
        turn.discarded = cause
        self._emit(ev.Decision(now, turn.number, action.name, cause))
        self._change(turn, action)

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            about = self._turns + 1 if isinstance(action, Generate) else self._turn and self._turn.number
            self._emit(ev.Decision(self._runner.now(), about, action.name, action.cause))
            if isinstance(action, Generate):
                turn = self._open(self._utterances.utterance(), action.speech_end, action.text)
                turn.transcript = self._overheard if action.text is not None else None
            elif isinstance(action, TranscribeOverlap):
                self._last = self._utterances.utterance()
                self._tasks.start_soon(self._overhear, self._last, True)
            elif self._turn is not None:
                self._change(self._turn, action)

    def _change(self, turn: Reply, action: Action) -> None:
        now = self._runner.now()
        match action:
            case Commit(cause):
                self._utterances.cut()
                self._cut_short = False
                self._ending = False
                turn.commit(cause)
            case Discard(cause):
                turn.discarded = cause
                self._give_up(turn)
            case Duck():
                turn.duck()
            case Pause(cause):
                self._overlap = "nothing"
                if turn.pause():
                    self._recognition.guard.paused(now, self._onset)
                    self._emit(ev.AudioPaused(now, turn.number, turn.resume_point(), cause))
            case Resume(cause, again):
                self._resume(turn, cause, again)
            case Interrupt(onset, cause, no_response):
                self._interrupted(turn, onset, cause)
                if no_response:
                    self._utterances.cut()
            case _:
                pass

    def _resume(self, turn: Reply, cause: Cause, again: bool) -> None:
        now, held, point = self._runner.now(), turn.paused, turn.resume_point(again=again)
        turn.resume(point if held or again else None)
        if not self._utterances.speaking:  # else it is not known yet what they say
            self._utterances.cut()
        if held:
            self._recognition.guard.resumed(now, suspected=self._overlap in ("nothing", "echo"))
            self._emit(ev.AudioResumed(now, turn.number, point, cause))

    def _interrupted(self, turn: Reply, onset: float, cause: Cause) -> None:
        """The reply is given up, unless all of it has been played."""
        if turn.question is None and turn.audio is not None:
            self._utterances.keep(turn.audio)
        if turn.spoken:
            self._turn = None
            return
        turn.interrupted = onset
        self._give_up(turn)
        self._emit(ev.Interrupted(self._runner.now(), turn.number, onset, cause))

    def _give_up(self, turn: Reply) -> None:
        """No more is decided about it, from this moment on; what works on it ends as soon as it can."""
        turn.cancel()
        self._turn = None

    def _open(self, audio: Frame | None, speech_end: float, text: str | None) -> Reply:
        self._turns += 1
        turn = Reply(self._turns, audio, speech_end, self._playback, self._latest, self._ready)
        turn.question, turn.manner = text, self.manner
        turn.cut_before = self._cut_short
        turn.onset, turn.speech_seconds = self._onset, self._utterances.voiced
        self._turn = self._latest = turn
        self._emit(ev.TurnOpened(self._runner.now(), turn.number, speech_end))
        self._tasks.start_soon(self._reply, turn)
        return turn

    async def _reply(self, turn: Reply) -> None:
        kept = await self._generation.answer(turn)
        turn.closed.set()
        if turn is self._turn:  # it came to its end by itself
            self._turn = None
            if not kept and not turn.authorized.is_set():
                self._utterances.cut()
                self._cut_short = False
            self._do(self._utterances.policy.reply_over())
        self._speak_up()
        if self._turn is None:
            await self._generation.prefill()

    def _judge(self, turn: Reply, decision: EndpointingDecision) -> None:
        if turn is self._turn:
            self._do(self._utterances.policy.understood(decision))
            if not turn.manner.respond:
                self._do(self._utterances.policy.ready())  # there is no answer to wait for

    async def _overhear(self, audio: Frame, final: bool) -> None:
        """What is being said: over a reply it decides what becomes of it, else the model reads along."""
        said = await self._recognition.try_transcribe(audio, final=final)
        self._reading = self._reading and final
        if said is None:  # others need the transcriber more
            return
        final = final and audio is self._last  # they have said more since, and paused again
        text = said.text
        now = self._runner.now()
        if not final:
            self._emit(ev.InterimTranscript(now, *self._interim.show(text)))
        turn = self._turn
        if turn is not None and turn.authorized.is_set():
            heard = turn.heard(now)
            asked = self._recognition.asked(heard, "speaking", turn.text[len(heard) :])
            self._overlap = kind = self._recognition.overlap(said, asked, (self._onset, audio.end))
            self._emit(ev.OverlapTranscribed(now, turn.number, text, kind))
            self._overheard = said
            self._do(self._utterances.policy.words(text, kind, final))
        elif turn is None and text:
            await self._generation.prefill(text)

    def _heard(self, event: ev.Event) -> None:
        self.view.watch(event)
        if isinstance(event, ev.SpeechStarted):
            self._interim.begin()
            self._onset = event.at
        self._watch(event)

    def _emit(self, event: ev.Event) -> None:
        if isinstance(event, ev.WordHeard) and self._turn is not None:
            word = self._turn.text[event.start : event.end]
            self._recognition.guard.said(word, event.time - WORD, event.time)
        self._watch(event)

    def _ready(self, turn: Reply) -> None:
        if turn is self._turn:
            self._do(self._utterances.policy.ready())


WORD = 0.4
"""Seconds that a word takes, about, for the echo guard, which is told of it when it has sounded."""
