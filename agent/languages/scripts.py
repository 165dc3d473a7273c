"""How scripts are written: which of them put no blanks between words, and how a question is marked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, kana and Han, for a class of a regular expression."""
MARKS = "\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u064b-\u065f\u0670\u06d6-\u06dc\u0900-\u0963\u0966-\u0dff"
"""Vowels and other signs that belong to the letter before them, which `\\w` leaves out; letters of India."""
QUESTION_MARKS = "?？؟"
CLOSING_QUOTES = " \n\"'”’)）」』»"

_WORD = re.compile(rf"(?:[^\W_]|[{MARKS}])+(?:'(?:[^\W_]|[{MARKS}])+)*")
_STRETCH = re.compile(rf"[{UNSPACED}]+|[^{UNSPACED}]+")
_UNIT = re.compile(rf"\s*(?:[{UNSPACED}][^\w\s]*|[^\s{UNSPACED}]+)")


def unspaced(text: str) -> bool:
    """Whether it has a letter of a script without blanks."""
    return re.search(f"[{UNSPACED}]", text) is not None


def asks(text: str) -> bool:
    """Whether it ends in a question mark."""
    return text.rstrip(CLOSING_QUOTES).endswith(tuple(QUESTION_MARKS))


def words(text: str, known: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The words of a text in lower case, without punctuation; hyphens are taken for blanks.

    Where a script writes no blanks the longest known word is one, and else each letter: forward maximum
    matching, the plainest way to segment Chinese (Liang 1987).
    """
    bare: list[str] = []
    for found in _WORD.findall(text.lower().replace("’", "'")):
        for stretch in _STRETCH.findall(found):
            bare += _segmented(stretch, known) if unspaced(stretch) else [stretch]
    return tuple(bare)


def _segmented(text: str, known: frozenset[str]) -> Iterator[str]:
    at, longest = 0, max(map(len, known), default=1)
    while at < len(text):
        length = next(
            (n for n in range(min(longest, len(text) - at), 1, -1) if text[at : at + n] in known), 1
        )
        yield text[at : at + length]
        at += length


def units(text: str) -> list[str]:
    """What a transcript grows by: words, or letters where a script writes no blanks, each with the blank
    before it and the punctuation behind it.
    """
    return _UNIT.findall(" ".join(text.split()))
