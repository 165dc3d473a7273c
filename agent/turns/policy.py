"""When to answer and when to yield: pure state machines. Know no audio, no task and no clock.

`SemanticPolicy` is the default: it ducks for an onset, falls silent for speech, and yields to words.
`VADPolicy` is what most agents do: speech ends the reply, silence ends the turn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol, TypeAlias

from agent.causes import ActionName, Cause, Kind, Reason
from agent.errors import ConfigError
from agent.settings import TurnsConfig
from agent.turns.endpointing import EndpointingDecision, fixed


@dataclass(frozen=True, slots=True)
class Generate:
    """Begin to work on an answer, unheard. `text`: the user's words where they are known already."""

    name: ClassVar[ActionName] = "generate"
    speech_end: float
    cause: Cause
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """The user's turn is over: the prepared answer may sound."""

    name: ClassVar[ActionName] = "commit"
    cause: Cause


@dataclass(frozen=True, slots=True)
class Discard:
    """The prepared answer came too early: forget it."""

    name: ClassVar[ActionName] = "discard"
    cause: Cause


@dataclass(frozen=True, slots=True)
class Duck:
    """Lower the voice: somebody may be speaking."""

    name: ClassVar[ActionName] = "duck"
    cause: Cause


@dataclass(frozen=True, slots=True)
class Pause:
    """Fall silent and keep the place: somebody speaks."""

    name: ClassVar[ActionName] = "pause"
    cause: Cause


@dataclass(frozen=True, slots=True)
class TranscribeOverlap:
    """Transcribe what was said over the reply, and tell its `words`."""

    name: ClassVar[ActionName] = "transcribe_overlap"
    cause: Cause


@dataclass(frozen=True, slots=True)
class Resume:
    """Speak on: from the word that was cut, or with `again` from the beginning of the sentence."""

    name: ClassVar[ActionName] = "resume"
    cause: Cause
    again: bool = False


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Give up the turn: the user has spoken since `onset` (s). `no_response`: and wants no answer."""

    name: ClassVar[ActionName] = "interrupt"
    onset: float
    cause: Cause
    no_response: bool = False


Action: TypeAlias = Generate | Commit | Discard | Duck | Pause | TranscribeOverlap | Resume | Interrupt


class Policy(Protocol):
    """Hears what happens, in order of time, and says what to do. Times are seconds on the session's clock.

    config: what it goes by; another one may be set between two events.
    """

    config: TurnsConfig

    def onset(self, at: float) -> list[Action]:
        """The fast detector hears something, since `at`."""
        ...

    def no_speech(self) -> list[Action]:
        """What it heard was no speech."""
        ...

    def speech_started(self, at: float) -> list[Action]:
        """It is speech, since `at`."""
        ...

    def paused(self, at: float) -> list[Action]:
        """Silence for the pause length; the last speech was at `at`."""
        ...

    def resumed(self) -> list[Action]:
        """The user went on after a pause."""
        ...

    def too_long(self, at: float) -> list[Action]:
        """The utterance reached its greatest length at `at`."""
        ...

    def understood(self, decision: EndpointingDecision) -> list[Action]:
        """The words and the sound up to the pause ask for so much silence before an answer."""
        ...

    def ready(self) -> list[Action]:
        """The prepared answer can sound, or it is known that there will be none."""
        ...

    def words(self, text: str, kind: Kind, final: bool) -> list[Action]:
        """What was said over the reply; `final` once the user has paused."""
        ...

    def tick(self, now: float) -> list[Action]:
        """Time has come to `now`."""
        ...

    def replying(self, *, said: bool = False) -> list[Action]:
        """A reply begins that nobody's voice asked for: the user typed. `said`: and spoke just before."""
        ...

    def reply_over(self) -> list[Action]:
        """The reply was spoken to its end, failed, or came to nothing."""
        ...


