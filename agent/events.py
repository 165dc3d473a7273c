"""What a watcher sees of a session: one typed union. Knows nothing of who watches.

Times are seconds on the session's clock. `turn` counts the replies that were begun, from 1; one that
was begun on a pause and dropped because the user went on uses a number too. Character ranges are
half-open and count in the reply's text: what the language model wrote for the user. `type` is what files and
wires call an event; it stays when a class gets another name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeAlias

from agent.causes import ActionName, Cause, Kind
from agent.errors import BackchatError
from agent.text.cleaning import cleaned

INSIDE = {"shown": False}
"""Marks a field that no file and no wire has."""


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """Engines are loaded and the session listens."""

    type: ClassVar[Literal["session_started"]] = "session_started"
    time: float
    llm: str
    stt: str
    tts: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """Nobody listens any more."""

    type: ClassVar[Literal["session_ended"]] = "session_ended"
    time: float


@dataclass(frozen=True, slots=True)
class Onset:
    """The fast detector hears something that may be speech; `at`: where it began."""

    type: ClassVar[Literal["onset"]] = "onset"
    time: float
    at: float


@dataclass(frozen=True, slots=True)
class FalseOnset:
    """What the fast detector heard was not confirmed as speech."""

    type: ClassVar[Literal["false_onset"]] = "false_onset"
    time: float


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech is confirmed; `at`: where it began."""

    type: ClassVar[Literal["speech_started"]] = "speech_started"
    time: float
    at: float


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """The user has been silent for the pause length; `at`: the end of the last speech."""

    type: ClassVar[Literal["speech_paused"]] = "speech_paused"
    time: float
    at: float


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """The user went on after a pause."""

    type: ClassVar[Literal["speech_resumed"]] = "speech_resumed"
    time: float


@dataclass(frozen=True, slots=True)
class InterimTranscript:
    """What was understood so far, while the user still speaks; its first `stable` characters stay."""

    type: ClassVar[Literal["interim_transcript"]] = "interim_transcript"
    time: float
    text: str
    stable: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Turn-taking decided something, and why; `turn`: the reply that it is about, if there is one."""

    type: ClassVar[Literal["decision"]] = "decision"
    time: float
    turn: int | None
    action: ActionName
    cause: Cause


@dataclass(frozen=True, slots=True)
class TurnOpened:
    """Work on a reply began, unheard yet; `speech_end`: the last speech that it answers."""

    type: ClassVar[Literal["turn_opened"]] = "turn_opened"
    time: float
    turn: int
    speech_end: float


@dataclass(frozen=True, slots=True)
class Transcribed:
    """The user's words, final for this turn; `took`: seconds of STT. `language`: ISO code of what they are
    in, "" where that is not known. `speaker`: the name of the enrolled speaker whose voice it was, "" for any
    other.
    """

    type: ClassVar[Literal["transcribed"]] = "transcribed"
    time: float
    turn: int
    text: str
    took: float
    language: str = ""
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class OverheardSpeech:
    """Somebody who is not answered said this, not to the agent; `speaker` is who, or "another speaker" in the
    language that is spoken.

    It is in the history by that name.
    """

    type: ClassVar[Literal["overheard_speech"]] = "overheard_speech"
    time: float
    text: str
    speaker: str


@dataclass(frozen=True, slots=True)
class Seen:
    """The vision engine has looked at what is shown in this turn; `text`: what the history keeps of it."""

    type: ClassVar[Literal["seen"]] = "seen"
    time: float
    turn: int
    text: str
    took: float


Misheard: TypeAlias = Literal["no_words", "low_confidence"]
"""How an utterance was not understood: nothing came out, or words that the transcriber does not believe."""


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """The answer of this turn says that the user was not understood, and nothing else."""

    type: ClassVar[Literal["not_understood"]] = "not_understood"
    time: float
    turn: int
    reason: Misheard


@dataclass(frozen=True, slots=True)
class TurnCommitted:
    """The user's turn is judged over: its answer may sound, and `text`, in `language`, is in the history.

    cause: why now and not before. answered: whether its reply follows; else it waits until one is asked for.
    speaker: as `Transcribed` has it. tokens: what the text is made of and the log-probability of each, where
    that was asked for (`stt.scores`). Those and `answered` are in no file and on no wire.
    """

    type: ClassVar[Literal["turn_committed"]] = "turn_committed"
    time: float
    turn: int
    text: str
    cause: Cause
    answered: bool = field(default=True, compare=False, metadata=INSIDE)
    language: str = ""
    speaker: str = ""
    tokens: tuple[tuple[bytes, float], ...] = field(default=(), compare=False, metadata=INSIDE)


@dataclass(frozen=True, slots=True)
class TurnDiscarded:
    """The reply was begun too early or to nothing: it leaves no trace; `tokens` were generated in vain."""

    type: ClassVar[Literal["turn_discarded"]] = "turn_discarded"
    time: float
    turn: int
    cause: Cause
    tokens: int


@dataclass(frozen=True, slots=True)
class Token:
    """The language model wrote one token's text for the user."""

    type: ClassVar[Literal["token"]] = "token"
    time: float
    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """The language model wrote this to itself: nobody says it, and no history keeps it."""

    type: ClassVar[Literal["thought"]] = "thought"
    time: float
    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The language model wants a tool to be run, for this reply; nobody says that, and nobody hears it.

    call: its number, by which its result is found. effect: `changes` waits until the user's turn is over;
    None where there is no such tool.
    """

    type: ClassVar[Literal["tool_called"]] = "tool_called"
    time: float
    turn: int
    call: str
    name: str
    arguments: str
    effect: Literal["reads", "changes"] | None = None


Outcome: TypeAlias = Literal["done", "failed", "refused", "timed_out", "cancelled"]
"""What came of a call. `refused`: there is no such tool, its arguments are wrong, or it may not be done;
`cancelled`: the user went on, or spoke over a reply whose tool is not to go on then."""


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A call is over: `result` is what the language model is told, after `took` seconds of work."""

    type: ClassVar[Literal["tool_returned"]] = "tool_returned"
    time: float
    turn: int
    call: str
    name: str
    outcome: Outcome
    result: str
    took: float


