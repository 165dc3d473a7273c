"""A sample-rate converter for sound that comes in pieces. Knows nothing of where they come from."""

from __future__ import annotations

from typing import Any

import numpy as np

from audio.frame import Samples


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
