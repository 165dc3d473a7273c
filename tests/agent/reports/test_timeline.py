"""The picture: that it is drawn, of the right size, with ink where there is something to show."""

from __future__ import annotations

import dataclasses
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from agent import events as ev
from agent.causes import Cause
from agent.errors import BackchatError, MissingExtra
from agent.reports import timeline
from agent.reports import waits as report

EVENTS: list[ev.Event] = runpy.run_path(str(Path(__file__).with_name("sample_events.py")))["sample"]()


def picture(path: Path) -> np.ndarray:
    """The PNG's pixels, shape (height, width, 3), 0 to 1."""
    from matplotlib.image import imread

    return imread(path)[:, :, :3]


def ink(pixels: np.ndarray, colour: str) -> int:
    """How many pixels have about that colour."""
    wanted = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return int((np.abs(pixels - wanted).max(axis=2) < 0.02).sum())


def repeated(count: int, every: float) -> list[ev.Event]:
    """The sample conversation `count` times over, `every` seconds apart, turns numbered on."""
    events: list[ev.Event] = []
    for number in range(count):
        for event in EVENTS:
            moved = {
                field: getattr(event, field) + number * every
                for field in ("time", "at", "speech_end", "onset")
                if hasattr(event, field)
            }
            if getattr(event, "turn", None) is not None:
                moved["turn"] = event.turn + number * 4
            events.append(dataclasses.replace(event, **moved))
    return events


