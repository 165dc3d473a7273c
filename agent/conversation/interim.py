"""Interim transcripts of one utterance that do not flicker. Pure; knows no engine."""

from __future__ import annotations

from itertools import takewhile

from agent.languages.scripts import units


class InterimTranscript:
    """A word that two transcripts in a row have in the same place is stable, and stays as it is; in a script
    without blanks, a letter.

    The rule is LocalAgreement-2 (Liu et al. 2020, "Low-Latency Sequence-to-Sequence Speech Recognition and
    Translation by Partial Hypothesis Selection"). Case and punctuation do not matter to it: Whisper ends
    every unfinished sentence with a full stop. The last word of a transcript may be half of a longer one, and
    never counts.
    """

    def __init__(self) -> None:
        self._stable: list[str] = []
        self._last: list[str] = []

    def begin(self) -> None:
        """The next transcript is that of another utterance."""
        self._stable, self._last = [], []

    def show(self, text: str) -> tuple[str, int]:
        """What to show of a newer transcript of the utterance, and how many characters of it are stable."""
        words = units(text)
        if words:
            agreed = takewhile(_same, zip(words[:-1], self._last[:-1], strict=False))
            self._stable += [word for word, _ in agreed][len(self._stable) :]
            self._last = words
        stable = "".join(self._stable)
        return stable + "".join(words[len(self._stable) :]), len(stable)


def _same(pair: tuple[str, str]) -> bool:
    bare = ["".join(letter for letter in word.casefold() if letter.isalnum()) for word in pair]
    return bare[0] == bare[1]
