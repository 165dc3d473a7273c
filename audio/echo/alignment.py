"""What is played, given out as late as it is heard. Knows no canceller, which reaches back 0.3 s at most.

A loudspeaker behind a network plays what it was sent when it likes: by its own buffer that is a second and
more. How late is found in the sound itself.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from audio.frame import HEARING_RATE, Frame, Samples, level_dbfs, silence
from audio.resampler import PromptResampler

WINDOW = 0.5
"""Seconds of what is heard that are looked for in what was played."""
LOOK = 0.1
"""Seconds between two looks."""
REACH = 0.25
"""Seconds that a canceller finds by itself; what is later than that is made up for."""
EARLY = 0.05
"""Seconds by which too little is made up for: an echo must not come before its cause."""
SAME = 0.002
"""Seconds by which two looks may differ that have found the same."""
PEAK = 18.0
"""Height of the peak, against the root mean square of the correlation, that both must find. Of 308 pairs of
other voices one came to 16.5, the next to 12."""
BAND = (200.0, 5500.0)
"""Hz that small speakers and voices share."""
AUDIBLE = -60.0
"""dBFS below which there is nothing to be found."""
JITTER = 0.005
"""Seconds by which a played frame's time may miss the end of the last one and still follow it."""


class Alignment:
    """The far end of an echo canceller, late by as much as the echo is.

    latest: most seconds that are looked for. `played` may be called from the sound device's thread.
    """

    def __init__(self, latest: float) -> None:
        self.behind = 0.0
        """Seconds by which what is played is given out later than its time says."""
        self._latest = latest
        self._waiting: deque[Frame] = deque()
        self._tape = _Tape(2 * latest + 2 * WINDOW)
        self._heard: Samples = silence(WINDOW, HEARING_RATE)
        self._given: float | None = None
        self._looked = self._ended = 0.0
        self._resampler: PromptResampler | None = None
        self._found: float | None = None
        self._settled = False

    def played(self, frame: Frame) -> None:
        """What the speaker is given, at any rate; `time` says when it should sound."""
        self._waiting.append(frame)

    def lost(self) -> None:
        """The echo is heard for all that is done about it: look for it once more."""
        self._settled = False

    def heard(self, frame: Frame) -> Frame:
        """What is played, at 16 kHz, while this is heard (16 kHz, contiguous) and `EARLY` beyond; its time is
        when it sounds.
        """
        while self._waiting:
            self._put(self._waiting.popleft())
        self._heard = np.concatenate([self._heard, frame.samples])[-len(self._heard) :]
        if not self._settled and frame.end - self._looked >= LOOK:
            self._looked = frame.end
            self._look(frame.end)
        until = frame.end + EARLY - self.behind
        begin = until - frame.duration if self._given is None else min(self._given, until)
        self._given = until
        return Frame(self._tape.read(begin, until), HEARING_RATE, begin + self.behind)

    def _put(self, frame: Frame) -> None:
        follows = self._resampler is not None and abs(frame.time - self._ended) <= JITTER
        if self._resampler is None or self._resampler.source != frame.rate or not follows:
            self._resampler = PromptResampler(frame.rate, HEARING_RATE)
        self._tape.write(self._resampler.feed(frame.samples), frame.time, follows=follows)
        self._ended = frame.end

    def _look(self, now: float) -> None:
        """Look for what was heard last in all that was played before."""
        played = self._tape.read(now - WINDOW - self._latest, now)
        if level_dbfs(self._heard) < AUDIBLE or level_dbfs(played) < AUDIBLE:
            self._found = None
            return
        before, self._found = self._found, _lag(played, self._heard, round(self._latest * HEARING_RATE))
        if self._found is None or before is None or abs(self._found - before) > SAME:
            return
        self._settled = True
        if not -EARLY <= self._found - self.behind <= REACH:
            self.behind = max(0.0, self._found - EARLY)
            self._given = None


class _Tape:
    """The newest seconds of 16 kHz sound, by time; silence where none was written."""

    def __init__(self, seconds: float) -> None:
        self._samples: Samples = silence(seconds, HEARING_RATE)
        self._end = 0  # number of the sample after the last one, from time 0 on

    def write(self, samples: Samples, time: float, *, follows: bool) -> None:
        """Put these where they belong; `follows`: behind the last ones, whatever the rounding says."""
        begin = self._end if follows else round(time * HEARING_RATE)
        more = begin + len(samples) - self._end
        if more > 0:
            whole = np.concatenate([self._samples, silence(more / HEARING_RATE, HEARING_RATE)])
            self._samples, self._end = whole[-len(self._samples) :], self._end + more
        at = len(self._samples) - (self._end - begin)
        if at >= 0:
            self._samples[at : at + len(samples)] = samples

    def read(self, begin: float, until: float) -> Samples:
        """What there is from `begin` to `until` (s)."""
        first, last = round(begin * HEARING_RATE), round(until * HEARING_RATE)
        out = silence((last - first) / HEARING_RATE, HEARING_RATE)
        start = self._end - len(self._samples)
        low, high = max(first, start), min(last, self._end)
        if low < high:
            out[low - first : high - first] = self._samples[low - start : high - start]
        return out


def _lag(played: Samples, heard: Samples, most: int) -> float | None:
    """Seconds by which `heard` is behind the end of `played`, which is `most` samples longer; None: it is not
    in it. By generalized cross-correlation with phase transform (Knapp and Carter, 1976).
    """
    size = 1 << (len(played) + len(heard) - 1).bit_length()
    hz = np.fft.rfftfreq(size, 1 / HEARING_RATE)
    cross = np.fft.rfft(played, size) * np.conj(np.fft.rfft(heard, size))
    power = np.abs(cross)
    band = (hz >= BAND[0]) & (hz <= BAND[1])
    phase = np.where(band, cross / (power + 1e-3 * power.max() + 1e-12), 0.0)
    alike: npt.NDArray[np.float64] = np.fft.irfft(phase, size)[: most + 1]
    at = int(alike.argmax())
    rms = float(np.sqrt(np.mean(alike * alike)))
    return (most - at) / HEARING_RATE if float(alike[at]) >= PEAK * rms > 0.0 else None
