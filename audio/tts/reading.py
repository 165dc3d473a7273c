"""How a text is read: its sentences, its words, and which phoneme belongs to which. Knows no voice.

For synthesizers that take phonemes: none of the phonemizers says which word a phoneme came from.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

LONGEST = 300
"""Characters that are spoken in one go; longer sentences are cut, best after a clause."""

_END = re.compile(r"[.!?…]+[\"'”’)\]*_]*(?=\s)|[。！？｡।؟۔።]+[」』”’)\]]*|[^\S\n]*\n\s*")
_NO_END = re.compile(
    r"(?:^|[\s(\"“])(?:\w|(?:Mr|Mrs|Ms|Dr|Prof|Sr|Jr|St|vs|etc|No|Mt|e\.g|i\.e))\.$", re.IGNORECASE
)
_CLAUSE = re.compile(r"[,;:،؛，、；：—–]\s*")
_STRESS = frozenset("ˈˌ")
_MOST_KNOWN = 10_000
"""Words whose phonemes are kept."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Characters `start` to `end` of a text, and in them the words that sound, as half-open ranges."""

    start: int
    end: int
    words: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Read:
    """A sentence as phonemes, and for each of them the index of the sentence's word that it belongs to."""

    phonemes: Sequence[str]
    owners: Sequence[int]


class Reader:
    """Reads sentences with `said`, which gives a text's phonemes, and finds the word that each belongs to."""

    def __init__(self, said: Callable[[str], Sequence[str]]) -> None:
        self._said = said
        self._known: dict[str, list[str]] = {}

    def read(self, text: str, sentence: Sentence) -> Read:
        """The phonemes of one sentence of `text`."""
        phonemes = self._said(text[sentence.start : sentence.end])
        return Read(phonemes, owners(phonemes, [self._alone(text[a:b]) for a, b in sentence.words]))

    def _alone(self, word: str) -> list[str]:
        if word not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[word] = [sound for sound in self._said(word) if sound.isalnum()]
        return self._known[word]


def sentences(text: str, longest: int = LONGEST) -> list[Sentence]:
    """The sentences of `text` that sound. They cover it: what is silent goes with its neighbour.

    A word is what stands between white space, with the punctuation on it; of a script without spaces it is
    a single letter. longest: characters after which a sentence is cut.
    """
    found: list[Sentence] = []
    begin = 0
    for end in sorted({*_ends(text, longest), len(text)}):
        if words := tuple(_words(text, begin, end)):
            found.append(Sentence(begin, end, words))
            begin = end
    if found:
        last = found[-1]
        found[-1] = Sentence(last.start, len(text), last.words)
    return found


def sounding(text: str) -> str:
    """`text` without the characters that have names but no sound in speech: emoji, dingbats, arrows."""
    return "".join(" " if unicodedata.category(c) in {"So", "Co", "Cs", "Cc"} else c for c in text)


def owners(spoken: Sequence[str], alone: Sequence[Sequence[str]]) -> list[int]:
    """For each spoken phoneme the index of the word that it belongs to.

    alone: the phonemes of each word when it is read by itself. In a sentence words lose their stress, run
    together ("of the") or change; the two readings are matched (Ratcliff and Obershelp, as in difflib) and
    what lies between two matches is shared out in order, in proportion.
    """
    written = [(sound, n) for n, word in enumerate(alone) for sound in word if sound not in _STRESS]
    if not written:
        return [0] * len(spoken)
    heard = [(at, sound) for at, sound in enumerate(spoken) if sound not in _STRESS]
    index: list[int | None] = [None] * len(spoken)
    matcher = difflib.SequenceMatcher(None, [w[0] for w in written], [h[1] for h in heard], autojunk=False)
    for _, a, b, c, d in matcher.get_opcodes():
        candidates = [n for _, n in written[a:b]] or [written[max(0, a - 1)][1]]
        for k in range(c, d):
            index[heard[k][0]] = candidates[(k - c) * len(candidates) // (d - c)]
    return _filled(index)


def _filled(index: list[int | None]) -> list[int]:
    """Stress marks belong to what they stress, the sound after them."""
    following = 0
    found: list[int] = []
    for owner in reversed(index):
        following = following if owner is None else owner
        found.append(following)
    if len(index) and index[-1] is None:
        last = next((owner for owner in reversed(index) if owner is not None), 0)
        for n in range(len(found)):
            if index[-1 - n] is not None:
                break
            found[n] = last
    return found[::-1]


def _ends(text: str, longest: int) -> Iterator[int]:
    """Where sentences end, and where those that are too long are cut."""
    begin = 0
    for found in _END.finditer(text):
        if found[0].startswith(".") and _NO_END.search(text[begin : found.start() + 1]):
            continue
        yield from _cuts(text, begin, found.end(), longest)
        begin = found.end()
        yield begin
    yield from _cuts(text, begin, len(text), longest)


def _cuts(text: str, begin: int, end: int, longest: int) -> Iterator[int]:
    """Where a stretch is cut so that no part is longer: after a clause, a word, or anywhere."""
    while end - begin > longest:
        part = text[begin : begin + longest]
        clauses = [m.end() for m in _CLAUSE.finditer(part) if m.end() > longest // 3]
        spaces = [m.end() for m in re.finditer(r"\s+", part)]
        begin += (clauses or spaces or [longest])[-1]
        yield begin


def _words(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    for found in re.finditer(r"\S+", text[begin:end]):
        if not any(c.isalnum() for c in found[0]):
            continue
        start = begin + found.start()
        if not any(map(_unspaced, found[0])):
            yield start, begin + found.end()
            continue
        edges = [k for k, c in enumerate(found[0]) if c.isalnum()]
        for this, following in zip(edges, [*edges[1:], len(found[0])], strict=True):
            yield start + this, start + following


def _unspaced(char: str) -> bool:
    """Whether the character is of a script that writes no spaces: Han, kana, Thai, Lao, Khmer, Burmese."""
    return char >= "\u0e00" and unicodedata.name(char, "").startswith(
        ("CJK UNIFIED", "HIRAGANA", "KATAKANA", "THAI ", "LAO ", "KHMER ", "MYANMAR ")
    )
