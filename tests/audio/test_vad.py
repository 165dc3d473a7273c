"""The voice detector on speech, noise and silence; and when, with the segmenter, speech began and ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from audio.files import read_audio
from audio.frame import HEARING_RATE, Frame, Samples
from audio.segment import Onset, Paused, Segment, Segmenter, Started
from audio.vad import SURE_STEP, Evidence, VoiceDetector

QUESTIONS = sorted((Path(__file__).parents[1] / "data" / "questions").glob("*.flac"))
AUDIBLE = 10 ** (-40 / 20)


class Spy:
    """A sure detector that keeps each window it is given; `says` is its answer, None for the real one's."""

    def __init__(self, real: object, says: float | None = None) -> None:
        self.real, self.says = real, says
        self.windows: list[list[float]] = []

    def reset(self) -> None:
        self.windows.append([])
        self.real.reset()

    def process_samples(self, window: list[float]) -> float:
        self.windows.append(window)
        return self.real.process_samples(window) if self.says is None else self.says


class Ups:
    """A fast detector that says yes at the given numbers of its decisions."""

    def __init__(self, *yes: range) -> None:
        self.yes, self.count = yes, 0

    def is_speech(self, pcm: bytes, rate: int) -> bool:
        assert len(pcm) == 2 * rate // 100
        self.count += 1
        return any(self.count - 1 in stretch for stretch in self.yes)


def frames(samples: Samples, size: int = 320):
    for start in range(0, len(samples) - size + 1, size):
        block = samples[start : start + size].astype(np.float32)
        yield Frame(block, HEARING_RATE, start / HEARING_RATE)


def listen(samples: Samples, detector: VoiceDetector | None = None) -> list[Segment]:
    detector, segmenter = detector or VoiceDetector(), Segmenter()
    return [found for frame in frames(samples) for found in segmenter.feed(frame, detector.feed(frame))]


def noise(seconds: float, dbfs: float, seed: int = 0) -> Samples:
    count = round(seconds * HEARING_RATE)
    return np.random.default_rng(seed).normal(0, 10 ** (dbfs / 20), count).astype(np.float32)


def hum(pitch: float) -> Samples:
    time = np.arange(4 * HEARING_RATE) / HEARING_RATE
    tone = sum(0.1 / k * np.sin(2 * np.pi * pitch * k * time) for k in (1, 2, 3))
    return (tone * np.minimum(1.0, time / 0.3)).astype(np.float32)


def knocks(length: int) -> Samples:
    """A hard knock that dies away in `length` samples, twice a second; 1 is a bare click."""
    sound = np.zeros(4 * HEARING_RATE, np.float32)
    knock = np.clip(noise(length / HEARING_RATE, -8.0), -1, 1) * np.exp(-5 * np.arange(length) / length)
    for start in range(8000, len(sound) - length, 8000):
        sound[start : start + length] = knock if length > 1 else 0.9
    return sound


def test_speech_is_found_when_it_begins_and_ends() -> None:
    begins, ends = [], []
    for path in QUESTIONS:
        said = read_audio(path).at_rate(HEARING_RATE).samples
        sound = np.concatenate([np.zeros(9600), said, np.zeros(16_000)]) + noise(
            1.6 + len(said) / 16_000, -66
        )
        audible = np.flatnonzero(np.abs(sound) > AUDIBLE) / HEARING_RATE
        found = listen(sound.astype(np.float32))
        began = [f.at for f in found if isinstance(f, Started)]
        ended = [f.at for f in found if isinstance(f, Paused)]
        assert len(began) == 1, path.name
        begins.append(abs(began[0] - audible[0]))
        ends.append(abs(ended[-1] - audible[-1]))
    assert len(begins) == 24
    assert np.median(begins) <= 0.06
    assert np.median(ends) <= 0.06
    assert max(begins) <= 0.2
    assert max(ends) <= 0.2


@pytest.mark.parametrize(
    "sound",
    [noise(4, -50), noise(4, -35), noise(4, -20), hum(50), hum(60), hum(120), knocks(1), knocks(480)],
    ids=["faint noise", "noise", "loud noise", "hum 50", "hum 60", "hum 120", "clicks", "knocks"],
)
def test_noise_is_no_speech(sound: Samples) -> None:
    found = listen(sound)
    assert not [f for f in found if isinstance(f, Started)]
    assert len([f for f in found if isinstance(f, Onset)]) <= 10


def test_a_slammed_door_does_not_hide_the_end_of_soft_speech() -> None:
    said = read_audio(QUESTIONS[7]).at_rate(HEARING_RATE).samples * 0.05
    sound = np.concatenate([np.zeros(8000), said, np.zeros(16_000)]) + noise(1.5 + len(said) / 16_000, -70)
    (plain,) = [f.at for f in listen(sound) if isinstance(f, Paused)]
    sound[12_800:13_280] += knocks(480)[8000:8480]
    slammed = [f.at for f in listen(sound) if isinstance(f, Paused)]
    assert slammed[-1] == pytest.approx(plain, abs=0.25)


