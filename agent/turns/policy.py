"""When to answer and when to yield: pure state machines. Know no audio, no task and no clock.

`SemanticPolicy` is the default: it ducks for an onset, falls silent for speech, and yields to words.
`VADPolicy` is what most agents do: speech ends the reply, silence ends the turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from agent.errors import ConfigError
from agent.settings import TurnsConfig

Kind = Literal["nothing", "backchannel", "stop", "go_on", "repeat", "words", "echo"]
"""What the user's words are, as `agent.turns.phrases` tells; "echo" are the agent's own."""


@dataclass(frozen=True, slots=True)
class Generate:
    """Begin to work on an answer, unheard. `text`: the user's words where they are known already."""

    speech_end: float
    why: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """The user's turn is over: the prepared answer may sound."""

    why: str


@dataclass(frozen=True, slots=True)
class Discard:
    """The prepared answer came too early: forget it."""

    why: str


@dataclass(frozen=True, slots=True)
class Duck:
    """Lower the voice: somebody may be speaking."""

    why: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Fall silent and keep the place: somebody speaks."""

    why: str


@dataclass(frozen=True, slots=True)
class TranscribeOverlap:
    """Transcribe what was said over the reply, and tell its `words`."""

    why: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Speak on: from the word that was cut, or with `again` from the beginning of the sentence."""

    why: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Give up the turn: the user has spoken since `onset` (s). `hush`: and wants no answer."""

    onset: float
    why: str
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

    def understood(self, wait: float, why: str) -> list[Action]:
        """The words and the sound up to the pause ask for `wait` seconds of silence before an answer."""
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

    States: `listening`; `preparing` an answer behind a closed gate; `replying`, from the release until
    `reply_over`. While it replies, the user may be `overlapping` since `_onset`: whoever speaks then, is,
    so that no word is said to nobody. `_held`: the reply is silent for it.

    A turn is not over before its answer can sound: until then nothing is gained by it, and who goes on
    has interrupted nobody.
    """

    config: TurnsConfig
    _state: Literal["listening", "preparing", "replying"] = "listening"
    _doubt: bool = False
    _speech_end: float = 0.0
    _wait: float | None = None
    _why: str = ""
    _ready: bool = False
    _now: float = 0.0
    _overlapping: bool = False
    _onset: float = 0.0
    _held: bool = False
    _speaking: bool = False

    def onset(self, at: float) -> list[Action]:
        """Duck; and no answer begins to sound before it is known whether the user goes on."""
        self._doubt = True
        if self._state == "replying" and not self._overlapping:
            return [Duck("an onset")]
        return []

    def no_speech(self) -> list[Action]:
        """Back to full volume."""
        self._doubt = False
        return [Resume("no speech")] if self._state == "replying" and not self._overlapping else []

    def speech_started(self, at: float) -> list[Action]:
        """Hold, and wait for the words."""
        self._doubt, self._speaking = False, True
        return self._spoken_over(at) if self._state == "replying" and not self._overlapping else []

    def paused(self, at: float) -> list[Action]:
        """Work on an answer, or find out what was said over the reply."""
        self._doubt = self._speaking = False
        self._speech_end = at
        if self._state == "replying":
            return [TranscribeOverlap("they paused")] if self._overlapping else []
        return self._generate(f"silent for {self.config.pause:g} s")

    def resumed(self) -> list[Action]:
        """What was begun was begun too early."""
        if self._state != "preparing":
            return self.speech_started(self._now)
        self._doubt, self._speaking = False, True
        self._state = "listening"
        return [Discard("the user went on")]

    def too_long(self, at: float) -> list[Action]:
        """Answer what there is."""
        if self._state == "replying":
            return self.paused(at)
        self._speaking = False
        actions = [] if self._state == "preparing" else self._generate("as long as it may be")
        self._speech_end = at
        return [*actions, *self._commit("the utterance is as long as it may be")]

    def understood(self, wait: float, why: str) -> list[Action]:
        """Wait so long, no longer than for any turn."""
        if self._state == "preparing":
            self._wait, self._why = min(wait, self.config.latest), why
        return []

    def ready(self) -> list[Action]:
        """Release at once when the silence has been long enough already."""
        self._ready = self._state == "preparing"
        return self.tick(self._now) if self._ready else []

    def words(self, text: str, kind: Kind, final: bool) -> list[Action]:
        """Real words end the reply, at once when there are several; all else lets it go on."""
        if not self._overlapping or (final and self._speaking):
            return []
        if kind == "words" and (final or len(text.split()) >= self.config.interrupting_words):
            return self._interrupt(text, final)
        if not final:
            return []
        if kind == "stop":
            self._state, self._overlapping = "listening", False
            return [Interrupt(self._onset, f"{text!r} asks for silence", no_response=True)]
        self._overlapping = False
        reasons = {"backchannel": f"{text!r} is a back-channel", "echo": f"{text!r} is our own echo"}
        why = reasons.get(kind, f"{text!r} asks for more" if text else "nothing intelligible was said")
        return [Resume(why, again=kind == "repeat")]

    def tick(self, now: float) -> list[Action]:
        """Release when answer and silence suffice; resume when nothing was understood for too long.

        Who murmurs on is talked over then, and listened to all the same.
        """
        self._now = now
        murmurs = self._overlapping and self._held and self._speaking
        if murmurs and now - self._onset > self.config.false_interruption_timeout:
            self._held = False
            return [Resume(f"nothing intelligible for {self.config.false_interruption_timeout:g} s")]
        if self._state != "preparing" or self._doubt:
            return []
        silent = now - self._speech_end + 1e-6
        if self._ready and self._wait is not None and silent >= self._wait:
            return self._commit(f"silent for {self._wait:.2g} s: {self._why}")
        if silent >= self.config.latest:
            return self._commit(f"silent for {self.config.latest:g} s")
        return []

    def replying(self, *, said: bool = False) -> list[Action]:
        """As after a release; who speaks now, or has spoken and was not understood, speaks over it."""
        self._state, self._doubt = "replying", False
        if not said and not self._overlapping and not self._speaking:
            return []
        self._onset = self._onset if self._overlapping else self._now
        self._overlapping = self._held = True
        hold = Pause("they are being listened to")
        return [hold, TranscribeOverlap("they had paused")] if said else [hold]

    def reply_over(self) -> list[Action]:
        """Listen; who began to speak over the last words is heard as anybody."""
        self._state = "listening"
        overlapped, self._overlapping = self._overlapping, False
        if overlapped and not self._speaking:
            return self._generate("they spoke over the last words")
        return []

    def _generate(self, why: str, text: str | None = None) -> list[Action]:
        self._state, self._wait, self._ready = "preparing", None, False
        return [Generate(self._speech_end, why, text)]

    def _commit(self, why: str) -> list[Action]:
        self._state = "replying"
        self._overlapping = False
        return [Commit(why)]

    def _spoken_over(self, at: float) -> list[Action]:
        self._overlapping, self._held, self._onset = True, True, at
        return [Pause("somebody speaks")]

    def _interrupt(self, text: str, final: bool) -> list[Action]:
        self._state, self._overlapping = "listening", False
        given_up = Interrupt(self._onset, f"{text!r} are words")
        if self._speaking:
            return [given_up]
        return [given_up, *self._generate("they paused", text if final else None)]


