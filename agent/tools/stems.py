"""The words that tell what a few words are about, for finding a note or a timer by them. Pure."""

from __future__ import annotations

import re

_COMMON = frozenset(
    re.findall(
        r"\S+",
        "a about am an and any are be can can't did do does for forget has have i i'm in is it know me my "
        "of on or please remember so tell that the this to user was what when where which who you your",
    )
)
"""Words that tell nothing about what is meant."""
_SMALL = re.findall(
    r"\S+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty",
)
_TENS = re.findall(r"\S+", "thirty forty fifty sixty seventy eighty ninety")
_NUMBERS = {
    word: str(n) for word, n in zip((*_SMALL, *_TENS), (*range(21), *range(30, 100, 10)), strict=True)
}


def stems(text: str) -> frozenset[str]:
    """The words of `text` that tell what it is about, without their common endings, numbers as digits."""
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("’", "'"))
    words = [word.removesuffix("'s") for word in words]
    return frozenset(_stem(word) for word in words if word not in _COMMON)


def _stem(word: str) -> str:
    if word.isdigit() or word in _NUMBERS:
        return _NUMBERS.get(word, word).lstrip("0") or "0"
    return re.sub(r"(?:ies|es|s|ing|ed|y|e)$", "", word)
