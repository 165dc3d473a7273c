"""Products of matrices in the thread that asks for them. Knows nothing of what they mean."""

from __future__ import annotations

import numpy as np

from audio.frame import Samples

MOST = 200_000
"""Multiplications of one call: OpenBLAS, which numpy's wheels bring along, shares what has more than 262,144
(`GEMM_MULTITHREAD_THRESHOLD` 4) between a thread for each core."""


def product(rows: Samples, columns: Samples) -> Samples:
    """`rows` (n, k) times `columns` (k, m), float32, shape (n, m).

    OpenBLAS's other threads spin once they have helped, in case there is more to do. Measured on two cores,
    the mel bands of 10 s cost 46 ms of processor time so, and 1 ms in this thread alone.
    """
    count, width = rows.shape
    size = max(1, MOST // max(1, width * columns.shape[1]))
    whole = count // size * size
    blocks = np.matmul(rows[:whole].reshape(-1, size, width), columns)
    return np.concatenate([blocks.reshape(whole, columns.shape[1]), rows[whole:] @ columns])