@dataclass(slots=True)
class VADPolicy(SemanticPolicy):
    """Speech ends the reply, a fixed silence ends the turn: no words are weighed, no answer is waited for."""

    def onset(self, at: float) -> list[Action]:
        """Only hold back an answer that has not begun."""
        self._doubt = True
        return []

    def no_speech(self) -> list[Action]:
        """The doubt is over."""
        self._doubt = False
        return []

    def understood(self, wait: float, why: str) -> list[Action]:
        """Whatever was said."""
        return []

    def _spoken_over(self, at: float) -> list[Action]:
        self._state = "listening"
        return [Interrupt(at, "somebody speaks")]

    def _generate(self, why: str, text: str | None = None) -> list[Action]:
        self._state, self._wait, self._why = "preparing", self.config.end, "the pause is over"
        self._ready = True
        return [Generate(self._speech_end, why, text)]


BUILT_IN: dict[str, type[SemanticPolicy]] = {"semantic": SemanticPolicy, "vad": VADPolicy}
"""The policies that the setting `turns.policy` names; other packages add theirs by entry points."""


def built_in(config: TurnsConfig) -> Policy:
    """The policy that `turns.policy` names. Raises ConfigError for one that is not built in."""
    if config.policy not in BUILT_IN:
        known = ", ".join(BUILT_IN)
        raise ConfigError(f"turns.policy: no policy is called {config.policy!r}; known: {known}")
    return BUILT_IN[config.policy](config)
