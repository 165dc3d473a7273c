"""A room between speaker and microphone: echo, reverberation, noise. Knows no device and no words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from audio.frame import HEARING_RATE, Frame, Samples
from audio.resampler import PromptResampler

Series: TypeAlias = npt.NDArray[np.floating[Any]]

NOISES = ("white", "pink", "hum", "babble")
"""The kinds of background noise."""

_LOOP = 20
"""Seconds after which the background noise repeats."""

_JITTER = 0.005
"""Seconds by which a played frame's time may miss the end of the last one and still follow it."""

_TAIL = 0.5
"""Power of the reverberation against that of the direct sound."""


class Room:
    """What a microphone hears: the user, the echo of what is played, and noise. The same for one seed.

    echo_db: level of the echo against what is played (dB, 300 to 3400 Hz); None for headphones.
    echo_delay: seconds from sounding to being heard, with the converters' share; at least 0.02 where
        `played` is told of a block no earlier than it sounds.
    reverb: seconds in which the echo's tail decays by 60 dB; 0 for none.
    distortion: 0 for a linear speaker; 0.5 turns a full-scale sine's peaks to 0.92 of it, as small ones do.
    noise_db, noise: level in dBFS (root mean square) and kind of the background noise; None for silence.

    The echo passes a small speaker: 150 Hz to 6.5 kHz. Its reverberation is decaying white noise.
    """

    def __init__(
        self,
        *,
        echo_db: float | None = None,
        echo_delay: float = 0.06,
        reverb: float = 0.2,
        distortion: float = 0.0,
        noise_db: float | None = None,
        noise: str = "white",
        seed: int = 0,
    ) -> None:
        chance = np.random.default_rng(seed)
        self._distortion = distortion
        self._path = None if echo_db is None else _path(10 ** (echo_db / 20), reverb, chance)
        self._delay = round(echo_delay * HEARING_RATE)
        self._noise = None if noise_db is None else _noise(noise, chance) * 10 ** (noise_db / 20)
        self._resampler: PromptResampler | None = None
        self._far: Samples = np.zeros(0, np.float32)
        self._far_end = 0  # number, at 16 kHz on the session's clock, of the sample after the last of _far
        self._ended = 0.0

    def played(self, frame: Frame) -> None:
        """What the speaker plays, at any rate, in order; its time is when it sounds, past or to come."""
        if self._path is None:
            return
        resampler = self._resampler
        if resampler is None or resampler.source != frame.rate or abs(frame.time - self._ended) > _JITTER:
            self._resampler = resampler = PromptResampler(frame.rate, HEARING_RATE)
            self._far = _cut_or_pad(self._far, round(frame.time * HEARING_RATE) - self._far_end)
            self._far_end = round(frame.time * HEARING_RATE)
        samples = resampler.feed(frame.samples)
        if self._distortion:
            samples = np.tanh(self._distortion * samples) / self._distortion
        self._far = np.concatenate([self._far, samples.astype(np.float32)])
        self._far_end += len(samples)
        self._ended = frame.end

    def microphone(self, frame: Frame) -> Frame:
        """What the microphone hears while the user says `frame` (16 kHz, contiguous with the last)."""
        if frame.rate != HEARING_RATE:
            raise ValueError(f"a room hears {HEARING_RATE} Hz, not {frame.rate}")
        begin = round(frame.time * HEARING_RATE)
        heard = frame.samples.copy()
        if self._path is not None:
            heard += self._echo(begin - self._delay, len(heard), self._path)
        if self._noise is not None:
            heard += self._noise[(begin + np.arange(len(heard))) % len(self._noise)]
        return Frame(np.clip(heard, -1.0, 1.0), HEARING_RATE, frame.time)

    def _echo(self, begin: int, count: int, path: Samples) -> Samples:
        """`path` applied to what was played, for `count` samples from number `begin` on."""
        reach = len(path) - 1
        wanted = np.zeros(reach + count, np.float32)
        far_begin = self._far_end - len(self._far)
        first = begin - reach
        low, high = max(first, far_begin), min(begin + count, self._far_end)
        if low < high:
            wanted[low - first : high - first] = self._far[low - far_begin : high - far_begin]
        self._far = self._far[max(0, first - far_begin) :]
        size = 1 << (len(wanted) + reach - 1).bit_length()
        spectrum = np.fft.rfft(wanted, size) * np.fft.rfft(path, size)
        return np.fft.irfft(spectrum, size)[reach : reach + count].astype(np.float32)


