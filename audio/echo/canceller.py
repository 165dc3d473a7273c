"""Takes the agent's own voice out of what the microphone hears. Knows no device and no words.

`livekit` ships WebRTC's audio processing as a library that needs no server and opens no connection.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from audio.echo.correlation import Correlation
from audio.frame import HEARING_RATE, Frame, Samples, levels_dbfs, silence
from audio.pcm import from_int16, pcm16
from audio.resampler import PromptResampler

_STEP = HEARING_RATE // 100
"""Samples that the canceller takes at a time: 10 ms."""

_EARLY = 0.03
"""Seconds that the canceller is told of a sound before it sounds, where it is known that early. Devices
misreport their latencies, and an echo that comes before its cause cannot be cancelled."""

_LATE = 0.03
"""Seconds that it may be told too late before sound is left out to catch up."""

_GAP = 0.02
"""Seconds between two played frames from which on silence is put between them."""

_LONGEST_GAP = 1.0
"""Seconds of silence after which a new stream begins: no echo lasts that long."""

_BANK, _BANK_NOISE = 128, 96
"""Samples by which WebRTC's filter banks for the echo and for noise delay what is heard: 8 and 6 ms."""

_ACTIVE = -50.0
"""Level in dBFS from which the far end is held to sound."""

_HELD, _DECAY = 40, 1.5
"""How an echo may linger: 10 ms steps for which its level stays up, and dB that it then loses in each."""

_SYLLABLE = 15
"""Steps of 10 ms over which the loudest counts as the level of what is heard."""

_FAINTEST = -65.0
"""Level in dBFS from which something is held to be heard at all."""

_LOOK = 2
"""Steps of 10 ms between two looks for an echo where none is known."""

_NO_ECHO = -38.0
"""Decibels against what is played below which the loudest that is heard is no echo that matters."""

_RESTING = 150
"""Steps of silence at the far end, 1.5 s, after which no echo lingers and the canceller rests."""

_BEFORE = 50
"""Steps that it is given of what it heard while it rested, 0.5 s, once the far end sounds again: as much as
`Correlation` looks at, and more than the filters of the canceller remember."""

_STRETCH, _STRETCHES = 50, 6
"""Active steps that give one measurement of the room, and how many of those count: the last 3 s."""

_FAINT, _CLEAR = 6.0, 7.0
"""Decibels above the loudest possible echo from which a user is let past the canceller, and from which
entirely. Measured with echo alone (delays of 20 to 200 ms, any reverberation): never above 5.2."""


