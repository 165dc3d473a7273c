"""A frame: mono samples, their rate and when the first one sounded. Knows nothing of what they mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import log10
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono float32 samples, shape (n,), nominally in [-1, 1]."""

HEARING_RATE = 16_000
"""Sample rate, in Hz, of everything on the hearing side: VAD and STT both want 16 kHz."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A stretch of mono audio.

    samples: float32, shape (n,), nominally in [-1, 1].
    rate: samples per second, in Hz.
    time: when the first sample sounded, in seconds on the session's clock.
    """

    samples: Samples
    rate: int
    time: float = 0.0

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate

    @property
    def end(self) -> float:
        """When the last sample has sounded, in seconds on the session's clock."""
        return self.time + self.duration

    def at_rate(self, rate: int) -> Frame:
        """The same sound at another sample rate (Hz), by soxr's band-limited resampler."""
        return Frame(resample(self.samples, self.rate, rate), rate, self.time)

    @staticmethod
    def join(frames: Iterable[Frame]) -> Frame:
        """One frame from several of one rate that follow each other; at least one is needed."""
        parts = list(frames)
        if len({f.rate for f in parts}) != 1:
            raise ValueError("frames to join must exist and share one sample rate")
        return Frame(np.concatenate([f.samples for f in parts]), parts[0].rate, parts[0].time)


def resample(samples: Samples, source: int, target: int) -> Samples:
    """`samples` (n,) at `source` Hz, converted to `target` Hz; the length scales with the rates."""
    if source == target or len(samples) == 0:
        return samples
    import soxr  # a compiled extension: loaded by the first resampling, not by `--help`

    resampled: Samples = soxr.resample(samples, source, target)  # pyright: ignore[reportUnknownMemberType]
    return resampled


def silence(seconds: float, rate: int) -> Samples:
    """Digital silence of that length, float32, shape (round(seconds * rate),)."""
    return np.zeros(round(seconds * rate), dtype=np.float32)


def level_dbfs(samples: Samples) -> float:
    """Root mean square level in dBFS; -120 for silence or for no samples."""
    return levels_dbfs(samples[np.newaxis])[0] if len(samples) else -120.0


def levels_dbfs(blocks: Samples) -> list[float]:
    """The same of each row of samples, shape (rows, n), n not 0."""
    power = np.einsum("ij,ij->i", blocks, blocks, dtype=np.float64) / blocks.shape[1]
    return [10.0 * log10(max(1e-12, each)) for each in power.tolist()]
