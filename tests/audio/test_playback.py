"""Playback: whatever is done to it in whatever order, no sample is lost, doubled, misordered or clicks."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audio.frame import Frame, Samples
from audio.playback import KNEE, Playback, Track, rounded_off

RATE = 1000
BLOCK = 10
FADE = 0.008


class Bench:
    """A playback whose every sample is an odd number of its own, and who follows what comes out.

    Its fade is one sample long and its duck gain one half, so that each output sample is exactly one
    input sample or half of one, and is known again.
    """

    def __init__(self) -> None:
        self.playback = Playback(RATE, fade=1 / RATE, duck_gain=0.5)
        self.given: list[list[int]] = []
        self.tracks: list[Track] = []
        self.heard: list[int] = []
        self.at = 0.0
        self.paused = False
        self._next = 1

    def do(self, op: str, size: int) -> None:
        track = self.tracks[-1] if self.tracks else None
        before = len(self.heard)
        if op == "read":
            self.read(size)
            assert not (self.paused and len(self.heard) > before + 1), "it spoke on while paused"
        elif op == "play" and track is not None:
            self.play(track, size)
        elif op == "late" and len(self.tracks) > 1:
            self.playback.play(self.tracks[-2], np.full(size, 1e9, np.float32), RATE)
        elif op == "finish" and track is not None:
            self.playback.finish(track)
        elif op == "shorten" and track is not None:
            self.playback.shorten(track, size / RATE)
        elif op == "open":
            self.open(track)
        elif op in ("flush", "duck", "pause", "resume") and track is not None:
            getattr(self.playback, op)(track)
            self.paused = track.paused
        self.check()

    def open(self, track: Track | None) -> None:
        if track is None or (track.complete and track.queued == 0):
            self.tracks.append(self.playback.open())
            self.given.append([])
            self.paused = False
        else:
            with pytest.raises(RuntimeError, match="still being played"):
                self.playback.open()

    def play(self, track: Track, size: int) -> None:
        numbers = list(range(self._next, self._next + 2 * size, 2))
        self._next += 2 * size
        if not track.complete:
            self.given[-1] += numbers
        self.playback.play(track, np.array(numbers, np.float32), RATE)

    def read(self, size: int) -> Samples:
        out = self.playback.read(size, self.at)
        assert out.shape == (size,)
        assert out.dtype == np.float32
        self.at += size / RATE
        for value in out[out != 0]:
            number = value if value % 1 == 0 and value % 2 == 1 else 2 * value
            assert number % 2 == 1, f"{value} was never given"
            self.heard.append(int(number))
        return out

    def check(self) -> None:
        """At every moment: given == heard + discarded + queued, and heard in order, track after track."""
        expected: list[int] = []
        for track, numbers in zip(self.tracks, self.given, strict=True):
            given, queued, gone = (round(x * RATE) for x in (track.given, track.queued, track.discarded))
            assert given == len(numbers)
            assert queued >= 0
            assert gone >= 0
            expected += numbers[: given - queued - gone]
        in_tail = len(expected) - len(self.heard)
        assert 0 <= in_tail <= 1, "only the one sample of a cut may be on its way"
        assert self.heard == expected[: len(self.heard)]
        assert sum(track.queued > 0 for track in self.tracks) <= 1


OPS = (
    "read",
    "play",
    "play",
    "read",
    "open",
    "finish",
    "flush",
    "duck",
    "pause",
    "resume",
    "late",
    "shorten",
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(OPS), st.integers(0, 30)), max_size=60))
@example([("read", 5), ("pause", 0), ("resume", 0), ("flush", 0)])
def test_every_sample_is_heard_once_and_in_order_or_discarded(ops: list[tuple[str, int]]) -> None:
    bench = Bench()
    for op, size in [("open", 0), ("play", 20), *ops, ("resume", 0), ("read", 2000)]:
        bench.do(op, size)
    for track in bench.tracks:
        assert track.given == pytest.approx(track.heard(float("inf")) + track.discarded)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["read", "play", "pause", "resume", "wait"]), st.integers(1, 30))),
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_what_was_heard_grows_with_time_and_never_beyond_what_sounded(
    ops: list[tuple[str, int]], moments: list[float]
) -> None:
    playback = Playback(RATE, fade=1 / RATE)
    track = playback.open()
    at, sounded, last = 0.5, [], 0.0
    for op, size in ops:
        if op == "read":
            out = playback.read(size, at)
            sounded += [at + i / RATE for i in np.flatnonzero(out)]
            at += size / RATE
        elif op == "wait":
            at += size / RATE  # the device has skipped: a gap on the clock
        elif op == "play":
            playback.play(track, np.ones(size, np.float32), RATE)
        else:
            getattr(playback, op)(track)
    for now in sorted(0.4 + moment * (at - 0.4) for moment in moments):
        heard = track.heard(now)
        assert heard >= last
        assert track.heard(0.0) == heard, "what was heard cannot be unheard"
        assert heard * RATE == pytest.approx(sum(t <= now for t in sounded), abs=2.001)
        last = heard
    if sounded:
        assert track.started == pytest.approx(sounded[0])


def test_a_finished_track_says_when_its_last_sample_sounds() -> None:
    playback = Playback(RATE)
    track = playback.open()
    playback.play(track, np.ones(15, np.float32), RATE)
    playback.finish(track)
    playback.read(10, 3.0)
    assert (track.started, track.finished) == (3.0, None)
    playback.read(10, 3.01)
    assert track.finished == pytest.approx(3.015)
    assert track.heard(3.0101) == pytest.approx(0.010)


def sine(seconds: float, rate: int = 24_000, pitch: float = 200.0) -> Samples:
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


OWN_STEP = 0.5 * 2 * np.pi * 200 / 24_000
"""The largest step between two samples of that sine, played as it is."""


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["duck", "pause", "resume", "flush"]), st.integers(0, 700))),
    st.booleans(),
)
def test_no_cut_clicks(ops: list[tuple[str, int]], ducked: bool) -> None:
    """A fade over 8 ms adds at most 1/192 of the amplitude to each step; some more where two meet."""
    playback = Playback()
    track = playback.open()
    playback.play(track, sine(2.0), 24_000)
    if ducked:
        playback.duck(track)
    out = [playback.read(240, 0.0)]
    for op, gap in ops:
        getattr(playback, op)(track)
        out.append(playback.read(gap, 0.0))
    played = np.concatenate([*out, playback.read(240, 0.0)])
    assert np.abs(np.diff(played)).max() < OWN_STEP + 2 * 0.5 / 192


@pytest.mark.parametrize("verb", ["flush", "pause"])
@pytest.mark.parametrize("ducked", [False, True])
def test_it_is_silent_within_the_fade(verb: str, ducked: bool) -> None:
    playback = Playback(fade=FADE)
    track = playback.open()
    playback.play(track, np.ones(24_000, np.float32), 24_000)
    if ducked:
        playback.duck(track)
    playback.read(4800, 0.0)
    getattr(playback, verb)(track)
    after = playback.read(4800, 0.2)
    assert 0 < np.flatnonzero(after)[-1] < FADE * 24_000
    assert np.all(np.diff(after[:192]) <= 0), "it fades, and nothing else"


def test_ducking_lowers_and_resuming_restores() -> None:
    playback = Playback(duck_gain=0.25)
    track = playback.open()
    playback.play(track, np.ones(24_000, np.float32), 24_000)
    playback.duck(track)
    assert playback.read(480, 0.0)[-1] == pytest.approx(0.25)
    playback.resume(track)
    assert playback.read(480, 0.0)[-1] == pytest.approx(1.0)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 9000), min_size=1, max_size=12),
    st.sampled_from([8000, 16_000, 22_050, 44_100, 48_000]),
)
def test_another_rate_is_converted_without_a_seam(cuts: list[int], rate: int) -> None:
    """Streamed speech is one sound, however its parts fall."""
    playback = Playback()
    track = playback.open()
    whole = sine(sum(cuts) / rate, rate)
    for part in np.split(whole, np.cumsum(cuts)[:-1]):
        playback.play(track, part, rate)
    playback.finish(track)
    assert track.given == pytest.approx(len(whole) / rate, abs=1.5 / 24_000)
    out = playback.read(round(track.given * 24_000), 0.0)
    want = sine(track.given)
    middle = slice(240, len(out) - 240)  # a filter rings where a sound begins and ends in full swing
    assert np.abs(out[middle] - want[middle]).max(initial=0.0) < 0.01


def test_speech_that_comes_late_is_not_held_back_by_the_conversion() -> None:
    """What was given sounds to its end though the next part is not there yet."""
    playback = Playback()
    track = playback.open()
    playback.play(track, np.ones(2205, np.float32), 22_050)
    out = playback.read(4800, 0.0)
    assert np.count_nonzero(out > 0.5) == pytest.approx(2400, abs=5)
    assert track.queued == 0


def test_the_tap_is_given_each_block_as_it_was_read() -> None:
    frames: list[Frame] = []
    playback = Playback(tap=frames.append)
    playback.play(playback.open(), sine(0.1), 24_000)
    blocks = [playback.read(240, i / 100) for i in range(12)]
    assert [frame.time for frame in frames] == [i / 100 for i in range(12)]
    assert all(f.rate == 24_000 and np.array_equal(f.samples, b) for f, b in zip(frames, blocks, strict=True))


def test_a_device_thread_reads_while_replies_come_and_go() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    playback, over, failed = Playback(RATE, fade=1 / RATE), threading.Event(), []

    def device() -> None:
        at, total = 0.0, 0
        try:
            while not over.is_set():
                total += np.count_nonzero(playback.read(BLOCK, at))
                at += BLOCK / RATE
            sounded.append(total + np.count_nonzero(playback.read(5, at)))
        except BaseException as error:
            failed.append(error)

    sounded: list[int] = []
    reader = threading.Thread(target=device)
    reader.start()
    tracks: list[Track] = []
    try:
        for i in range(300):
            tracks.append(playback.open())
            for size in (7, 64, 1 + i % 50):
                playback.play(tracks[-1], np.ones(size, np.float32), RATE)
                tracks[-1].heard(i)
            if i % 3 == 0:
                playback.pause(tracks[-1])
                playback.resume(tracks[-1])
            playback.flush(tracks[-1])
    finally:
        over.set()
        reader.join(10)
        sys.setswitchinterval(interval)
    assert not failed
    assert sum(round(t.given * RATE) for t in tracks) == sum(71 + 1 + i % 50 for i in range(300))
    assert sounded[0] == sum(round((t.given - t.discarded) * RATE) for t in tracks)
    assert all(t.queued == 0 and t.finished is not None for t in tracks)


@given(st.integers(0, 120), st.integers(0, 120), st.booleans())
def test_a_track_that_is_shortened_is_heard_to_that_place(read: int, to: int, complete: bool) -> None:
    playback = Playback(RATE, fade=1 / RATE)
    track = playback.open()
    playback.play(track, np.arange(1, 101, dtype=np.float32), RATE)
    if complete:
        playback.finish(track)
    first = playback.read(read, 0.0)
    playback.shorten(track, to / RATE)
    playback.play(track, np.ones(10, np.float32), RATE)
    playback.finish(track)
    rest = playback.read(200, read / RATE)
    heard = np.concatenate([first, rest])
    assert list(heard[heard != 0]) == list(range(1, min(100, max(read, to)) + 1))
    assert track.over
    assert track.heard(9.0) * RATE == pytest.approx(min(100, max(read, to)))
    playback.open()  # it is over: the next one may begin


@given(st.floats(0.0, 4.0), st.floats(0.0, 1.0), st.lists(st.integers(1, 40), min_size=3, max_size=9))
@example(0.5, 1.0, [1, 1, 1])
@example(1.0, 1.0, [1, 1, 1])
@example(1.001, 1.0, [1, 1, 1])
def test_a_volume_fades_in_and_never_clips(volume: float, level: float, blocks: list[int]) -> None:
    """Louder speech is rounded off above the knee; at its own level and below it is what it was."""
    playback = Playback(RATE, fade=FADE)
    track = playback.open()
    playback.play(track, np.full(1000, level, np.float32), RATE)
    assert set(playback.read(20, 0.0)) == {np.float32(level)}
    playback.volume = volume
    heard = np.concatenate([playback.read(count, 0.1) for count in [*blocks, 40]])
    step = abs(volume - 1.0) * level / (FADE * RATE)
    assert np.abs(np.diff(np.concatenate([[level], heard]))).max() <= step + 1e-5
    wanted = level * volume
    if volume <= 1 or wanted <= KNEE:
        assert heard[-1] == pytest.approx(wanted, abs=1e-5)
    else:
        assert min(KNEE, level) - 1e-5 <= heard[-1] <= min(wanted, 1.0) + 1e-5
    assert np.abs(heard).max() <= 1.0


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20), st.floats(0, 4), st.floats(0, 1e-3))
def test_a_little_more_volume_is_a_little_louder(levels: list[float], volume: float, more: float) -> None:
    """However loud it is: nowhere does a volume begin to be rounded off with a step."""
    samples = np.float32(levels)
    gains = [np.full(len(samples), each, np.float32) for each in (volume, volume + more)]
    quieter, louder = (np.abs(rounded_off(samples, gain)) for gain in gains)
    assert np.abs(louder - quieter).max() <= more + 1e-5


@given(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=20), st.floats(1, 8))
def test_what_is_too_loud_is_rounded_off_in_its_order(levels: list[float], volume: float) -> None:
    samples = np.sort(np.float32(levels))
    gain = np.full(len(samples), volume, np.float32)
    rounded = rounded_off(samples, gain)
    assert np.abs(rounded).max() <= 1.0
    assert (np.diff(rounded) >= 0).all()
    quiet = np.abs(samples * gain) <= KNEE
    assert (rounded[quiet] == (samples * gain)[quiet]).all()