class EchoCanceller:
    """WebRTC's AEC3: what was played goes in, what was heard comes out without it.

    noise_suppression: also lowers steady background noise.

    It needs about a second of the agent's voice to learn the room. AEC3 alone would mangle a user who
    talks over the agent, worst of all with headphones, where there is no echo to learn from: so everything
    passes untouched until an echo was found (see `Correlation`), and then whoever is clearly louder than it
    can be (see `_Loudness`). While nothing has been played for long, what is heard passes at no cost.

    `played` may be called from the sound device's thread: it only leaves the frame in a queue, all work
    is done by `cleaned`.
    """

    def __init__(self, *, noise_suppression: bool = False) -> None:
        from livekit.rtc import AudioFrame, AudioProcessingModule

        self._frame = AudioFrame
        self._canceller = AudioProcessingModule(echo_cancellation=True)
        # The two streams are aligned by time, so what is left is the room: AEC3 finds that by itself.
        self._canceller.set_stream_delay_ms(0)
        self._suppressor = AudioProcessingModule(noise_suppression=True) if noise_suppression else None
        self._delay = (_BANK + (_BANK_NOISE if noise_suppression else 0)) / HEARING_RATE
        self._loudness = _Loudness()
        self._correlation = Correlation()
        self._steps = 0
        self._raw = np.zeros(_BANK, np.float32)
        self._past = 1.0  # share of the last step that passed as it was
        self._silent = 0
        self._unseen: deque[Samples] = deque(maxlen=_BEFORE)
        self._waiting: deque[Frame] = deque()
        self._far = _FarEnd()
        self._near: Samples = silence(0, HEARING_RATE)
        self._out: Samples = silence(0, HEARING_RATE)

    def played(self, frame: Frame) -> None:
        """What the speaker plays: any rate, in order, `time` says when it sounds. Best before it does."""
        self._waiting.append(frame)

    def cleaned(self, frame: Frame) -> Frame:
        """What was heard (16 kHz, contiguous) without the echo, as long as `frame`, 8 ms earlier (14 with
        noise suppression): the result's `time` says so. Any other length than 10 ms or a multiple of it adds
        up to 10 ms more.
        """
        if frame.rate != HEARING_RATE:
            raise ValueError(f"the echo canceller hears {HEARING_RATE} Hz, not {frame.rate}")
        while self._waiting:
            self._far.add(self._waiting.popleft())
        near = np.concatenate([self._near, frame.samples])
        time = frame.end - len(near) / HEARING_RATE
        whole = len(near) - len(near) % _STEP
        parts = [self._out]
        for start in range(0, whole, _STEP):
            parts.append(self._step(near[start : start + _STEP], time + start / HEARING_RATE))
        self._near = near[whole:]
        out = np.concatenate(parts)
        missing = len(frame.samples) - len(out)
        if missing > 0:
            out = np.concatenate([silence(missing / HEARING_RATE, HEARING_RATE), out])
        out, self._out = out[: len(frame.samples)], out[len(frame.samples) :]
        behind = (len(self._near) + len(self._out)) / HEARING_RATE
        return Frame(out, HEARING_RATE, frame.time - behind - self._delay)

    def _step(self, near: Samples, time: float) -> Samples:
        """The next 10 ms without the echo; `time`: when the first sample of `near` sounded (s)."""
        far = self._far.take(time)
        self._silent = 0 if far.any() else self._silent + 1
        raw = np.concatenate([self._raw, near])
        raw, self._raw = raw[:_STEP], raw[_STEP:]
        if self._silent > _RESTING:
            self._unseen.append(near)
            out = raw
        else:
            while self._unseen:
                self._cancel(silence(_STEP / HEARING_RATE, HEARING_RATE), self._unseen.popleft())
            before = self._past
            clean = self._cancel(far, near)
            out = raw if before == self._past == 1.0 else _faded(raw, clean, before, self._past)
        if self._suppressor is None:
            return out
        quieter = self._block(out)
        self._suppressor.process_stream(quieter)
        return _samples(quieter)

    def _cancel(self, far: Samples, near: Samples) -> Samples:
        """10 ms more of both: what AEC3 leaves of `near`, 8 ms late. `_past` says how much to take of it."""
        self._canceller.process_reverse_stream(self._block(far))
        heard = self._block(near)
        self._canceller.process_stream(heard)
        self._correlation.feed(far, near)
        past = self._loudness.clear(far, near)
        self._steps += 1
        if self._loudness.unsuspected and self._steps % _LOOK == 0 and self._correlation.found():
            self._loudness.suspect()
            past = 0.0
        self._past = past
        return _samples(heard)

    def _block(self, samples: Samples) -> Any:
        return self._frame(bytearray(pcm16(samples)), HEARING_RATE, 1, _STEP)


def _faded(raw: Samples, clean: Samples, before: float, now: float) -> Samples:
    """Both mixed, shape (n,) each; the share of `raw` goes from one to the other."""
    share = np.linspace(before, now, len(raw), dtype=np.float32)
    return (share * raw + (1.0 - share) * clean).astype(np.float32)


def _samples(block: Any) -> Samples:
    return from_int16(np.frombuffer(block.data, np.int16))


