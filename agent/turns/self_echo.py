"""Whether what was understood is only what the agent was saying itself. Knows words and times, no sound."""

from __future__ import annotations

import difflib
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.languages import scripts

SLACK = 1.0
"""Seconds by which what was heard may miss the time of what was said: detectors and STT are that vague."""

SHORT_SLACK = 0.3
"""The same for one or two words: short utterances have exact times, and short words are soon matched. Who
answers "A or B?" with "B" begins 0.2 s after it, when the "B" is over; its echo begins with it."""

WORD = 0.4
"""Seconds that a word takes, about."""

KEPT = 60.0
"""Seconds for which the agent's words are remembered: longer than any utterance lasts."""

ALIKE = 0.7
"""Likeness (difflib's ratio of characters, 0 to 1) from which two words may be one word, misheard."""

ECHO = 0.7
"""Share of the words heard that must be the agent's, in its order."""

AGAIN, AT_ONCE = 0.4, 0.3
"""Seconds after the agent speaks on within which its echo begins, and after it falls silent, is over."""

_LEFT_OUT = 0.15
"""What a word of the agent's costs that was not heard: a canceller lets only parts of an echo through."""

_CUT = 3
"""Letters that must be left of the first or last word for it to be taken for a part of the agent's."""


@dataclass(frozen=True, slots=True)
class _Said:
    word: str
    begin: float
    finish: float


class SelfEchoFilter:
    """Compares what was heard with what the agent was saying just then; needs no signal processing.

    is_stop: whether a text is nothing but an order to stop. Such a text is never an echo, not even where
    the agent has said "stop" itself: an agent that talks on against an order is worse than one that
    falls silent by mistake, which "go on" repairs. In a longer echo "stop" is a word like any other.
    """

    def __init__(self, is_stop: Callable[[str], bool]) -> None:
        self._is_stop = is_stop
        self._said: deque[_Said] = deque()
        self._resumed = self._held = -60.0
        self._suspected = False

    def said(self, text: str, begin: float, finish: float) -> None:
        """The agent says `text`, a word as a rule, from `begin` to `finish` (s, session clock), in order."""
        for word in _words(text):
            self._said.append(_Said(word, begin, finish))
        while self._said and self._said[0].finish < begin - KEPT:
            self._said.popleft()

    def heard(self, text: str, now: float) -> None:
        """The agent's word `text` has just sounded, at `now` (s)."""
        self.said(text, now - WORD, now)

    def resumed(self, at: float, *, suspected: bool) -> None:
        """The agent speaks on at `at` (s). suspected: it may have fallen silent for its own echo."""
        self._resumed, self._suspected = at, suspected

    def paused(self, at: float, onset: float) -> None:
        """The agent falls silent at `at` (s), for something that began at `onset`."""
        self._held = at
        self._suspected &= onset < self._resumed + AGAIN

    def is_echo(self, words: str, begin: float, finish: float) -> bool:
        """Whether `words`, heard from `begin`, their onset, to `finish`, are what the agent was saying then.

        Fuzzy: words misheard, left out, joined, split, or cut at either end still match. A user who
        takes up a word of the agent's in a sentence of their own is no echo.

        Whatever the words, so is what twice running begins as the agent speaks on, and ends as it falls
        silent: a canceller that has lost the room lets through scraps that nobody can compare.
        """
        heard = _words(words)
        if not heard or self._is_stop(words):
            return False
        if self._suspected and finish < self._held + AT_ONCE:
            return True
        short = len(heard) < 3
        slack = SHORT_SLACK if short else SLACK
        spoken = [s.word for s in self._said if s.begin <= finish + slack and s.finish >= begin - slack]
        # Of one or two words each must be there: half of a phrase is too little to go by.
        return _explained(heard, spoken) >= (len(heard) - 0.5 if short else ECHO * len(heard))


def _words(text: str) -> list[str]:
    """`text` as lower-case words without punctuation: "It's 3.5!" gives its, 35; Chinese as its letters."""
    return list(scripts.words(re.sub(r"(?<=\w)[.,'’](?=\w)", "", text.casefold())))


def _explained(heard: Sequence[str], spoken: Sequence[str]) -> float:
    """How many words of `heard` the best stretch of `spoken` explains, in order (local alignment).

    A pair of words may stand for one on either side ("light house"). Each word of that stretch that was not
    heard takes `_LEFT_OUT` away.
    """
    best = 0.0
    table = [[0.0] * (len(spoken) + 1) for _ in range(len(heard) + 1)]
    for i in range(1, len(heard) + 1):
        for j in range(1, len(spoken) + 1):
            word, other = heard[i - 1], spoken[j - 1]
            found = _same(word, other, first=i == 1 < len(heard), last=1 < i == len(heard))
            options = [table[i - 1][j], table[i][j - 1] - _LEFT_OUT, table[i - 1][j - 1] + found]
            if i > 1:
                options.append(table[i - 2][j - 1] + 2 * _same(heard[i - 2] + word, other))
            if j > 1:
                options.append(table[i - 1][j - 2] + _same(word, spoken[j - 2] + other))
            table[i][j] = max(0.0, *options)
            best = max(best, table[i][j])
    return best


def _same(word: str, other: str, *, first: bool = False, last: bool = False) -> float:
    """1 for the same word, also where the utterance's first or last word was cut; else 0 or the likeness."""
    if word == other:
        return 1.0
    cut = (first and other.endswith(word)) or (last and other.startswith(word))
    if cut and len(word) >= _CUT:
        return 1.0
    # Short words are alike by chance ("no", "now"), so of those only the very same will do.
    if min(len(word), len(other)) < 4:
        return 0.0
    compared = difflib.SequenceMatcher(None, word, other, autojunk=False)
    if min(compared.real_quick_ratio(), compared.quick_ratio()) < ALIKE:  # most pairs, and in no time
        return 0.0
    likeness = compared.ratio()
    return likeness if likeness >= ALIKE else 0.0
