"""Tells whether the microphone hears the speaker, from their levels. Knows no device and cancels nothing."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from audio.frame import Frame, levels_dbfs

_GRID = 100
"""Levels a second that the leak detector compares."""

_WINDOW, _FARTHEST = 400, 40
"""Levels that are compared at once, and by how many the microphone may be behind: 4 s and 0.4 s."""

_RANGE = 30.0
"""Decibels below the loudest that count: quieter is all the same."""

_LEAKS, _LEAKS_NOT = 0.7, 0.5
"""Correlation from which on the microphone is held to hear the speaker, and below which it may not any more.
Measured over 4 s: echo alone 0.76 (at -30 dB, with noise) to 0.95, two independent voices 0.56 at most."""

_CHECK = 50
"""Levels between two looks, so two a second."""

_SAME = 3
"""A leak must be found twice running, at the same delay within so many levels."""

_GONE = 20
"""Looks without it after which a leak is over: 10 s of the agent's voice, since a user may talk over it."""

_FAINTEST = -70.0
"""Level in dBFS below which nothing is held to be heard: a canceller fills what was silent with noise of some
-94 dBFS, which comes and goes with what is played."""

_ACTIVE = -50.0
"""Level in dBFS from which something is held to be played."""


class LeakDetector:
    """Says whether the speaker leaks into the microphone: whether the two rise and fall together.

    It correlates the levels (dB, 10 ms) of what is played and what is heard, where something is played,
    at the delay of up to 0.4 s that suits best. `played` may be called from the sound device's thread.
    Given what the microphone hears it tells of headphones; given what is left of that, of the canceller.
    """

    def __init__(self) -> None:
        self._waiting: deque[Frame] = deque()
        self._played = np.full(_WINDOW + _FARTHEST, -120.0)
        self._heard = np.full(_WINDOW + _FARTHEST, -120.0)
        self._now = self._looked = 0
        self._sounded = -2 * len(self._played)
        self._resting = True
        self._delay: int | None = None
        self._missed = 0
        self.leaking = False
        """Whether the microphone hears the speaker."""

    def played(self, frame: Frame) -> None:
        """What the speaker plays, at any rate; `time` says when it sounds. Silence need not be told."""
        if frame.samples.any():
            self._waiting.append(frame)

    def heard(self, frame: Frame) -> None:
        """What the microphone hears, at any rate. Costs nothing while nothing is played."""
        steps = round(frame.end * _GRID) - self._now
        if not self._waiting and self._now - self._sounded > len(self._played):
            self._now += max(0, steps)
            self._resting = True
            return
        if self._resting:
            self._resting, self._sounded = False, self._now
            self._heard[:] = -120.0
        if steps > 0:
            self._now += steps
            for levels in (self._played, self._heard):
                levels[:] = np.concatenate([levels, np.full(min(steps, len(levels)), -120.0)])[-len(levels) :]
        self._note(self._heard, frame)
        while self._waiting and self._waiting[0].end <= frame.end:
            self._sounded = self._now
            self._note(self._played, self._waiting.popleft())
        if self._now - self._looked >= _CHECK:
            self._looked = self._now
            self._look()

    def _note(self, levels: npt.NDArray[np.float64], frame: Frame) -> None:
        """Put the levels of a frame into their places; what is older than the window is forgotten."""
        step = frame.rate // _GRID
        first = round(frame.time * _GRID) - self._now + len(levels)
        if not len(frame.samples):
            return
        whole = len(frame.samples) // step
        blocks = frame.samples[: whole * step].reshape(whole, step) if whole else frame.samples[np.newaxis]
        for at, level in enumerate(levels_dbfs(blocks), first):
            if 0 <= at < len(levels):
                levels[at] = level

    def _look(self) -> None:
        heard = np.maximum(self._heard[_FARTHEST:], _FAINTEST)
        best, delay = 0.0, 0
        for behind in range(_FARTHEST + 1):
            played = self._played[_FARTHEST - behind : len(self._played) - behind]
            score = _together(played, heard)
            if score > best:
                best, delay = score, behind
        found = best >= _LEAKS
        self.leaking |= found and self._delay is not None and abs(delay - self._delay) <= _SAME
        self._delay = delay if found else None
        if best >= _LEAKS_NOT:
            self._missed = 0
        elif _enough(self._played):  # while little is played, nothing can be said
            self._missed += 1
            self.leaking &= self._missed < _GONE


def _enough(played: npt.NDArray[np.float64]) -> bool:
    return bool(np.count_nonzero(played > _ACTIVE) >= _WINDOW // 2)


def _together(played: npt.NDArray[np.float64], heard: npt.NDArray[np.float64]) -> float:
    """Correlation of two series of levels where the agent speaks; 0 where that is less than half of them."""
    if not _enough(played):
        return 0.0
    span = np.flatnonzero(played > _ACTIVE)
    a, b = played[span[0] : span[-1] + 1], heard[span[0] : span[-1] + 1]
    a, b = np.maximum(a, a.max() - _RANGE), np.maximum(b, b.max() - _RANGE)
    a, b = a - a.mean(), b - b.mean()
    power = float(np.sum(a * a) * np.sum(b * b))
    return float(np.sum(a * b)) / power**0.5 if power > 1e-9 else 0.0
