"""The queue before the speaker: plays, ducks, pauses, flushes, and knows exactly what was heard.

Knows nothing of words, turns or devices. The device pulls with `read`, from its own thread if it likes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from audio.frame import Frame, Samples, silence
from audio.resampler import Resampler

KNEE = 0.8
"""The level from which what is made much louder is rounded off, so that it stays below 1."""


class Track:
    """The speech of one reply, in order. Made by `Playback.open`; positions are seconds of its audio."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._parts: list[Samples] = []
        self._length = 0
        self._cursor = 0
        self._furthest = 0
        self._discarded = 0
        self._reads: deque[tuple[float, int, int]] = deque()
        self._heard = 0
        self._read_until = 0.0
        self._resampler: Resampler | None = None
        self.paused = False
        """Whether it is silent and keeps its place."""
        self.gain, self.target = 1.0, 1.0
        """The factor of its volume now, and the one that it fades to."""
        self.complete = False
        self.started: float | None = None
        """When its first sample sounds (s on the session's clock); None before."""
        self.finished: float | None = None
        """When its last sample has sounded; None before it was read to the end or flushed."""

    @property
    def given(self) -> float:
        """Seconds of speech that it was given."""
        return self._length / self._rate

    @property
    def queued(self) -> float:
        """Seconds of speech that still wait for the device."""
        return (self._length - self._cursor - self._discarded) / self._rate

    @property
    def over(self) -> bool:
        """Whether the device has been given all of it that it will ever be given."""
        return self.complete and self.queued == 0

    @property
    def position(self) -> float:
        """Seconds of its audio up to where the device will read on."""
        return self._cursor / self._rate

    @property
    def discarded(self) -> float:
        """Seconds of speech that were flushed unheard."""
        return self._discarded / self._rate

    def heard(self, now: float) -> float:
        """Seconds of it that have sounded by `now` (s on the session's clock)."""
        while self._reads and self._reads[0][0] <= now:
            at, start, count = self._reads[0]
            sounded = count if now >= at + count / self._rate else int((now - at) * self._rate)
            self._heard = max(self._heard, start + sounded)
            if sounded < count:
                break
            self._reads.popleft()
        return self._heard / self._rate

    def add(self, samples: Samples, rate: int) -> None:
        """Append samples at `rate` Hz. `Playback` calls this, and those below, under its lock."""
        if self._resampler is None or self._resampler.source != rate:
            self._settle()
            self._resampler = Resampler(rate, self._rate)
        self._append(self._resampler.feed(samples))

    def _settle(self) -> None:
        """Let out what the resampler holds back, up to 40 ms: nothing follows it, or not in time."""
        if self._resampler is not None:
            self._append(self._resampler.finish())
            self._resampler = None

    def _append(self, samples: Samples) -> None:
        self._parts.append(samples)
        self._length += len(samples)

    def take(self, count: int, at: float | None = None) -> Samples:
        """The next `count` samples or what there is; they sound from `at`, or right after the last ones."""
        at = self._read_until if at is None else at
        if self._length - self._cursor < count:
            self._settle()
        wanted = min(count, self._length - self._cursor - self._discarded)
        if wanted <= 0:
            return silence(0, self._rate)
        out = self._slice(self._cursor, wanted)
        if self.started is None:
            self.started = at
        self._reads.append((at, self._cursor, wanted))
        self._cursor += wanted
        self._furthest = max(self._furthest, self._cursor)
        self._read_until = at + wanted / self._rate
        if self.complete and self.queued == 0:
            self.finished = self._read_until
        return out

    def _slice(self, start: int, count: int) -> Samples:
        out: list[Samples] = []
        for part in self._parts:
            if start < len(part) and count > 0:
                out.append(part[start : start + count])
                count -= len(out[-1])
                start = 0
            else:
                start = max(0, start - len(part))
        return np.concatenate(out)

    def discard(self) -> None:
        """Give up what was not yet taken; nothing can be added any more."""
        self.end()
        self._cursor = self._furthest
        self._discarded = self._length - self._cursor
        if self.finished is None:
            self.finished = self._read_until

    def shorten(self, position: float) -> None:
        """Give up what comes behind `position` (s) and was not yet taken; nothing can be added any more."""
        self._settle()
        self._discarded = max(0, self._length - max(self._furthest, round(position * self._rate)))
        self.end()

    def rewind(self, position: float) -> None:
        """Read on from an earlier `position` (s)."""
        self._cursor = max(0, min(self._cursor, round(position * self._rate)))

    def end(self) -> None:
        """Nothing more will be added."""
        self._settle()
        self.complete = True
        if self.queued == 0 and self.finished is None:
            self.finished = self._read_until


