"""Samples as programs have them, checked and made mono float32. Knows nothing of where they come from."""

from __future__ import annotations

from operator import index
from typing import Any, SupportsIndex, cast

import numpy as np
import numpy.typing as npt

from audio.errors import SessionError
from audio.frame import Samples
from audio.pcm import from_int16

LOUDEST = 4.0
"""Largest float32 amplitude that is taken: beyond it they are 16-bit numbers that were only cast."""
RATES = (1000, 768_000)
"""Lowest and highest sample rate, in Hz."""


def as_mono(samples: Any) -> Samples:
    """Mono float32 samples, shape (n,), from int16 or float32, (frames,) or (frames, 1 or 2 channels).

    Raises SessionError for anything else, rather than take it for what it is not.
    """
    if not isinstance(samples, np.ndarray):
        raise SessionError(
            f"audio: a numpy array of int16 or float32, not {type(samples).__name__}; "
            "np.frombuffer(data, np.int16) makes one of bytes"
        )
    array = cast(npt.NDArray[Any], samples)
    if array.dtype not in (np.dtype(np.int16), np.dtype(np.float32)):
        raise SessionError(
            f"audio: int16 or float32, not {array.dtype}; scale it to [-1, 1] and use .astype(np.float32)"
        )
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] not in (1, 2)):
        raise SessionError(
            f"audio: shape (frames,) or (frames, channels) with 1 or 2 channels, not {array.shape}; "
            "turn (channels, frames) with .T"
        )
    wave: Samples = from_int16(array) if array.dtype == np.int16 else array.astype(np.float32)
    if array.dtype == np.float32 and wave.size and not np.abs(wave).max() <= LOUDEST:  # NaN is not, either
        raise SessionError("audio: float32 within [-1, 1]; these are larger, or not numbers")
    return wave if wave.ndim == 1 else wave.mean(axis=1, dtype=np.float32)


def as_rate(rate: Any) -> int:
    """A sample rate in Hz. Raises SessionError for what is none."""
    whole = isinstance(rate, SupportsIndex) and not isinstance(rate, bool)
    if not whole or not RATES[0] <= index(rate) <= RATES[1]:
        raise SessionError(f"rate: a whole number of Hz from {RATES[0]} to {RATES[1]}, not {rate!r:.40}")
    return index(rate)
