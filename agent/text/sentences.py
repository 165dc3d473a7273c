"""The sentences of a text: THE rule, wherever what was said is looked at again. Pure.

It is the one by which a reply is cut while it is written (`agent.text.boundaries`), so that what is said
again, taken for a question or remembered as the last sentence is what was spoken as one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from agent.text.chunker import Chunker


@dataclass(frozen=True, slots=True)
class Sentence:
    """The characters `start` to `end` (half-open) of a text, without white space around them."""

    start: int
    end: int
    text: str


def sentences(text: str, language: str = "en") -> list[Sentence]:
    """The sentences of `text`, which is in that language, in order; all between them is white space."""
    chunker = Chunker(longest_chunk=max(1, len(text)), language=language)
    found: list[Sentence] = []
    begin = 0
    for chunk in chunker.feed(text, math.inf) + chunker.flush():
        if chunk.final or chunk.end == len(text):
            if whole := text[begin : chunk.end].strip():
                start = begin + text[begin : chunk.end].index(whole)
                found.append(Sentence(start, start + len(whole), whole))
            begin = chunk.end
    return found