class _Loudness:
    """How far what is heard exceeds the loudest echo that there can be.

    The room's gain is the level heard less the level played, at its loudest within half a second of the
    agent's voice; and the least of that in 3 s of it, since a user who talks can only raise it. Once an
    echo is suspected, everything may be one before the first measurement; one that shows that there is none,
    as with headphones, ends the suspicion.
    """

    def __init__(self) -> None:
        self._far: deque[float] = deque(maxlen=_HELD)
        self._near: deque[float] = deque(maxlen=_SYLLABLE)
        self._played = -120.0
        self._now: list[float] = []
        self._gains: deque[float] = deque(maxlen=_STRETCHES)
        self._suspected = False

    @property
    def unsuspected(self) -> bool:
        """Whether something is played, or may linger, and something heard of which no echo is known."""
        return not self._suspected and self._played > _ACTIVE and max(self._near) > _FAINTEST

    def suspect(self) -> None:
        """There is an echo; what was measured before was none."""
        self._suspected = True
        self._gains.clear()

    def clear(self, far: Samples, near: Samples) -> float:
        """The share, 0 to 1, of what is heard that can pass as it is, after 10 ms more of both."""
        played, heard = levels_dbfs(np.stack([far, near]))
        self._far.append(played)
        self._near.append(heard)
        self._played = max(max(self._far), self._played - _DECAY)
        excess = max(self._near) - self._played
        if self._played > _ACTIVE:
            self._now.append(excess)
        if len(self._now) == _STRETCH:
            self._gains.append(max(self._now))
            self._suspected &= self._gains[-1] > _NO_ECHO
            self._now.clear()
        if not self._suspected:
            return 1.0
        if not self._gains:
            return float(self._played <= _ACTIVE)
        return min(max((excess - min(self._gains) - _FAINT) / (_CLEAR - _FAINT), 0.0), 1.0)


class _FarEnd:
    """What is played as one stream at 16 kHz, given out along with what is heard.

    The canceller must be given an unbroken stream: each sample left out or put in makes it learn the room
    anew. So the two are not held together by every timestamp, but lined up once, as early as possible,
    and again only where they have come apart by more than `_LATE`.
    """

    def __init__(self) -> None:
        self._resampler: PromptResampler | None = None
        self._samples: Samples = silence(0, HEARING_RATE)
        self._end = 0.0  # when the last of _samples will have sounded
        self._fed = self._made = 0.0  # seconds that went into, came out of, this resampler
        self._ended = 0.0

    def add(self, frame: Frame) -> None:
        """Append what is played."""
        gap = frame.time - self._ended
        if self._resampler is None or self._resampler.source != frame.rate:
            gap = 0.0 if self._resampler is None else gap
            self._resampler = PromptResampler(frame.rate, HEARING_RATE)
            self._fed = self._made = 0.0
        if gap > _LONGEST_GAP:
            self._samples = silence(0, HEARING_RATE)
        elif gap > _GAP:
            self._append(silence(gap, frame.rate))
        self._append(frame.samples)
        self._ended = frame.end
        self._end = frame.end - (self._fed - self._made)

    def _append(self, samples: Samples) -> None:
        assert self._resampler is not None
        made = self._resampler.feed(samples)
        self._samples = np.concatenate([self._samples, made])
        self._fed += len(samples) / self._resampler.source
        self._made += len(made) / HEARING_RATE

    def take(self, time: float) -> Samples:
        """The next 10 ms for the canceller, while it hears what sounded from `time` on."""
        ahead = self._end - len(self._samples) / HEARING_RATE - time
        early = 0
        if ahead < -_LATE:
            self._samples = self._samples[round(-ahead * HEARING_RATE) :]
        elif ahead > _EARLY:
            early = min(_STEP, round((ahead - _EARLY) * HEARING_RATE))
        taken, self._samples = self._samples[: _STEP - early], self._samples[_STEP - early :]
        return np.concatenate([silence((_STEP - len(taken)) / HEARING_RATE, HEARING_RATE), taken])