def test_the_sure_detector_sleeps_in_silence() -> None:
    detector = VoiceDetector()
    spy = detector._sure = Spy(detector._sure)  # pyright: ignore
    assert all(
        not e.confirmed for f in frames(np.zeros(5 * HEARING_RATE, np.float32)) for e in detector.feed(f)
    )
    assert spy.windows == []


def fooled(spy_says: float, *yes: range, seconds: float) -> tuple[Spy, list[Evidence]]:
    """The detector with scripted halves, fed samples that count up."""
    detector = VoiceDetector()
    spy = detector._sure = Spy(detector._sure, spy_says)  # pyright: ignore
    detector._fast = Ups(*yes)  # pyright: ignore
    counting = np.arange(round(seconds * HEARING_RATE)) / 2**20
    return spy, [evidence for frame in frames(counting, 300) for evidence in detector.feed(frame)]


def test_it_falls_asleep_a_second_after_the_last_doubt() -> None:
    _, evidence = fooled(0.0, range(100, 110), seconds=4.0)
    times = [e.time for e in evidence if e.confirmed]
    assert 1.0 < times[0] <= 1.01 + SURE_STEP / HEARING_RATE
    assert times[-1] == pytest.approx(2.1, abs=0.04)
    assert np.allclose(np.diff(times), SURE_STEP / HEARING_RATE)


def test_it_stays_awake_while_it_hears_speech_itself() -> None:
    """Soft speech that the fast detector does not hear: asleep, nobody would notice its end."""
    _, evidence = fooled(0.9, range(100, 110), seconds=4.0)
    assert max(e.time for e in evidence if e.confirmed) > 3.9


def test_what_it_hears_on_waking_is_one_unbroken_stretch() -> None:
    """A third of a second of context, then what comes: no sample missing, none of before its sleep."""
    spy, _ = fooled(0.0, range(50, 55), range(300, 303), seconds=5.0)
    wakings = [i for i, window in enumerate(spy.windows) if not window]
    assert len(wakings) == 2
    for begin, end in zip(wakings, [*wakings[1:], len(spy.windows)], strict=True):
        heard = np.round(np.concatenate(spy.windows[begin + 1 : end]) * 2**20)
        assert np.all(np.diff(heard) == 1)
    doubt = 300 * 160
    first = spy.windows[wakings[1] + 1][0] * 2**20
    assert doubt - first == pytest.approx(0.32 * HEARING_RATE, abs=320)


@pytest.mark.parametrize("size", [80, 160, 320, 333, 1600])
def test_evidence_comes_in_order_and_without_gaps_however_the_frames_fall(size: int) -> None:
    said = read_audio(QUESTIONS[0]).at_rate(HEARING_RATE).samples
    detector = VoiceDetector()
    evidence = [e for frame in frames(said, size) for e in detector.feed(frame)]
    confirmed = [e.time for e in evidence if e.confirmed]
    assert len(confirmed) > 30
    assert np.all(np.diff(confirmed) > 0.031)
    last = 0.0
    for item in evidence:
        assert item.time > last - 0.01, "a window is told with the 10 ms that completed it"
        last = item.time
    fast = [e.time for e in evidence if not e.confirmed]
    assert np.allclose(fast, 0.01 * np.arange(1, len(fast) + 1))
    assert len(fast) == len(said) // size * size // 160


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
@pytest.mark.parametrize("limit", [None, "3"])
def test_it_computes_in_the_thread_that_calls_it(limit: str | None):
    """Threads that meet dozens of times in a step of 0.1 ms hold up all Python where the cores are busy."""
    program = """
import os
import numpy as np
from audio.frame import Frame
from audio.vad import VoiceDetector
detector, before = VoiceDetector(), len(os.listdir("/proc/self/task"))
noise = np.random.default_rng(0).normal(0.0, 0.3, 16_000).astype(np.float32)
assert any(found.confirmed for found in detector.feed(Frame(noise, 16_000)))
print(len(os.listdir("/proc/self/task")) - before, os.environ.get("OMP_THREAD_LIMIT"))
"""
    env = {name: value for name, value in os.environ.items() if name != "OMP_THREAD_LIMIT"}
    env |= {} if limit is None else {"OMP_THREAD_LIMIT": limit}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, check=True, capture_output=True, text=True
    )
    more, left = done.stdout.split()
    assert left == str(limit), "the settings of others are as they were"
    assert (int(more) > 0) == (limit is not None), "who has set the limit is obeyed"
