"""Samples as 16-bit integers and back: THE conversion, for files, wires and detectors alike. Pure."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audio.frame import Samples

Int16: TypeAlias = npt.NDArray[np.int16]


def to_int16(samples: Samples) -> Int16:
    """float32 of any shape in [-1, 1] as the nearest of 65,535 steps, little-endian; louder is clipped."""
    return np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2")


def from_int16(values: Int16) -> Samples:
    """int16 of any shape as float32 in [-1, 1)."""
    return values.astype(np.float32) / 32768.0


def pcm16(samples: Samples) -> bytes:
    """float32 (n,) in [-1, 1] as 16 bit little-endian; what is louder is clipped."""
    return to_int16(samples).tobytes()


def from_pcm16(data: bytes) -> Samples:
    """16 bit little-endian as float32 (n,) in [-1, 1); an odd last byte is left out."""
    return from_int16(np.frombuffer(data[: len(data) & ~1], "<i2"))


def from_pcm(data: bytes, width: int) -> Samples:
    """Whole little-endian integers of `width` bytes as float32 (n,) in [-1, 1).

    Those of 2 to 4 bytes are signed, those of one are not and have their zero at 128, as in WAV files.
    """
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128.0) / 128.0
    wide = np.zeros((len(data) // width, 4), np.uint8)
    wide[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
    return (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
