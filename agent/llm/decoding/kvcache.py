"""How much of a prompt a model has read already, and in which parts it reads the rest. Knows no model."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager

PART = 0.25
"""Seconds that a part of a prompt takes to read."""
_FIRST, _LEAST = 64, 32
"""Tokens of the first part, while the pace is not known, and of the shortest: each of fewer costs more."""


class Pace:
    """How fast a model reads, measured, and so how long the parts are in which it reads a long prompt.

    Between two parts others have their turn, and what nobody needs any more is broken off.
    """

    def __init__(self) -> None:
        self._rate = _FIRST / PART
        """Tokens a second."""

    def part(self, known: int, length: int) -> int | None:
        """Where the next part ends of a prompt of `length` tokens, whose first `known` were read; None: it is
        the last one, which may be half as long again.
        """
        size = max(_LEAST, round(self._rate * PART))
        return known + size if length - known > size * 3 // 2 else None

    @contextmanager
    def reading(self, tokens: int) -> Generator[None]:
        """So many tokens are read within."""
        began = time.perf_counter()
        yield
        if tokens >= _LEAST:
            self._rate = tokens / max(time.perf_counter() - began, 1e-6)


def shared(first: Sequence[int], second: Sequence[int]) -> int:
    """Number of tokens with which both begin."""
    least = min(len(first), len(second))
    if first[:least] == second[:least]:
        return least
    return next(n for n in range(least) if first[n] != second[n])
