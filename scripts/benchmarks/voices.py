"""Speech and noises made for benchmarks: the utterances of tests/data/turns, coughs, claps, laughter."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path

import numpy as np

from agent.messages import Message
from audio.files import read_audio
from audio.frame import HEARING_RATE, Frame, Samples, resample, silence
from audio.tts.hibari import Hibari

TURNS = Path("tests/data/turns")
PITCH = {"heart": 1.0, "low": 0.85, "high": 1.12}
"""How much faster than recorded a voice is played: that moves its pitch and makes it another user."""
PEAK = 0.5


@dataclass(frozen=True)
class Utterance:
    """Something said in one turn. `pauses`: silences in it, each as (begin, end) in seconds."""

    name: str
    voice: str
    kind: str
    text: str
    audio: Frame
    pauses: tuple[tuple[float, float], ...]


@cache
def _voice(speed: float) -> Hibari:
    return Hibari(voice="heart", speed=speed)


def say(
    text: str, voice: str = "heart", speed: float = 1.0, pauses: Sequence[tuple[int, float]] = ()
) -> Samples:
    """`text` at 16 kHz, without silence around it, peak at `PEAK`.

    pauses: (characters of `text` before it, seconds). The text is spoken in one breath and the silence put
    between two of its words, so that the voice does not fall before a pause as it does at an end.
    """
    pitch = PITCH[voice]
    speaker = _voice(round(speed / pitch, 3))
    speech = list(speaker.stream(text))
    made = np.concatenate([part.samples for part in speech])
    made = resample(made, round(speaker.rate * pitch), HEARING_RATE)
    begun, ends = 0.0, [(0, 0.0)]
    for part in speech:
        ends += [(word.end, (begun + word.finish) / pitch) for word in part.words]
        begun += part.duration
    parts, left = [], 0
    for before, seconds in pauses:
        cut = _quietest(made, max(end for at, end in ends if at <= before))
        parts += [_faded(made[left:cut]), silence(seconds, HEARING_RATE)]
        left = cut
    whole = np.concatenate([*parts, _faded(made[left:])])
    loud = np.flatnonzero(np.abs(whole) > 0.004)
    whole = whole[loud[0] : loud[-1] + 1]
    return (whole * (PEAK / np.abs(whole).max())).astype(np.float32)


def _quietest(samples: Samples, around: float) -> int:
    """The sample within 80 ms of `around` (s) where 20 ms are quietest."""
    begin = max(0, round((around - 0.08) * HEARING_RATE))
    power = np.convolve(samples[begin : begin + 2560] ** 2, np.ones(320), "same")
    return begin + int(np.argmin(power))


def _faded(samples: Samples) -> Samples:
    """`samples` with 5 ms of fade at both ends, so that a cut does not click."""
    ramp = np.minimum(1.0, np.arange(len(samples)) / 80)
    return (samples * ramp * ramp[::-1]).astype(np.float32)


def utterances() -> list[Utterance]:
    """All of turns.tsv, rendered."""
    found = []
    with (TURNS / "turns.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            parts = re.split(r"\|([\d.]+)\|", row["text"])
            text = " ".join(part.strip() for part in parts[::2])
            if row["voice"] == "joe":
                audio = read_audio(TURNS / f"{row['id']}.flac").samples
            else:
                ends = accumulate(len(part.strip()) + 1 for part in parts[::2])
                audio = say(
                    text,
                    row["voice"],
                    float(row["speed"]),
                    list(zip(ends, map(float, parts[1::2]), strict=False)),
                )
            frame = Frame(audio, HEARING_RATE)
            pauses = _silences(audio, len(parts) // 2)
            found.append(Utterance(row["id"], row["voice"], row["kind"], text, frame, pauses))
    return found


def _silences(audio: Samples, count: int) -> tuple[tuple[float, float], ...]:
    """The `count` longest stretches of digital silence."""
    loud = np.flatnonzero(np.abs(audio) > 0.004)
    gaps = np.diff(loud)
    longest = sorted(np.argsort(gaps)[len(gaps) - count :]) if count else []
    return tuple((float(loud[i]) / HEARING_RATE, float(loud[i + 1]) / HEARING_RATE) for i in longest)


def noises(seed: int = 0) -> dict[str, Samples]:
    """Ten coughs, four claps, three doors, three stretches of typing; 16 kHz, peak at 0.5."""
    chance = np.random.default_rng(seed)
    made = {f"cough {i + 1}": _cough(chance) for i in range(10)}
    made |= {f"clap {i + 1}": _burst(chance, 0.12, 0.02, 800, 6000) for i in range(4)}
    made |= {f"door {i + 1}": _burst(chance, 0.5, 0.09, 40, 400) for i in range(3)}
    made |= {f"keyboard {i + 1}": _typing(chance) for i in range(3)}
    return {name: (s * (PEAK / np.abs(s).max())).astype(np.float32) for name, s in made.items()}


def _band(noise: Samples, low: float, high: float) -> Samples:
    spectrum = np.fft.rfft(noise)
    at = np.fft.rfftfreq(len(noise), 1 / HEARING_RATE)
    spectrum[(at < low) | (at > high)] = 0
    return np.fft.irfft(spectrum, len(noise)).astype(np.float32)


def _burst(chance: np.random.Generator, length: float, decay: float, low: float, high: float) -> Samples:
    time = np.arange(round(length * HEARING_RATE)) / HEARING_RATE
    noise = chance.standard_normal(len(time)).astype(np.float32)
    return (_band(noise, low, high) * np.exp(-time / (decay * chance.uniform(0.8, 1.2)))).astype(np.float32)


def _cough(chance: np.random.Generator) -> Samples:
    """One or two explosive bursts of throat-shaped noise, each with a short voiced tail."""
    parts = []
    for _ in range(chance.integers(1, 3)):
        puff = _burst(chance, 0.25, 0.06, 250, 3500)
        time = np.arange(len(puff)) / HEARING_RATE
        throat = np.sin(2 * np.pi * chance.uniform(140, 220) * time) * np.exp(-time / 0.05)
        parts += [puff / np.abs(puff).max() + 0.3 * throat, silence(chance.uniform(0.05, 0.15), HEARING_RATE)]
    return np.concatenate(parts).astype(np.float32)


def _typing(chance: np.random.Generator) -> Samples:
    keys = [_burst(chance, chance.uniform(0.08, 0.2), 0.006, 1500, 7000) for _ in range(8)]
    return np.concatenate(keys)


class Reciter:
    """A language model that always answers with one text: what is said is known, to the word."""

    def __init__(self, text: str) -> None:
        self._words = re.findall(r"\s*\S+", text)

    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        yield from self._words

    def prefill(self, messages: Sequence[Message]) -> None:
        pass
