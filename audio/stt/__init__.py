"""From samples to words: what a transcriber is and what it gives. Engines are one file each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from audio.frame import Frame


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was understood.

    text: the words, without leading or trailing space; empty when nothing intelligible was said.
    confidence: mean log-probability of the tokens, 0 at best; 0 where the engine does not say.
    no_speech: the engine's probability that this was no speech, 0 to 1.
    doubtful: a quick guess that a careful look might correct; never set for `final`.
    """

    text: str
    confidence: float = 0.0
    no_speech: float = 0.0
    doubtful: bool = False


class Transcriber(Protocol):
    """Turns speech into text. A plain blocking object."""

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        """The words in `audio` (mono, any rate; engines resample to what they need).

        final: False while the user still speaks; then a quick guess beats a careful one.
        Raises `EngineFault` when the engine fails; silence is an empty transcript, not an error.
        """
        ...


class EndOfTurn(Protocol):
    """Tells from the sound whether somebody has finished. A plain blocking object."""

    def complete(self, audio: Frame) -> float:
        """The probability, 0 to 1, that the utterance in `audio` (mono, any rate) is complete."""
        ...
