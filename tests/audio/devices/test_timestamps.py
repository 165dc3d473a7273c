"""Even times from timestamps that jitter."""

from __future__ import annotations

import numpy as np
import pytest

from audio.devices.timestamps import JUMP, Steady


def follow(measured: np.ndarray, count: int = 320, rate: int = 16000) -> np.ndarray:
    steady = Steady(rate)
    return np.array([steady.place(count, t) for t in measured])


def test_exact_timestamps_are_kept():
    measured = 3.0 + 0.02 * np.arange(500)
    assert follow(measured) == pytest.approx(measured)


def test_jitter_is_smoothed_and_its_mean_kept():
    true = 3.0 + 0.02 * np.arange(3000)
    measured = true + np.random.default_rng(1).uniform(-0.01, 0.01, len(true))
    error = (follow(measured) - true)[500:]
    assert np.abs(error).max() < 0.003
    assert abs(error.mean()) < 0.001
    assert np.abs(np.diff(error)).max() < 0.001


def test_drift_is_followed():
    """A card that runs 200 ppm fast, for ten minutes."""
    measured = 0.02 * (1 - 200e-6) * np.arange(30_000)
    assert np.abs(follow(measured) - measured).max() < 0.001


@pytest.mark.parametrize("lost", [2 * JUMP, -2 * JUMP])
def test_lost_sound_shows_at_once(lost: float):
    measured = 0.02 * np.arange(100)
    measured[50:] += lost
    assert follow(measured) == pytest.approx(measured)
