"""A disk that gets full ends the recording of a talk and not the talk; what is kept is whole."""

from __future__ import annotations

import resource
import tempfile
import warnings
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import events as ev
from agent.cli.parts.live_recorder import LiveRecorder
from agent.reports.event_log import read_events
from audio.files import read_channels
from audio.frame import HEARING_RATE, Frame

FRAMES = 50
"""Of 20 ms; with both voices at 24 kHz they make 96,000 bytes."""


@contextmanager
def full_beyond(room: int) -> Iterator[None]:
    """Within, no file may have more bytes than `room`, which Python is told as it is told of a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def talk(folder: Path, room: int, told: list[ev.Event], events: int = 0, answers: bool = True) -> int:
    """Record a talk of `FRAMES`, also of an agent that `answers`; how many of them came through."""

    async def microphone(tape: LiveRecorder) -> AsyncIterator[Frame]:
        for number in range(FRAMES):
            at = number * 0.02
            if answers:
                tape.played(Frame(np.full(480, 0.5, np.float32), 24_000, at))
            for _ in range(events if number == 10 else 0):
                tape.watch(ev.InterimTranscript(at, "What rings?", 4))
            yield Frame(np.full(320, 0.25, np.float32), HEARING_RATE, at)

    async def main() -> int:
        with full_beyond(room), LiveRecorder(folder, told.append) as tape:
            return len([frame async for frame in tape.recording(microphone(tape))])

    return anyio.run(main)


@settings(max_examples=40, deadline=None)
@given(st.integers(44, 120_000), st.integers(0, 40))
def test_a_full_disk_ends_the_recording_and_not_the_talk(room: int, events: int):
    with tempfile.TemporaryDirectory() as folder:
        home, told = Path(folder), list[ev.Event]()
        assert talk(home, room, told, events) == FRAMES
        assert len(told) == (room < 96_044), told
        for error in told:
            assert isinstance(error, ev.Error)
            assert error.where == "recording"
            assert "cannot be written (File too large)" in error.message
        with wave.open(str(home / "conversation.wav")) as file:
            length = file.getnframes()
            assert (home / "conversation.wav").stat().st_size == 44 + 4 * length <= max(room, 44)
        if length:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                _, agent = read_channels(home / "conversation.wav")
            assert len(agent.samples) == length
        assert set(read_events(home / "events.jsonl")) <= {ev.InterimTranscript(0.2, "What rings?", 4)}


def test_what_does_not_fit_at_the_very_end_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    told = list[ev.Event]()
    assert (
        talk(tmp_path, 96_043, told, answers=False) == FRAMES
    )  # what the resampler holds is written at the end
    assert told == []
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "conversation.wav: cannot be written (File too large)" in said
    with wave.open(str(tmp_path / "conversation.wav")) as file:
        assert file.getnframes() == (96_043 - 44) // 4


@pytest.mark.parametrize("room", [0, 20, 43])
def test_a_disk_that_is_full_at_the_start_leaves_nothing(tmp_path: Path, room: int):
    with pytest.raises(Exception, match=r"conversation\.wav: cannot be written \(File too large\)"):
        talk(tmp_path, room, [])
    assert list(tmp_path.iterdir()) == []
