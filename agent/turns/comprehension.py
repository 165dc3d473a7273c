"""Whether the user is being understood, and when to say that they are not. Pure: knows no sound, no reply."""

from __future__ import annotations

from dataclasses import dataclass

from agent.causes import Kind
from agent.events import Misheard

WHOLE = 0.8
"""Seconds of sure speech in an utterance that ought to have been understood. Measured (Silero from 0.5):
slammed doors have 0.26 to 0.35 of them, laughs and hums 0.2 to 0.8; 160 prompts in Spanish, French, Italian
and Russian, each 1 to 6 s long, 0.9 to 6.0."""

CLEAR = -0.8
"""Confidence (mean log-probability of the tokens) below which such an utterance was not understood. Measured
with Whisper tiny.en, which writes English for any language: below it are 2 of 40 prompts in English (of two
words each), and 31, 38, 40 and 39 of 40 in Spanish, French, Italian and Russian."""

IN_A_ROW = 2
"""Such utterances after which the user is told: one may be a radio, or a bad second of the line."""


@dataclass(slots=True)
class Comprehension:
    """Counts the utterances in a row that were not understood. The user is told once, until one is again."""

    _missed: int = 0
    _told: bool = False

    def tells(self, misheard: Misheard | None) -> bool:
        """Whether the answer to an utterance that came out so is that it was not understood."""
        return misheard is not None and not self._told and self._missed + 1 >= IN_A_ROW

    def heard(self, misheard: Misheard | None, understood: bool) -> None:
        """The user's turn is over and came out so; one that is neither, a cough, changes nothing."""
        if misheard is not None:
            self._missed += 1
        elif understood:
            self._missed, self._told = 0, False

    def told(self) -> None:
        """The user has heard that they are not understood."""
        self._told = True


def understood(kind: Kind, confidence: float) -> bool:
    """Whether there is no doubt that these were words, and which."""
    return kind not in ("nothing", "echo") and confidence >= CLEAR


def misheard(kind: Kind, confidence: float, voiced: float) -> Misheard | None:
    """How an utterance was not understood; None where it was, or where it was too short to tell.

    kind: what its words are. confidence: the transcriber's. voiced: seconds of sure speech in it.
    """
    if voiced < WHOLE:
        return None
    if kind == "nothing":
        return "no_words"
    return "low_confidence" if kind == "words" and confidence < CLEAR else None
