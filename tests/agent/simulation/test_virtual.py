"""The scripted user: how a line is written, and when it is said. Engines are scripted too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import scripted
from agent import events as ev
from agent.config import load
from agent.errors import AudioFileError, ScriptError
from agent.simulation.virtual import LINGER, Line, converse, read_line
from audio.files import read_channels, write_wav

ANSWER = "It is a bell, and it rings every day at noon."


def talk(tmp_path: Path, lines: list[Line], texts: list[str] | None = None) -> list[ev.Event]:
    events: list[ev.Event] = []
    engines = scripted.engines(texts or ["Why does it ring?"], [ANSWER])
    config = load(None, ["costs.mode=declared", "stt.interim=0"])
    converse(engines, config, lines, tmp_path / "c.wav", watchers=[events.append])
    return events


def of(events: list[ev.Event], kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "a@b.wav"
    write_wav(path, np.full(800, 0.5, np.float32), 8000)
    return path


@pytest.mark.parametrize(
    ("ending", "when", "seconds"),
    [("", "after", 0.6), ("@after:2", "after", 2.0), ("@over:2.5", "over", 2.5), ("@at:12", "at", 12.0)],
)
def test_a_line_says_when(wav: Path, ending: str, when: str, seconds: float):
    line = read_line(f"{wav}{ending}")
    assert (line.when, line.seconds) == (when, seconds)
    assert line.audio.rate == 16_000
    assert line.audio.duration == pytest.approx(0.1)


@pytest.mark.parametrize("ending", ["@ovr:2", "@over:", "@over:-1", "@at:soon", "@:3"])
def test_a_wrong_time_is_refused(wav: Path, ending: str):
    with pytest.raises(ScriptError, match="write the time as @after:SECONDS"):
        read_line(f"{wav}{ending}")


def test_a_file_that_is_called_like_a_time_is_read(wav: Path):
    strange = wav.with_name("take@two:3")
    wav.rename(strange)
    assert read_line(str(strange)).when == "after"
    with pytest.raises(AudioFileError, match="no such file"):
        read_line(str(wav))


def test_after_waits_for_the_end_of_the_answer(tmp_path: Path):
    events = talk(tmp_path, [Line(scripted.loud(0.5)), Line(scripted.loud(0.5), "after", 2.0)])
    first_end = of(events, ev.TurnEnded)[0].time
    assert of(events, ev.SpeechStarted)[1].at - first_end == pytest.approx(2.0, abs=0.1)


def test_who_went_on_after_a_pause_waits_for_the_answer(tmp_path: Path) -> None:
    said = scripted.join(scripted.loud(0.6), scripted.silent(0.25), scripted.loud(0.6))
    events = talk(tmp_path, [Line(said), Line(scripted.loud(0.5), "after", 0.0)], ["Why", ANSWER])
    assert of(events, ev.TurnDiscarded)[0].cause.reason == "went_on"
    first_end = of(events, ev.TurnEnded)[0].time
    assert of(events, ev.SpeechStarted)[-1].at >= first_end - 0.1


def test_over_counts_from_when_the_answer_is_audible(tmp_path: Path):
    events = talk(tmp_path, [Line(scripted.loud(0.5)), Line(scripted.loud(1.0), "over", 1.0)])
    audible = of(events, ev.AudioStarted)[0].time
    assert of(events, ev.SpeechStarted)[1].at - audible == pytest.approx(1.0, abs=0.1)


def test_over_an_answer_that_never_came_is_said_all_the_same(tmp_path: Path):
    lines = [Line(scripted.loud(0.5)), Line(scripted.loud(0.5), "over", 1.0)]
    events = talk(tmp_path, lines, ["", "Why does it ring?"])
    assert [event.cause.reason for event in of(events, ev.TurnDiscarded)] == ["unintelligible"]
    assert [event.heard for event in of(events, ev.TurnEnded)] == [ANSWER]


def test_at_counts_from_the_start(tmp_path: Path):
    events = talk(tmp_path, [Line(scripted.loud(0.5), "at", 3.0)])
    assert of(events, ev.SpeechStarted)[0].at == pytest.approx(3.0, abs=0.1)


def test_the_recording_ends_after_the_last_answer(tmp_path: Path):
    events = talk(tmp_path, [Line(scripted.loud(0.5))])
    user, _ = read_channels(tmp_path / "c.wav")
    assert user.duration == pytest.approx(of(events, ev.TurnEnded)[-1].time + LINGER, abs=0.1)


def test_an_unwritable_recording_is_refused_before_anything_is_said(tmp_path: Path):
    (tmp_path / "c.wav").mkdir()
    engines = scripted.engines(["Why does it ring?"], [ANSWER])
    with pytest.raises(AudioFileError, match="cannot be written"):
        converse(engines, load(), [Line(scripted.loud(0.5))], tmp_path / "c.wav")
    assert engines.stt.calls == 0
