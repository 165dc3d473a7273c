"""From words to samples: what a synthesizer is and what it gives. Engines are one file each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from audio.frame import Samples

Gender: TypeAlias = Literal["female", "male", ""]
"""What a voice sounds like; "" where its engine does not tell."""


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word of a `Speech`.

    start, end: its characters, as a half-open range in the text that was given to the synthesizer.
    begin, finish: when it sounds, in seconds from the first sample of its `Speech`.
    """

    start: int
    end: int
    begin: float
    finish: float


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """Audio that says a span of text.

    samples: mono float32, shape (n,).
    rate: Hz.
    start, end: the characters said, a half-open range in the text given to the synthesizer.
    words: the words that begin in these samples, in order. A word that runs on into the next
        `Speech` of the same text is listed once, where it begins, with its whole length.
    """

    samples: Samples
    rate: int
    start: int
    end: int
    words: tuple[Word, ...]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate


class Synthesizer(Protocol):
    """Turns text into speech. A plain blocking object; one text is synthesized at a time."""

    @property
    def rate(self) -> int:
        """Sample rate of everything that `stream` yields, in Hz."""
        ...

    @property
    def language(self) -> str:
        """What it reads, by ISO 639 code, as "en" or "en-us": the text's numbers are put in words of it.

        "" where it does not know; then it is given numbers as they are written.
        """
        ...

    def stream(self, text: str) -> Iterator[Speech]:
        """Yield `text` as speech, in order, each part as soon as it is made.

        The spans of the parts cover `text` in order. Text with nothing to say yields nothing.
        Closing the iterator stops the work. Raises `EngineFault` when synthesis fails.
        """
        ...


@runtime_checkable
class VariesSpeed(Protocol):
    """What a `Synthesizer` also offers that can speak faster or more slowly than its settings say."""

    def faster(self, factor: float) -> Synthesizer:
        """The same voice, 0.5 to 2 times as fast."""
        ...


@runtime_checkable
class ChangesVoice(Protocol):
    """What a `Synthesizer` also offers that can speak with several voices, without loading any anew."""

    @property
    def voice(self) -> str:
        """Which of `loaded_voices` it speaks with."""
        ...

    @property
    def loaded_voices(self) -> Mapping[str, str]:
        """Each voice that it can speak with now, and its language, as "es" or "en-gb"; none: only its own."""
        ...

    def with_voice(self, voice: str = "", language: str = "") -> Synthesizer:
        """The same engine with that voice, one of `loaded_voices`; "" is the one it has.

        language: what the text is in, an ISO code; "" is the voice's own. For another one than that it is the
        voice of that language that is most like it. Makes no sound, and reads no file. Both serve one text
        at a time together. Raises ConfigError where no voice is loaded for it.
        """
        ...


@runtime_checkable
class TellsGender(Protocol):
    """What an engine with several voices also offers that tells how they sound."""

    def gender(self, voice: str) -> Gender:
        """Of one of `ChangesVoice.loaded_voices`."""
        ...