@dataclass(slots=True)
class SemanticPolicy:
    """Answers by meaning and yields by degrees.

    States: `listening`; `preparing` an answer, unheard; `replying`, from the commit until
    `reply_over`. While it replies, the user may be `overlapping` since `_onset`: whoever speaks then, is,
    so that no word is said to nobody. `_held`: the reply is silent for it.

    A turn is not over before its answer can sound: until then nothing is gained by it, and who goes on
    has interrupted nobody.
    """

    config: TurnsConfig
    _state: Literal["listening", "preparing", "replying"] = "listening"
    _doubt: bool = False
    _speech_end: float = 0.0
    _decision: EndpointingDecision | None = None
    _lacking: Reason = "endpointing"
    _ready: bool = False
    _now: float = 0.0
    _overlapping: bool = False
    _onset: float = 0.0
    _held: bool = False
    _speaking: bool = False
    _said: tuple[str, Kind] | None = None
    """What was said over the reply, while it is in doubt whether the user goes on: then it was not all."""

    def onset(self, at: float) -> list[Action]:
        """Duck; and no answer begins to sound before it is known whether the user goes on."""
        self._doubt = True
        return [Duck(Cause("onset"))] if self._yields and not self._overlapping else []

    def no_speech(self) -> list[Action]:
        """Back to full volume; what was said before was all."""
        if (actions := self._no_doubt()) is not None:
            return actions
        return [Resume(Cause("no_speech"))] if self._yields and not self._overlapping else []

    def _no_doubt(self) -> list[Action] | None:
        """The user does not go on: what was said over the reply was all; None where nothing was."""
        said, self._said, self._doubt = self._said, None, False
        return None if said is None else self.words(*said, final=True)

    def speech_started(self, at: float) -> list[Action]:
        """Hold, and wait for the words."""
        self._said, self._doubt, self._speaking = None, False, True
        if self._state != "replying" or self._overlapping:
            return []
        if self._yields:
            return self._spoken_over(at)
        self._overlapping, self._held, self._onset = True, False, at  # answered when the reply is over
        return []

    @property
    def _yields(self) -> bool:
        """Whether there is a reply that speech may end."""
        return self._state == "replying" and self.config.overlap == "interrupt"

    def paused(self, at: float) -> list[Action]:
        """Work on an answer, or find out what was said over the reply."""
        self._doubt = self._speaking = False
        self._speech_end = at
        if self._state == "replying":
            return [TranscribeOverlap(Cause("pause"))] if self._overlapping and self._yields else []
        return self._generate(Cause("pause", seconds=self.config.pause))

    def resumed(self) -> list[Action]:
        """What was begun was begun too early."""
        if self._state != "preparing":
            return self.speech_started(self._now)
        self._doubt, self._speaking = False, True
        self._state = "listening"
        return [Discard(Cause("went_on"))]

    def too_long(self, at: float) -> list[Action]:
        """Answer what there is."""
        if self._state == "replying":
            return self.paused(at)
        self._speaking = False
        actions = [] if self._state == "preparing" else self._generate(Cause("too_long"))
        self._speech_end = at
        return [*actions, *self._commit(Cause("too_long"))]

    def understood(self, decision: EndpointingDecision) -> list[Action]:
        """Wait so long, no longer than for any turn."""
        if self._state == "preparing":
            self._decision = replace(decision, wait=min(decision.wait, self.config.latest))
        return []

    def ready(self) -> list[Action]:
        """Release at once when the silence has been long enough already."""
        self._ready = self._state == "preparing"
        return self.tick(self._now) if self._ready else []

    def words(self, text: str, kind: Kind, final: bool) -> list[Action]:
        """Real words end the reply, at once when there are several; all else lets it go on."""
        if not self._overlapping or not self._yields or (final and self._speaking):
            return []
        if kind in ("stranger", "no_leave") and self._held:
            self._held = False  # nobody waits for what they have to say
            self._overlapping = not final or kind == "no_leave"
            return [Resume(Cause(kind))]
        if kind == "no_leave":
            return []  # it is answered when the reply is over
        if kind == "words" and (final or len(text.split()) >= self.config.interrupting_words):
            return self._interrupt(text, final)
        if not final:
            return []
        if self._doubt:
            self._said = text, kind
            return []
        if kind == "stop":
            self._state, self._overlapping = "listening", False
            return [Interrupt(self._onset, Cause("silence_wanted", text), no_response=True)]
        self._overlapping = False
        reason: Reason = "unintelligible" if kind in ("nothing", "words") else kind
        return [Resume(Cause(reason, text), again=kind == "repeat")]

    def tick(self, now: float) -> list[Action]:
        """Release when answer and silence suffice; resume when nothing was understood for too long.

        Who murmurs on is talked over then, and listened to all the same.
        """
        self._now = now
        murmurs = self._overlapping and self._held and self._speaking
        if murmurs and now - self._onset > self.config.false_interruption_timeout:
            self._held = False
            return [Resume(Cause("false_interruption", seconds=self.config.false_interruption_timeout))]
        if self._state != "preparing":
            return []
        silent = now - self._speech_end
        if lacking := self._lacks(silent + 1e-6):
            self._lacking = lacking
            return []
        told = Cause("longest_wait") if self._decision is None else self._decision.cause
        reason: Reason = self._lacking if self._decision is not None and self._ready else "longest_wait"
        return self._commit(replace(told, reason=reason, seconds=silent))

    def _lacks(self, silent: float) -> Reason | None:
        """What an answer still waits for after so much silence (s); None: for nothing, or not any longer."""
        if silent < self.config.latest:
            if self._decision is None or silent < self._decision.wait:
                return "endpointing"
            if not self._ready:
                return "answer_late"
        return "noise" if self._doubt else None

    def replying(self, *, said: bool = False) -> list[Action]:
        """As after a release; who speaks now, or has spoken and was not understood, speaks over it."""
        self._state, self._doubt = "replying", False
        if not said and not self._overlapping and not self._speaking:
            return []
        self._onset = self._onset if self._overlapping else self._now
        self._overlapping = True
        if not self._yields:
            return []
        self._held = True
        hold = Pause(Cause("speech"))
        return [hold, TranscribeOverlap(Cause("pause"))] if said else [hold]

    def reply_over(self) -> list[Action]:
        """Listen; who began to speak over the last words is heard as anybody."""
        self._state, self._said = "listening", None
        overlapped, self._overlapping = self._overlapping, False
        if overlapped and not self._speaking:
            return self._generate(Cause("spoke_over_end"))
        return []

    def _generate(self, cause: Cause, text: str | None = None) -> list[Action]:
        self._state, self._decision, self._ready = "preparing", None, False
        self._lacking = "endpointing"
        return [Generate(self._speech_end, cause, text)]

    def _commit(self, cause: Cause) -> list[Action]:
        self._state = "replying"
        self._overlapping = False
        return [Commit(cause)]

    def _spoken_over(self, at: float) -> list[Action]:
        self._overlapping, self._held, self._onset = True, True, at
        return [Pause(Cause("speech"))]

    def _interrupt(self, text: str, final: bool) -> list[Action]:
        self._state, self._overlapping = "listening", False
        given_up = Interrupt(self._onset, Cause("words", text))
        if self._speaking:
            return [given_up]
        return [given_up, *self._generate(Cause("pause"), text if final else None)]


