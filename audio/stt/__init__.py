"""From samples to words: what a transcriber is and what it gives. Engines are one file each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from audio.frame import Frame


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a `Transcript`.

    start, end: its characters, as a half-open range in the text, without what stands around it.
    begin, finish: when it is said, in seconds from the first sample.
    """

    start: int
    end: int
    begin: float
    finish: float


class Token(NamedTuple):
    """One token of a `Transcript`: its bytes, which may be half a character, and its log-probability."""

    data: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was understood.

    text: the words, without leading or trailing space; empty when nothing intelligible was said.
    confidence: mean log-probability of the tokens, 0 at best; 0 where the engine does not say.
    no_speech: the engine's probability that this was no speech, 0 to 1.
    doubtful: a quick guess that a careful look might correct; never set for `final`.
    words: when each word is said, where that was asked for (`TimesWords`).
    language: ISO code of what it is in; "" where the engine does not say.
    tokens: what the text is made of, where that was asked for (`ScoresTokens`).
    """

    text: str
    confidence: float = 0.0
    no_speech: float = 0.0
    doubtful: bool = False
    words: tuple[Word, ...] = ()
    language: str = ""
    tokens: tuple[Token, ...] = ()


def strung(parts: Iterable[Sequence[Token]]) -> tuple[Token, ...]:
    """The tokens of texts that are joined by blanks."""
    spoken = [part for part in parts if part]
    heads = [part[0]._replace(data=b" " * (n > 0) + part[0].data) for n, part in enumerate(spoken)]
    return tuple(token for head, part in zip(heads, spoken, strict=True) for token in (head, *part[1:]))


class Transcriber(Protocol):
    """Turns speech into text. A plain blocking object."""

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        """The words in `audio` (mono, any rate; engines resample to what they need).

        final: False while the user still speaks; then a quick guess beats a careful one.
        Raises `EngineFault` when the engine fails; silence is an empty transcript, not an error.
        """
        ...


@runtime_checkable
class TimesWords(Protocol):
    """What a `Transcriber` also offers that can tell when each word is said."""

    def transcribe_words(self, audio: Frame) -> Transcript:
        """As `transcribe`, with `words`; it takes longer."""
        ...


@runtime_checkable
class ScoresTokens(Protocol):
    """What a `Transcriber` also offers that can tell how probable its tokens were."""

    def scoring(self) -> Transcriber:
        """The same, whose transcripts have `tokens`."""
        ...


@runtime_checkable
class TakesContext(Protocol):
    """What a `Transcriber` also offers that can be told what to expect."""

    @property
    def languages(self) -> Collection[str]:
        """Those that it understands, as ISO codes."""
        ...

    def expecting(self, language: str = "", context: str = "") -> Transcriber:
        """The same for speech in one of its languages, "" for its own; and behind these words, whose names
        and spellings it prefers.
        """
        ...


def behind(stt: Transcriber, words: str) -> Transcriber:
    """The same behind these words; without any, or where it takes none (`TakesContext`), as it is."""
    return stt.expecting(context=words) if words.strip() and isinstance(stt, TakesContext) else stt


def scored(stt: Transcriber, wanted: bool) -> Transcriber:
    """The same with `tokens`, where they are wanted and it can tell them (`ScoresTokens`)."""
    return stt.scoring() if wanted and isinstance(stt, ScoresTokens) else stt


Choose: TypeAlias = Callable[[Mapping[str, float]], str]
"""From how likely each language is (its ISO code and a probability) to the one that words are written in."""


@runtime_checkable
class DetectsLanguage(Protocol):
    """What a `Transcriber` also offers that can hear which language is spoken."""

    @property
    def detects(self) -> bool:
        """Whether it does, as it was loaded."""
        ...

    def transcribe_in(self, audio: Frame, choose: Choose, *, final: bool = True) -> Transcript:
        """As `transcribe`, in the language that `choose` makes of what the engine hears.

        `choose` is asked for each window of sound, in the thread that transcribes.
        """
        ...


def likeliest(likely: Mapping[str, float], among: Sequence[str] = ()) -> str:
    """The likeliest language, one of `among` where that names any."""
    return max(among or likely, key=lambda code: likely.get(code, 0.0))


class EndOfTurn(Protocol):
    """Tells from the sound whether somebody has finished. A plain blocking object."""

    def complete(self, audio: Frame) -> float:
        """The probability, 0 to 1, that the utterance in `audio` (mono, any rate) is complete."""
        ...
