"""Several channels as one: what the mean would lose, and that ordinary stereo stays the mean."""

from __future__ import annotations

import hypothesis.strategies as some
import numpy as np
import pytest
from hypothesis import given, settings

from audio.mix import Mixing

RATE = 16_000
RANDOM = np.random.default_rng(0)
VOICE = (0.3 * RANDOM.standard_normal(3 * RATE)).astype(np.float32)
OTHER = (0.3 * RANDOM.standard_normal(3 * RATE)).astype(np.float32)
HISS = (1e-4 * RANDOM.standard_normal(3 * RATE)).astype(np.float32)
NONE = np.zeros(3 * RATE, np.float32)
WORD = np.concatenate([VOICE[:4800], np.zeros(60 * RATE, np.float32)])
TALK = np.resize(OTHER, len(WORD))


def of(*channels: np.ndarray, block: int = 5000) -> list[float]:
    samples = np.stack(channels, axis=1)
    mixing = Mixing(len(channels))
    for start in range(0, len(samples), block):
        mixing.add(samples[start : start + block])
    return mixing.weights().tolist()


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ([VOICE], [1]),
        ([VOICE, VOICE], [0.5, 0.5]),
        ([VOICE, OTHER], [0.5, 0.5]),
        ([VOICE, 0.5 * VOICE + 0.3 * OTHER], [0.5, 0.5]),
        ([VOICE, 0.1 * VOICE], [0.5, 0.5]),
        ([VOICE, -VOICE], [0.5, -0.5]),
        ([0.5 * VOICE, -VOICE], [-0.5, 0.5]),
        ([VOICE, 0.3 * OTHER - VOICE], [-0.5, 0.5]),
        ([VOICE, NONE], [1, 0]),
        ([HISS, VOICE], [0, 1]),
        ([NONE, NONE, VOICE, NONE, NONE, NONE], [0, 0, 1, 0, 0, 0]),
        ([VOICE, OTHER, VOICE, OTHER, VOICE, OTHER], [1 / 6] * 6),
        ([WORD, TALK], [0.5, 0.5]),
        ([NONE, NONE], [0.5, 0.5]),
    ],
)
def test_weights(channels: list[np.ndarray], expected: list[float]):
    assert of(*channels) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(some.lists(some.floats(-1, 1, width=32), min_size=1, max_size=6), some.integers(100, 9000))
def test_one_voice_in_any_channels_is_heard_at_full_strength(gains: list[float], block: int):
    """Whatever its gain and sign in each, and however the file comes in pieces."""
    loudest = max(map(abs, gains))
    if loudest < 0.1:
        return
    mix = np.array(of(*[np.float32(gain) * VOICE for gain in gains], block=block))
    assert abs(float(mix @ gains)) >= loudest / len(gains) - 1e-6
    heard = [gain for gain in gains if abs(gain) > 0.0101 * loudest]
    assert abs(float(mix @ gains)) == pytest.approx(np.mean(np.abs(heard)), rel=0.02)
