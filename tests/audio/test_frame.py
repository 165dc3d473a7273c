"""Frames: lengths, times, levels and other rates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.frame import Frame, level_dbfs, resample, silence

RATES = [8000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000]


def test_its_length_and_end() -> None:
    frame = Frame(silence(0.5, 16_000), 16_000, 2.0)
    assert (frame.duration, frame.end) == (0.5, 2.5)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_joining_keeps_every_sample_and_the_first_time(lengths: list[int]) -> None:
    whole = np.arange(sum(lengths), dtype=np.float32)
    parts = np.split(whole, np.cumsum(lengths)[:-1])
    joined = Frame.join(Frame(part, 16_000, 3.0 + i) for i, part in enumerate(parts))
    assert np.array_equal(joined.samples, whole)
    assert (joined.rate, joined.time) == (16_000, 3.0)


@pytest.mark.parametrize("rates", [[], [16_000, 24_000]])
def test_what_cannot_be_joined_is_refused(rates: list[int]) -> None:
    with pytest.raises(ValueError, match="one sample rate"):
        Frame.join(Frame(silence(0.1, rate), rate) for rate in rates)


@settings(deadline=None)
@given(st.integers(0, 5000), st.sampled_from(RATES), st.sampled_from(RATES))
def test_another_rate_is_as_long(count: int, source: int, target: int) -> None:
    out = resample(np.ones(count, np.float32), source, target)
    assert out.dtype == np.float32
    assert len(out) == pytest.approx(count * target / source, abs=1)


@pytest.mark.parametrize("target", RATES)
def test_another_rate_sounds_the_same(target: int) -> None:
    def tone(rate: int) -> np.ndarray:
        return (0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.float32)

    frame = Frame(tone(24_000), 24_000, 1.5).at_rate(target)
    assert (frame.rate, frame.time) == (target, 1.5)
    middle = slice(target // 10, -target // 10)
    assert np.abs(frame.samples - tone(target))[middle].max() < 0.002


def test_the_same_rate_is_the_same_samples() -> None:
    samples = np.ones(10, np.float32)
    assert resample(samples, 16_000, 16_000) is samples


@pytest.mark.parametrize(
    ("samples", "level"),
    [([], -120.0), ([0.0, 0.0], -120.0), ([1.0, -1.0], 0.0), ([0.1, -0.1], -20.0), ([0.5] * 4, -6.0206)],
)
def test_levels(samples: list[float], level: float) -> None:
    assert level_dbfs(np.array(samples, np.float32)) == pytest.approx(level, abs=1e-4)
