"""The same voice, said otherwise: with a cold, in a whisper, into another microphone. At 16 kHz."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.signal import butter, iirnotch, lfilter, sosfilt

from audio.frame import HEARING_RATE, Frame, Samples, resample

Disguise: TypeAlias = Callable[[Frame], Frame]

LOWER = 0.93
"""Of pitch and formants with a cold, against without."""
ORDER, WINDOW, HOP = 18, 480, 240
"""Coefficients of a vocal tract, samples from which they are told, and from one to the next."""


def none(said: Frame) -> Frame:
    """As it was said."""
    return said


def cold(said: Frame) -> Frame:
    """Pitch and formants lower, the nose shut: without what is at 1 kHz, dull above 3.5 kHz."""
    lower = resample(said.samples, round(HEARING_RATE * LOWER), HEARING_RATE)
    nose = iirnotch(1000, 2, HEARING_RATE)
    dull = butter(2, 3500, "low", fs=HEARING_RATE, output="sos")
    return _as_loud(said, np.asarray(sosfilt(dull, lfilter(*nose, lower))))


def telephone(said: Frame) -> Frame:
    """A small microphone: 250 to 3800 Hz, brighter, its peaks rounded off."""
    band = butter(4, (250, 3800), "band", fs=HEARING_RATE, output="sos")
    bright = np.asarray(lfilter([1.0, -0.6], [1.0], np.asarray(sosfilt(band, said.samples))))
    peak = np.abs(bright).max() + 1e-9
    return _as_loud(said, np.tanh(2.0 * bright / peak))


def whisper(said: Frame) -> Frame:
    """The vocal tract as it was, excited by noise: linear prediction (Makhoul 1975), overlapped and added."""
    chance = np.random.default_rng(len(said.samples))
    samples = np.pad(said.samples.astype(np.float64), WINDOW)
    out, window = np.zeros_like(samples), np.hanning(WINDOW)
    for begin in range(0, len(samples) - WINDOW, HOP):
        part = samples[begin : begin + WINDOW] * window
        auto = np.correlate(part, part, "full")[WINDOW - 1 : WINDOW + ORDER]
        if auto[0] < 1e-6:
            continue
        auto[0] *= 1.0001
        tract = np.concatenate([[1.0], -np.asarray(solve_toeplitz(auto[:ORDER], auto[1 : ORDER + 1]))])
        noise = chance.standard_normal(WINDOW) * window
        made = np.asarray(lfilter([1.0], tract, noise))
        out[begin : begin + WINDOW] += made * np.sqrt(auto[0] / (np.square(made).sum() + 1e-9))
    # A whisper lacks the glottis's fall of 12 dB an octave, most of all below 500 Hz.
    high = butter(1, 500, "high", fs=HEARING_RATE, output="sos")
    return _as_loud(said, np.asarray(sosfilt(high, out[WINDOW:-WINDOW])))


def _as_loud(said: Frame, samples: Samples) -> Frame:
    """These samples at the power of what was said."""
    wanted, given = (float(np.sqrt(np.square(each).mean() + 1e-12)) for each in (said.samples, samples))
    return Frame((samples * (wanted / given)).astype(np.float32), HEARING_RATE)