def labels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Everything that will be written into the picture, filled while it is drawn."""
    from matplotlib.text import Text

    seen: list[str] = []
    plain = Text.draw

    def draw(self, renderer):
        seen.append(self.get_text())
        return plain(self, renderer)

    monkeypatch.setattr(Text, "draw", draw)
    return seen


def test_a_session_becomes_a_picture(tmp_path, monkeypatch):
    seen = labels(monkeypatch)
    timeline.draw(EVENTS, None, tmp_path / "new" / "timeline.png")
    pixels = picture(tmp_path / "new" / "timeline.png")
    assert pixels.shape[1] == 1600
    assert 800 < pixels.shape[0] < 1400
    assert pixels[:, :3].min() == 1.0, "the background is white to the edge"
    for colour in (timeline.GREEN, timeline.ORANGE, timeline.RED, *timeline.PART_COLOURS):
        assert ink(pixels, colour) > 30, colour
    text = "\n".join(seen)
    for words in (
        "1: What is the capital of",
        "not heard: and she",
        "cut in at 18.5 s",
        " STT 90 ms",
        "then is cut",
    ):
        assert words in text
    assert "while speaking" in text
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["timeline.png"]


def test_a_call_is_a_bar_as_long_as_its_work(tmp_path, monkeypatch):
    seen = labels(monkeypatch)
    plain, called = tmp_path / "plain.png", tmp_path / "called.png"
    timeline.draw(EVENTS, None, plain)
    assert "a tool works" not in seen
    refused = ev.ToolReturned(4.0, 1, "2", "boil", "refused", "no", 0.0)
    calls = [ev.ToolReturned(at, 1, "1", "boil", "done", "yes", 2.0) for at in (5.0, 9.0)]
    timeline.draw([*EVENTS, refused, *calls], None, called)
    assert "a tool works" in seen
    more = ink(picture(called), timeline.GREEN) - ink(picture(plain), timeline.GREEN)
    length = (timeline.WIDTH - timeline.LEFT - timeline.RIGHT) * timeline.DPI
    total = max(event.time for event in EVENTS)
    bars = 2 * 2.0 / total * length * timeline.CALL * timeline.DPI
    assert bars * 0.8 < more < bars * 1.6 + 400, "and one in the legend"


def test_the_recording_gives_the_lanes_their_waveforms(tmp_path):
    rate, seconds = 8000, 12
    sound = np.zeros((rate * seconds, 2), np.float32)
    rng = np.random.default_rng(0)
    sound[rate * 3 : rate * 5, 0] = rng.uniform(-0.5, 0.5, rate * 2)
    soundfile.write(tmp_path / "talk.wav", sound, rate)
    timeline.draw([ev.SessionStarted(0.0, "a", "b", "c")], tmp_path / "talk.wav", tmp_path / "out.png")
    lane = picture(tmp_path / "out.png")[:, 100:1565]
    at = np.flatnonzero((np.abs(lane - np.array([0, 0x72, 0xB2]) / 255).max(axis=2) < 0.02).sum(axis=0) > 20)
    assert at.min() == pytest.approx(1465 * 3 / 12, abs=3), "drawn where it sounded"
    assert at.max() == pytest.approx(1465 * 5 / 12, abs=3)


def test_a_recording_too_long_to_hold_is_left_out(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "talk.wav", np.full((16000, 2), 0.5, np.float32), 8000)
    monkeypatch.setattr(timeline, "LONGEST_WAVEFORM", 1.9)
    timeline.draw([ev.SessionEnded(2.0)], tmp_path / "talk.wav", tmp_path / "out.png")
    assert ink(picture(tmp_path / "out.png"), timeline.BLUE) == 0
    monkeypatch.setattr(timeline, "LONGEST_WAVEFORM", 2.0)
    timeline.draw([ev.SessionEnded(2.0)], tmp_path / "talk.wav", tmp_path / "out.png")
    assert ink(picture(tmp_path / "out.png"), timeline.BLUE) > 1000


def test_the_envelope_keeps_a_peak_of_one_sample():
    samples = np.zeros(1_000_000, np.float32)
    samples[765_432] = -0.8
    at, level = timeline._envelope(timeline.Frame(samples, 10_000), (50.0, 100.0))
    assert len(at) <= 1400
    assert level.max() == 1.0
    assert at[level.argmax()] == pytest.approx(76.54, abs=0.04)
    assert len(timeline._envelope(timeline.Frame(samples, 10_000), (100.0, 150.0))[0]) == 0


def test_a_long_session_is_paged_and_says_what_it_leaves_out(tmp_path, monkeypatch):
    seen = labels(monkeypatch)
    events = repeated(8, 27.0)  # 24 replies in 216 s
    timeline.draw(events, None, tmp_path / "long.png")
    pixels = picture(tmp_path / "long.png")
    strips, turns = 4, timeline.MOST_TURNS
    expected = 200 + strips * 340 + turns * 175
    assert pixels.shape[:2] == (expected, 1600)
    assert any("first 12 of 24 replies" in text for text in seen)
    assert len(report.turns(events)) == 32


def test_cuts_that_follow_each_other_do_not_share_ink(tmp_path, monkeypatch):
    seen = labels(monkeypatch)
    events: list[ev.Event] = []
    for number in range(1, 6):
        events += [
            ev.TurnOpened(number * 1.0, number, number * 1.0),
            ev.AudioStarted(number + 0.3, number),
            ev.Interrupted(number + 0.9, number, number + 0.8, Cause("words", "Wait.")),
            ev.TurnEnded(number + 0.9, number, "interrupted", "", "gone $1 and $2"),
        ]
    timeline.draw([*events, ev.SessionEnded(60.0)], None, tmp_path / "cuts.png")
    cuts = [text for text in seen if text.startswith(" cut in")]
    assert cuts == [" cut in at 1.8 s: words were said: “Wait.” "], (
        "five lines within four seconds have room for one label"
    )


@pytest.mark.parametrize(
    "events",
    [
        [],
        [ev.SpeechStarted(1.0, 0.9), ev.SpeechResumed(1.2)],
        [ev.TurnOpened(1.0, 1, 0.9), ev.AudioStarted(1.2, 1)],
        [ev.TurnOpened(0.0, 1, 0.0), ev.AudioStarted(0.0, 1), ev.TurnEnded(0.0, 1, "finished", "", "")],
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_session_with_little_in_it_is_drawn_too(tmp_path, events):
    timeline.draw(events, None, tmp_path / "little.png")
    assert picture(tmp_path / "little.png").var() > 0.001


def test_without_matplotlib_the_line_says_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"scripts/setup plot"):
        timeline.draw(EVENTS, None, tmp_path / "timeline.png")
    assert not (tmp_path / "timeline.png").exists()


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BackchatError, match="cannot be written"):
        timeline.draw(EVENTS, None, tmp_path / "file" / "timeline.png")