def _cut_or_pad(samples: Samples, count: int) -> Samples:
    """`samples` with `count` zeros after them, or, where `count` is negative, without their last ones."""
    if count < 0:
        return samples[: max(0, len(samples) + count)]
    return np.concatenate([samples, np.zeros(min(count, 10 * HEARING_RATE), np.float32)])


def _path(gain: float, reverb: float, chance: np.random.Generator) -> Samples:
    """Impulse response of speaker and room without the delay, of that gain over the telephone band."""
    speaker = _band_pass(150.0, 6500.0)
    room = np.zeros(max(1, round(reverb * HEARING_RATE)))
    if reverb > 0:
        after = np.arange(len(room)) / HEARING_RATE
        tail = chance.standard_normal(len(room)) * 10 ** (-3.0 * after / reverb) * (after > 0.002)
        room += tail * np.sqrt(_TAIL / np.sum(tail**2))
    room[0] = 1.0
    path = np.convolve(speaker, room)
    size = 1 << len(path).bit_length()
    power = np.abs(np.fft.rfft(path, size)) ** 2
    hertz = np.fft.rfftfreq(size, 1 / HEARING_RATE)
    band = (hertz >= 300) & (hertz <= 3400)
    return (path * gain / np.sqrt(power[band].mean())).astype(np.float32)


def _band_pass(low: float, high: float) -> Series:
    """A causal FIR filter whose group delay is 1 ms or less above 300 Hz: minimum phase, by the cepstrum."""
    size = 2048
    hertz = np.fft.rfftfreq(size, 1 / HEARING_RATE)
    power = 1.0 / (1.0 + (low / np.maximum(hertz, 1.0)) ** 4) / (1.0 + (hertz / high) ** 16)
    cepstrum = np.fft.irfft(0.5 * np.log(power + 1e-6), size)
    cepstrum[1 : size // 2] *= 2.0
    cepstrum[size // 2 + 1 :] = 0.0
    return np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), size)[:512]


def _noise(kind: str, chance: np.random.Generator) -> Samples:
    """`_LOOP` seconds of noise of that kind whose root mean square is 1; its end meets its beginning."""
    if kind not in NOISES:
        raise ValueError(f"no noise {kind!r}; there are {', '.join(NOISES)}")
    count = _LOOP * HEARING_RATE
    time = np.arange(count) / HEARING_RATE
    if kind == "hum":
        made = sum(np.sin(2 * np.pi * 50 * n * time + chance.uniform(0, 6.28)) / n for n in (1, 2, 3, 5, 7))
        made = np.asarray(made) + 0.05 * chance.standard_normal(count)
    elif kind == "white":
        made = chance.standard_normal(count)
    elif kind == "pink":
        made = _shaped(chance.standard_normal(count), lambda hertz: np.maximum(hertz, 20.0) ** -0.5)
    else:
        made = np.sum([_murmur(time, chance) for _ in range(8)], axis=0)
    return (made / np.sqrt(np.mean(made**2))).astype(np.float32)


def _murmur(time: Series, chance: np.random.Generator) -> Series:
    """One distant talker: noise with a voice's long-term spectrum that swells at the pace of syllables."""
    count = len(time)
    voice = _shaped(chance.standard_normal(count), lambda hertz: (hertz > 80) / (1 + (hertz / 500) ** 1.5))
    pace = _shaped(chance.standard_normal(count), lambda hertz: 1.0 * (hertz < 5.0))
    return voice * (pace / np.abs(pace).max()) ** 2


def _shaped(noise: Series, gain: Callable[[Series], Series]) -> Series:
    """`noise` with its spectrum multiplied by `gain` of the frequency in Hz."""
    hertz = np.fft.rfftfreq(len(noise), 1 / HEARING_RATE)
    return np.fft.irfft(np.fft.rfft(noise) * gain(hertz), len(noise))
