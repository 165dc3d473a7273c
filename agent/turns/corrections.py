"""What is meant where the user corrects themselves: "for five minutes, no, ten minutes". Pure.

Speakers break off and say anew what was wrong, and what they say anew is most often built as it was before (a
"rough copy": Johnson and Charniak, 2004): it begins with the same word, another number, or another name. So
behind a word that announces a correction ("no", "I mean") its first word is looked for in what was said, and
what follows there gives way to it. Where nothing corresponds, everything stays as it was said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.turns.phrases import Language

LONGEST = 1000
"""Characters of what is looked at."""
REACH = 12
"""Words that a correction may take back."""
_ENDS = (".", "?", "!", "…")
_STOPS = (*_ENDS, ",", ";", ":", "-", "–", "—")


def corrected(text: str, words: Language) -> str:
    """The same, as it is meant: without what was taken back, and what announced that."""
    said = text.split()
    if not words.corrections or len(text) > LONGEST:
        return text
    while (better := _once(said, words)) is not None:
        said = better
    return text if said == text.split() else " ".join(said)


def _once(said: Sequence[str], words: Language) -> list[str] | None:
    """With the first correction made; None where there is none."""
    bare = [_bare(word) for word in said]
    for at in range(1, len(said)):
        length = next((n for n in (4, 3, 2, 1) if tuple(bare[at : at + n]) in words.corrections), 0)
        before, after = list(said[:at]), said[at + length :]
        while before and not _bare(before[-1]):  # a dash
            before.pop()
        if not length or not before or not after or not (said[at - 1].endswith(_STOPS) or length > 1):
            continue
        begins = said[at + length - 1].endswith(_ENDS)
        if (begin := _taken_back(before, after, words, begins=begins)) is not None:
            return _put(before, begin, after)
    return None


def _taken_back(before: Sequence[str], after: Sequence[str], words: Language, *, begins: bool) -> int | None:
    """From which word on what was said before is taken back; None where that cannot be told.

    begins: whether the correction begins a sentence, so that a capital there makes no name.
    """
    if _bare(after[0]) in words.subjects:  # a sentence of its own
        return None
    best, longest = None, 0
    for begin in range(len(before) - 1, max(-1, len(before) - 1 - REACH), -1):
        if begin < len(before) - 1 and before[begin].endswith(_ENDS):
            break
        alike = 0
        for old, new in zip(before[begin:], after, strict=False):
            name = begin + alike > 0 and not (begins and alike == 0)
            if not _alike(old, new, words, name=name):
                break
            alike += 1
        if alike > longest:
            best, longest = begin, alike
    return best


def _alike(old: str, new: str, words: Language, *, name: bool) -> bool:
    """Whether one word may stand for the other: it is the same, or both are numbers, or names."""
    a, b = _bare(old), _bare(new)
    if a == b:
        return bool(a)
    numbers = words.digits | words.numbers
    if all(each[:1].isdigit() or each in numbers for each in (a, b)):
        return True
    return name and all(_named(each) for each in (old, new)) and not {a, b} & words.subjects


def _named(word: str) -> bool:
    letters = word.lstrip("\"'([¿¡")
    return letters[:1].isupper() and letters[:1].lower() != letters[:1]


def _put(before: Sequence[str], begin: int, after: Sequence[str]) -> list[str]:
    """What was said up to `begin`, the correction, and what it leaves standing of what it takes back."""
    whole = [*before[:begin], *after, *before[begin + len(after) :]]
    end = "?" if before[-1].endswith("?") else after[-1][len(after[-1].rstrip("".join(_STOPS))) :]
    last = begin + len(after) - 1
    whole[last] = whole[last].rstrip("".join(_STOPS))
    return [*whole[:-1], whole[-1].rstrip("".join(_STOPS)) + end]


def _bare(word: str) -> str:
    return re.sub(r"^\W+|\W+$", "", word.lower().replace("’", "'"))