@dataclass(slots=True)
class VADPolicy(SemanticPolicy):
    """Speech ends the reply, a fixed silence ends the turn: no words are weighed, no answer is waited for."""

    def onset(self, at: float) -> list[Action]:
        """Only hold back an answer that has not begun."""
        self._doubt = True
        return []

    def no_speech(self) -> list[Action]:
        """The doubt is over."""
        return self._no_doubt() or []

    def understood(self, decision: EndpointingDecision) -> list[Action]:
        """Whatever was said."""
        return []

    def _spoken_over(self, at: float) -> list[Action]:
        self._state = "listening"
        return [Interrupt(at, Cause("speech"))]

    def _generate(self, cause: Cause, text: str | None = None) -> list[Action]:
        actions = SemanticPolicy._generate(self, cause, text)  # super() does not know a class with slots
        self._decision, self._ready = fixed(self.config.end), True
        return actions


BUILT_IN: dict[str, type[SemanticPolicy]] = {"semantic": SemanticPolicy, "vad": VADPolicy}
"""The policies that the setting `turns.policy` names; other packages add theirs by entry points."""


def built_in(config: TurnsConfig) -> Policy:
    """The policy that `turns.policy` names. Raises ConfigError for one that is not built in."""
    if config.policy not in BUILT_IN:
        known = ", ".join(BUILT_IN)
        raise ConfigError(f"turns.policy: no policy is called {config.policy!r}; known: {known}")
    return BUILT_IN[config.policy](config)