@dataclass(frozen=True, slots=True)
class GenerationEnded:
    """The language model wrote its last token of this reply; `reason`: it had ended, or may write no more.

    What may be written is `llm.max_tokens`, less where the context is full or a client allows less.
    """

    type: ClassVar[Literal["generation_ended"]] = "generation_ended"
    time: float
    turn: int
    tokens: int
    reason: Literal["stop", "length"] = "stop"


@dataclass(frozen=True, slots=True)
class Chunk:
    """The chunker gave a speakable piece of the reply; `spoken` is what the voice will say of it."""

    type: ClassVar[Literal["chunk"]] = "chunk"
    time: float
    turn: int
    start: int
    end: int
    text: str
    spoken: str


@dataclass(frozen=True, slots=True)
class Synthesized:
    """A part of the reply became speech: `seconds` of audio, made in `took` seconds."""

    type: ClassVar[Literal["synthesized"]] = "synthesized"
    time: float
    turn: int
    start: int
    end: int
    seconds: float
    took: float


@dataclass(frozen=True, slots=True)
class AudioStarted:
    """The reply's first sample left the speaker."""

    type: ClassVar[Literal["audio_started"]] = "audio_started"
    time: float
    turn: int


@dataclass(frozen=True, slots=True)
class WordHeard:
    """A word of the reply has sounded to its end."""

    type: ClassVar[Literal["word_heard"]] = "word_heard"
    time: float
    turn: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class AudioPaused:
    """The reply fell silent and keeps its place, `at` seconds into its audio, while somebody speaks."""

    type: ClassVar[Literal["audio_paused"]] = "audio_paused"
    time: float
    turn: int
    at: float
    cause: Cause


@dataclass(frozen=True, slots=True)
class AudioResumed:
    """The reply goes on, from `at` seconds into its audio."""

    type: ClassVar[Literal["audio_resumed"]] = "audio_resumed"
    time: float
    turn: int
    at: float
    cause: Cause


@dataclass(frozen=True, slots=True)
class OverlapTranscribed:
    """What was said over the reply, and what it was taken for."""

    type: ClassVar[Literal["overlap_transcribed"]] = "overlap_transcribed"
    time: float
    turn: int
    text: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The reply was cut, by who spoke over it or in another way; `onset`: where that began."""

    type: ClassVar[Literal["interrupted"]] = "interrupted"
    time: float
    turn: int
    onset: float
    cause: Cause


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The reply, in `language`, is over. `heard` + `unheard` is all that was generated; only `heard` enters
    the history.

    limited: whether it was heard to its end, and is not whole: the model might write no more.
    """

    type: ClassVar[Literal["turn_ended"]] = "turn_ended"
    time: float
    turn: int
    reason: Literal["finished", "interrupted", "error"]
    heard: str
    unheard: str
    limited: bool = False
    language: str = ""


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """The user pressed a key of their telephone: 0 to 9, *, # or A to D."""

    type: ClassVar[Literal["key_pressed"]] = "key_pressed"
    time: float
    key: str


AttentionState: TypeAlias = Literal["awake", "asleep", "muted"]
"""Whether what the user says is listened to: it is; only once the wake word was said; not at all."""


