"""An echo that comes as late as a network makes it: how late is found in the sound, and it is cancelled."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from audio.echo.alignment import EARLY, REACH, Alignment
from audio.echo.front_end import FrontEnd
from audio.echo.room import Room
from audio.files import read_audio
from audio.frame import HEARING_RATE, Frame, Samples, level_dbfs, silence
from audio.tts.hibari import RATE, Hibari

QUESTIONS = Path(__file__).parents[2] / "data" / "questions"
STORY = (
    "Once upon a time there was a lighthouse keeper who lived alone on a small island. Every evening he "
    "climbed the narrow stairs and lit the lamp. One night a storm broke the great window."
)
BLOCK, LEAD = 0.02, 0.2
"""Seconds of a frame, and by which it is told that something will be played before it should sound."""


@cache
def story() -> Samples:
    return np.concatenate([speech.samples for speech in Hibari().stream(STORY)])


@cache
def user() -> Samples:
    files = sorted(QUESTIONS.glob("q0*.flac"))
    return np.concatenate([read_audio(file).at_rate(HEARING_RATE).samples for file in files])


def heard(front: Alignment | FrontEnd, room: Room, seconds: float, said: Samples | None = None):
    """What the microphone hears in each block while the story is played, and what `front` makes of it."""
    voice, size, told = story(), round(BLOCK * HEARING_RATE), 0
    for number in range(round(seconds / BLOCK)):
        at = number * BLOCK
        while told < len(voice) and told / RATE < at + BLOCK + LEAD:
            frame = Frame(voice[told : told + 480], RATE, told / RATE)
            room.played(frame)
            front.played(frame)
            told += 480
        spoken = silence(BLOCK, HEARING_RATE)
        if said is not None:
            spoken[:] = said[number * size : (number + 1) * size]
        raw = room.microphone(Frame(spoken, HEARING_RATE, at))
        yield raw, front.heard(raw) if isinstance(front, Alignment) else front.cleaned(raw)


@pytest.mark.parametrize(
    ("level", "delay", "speaks"),
    [
        *[(-10, 0.1, False), (-20, 0.3, False), (-20, 0.6, False), (-30, 1.0, False), (-10, 1.4, False)],
        *[(-10, 0.1, True), (-20, 0.6, True), (-10, 0.9, True), (-10, 1.4, True)],
    ],
)
def test_how_late_an_echo_comes_is_found_soon_after_it_begins(level: float, delay: float, speaks: bool):
    alignment = Alignment(1.5)
    room = Room(echo_db=level, echo_delay=delay, noise_db=-70)
    said = 0.2 * user() if speaks else None
    for _ in heard(alignment, room, delay + 0.8, said):
        pass
    late = delay if delay > REACH else 0.0
    assert alignment.behind == pytest.approx(max(0.0, late - EARLY), abs=0.01)


def test_who_speaks_without_an_echo_changes_nothing():
    alignment = Alignment(1.5)
    for raw, far in heard(alignment, Room(noise_db=-60), 6.0, user()):
        assert far.time == pytest.approx(raw.end + EARLY - BLOCK)
    assert alignment.behind == 0.0


def test_what_is_given_out_is_what_sounds_then_without_a_gap():
    alignment, delay = Alignment(1.5), 0.9
    given = [far for _, far in heard(alignment, Room(echo_db=-10, echo_delay=delay), 4.0)]
    for before, after in pairwise(given):
        assert after.time == pytest.approx(before.end, abs=1e-4)
    late = Frame.join(given[150:]).samples
    begin = round((given[150].time - alignment.behind) * HEARING_RATE)
    played = Frame(story(), RATE).at_rate(HEARING_RATE).samples[begin : begin + len(late)]
    assert np.corrcoef(late, played)[0, 1] > 0.99


@pytest.mark.parametrize("delay", [0.06, 0.7, 1.2])
def test_a_late_echo_is_cancelled(delay: float):
    echo, left = list[Samples](), list[Samples]()
    room = Room(echo_db=-10, echo_delay=delay)
    for raw, clean in heard(FrontEnd(latest=1.5), room, 6.5):
        echo.append(raw.samples)
        left.append(clean.samples)
    since = round((delay + 2.0) / BLOCK)
    assert level_dbfs(np.concatenate(left[since:])) < level_dbfs(np.concatenate(echo[since:])) - 25
