"""Products of matrices: the right ones, and no thread but the caller's has anything to do with them."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audio.frame import HEARING_RATE
from audio.product import MOST, product
from audio.speaker import features
from audio.stt.mel import log_mel

SIZES = st.integers(0, 700), st.integers(1, 300), st.integers(1, 90)


@given(*SIZES, st.integers(0, 2**32 - 1))
def test_it_is_the_product(rows: int, width: int, columns: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    first, second = (
        draw.standard_normal(shape).astype(np.float32) for shape in ((rows, width), (width, columns))
    )
    made = product(first, second)
    assert made.shape == (rows, columns)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, first.astype(float) @ second.astype(float), atol=1e-3)


def test_a_row_that_is_too_much_by_itself() -> None:
    first, second = np.ones((3, MOST), np.float32), np.ones((MOST, 2), np.float32)
    assert np.array_equal(product(first, second), np.full((3, 2), MOST, np.float32))


def test_features_cost_other_threads_nothing() -> None:
    """Whisper's, Smart Turn's and those of a speaker, of eight seconds; each cost OpenBLAS's thread 40 ms."""
    sound = np.random.default_rng(0).standard_normal(8 * HEARING_RATE).astype(np.float32) / 10
    for make in (lambda: log_mel(sound, 80, 800), lambda: features(sound)):
        make()
        time.sleep(0.1)  # threads that spin do so for some time
        others = time.process_time() - time.thread_time()
        for _ in range(5):
            make()
            time.sleep(0.06)
        assert time.process_time() - time.thread_time() - others < 0.05