@dataclass(frozen=True, slots=True)
class AttentionChanged:
    """It listens from now on, or does not; told at the beginning only where it does not."""

    type: ClassVar[Literal["attention_changed"]] = "attention_changed"
    time: float
    state: AttentionState


@dataclass(frozen=True, slots=True)
class WakeWordDetected:
    """The wake word was said, until `at`: what comes then is listened to, a reply gives way."""

    type: ClassVar[Literal["wake_word_detected"]] = "wake_word_detected"
    time: float
    name: str
    at: float


@dataclass(frozen=True, slots=True)
class SpeakerIdentified:
    """A voice was compared with those that are enrolled: in what this turn answers, or said over its reply.

    verdict: `known`, and `name` says who; `stranger`, who is not listened to; or a `doubt`, and is. score:
    how alike the likest is, to 1.
    """

    type: ClassVar[Literal["speaker_identified"]] = "speaker_identified"
    time: float
    turn: int | None
    verdict: Literal["known", "stranger", "doubt"]
    name: str
    score: float


@dataclass(frozen=True, slots=True)
class EchoHeard:
    """The microphone hears the speaker, more than the canceller can take away."""

    type: ClassVar[Literal["echo_heard"]] = "echo_heard"
    time: float


@dataclass(frozen=True, slots=True)
class EchoGone:
    """The microphone does not hear the speaker any more."""

    type: ClassVar[Literal["echo_gone"]] = "echo_gone"
    time: float


Lossy: TypeAlias = Literal["microphone", "speaker"]
"""A device that may lose sound."""


@dataclass(frozen=True, slots=True)
class SoundLost:
    """A device lost sound `gaps` times, in a burst that is over or goes on: the machine was too busy for it.

    Of the microphone that is 20 ms each time that came too late to be read, and whatever it lost itself.
    """

    type: ClassVar[Literal["sound_lost"]] = "sound_lost"
    time: float
    device: Lossy
    gaps: int


@dataclass(frozen=True, slots=True)
class Queued:
    """What an answer needs had to wait: others had its engine, for `seconds` until now.

    engine: stt, llm, tts, endpointing or vision.
    """

    type: ClassVar[Literal["queued"]] = "queued"
    time: float
    engine: str
    seconds: float
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class Error:
    """Something failed; the session goes on.

    where: reply, stt, turn, llm, vision, camera, device, session, recording.
    message: for whoever runs the program. code: the kind of it in one word. public, theirs: what a stranger
    may read of it, and whether that is all, as the error itself says; they are in no file, and on the server
    `public` takes the message's place.
    """

    type: ClassVar[Literal["error"]] = "error"
    time: float
    where: str
    message: str
    turn: int | None = None
    code: str = "failed"
    public: str = field(default="a part of the server failed", compare=False, metadata=INSIDE)
    theirs: bool = field(default=False, compare=False, metadata=INSIDE)

    def __post_init__(self) -> None:
        # It may quote anything: a file's name, a server's answer, a library's exception.
        object.__setattr__(self, "message", cleaned(self.message))


Event: TypeAlias = (
    SessionStarted
    | SessionEnded
    | Onset
    | FalseOnset
    | SpeechStarted
    | SpeechPaused
    | SpeechResumed
    | InterimTranscript
    | Decision
    | TurnOpened
    | Transcribed
    | OverheardSpeech
    | Seen
    | NotUnderstood
    | TurnCommitted
    | TurnDiscarded
    | Token
    | Thought
    | ToolCalled
    | ToolReturned
    | GenerationEnded
    | Chunk
    | Synthesized
    | AudioStarted
    | WordHeard
    | AudioPaused
    | AudioResumed
    | OverlapTranscribed
    | Interrupted
    | TurnEnded
    | KeyPressed
    | AttentionChanged
    | WakeWordDetected
    | SpeakerIdentified
    | EchoHeard
    | EchoGone
    | SoundLost
    | Queued
    | Error
)

Watcher: TypeAlias = Callable[[Event], None]


def failure(time: float, where: str, error: BackchatError, turn: int | None = None) -> Error:
    """The event that tells of an error."""
    return Error(time, where, str(error), turn, error.code, error.public, error.theirs)


def as_dict(event: Event) -> dict[str, Any]:
    """The event as plain JSON data, its name first, times rounded to 0.1 ms."""
    return {"event": event.type} | _shown(event)


def _shown(told: Event | Cause) -> dict[str, Any]:
    shown = {f.name: getattr(told, f.name) for f in fields(told) if f.metadata.get("shown", True)}
    return {key: _plain(value) for key, value in shown.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Cause):
        return _shown(value)
    return round(value, 4) if isinstance(value, float) else value