class Playback:
    """What the speaker plays: one `Track` at a time, so there are never two voices at once.

    Whatever is done to a voice is done to its track and ends with it: the next one begins at full volume,
    and a track that is over cannot be held.

    rate: Hz of everything it gives to the device; speech of another rate is resampled.
    fade: seconds in which gain changes and cuts are smoothed, so that nothing clicks.
    duck_gain: factor of the volume while ducked.
    volume: factor of all that it gives; may be changed at any time, and fades. What one above 1 makes too
    loud is rounded off.
    tap: is given each block that the device reads, from the thread that reads it.
    """

    def __init__(
        self,
        rate: int = 24_000,
        *,
        fade: float = 0.008,
        duck_gain: float = 0.25,
        tap: Callable[[Frame], None] | None = None,
    ) -> None:
        self._tap = tap
        self.rate = rate
        self._fade = max(1, round(fade * rate))
        self._duck_gain = duck_gain
        self._lock = threading.Lock()
        self._track: Track | None = None
        self._sounding = False
        self._tail = silence(0, rate)
        self._sign = silence(0, rate)
        self.volume = self._volume = 1.0

    @property
    def idle(self) -> bool:
        """Whether it gives silence until a track is opened, or a sign comes."""
        with self._lock:
            over = self._track is None or self._track.over
            return over and not (len(self._tail) or len(self._sign))

    def open(self) -> Track:
        """A new, empty track that becomes what is played. The last one must be over: finished or flushed."""
        with self._lock:
            if self._track is not None and not self._track.over:
                raise RuntimeError("a reply is still being played: flush it before the next one begins")
            self._track = Track(self.rate)
            return self._track

    def play(self, track: Track, samples: Samples, rate: int) -> None:
        """Append speech (mono float32, at `rate` Hz) to a track; after it was flushed this does nothing."""
        with self._lock:
            if track is self._track and not track.complete:
                track.add(samples, rate)

    def finish(self, track: Track) -> None:
        """No more speech will come for this track."""
        with self._lock:
            track.end()

    def shorten(self, track: Track, position: float) -> None:
        """Play no more of it than to `position` (s); what was read already was played."""
        with self._lock:
            if not track.over:
                track.shorten(position)

    def duck(self, track: Track) -> None:
        """Lower the voice."""
        track.target = self._duck_gain

    def pause(self, track: Track) -> bool:
        """Fall silent and keep the place. False, and nothing is done, where nothing of it is left to keep."""
        with self._lock:
            if not track.over and not track.paused:
                self._cut(track)
                track.paused = not track.over
            return track.paused

    def resume(self, track: Track, position: float | None = None) -> None:
        """Speak on at full volume, from `position` (s) in the track where one is given.

        What is said again is heard twice, but counts once.
        """
        with self._lock:
            if position is not None and not track.over:
                track.rewind(position)
            if track.paused:
                track.gain = 0.0  # it faded out, so it fades in
            track.paused = False
            track.target = 1.0

    def sign(self, samples: Samples) -> None:
        """Mix a short sound into whatever is played from now on: it is nobody's speech, and no track's."""
        with self._lock:
            self._sign = samples

    def flush(self, track: Track) -> None:
        """Fall silent at once, within the fade; what was not yet played of the track is discarded."""
        with self._lock:
            self._cut(track)
            track.discard()
            track.paused = False

    def read(self, count: int, at: float) -> Samples:
        """The next `count` samples for the device, float32 (count,); the first will sound at `at` (s)."""
        out = silence(count / self.rate, self.rate)
        if count == 0:
            return out
        with self._lock:
            track, tail = self._track, self._tail[:count]
            self._tail = self._tail[count:]
            out[: len(tail)] = tail
            self._sounding = False
            if track is not None and not track.paused and len(tail) < count:
                start = at + len(tail) / self.rate
                fresh = track.take(count - len(tail), start)
                out[len(tail) : len(tail) + len(fresh)] = self._with_gain(track, fresh)
                self._sounding = len(tail) + len(fresh) == count
            sign, self._sign = self._sign[:count], self._sign[count:]
            if len(sign):
                out[: len(sign)] = np.clip(out[: len(sign)] + sign, -1.0, 1.0)
        out = self._with_volume(out)
        if self._tap is not None:
            self._tap(Frame(out, self.rate, at))
        return out

    def _with_volume(self, samples: Samples) -> Samples:
        wanted = self.volume
        if self._volume == wanted == 1.0:
            return samples
        steps = np.minimum(np.arange(1, len(samples) + 1) / self._fade, 1.0)
        gain = self._volume + (wanted - self._volume) * steps.astype(np.float32)
        self._volume = float(gain[-1])
        return rounded_off(samples, gain)

    def _with_gain(self, track: Track, samples: Samples) -> Samples:
        if track.gain == track.target == 1.0:
            return samples
        if len(samples) == 0:
            return samples
        step = (1.0 if track.target > track.gain else -1.0) / self._fade
        low, high = sorted((track.gain, track.target))
        ramp = np.clip(track.gain + step * np.arange(1, len(samples) + 1), low, high).astype(np.float32)
        track.gain = float(ramp[-1])
        return samples * ramp

    def _cut(self, track: Track) -> None:
        """Play the next few milliseconds fading out, whatever follows: a hard edge would click."""
        if track is not self._track or not self._sounding:
            return
        self._sounding = False
        tail = self._with_gain(track, track.take(self._fade))
        self._tail = tail * np.linspace(1.0, 0.0, len(tail)).astype(np.float32)


def rounded_off(samples: Samples, gain: Samples) -> Samples:
    """`samples` times `gain`, both shape (n,); what a gain above 1 makes too loud stays below 1.

    Levels above a knee approach 1 as a hyperbolic tangent does. The knee comes down from 1 to `KNEE` as the
    gain grows: so a fade has no step where it passes 1, from which downwards nothing is rounded.
    """
    made = samples * gain
    knee = np.clip(1.0 / np.maximum(gain, 1.0), KNEE, 1.0)
    level = np.abs(made)
    loud = (gain > 1.0) & (level > knee)
    if not loud.any():
        return made
    room = np.where(loud, 1.0 - knee, 1.0)
    over = knee + room * np.tanh((level - knee) / room)
    return np.where(loud, np.copysign(over, made), made).astype(np.float32)
