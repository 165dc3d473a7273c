"""Sample-rate converters for sound that comes in pieces. Know nothing of where the pieces come from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from audio.frame import Samples

_REACH = 32
"""Input samples before and after each output sample that `PromptResampler` looks at: 1.3 ms at 24 kHz."""


class Resampler:
    """Converts one unbroken mono stream from `source` to `target` Hz with soxr's band-limited filter.

    What comes out is aligned with what went in: output sample k sounds at k / target seconds, counted
    from the first input sample. It arrives late, though, up to 40 ms after its input.
    """

    def __init__(self, source: int, target: int) -> None:
        self.source, self.target = source, target
        self._stream: Any = None
        if source != target:
            import soxr  # a compiled extension: loaded by the first resampling, not by `--help`

            self._stream = soxr.ResampleStream(source, target, 1, dtype="float32")

    def feed(self, samples: Samples) -> Samples:
        """Take the next samples, shape (n,), and give those that are ready, shape (m,), m from 0."""
        return self._run(samples, last=False)

    def finish(self) -> Samples:
        """The rest, shape (m,). The stream is over then: `feed` must not be called again."""
        return self._run(np.zeros(0, dtype=np.float32), last=True)

    def _run(self, samples: Samples, *, last: bool) -> Samples:
        if self._stream is None:
            return samples
        out: Samples = self._stream.resample_chunk(np.ascontiguousarray(samples), last=last)
        return out


class PromptResampler:
    """As `Resampler`, but only 2 ms late, for echoes, where what was played may be heard 20 ms later.

    A polyphase windowed sinc (Kaiser, beta 7) of `_REACH` input samples to each side: level up to 0.8 of
    the lower Nyquist frequency, half of it at that, below -50 dB from 1.2 of it on. numpy alone.
    """

    def __init__(self, source: int, target: int) -> None:
        self.source, self.target = source, target
        shared = math.gcd(source, target)
        self._up, self._down = target // shared, source // shared
        self._held: Samples = np.zeros(_REACH, np.float32)
        self._next = 0  # position of the next output after the first held sample + _REACH, in 1/_up samples
        offsets = np.arange(1 - _REACH, _REACH + 1) - np.arange(self._up)[:, np.newaxis] / self._up
        share = min(1.0, target / source)
        window = np.i0(7.0 * np.sqrt(np.clip(1.0 - (offsets / _REACH) ** 2, 0.0, 1.0))) / np.i0(7.0)
        taps = np.sinc(share * offsets) * window
        self._taps = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)

    def feed(self, samples: Samples) -> Samples:
        """Take the next samples, shape (n,), and give those that are ready, shape (m,), m from 0."""
        if self.source == self.target:
            return samples
        held = np.concatenate([self._held, samples])
        ready = (len(held) - 2 * _REACH) * self._up - self._next
        count = max(0, -(-ready // self._down))
        out: Samples = np.zeros(count, np.float32)
        if held.any():  # silence, which is most of what a speaker is given, gives silence
            whole, phase = np.divmod(self._next + np.arange(count) * self._down, self._up)
            around = held[whole[:, np.newaxis] + np.arange(1, 2 * _REACH + 1)]
            out = np.einsum("ij,ij->i", around, self._taps[phase])
        used, self._next = divmod(self._next + count * self._down, self._up)
        self._held = held[used:]
        return out
