"""G.711, the telephone's 8 bits a sample: mu-law (PCMU) and A-law (PCMA). Pure; knows no rate and no wire.

Tables and bits as in ITU-T G.711 (11/88), tables 1a to 2b; a sample that is a decision value itself goes to
the higher side of it, as in the ITU's own software (G.191).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from audio.frame import Samples
from audio.pcm import Int16, from_int16, to_int16

_Ints: TypeAlias = npt.NDArray[np.signedinteger[Any]]


class Law:
    """One of the two laws.

    levels: the 128 levels from 0 up, and decisions: where each begins, both in steps of 16 bits. flips: the
    bits of a positive level's number that are sent inverted; a negative one's first bit is 0.
    """

    def __init__(self, levels: Int16, decisions: Int16, flips: npt.NDArray[np.uint8]) -> None:
        positive = (np.arange(128, dtype=np.uint8) | 0x80) ^ flips
        self._codes = np.concatenate([(positive ^ 0x80)[::-1], positive])
        self._decisions = np.concatenate([-decisions[:0:-1], decisions])
        self._values = np.zeros(256, np.int16)
        self._values[self._codes] = np.concatenate([-levels[::-1], levels])

    def encode(self, samples: Samples) -> bytes:
        """float32 (n,) in [-1, 1] as n bytes; what is louder is clipped."""
        return self._codes[np.searchsorted(self._decisions, to_int16(samples), side="right")].tobytes()

    def decode(self, data: bytes) -> Samples:
        """n bytes as float32 (n,) in (-1, 1)."""
        return from_int16(self._values[np.frombuffer(data, np.uint8)])


def _mu_law() -> Law:
    """Eight segments of 16 steps, the steps of each twice as wide; 14 bits."""
    segment, step = np.divmod(np.arange(128), 16)
    begins = ((16 + step) << (segment + 1)) - 33
    levels = begins + (1 << segment)
    return Law(*_in_16_bits(levels, begins, 4), np.full(128, 0x7F, np.uint8))


def _a_law() -> Law:
    """The same, but for the first segment, whose steps are as wide as those of the second; 13 bits."""
    segment, step = np.divmod(np.arange(128), 16)
    wider = np.maximum(segment - 1, 0)
    begins = (step + np.where(segment > 0, 16, 0)) << (wider + 1)
    levels = begins + (1 << wider)
    return Law(*_in_16_bits(levels, begins, 8), np.full(128, 0x55, np.uint8))


def _in_16_bits(levels: _Ints, begins: _Ints, step: int) -> tuple[Int16, Int16]:
    return (levels * step).astype(np.int16), (np.maximum(begins, 0) * step).astype(np.int16)


MU_LAW, A_LAW = _mu_law(), _a_law()
