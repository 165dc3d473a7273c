"""Samples as 16-bit integers and back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audio.pcm import from_pcm16, pcm16, to_int16


@given(st.lists(st.floats(-1, 1, width=32), max_size=50))
def test_there_and_back_is_within_two_steps(values: list[float]):
    samples = np.array(values, np.float32)
    assert np.abs(from_pcm16(pcm16(samples)) - samples).max(initial=0.0) <= 1.6 / 32768


def test_what_is_louder_is_clipped_and_nothing_wraps_round():
    assert to_int16(np.array([2.0, -2.0, 0.0, 1.0], np.float32)).tolist() == [32767, -32767, 0, 32767]


def test_an_odd_last_byte_is_left_out():
    assert from_pcm16(b"\x00\x40\x01").tolist() == [0.5]
