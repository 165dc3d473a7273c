"""The segmenter: legal order of events, nothing lost, nothing kept without bound, whatever the evidence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.frame import HEARING_RATE, Frame
from audio.segment import (
    LATENCY,
    PATIENCE,
    Ended,
    Onset,
    Paused,
    Resumed,
    Segment,
    Segmenter,
    Started,
    Unconfirmed,
)
from audio.vad import Evidence

STEP = 160
"""Samples of one frame here: 10 ms, with one decision of each detector."""

PRE_ROLL, LONGEST = 0.1, 1.0


class Ear:
    """Feeds a segmenter, frame by frame, samples that count up; notes what it says and when."""

    def __init__(self, **settings: float) -> None:
        self.segmenter = Segmenter(**{"pre_roll": PRE_ROLL, "longest": LONGEST, **settings})  # pyright: ignore
        self.found: list[Segment] = []
        self.count = 0

    @property
    def now(self) -> float:
        return self.count * STEP / HEARING_RATE

    def hear(self, fast: bool, sure: bool, seconds: float = 0.01, level: float = -20.0) -> list[Segment]:
        new: list[Segment] = []
        for _ in range(round(seconds * 100)):
            samples = np.arange(self.count * STEP, (self.count + 1) * STEP, dtype=np.float32)
            frame = Frame(samples, HEARING_RATE, self.now)
            self.count += 1
            evidence = [Evidence(frame.end, 0.01, False, float(fast), level if fast else -90.0)]
            evidence.append(Evidence(frame.end, 0.01, True, float(sure)))
            new += self.segmenter.feed(frame, evidence)
        self.found += new
        return new

    def names(self) -> list[str]:
        return [type(found).__name__ for found in self.found]


NEXT: dict[str, set[str]] = {
    "idle": {"Onset"},
    "onset": {"Started", "Unconfirmed"},
    "speaking": {"Paused", "Ended"},
    "paused": {"Onset", "Resumed"},
    "doubt": {"Unconfirmed", "Resumed"},
}
STATE_AFTER = {"Onset": "onset", "Started": "speaking", "Resumed": "speaking", "Paused": "paused"}


def follow(state: str, found: Segment) -> str:
    """The state after an event; fails when that event may not come in this state."""
    name = type(found).__name__
    assert name in NEXT[state], f"{name} while {state}"
    if state in ("paused", "doubt") and name in ("Onset", "Unconfirmed"):
        return "doubt" if name == "Onset" else "paused"
    return STATE_AFTER.get(name, "idle")


def check_audio(audio: Frame, onset: float, until: float, taken: float = 0.0) -> None:
    """Every sample from the pre-roll before `onset`, as far as it was not taken, to `until`; none twice."""
    assert audio.time <= max(taken, onset - PRE_ROLL) + 1e-9
    assert audio.time >= onset - PRE_ROLL - 0.011 - 1e-9
    assert audio.end == pytest.approx(until)
    assert audio.samples[0] == pytest.approx(audio.time * HEARING_RATE)
    assert np.all(np.diff(audio.samples) == 1)


EVIDENCE = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.sampled_from([0.01, 0.03, 0.1, 0.3, 0.6]), st.booleans()),
    max_size=30,
)


@settings(max_examples=300, deadline=None)
@given(EVIDENCE)
def test_events_come_in_legal_order_with_whole_audio(parts: list[tuple[bool, bool, float, bool]]) -> None:
    ear, state, onset, last, taken, paused = Ear(), "idle", 0.0, 0.0, 0.0, 0.0
    for fast, sure, seconds, cut in parts:
        for _ in range(round(seconds * 100)):
            for found in ear.hear(fast, sure):
                if state == "idle":
                    onset = getattr(found, "at", 0.0)
                state = follow(state, found)
                if isinstance(found, Onset | Paused | Ended):
                    assert last <= found.at + 1e-9 <= ear.now + 2e-9, "its times only grow"
                    last = found.at
                if isinstance(found, Paused):
                    paused = found.at
                    assert ear.now - found.at >= ear.segmenter.pause - 1e-6
                if isinstance(found, Paused | Ended):
                    check_audio(found.audio, onset, ear.now, taken)
                    assert found.audio.duration < 2 * LONGEST + PRE_ROLL + PATIENCE + 0.05
                if isinstance(found, Ended):
                    taken = found.at
            if state in ("paused", "doubt") and ear.now - paused > LONGEST + 1e-6:
                state, taken = "idle", paused  # nobody took it
        assert ear.segmenter.speaking == (state == "speaking")
        if cut and state in ("paused", "doubt"):
            ear.segmenter.cut()
            state, taken = "idle", last


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("before", ["nothing", "a pause"])
def test_memory_is_bounded(before: str, fast: bool) -> None:
    """Silence, or noise that fools the fast detector for ever, also after an utterance that nobody takes."""
    ear = Ear()
    if before == "a pause":
        ear.hear(True, True, 0.5)
    ear.hear(fast, False, 10.0)
    if before == "nothing":
        assert len(ear.names()) <= 2, "such a noise is doubted once"
    assert ear.segmenter.audio().duration <= PRE_ROLL + LATENCY + 0.02


def test_noise_that_never_stops_does_not_hold_the_answer_back() -> None:
    ear = Ear(longest=28.0)
    ear.hear(True, True, 0.5)
    ear.hear(True, False, PATIENCE + 0.3)
    assert ear.names() == ["Onset", "Started", "Paused", "Onset", "Unconfirmed"]
    assert ear.found[3].at >= ear.found[2].at, "the doubt cannot be older than the pause"  # pyright: ignore
    assert [type(f) for f in ear.hear(True, True, 0.1)] == [Resumed]


def test_who_speaks_in_a_noise_that_was_refuted_is_heard() -> None:
    ear = Ear()
    ear.hear(True, False, 2.0)
    began = ear.now
    _, started = ear.hear(True, True, 0.1)
    assert isinstance(started, Started)
    assert started.at == pytest.approx(began, abs=0.011)


def test_an_utterance_without_surprises() -> None:
    ear = Ear()
    ear.hear(False, False, 0.5)
    ear.hear(True, True, 0.4)
    ear.hear(False, False, 0.5)
    onset, started, paused = ear.found
    assert isinstance(onset, Onset)
    assert isinstance(started, Started)
    assert isinstance(paused, Paused)
    assert (onset.at, started.at, paused.at) == pytest.approx((0.5, 0.5, 0.9))


def test_a_pause_that_was_none() -> None:
    ear = Ear()
    ear.hear(True, True, 0.3)
    ear.hear(False, False, 0.2)
    ear.hear(True, True, 0.3)
    ear.hear(False, False, 0.2)
    assert ear.names() == ["Onset", "Started", "Paused", "Onset", "Resumed", "Paused"]
    last = ear.found[-1]
    assert isinstance(last, Paused)
    check_audio(last.audio, 0.0, 0.95)


def test_a_blip_is_unconfirmed() -> None:
    ear = Ear()
    ear.hear(True, False, 0.05)
    assert [type(f) for f in ear.hear(False, False, 0.5)] == [Unconfirmed]


def test_the_level_says_when_speech_ended_though_the_sure_detector_lingers() -> None:
    ear = Ear()
    ear.hear(True, True, 0.4)
    ear.hear(False, True, 0.08)
    ear.hear(False, False, 0.3)
    paused = ear.found[-1]
    assert isinstance(paused, Paused)
    assert paused.at == pytest.approx(0.4)


def test_a_slammed_door_does_not_drown_what_is_said_after_it() -> None:
    """40 dB louder than the voice: by its level alone all speech after it would count as silence."""
    ear = Ear()
    ear.hear(True, True, 0.1, level=-5.0)
    ear.hear(True, True, 0.6, level=-45.0)
    ear.hear(False, False, 0.4)
    assert ear.names() == ["Onset", "Started", "Paused"]
    paused = ear.found[-1]
    assert isinstance(paused, Paused)
    assert paused.at == pytest.approx(0.7, abs=0.21)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 15), st.integers(10, 40))
def test_cutting_loses_nothing_of_what_follows(wait: int, speech: int) -> None:
    """The next utterance begins at its pre-roll, or where the last one's speech ended if that is later."""
    ear = Ear()
    ear.hear(True, True, 0.3)
    ear.hear(False, False, 0.15)
    ear.hear(False, False, wait / 100)
    ear.segmenter.cut()
    ear.found.clear()
    began = ear.now
    ear.hear(True, True, speech / 100)
    ear.hear(False, False, 0.2)
    onset, _, paused = ear.found
    assert isinstance(onset, Onset)
    assert isinstance(paused, Paused)
    assert onset.at == pytest.approx(began)
    check_audio(paused.audio, began, began + speech / 100 + 0.15)


def test_the_longest_utterance_is_given_as_it_stands_and_the_next_goes_on_there() -> None:
    ear = Ear()
    ear.hear(True, True, LONGEST + 0.5)
    ear.hear(False, False, 0.3)
    assert ear.names() == ["Onset", "Started", "Ended", "Onset", "Started", "Paused"]
    ended = ear.found[2]
    assert isinstance(ended, Ended)
    rest = ear.found[5]
    assert isinstance(rest, Paused)
    assert ended.at == pytest.approx(LONGEST, abs=0.021)
    assert rest.audio.time <= ended.audio.end + 1e-9, "no sample between the two is missing"
