"""Whisper's log-mel features from samples, in plain numpy. Knows nothing of models or of words.

The recipe is that of the Whisper paper (Radford et al. 2022, section 2.2) and its published code
(openai/whisper, `audio.py`); the mel scale is Slaney's (Auditory Toolbox, 1998), as librosa computes it.
"""

from __future__ import annotations

from functools import lru_cache
from math import log

import numpy as np
import numpy.typing as npt

from audio.frame import HEARING_RATE, Samples
from audio.product import product

HOP = 160
"""Samples from one feature frame to the next: 10 ms at 16 kHz."""
SPAN = 400
"""Samples that one feature frame looks at: 25 ms at 16 kHz."""

Features = npt.NDArray[np.float32]


def log_mel(samples: Samples, bins: int, frames: int) -> Features:
    """Features of 16 kHz mono `samples` (n,), as if followed by zeros: float32, shape (bins, frames).

    Periodic Hann windows of 25 ms every 10 ms, the first centred on the first sample (mirrored at the
    left edge); power spectrum; triangular mel filters; log10, floored at 8 below the loudest bin,
    then (x + 4) / 4. `samples` must be longer than 200; what lies beyond `frames` is ignored.
    """
    half = SPAN // 2
    # Zeros after the last sample have a known value, so only frames that touch a sample are computed.
    used = min(frames, -(-(len(samples) + half) // HOP))
    padded = np.zeros((used - 1) * HOP + SPAN, dtype=np.float32)
    padded[:half] = samples[half:0:-1]
    tail = samples[: len(padded) - half]
    padded[half : half + len(tail)] = tail
    windows = np.lib.stride_tricks.sliding_window_view(padded, SPAN)[::HOP] * _hann()
    spectrum = np.fft.rfft(windows).astype(np.complex64, copy=False)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    spoken = np.log10(np.maximum(product(power, filters(bins).T), np.float32(1e-10))).T
    floor = np.float32(spoken.max() - 8.0)
    features = np.full((bins, frames), max(floor, np.float32(-10.0)), dtype=np.float32)
    features[:, :used] = np.maximum(spoken, floor)
    features += np.float32(4.0)
    features /= np.float32(4.0)
    return features


@lru_cache(maxsize=1)
def _hann() -> Samples:
    """A periodic Hann window of SPAN samples."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(SPAN) / SPAN)).astype(np.float32)


@lru_cache(maxsize=2)
def filters(bins: int) -> npt.NDArray[np.float32]:
    """Triangles of equal area, evenly spaced in mel from 0 to 8 kHz: float32, shape (bins, 201)."""
    top = 15.0 + log(HEARING_RATE / 2 / 1000.0) * 27.0 / log(6.4)
    mels: npt.NDArray[np.float64] = np.linspace(0.0, top, bins + 2)
    # Slaney's scale: 200/3 Hz a mel up to 1 kHz, then 27 mels to each factor of 6.4.
    corners: npt.NDArray[np.float64] = np.where(
        mels < 15.0, mels * 200.0 / 3.0, 1000.0 * np.exp((mels - 15.0) * log(6.4) / 27.0)
    )
    low, mid, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    hz = np.linspace(0.0, HEARING_RATE / 2, SPAN // 2 + 1)[None, :]
    triangles = np.maximum(0.0, np.minimum((hz - low) / (mid - low), (high - hz) / (high - mid)))
    return (triangles * 2.0 / (high - low)).astype(np.float32)
