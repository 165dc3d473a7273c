"""What comes with backchat: the clock, the calculator, timers and notes, with right values."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scripted
from agent import events as ev
from agent import testing
from agent.config import load
from agent.errors import ConfigError, ToolError
from agent.settings import ToolsConfig
from agent.simulation.virtual import Line, converse
from agent.testing import SECONDS_PER_CHARACTER, call
from agent.tools.calculator import converted, value_of
from agent.tools.registry import loaded
from agent.tools.timers import Timer, fitting, length_in_words, moment


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 + 3 * 4", 14),
        ("(2+3)*4", 20),
        ("17 × 12", 204),
        ("2^10", 1024),
        ("15% of 80", 12),
        ("80 + 5%", 80.05),
        ("1,234 + 1", 1235),
        ("7 % 4", 3),
        ("sqrt(2) ^ 2", pytest.approx(2)),
        ("-3 + +2", -1),
        ("round(10 / 4)", 2),
    ],
)
def test_arithmetic_is_right(expression: str, value: Any) -> None:
    assert value_of(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "1/0",
        "9**9**9",
        "2 ** 99999",
        "__import__('os')",
        "a.b",
        "1 if 1 else 2",
        "[1]",
        "'a' * 9",
        "1 +",
        "x" * 300,
        "(-8)^0.5",
    ],
)
def test_what_is_no_arithmetic_is_refused_in_words(expression: str) -> None:
    with pytest.raises(ToolError):
        value_of(expression)


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_sums_of_whole_numbers_are_exact(a: int, b: int) -> None:
    assert value_of(f"{a} + {b} * 3") == a + b * 3


@pytest.mark.parametrize(
    ("value", "unit", "to", "result"),
    [
        (5, "miles", "kilometers", 8.04672),
        (100, "celsius", "fahrenheit", 212),
        (-40, "°F", "degrees Celsius", -40),
        (2, "pounds", "kg", 0.90718474),
        (90, "minutes", "hours", 1.5),
        (6, "feet", "inches", 72),
        (100, "km/h", "miles per hour", 62.137119),
    ],
)
def test_units_are_right(value: float, unit: str, to: str, result: float) -> None:
    assert converted(value, unit, to) == pytest.approx(result)


def test_units_of_two_kinds_are_refused() -> None:
    with pytest.raises(ToolError, match="length"):
        converted(1, "mile", "kg")
    with pytest.raises(ToolError, match="no unit"):
        converted(1, "parsnip", "kg")


def test_lengths_of_time_are_told_in_words() -> None:
    told = {120: "2 minutes", 3900: "1 hour and 5 minutes", 61: "1 minute and 1 second", 0: "0 seconds"}
    assert {seconds: length_in_words(seconds) for seconds in told} == told


def test_a_time_of_day_is_the_next_one() -> None:
    now = 1_767_268_800.0
    for at in ("07:30", "23:59", "12:00"):
        assert 0 < moment(at, now) - now <= 86_400
    with pytest.raises(ToolError, match="past"):
        moment("2001-01-01T00:00", now)
    with pytest.raises(ToolError, match="no time"):
        moment("soon", now)


def conversation(
    out: Path, hears: list[str], replies: list[Any], use: tuple[str, ...], seconds: float
) -> list[ev.Event]:
    """One line after the other, 5 s apart, in a conversation of that length at least."""
    events: list[ev.Event] = []
    engines = testing.engines(hears, replies, loaded(ToolsConfig(use=use, folder=str(out))))
    lines = [Line(scripted.loud(1.0), "at", 5.0 * number) for number in range(len(hears) - 1)]
    lines.append(Line(scripted.loud(1.0), "at", seconds))
    config = load(None, ["costs.mode=declared", "stt.interim=0", "turns.meaning=off"])
    converse(engines, config, lines, out / "c.wav", watchers=[events.append])
    return events


def test_a_timer_speaks_up_by_itself_when_it_is_due_and_once(tmp_path: Path) -> None:
    replies = [[call("set_timer", seconds=20)], "It runs.", "Fine."]
    events = conversation(tmp_path, ["Set a timer.", "Well?"], replies, ("timers",), 40.0)
    heard = [(event.time, event.heard) for event in events if isinstance(event, ev.TurnEnded)]
    assert [text for _, text in heard] == ["It runs.", "Your timer for 20 seconds is over.", "Fine."]
    started = next(e.time for e in events if isinstance(e, ev.ToolReturned))
    assert heard[1][0] - started == pytest.approx(20.0 + 0.06 * len(heard[1][1]), abs=0.5)
    assert stat.S_IMODE((tmp_path / "timers.json").stat().st_mode) == 0o600


def test_a_timer_outlives_its_conversation(tmp_path: Path) -> None:
    conversation(
        tmp_path,
        ["Set a timer."],
        [[call("set_timer", seconds=8, about="call Ann")], "It runs."],
        ("timers",),
        0.0,
    )
    assert "call Ann" in (tmp_path / "timers.json").read_text()
    events = conversation(tmp_path, ["Well?"], ["Fine."], ("timers",), 20.0)
    heard = [event.heard for event in events if isinstance(event, ev.TurnEnded)]
    assert heard == ["Here is your reminder: call Ann.", "Fine."]


def test_a_timer_that_is_cancelled_stays_silent(tmp_path: Path) -> None:
    replies = [[call("set_timer", seconds=15)], "It runs.", [call("cancel_timer")], "Gone.", "Fine."]
    events = conversation(tmp_path, ["Set a timer.", "Cancel it.", "Well?"], replies, ("timers",), 30.0)
    assert [e.heard for e in events if isinstance(e, ev.TurnEnded)] == ["It runs.", "Gone.", "Fine."]


STORY = "Once there was a king. He had a daughter who sang. She sang all day long."


@pytest.mark.parametrize("seconds", [2.9, 3.5, 4.1, 5.5, 6.1, 6.7, 7.3, 7.9, 9.5])
def test_a_timer_waits_for_the_end_of_the_sentence_and_the_rest_is_said_when_asked_for(
    seconds: float, tmp_path: Path
) -> None:
    """Due at any moment before, in and after a story: no sentence is broken, and no word is lost."""
    replies = [[call("set_timer", seconds=seconds)], "It runs.", STORY, "No more."]
    events = conversation(tmp_path, ["Set a timer.", "A story.", "Go on."], replies, ("timers",), 25.0)
    ring = f"Your timer for {length_in_words(seconds)} is over."
    heard = [event.heard.strip() for event in events if isinstance(event, ev.TurnEnded)]
    assert heard.count(ring) == 1
    told = [text for text in heard if not ring.startswith(text)]  # who speaks over it is told it again
    assert told[0] == "It runs."
    assert " ".join(told[1:]).removesuffix(" No more.") == STORY
    assert all(text.endswith(".") for text in told)
    due = next(e.time for e in events if isinstance(e, ev.ToolReturned)) + seconds
    due = max(due, 6.5) if due > 3.5 else due  # before, the user speaks
    rung = next(e.time for e in events if isinstance(e, ev.TurnEnded) and e.heard == ring)
    assert rung - due < SECONDS_PER_CHARACTER * (len(ring) + len("He had a daughter who sang.")) + 0.5
    cuts = [event.cause.reason for event in events if isinstance(event, ev.Interrupted)]
    assert cuts.count("notice") == (len(told) == 3 and told[2] != "No more.")


def test_stop_silences_a_timer_that_rings(tmp_path: Path) -> None:
    replies = [[call("set_timer", seconds=6)], "It runs.", STORY]
    hears = ["Set a timer.", "A story.", "Stop."]
    events = conversation(tmp_path, hears, replies, ("timers",), 8.6)
    *_, ring = ended = [event for event in events if isinstance(event, ev.TurnEnded)]
    assert [event.heard.strip() for event in ended[:2]] == ["It runs.", "Once there was a king."]
    assert ring.reason == "interrupted"
    assert "Your timer for 6 seconds is over.".startswith(ring.heard.strip())
    assert ring.heard
    assert [e.cause.reason for e in events if isinstance(e, ev.Interrupted)] == ["notice", "silence_wanted"]


def test_a_timer_that_nobody_could_hear_is_told_again(tmp_path: Path) -> None:
    """The user goes on speaking just as it begins."""
    replies = [[call("set_timer", seconds=5)], "It runs.", "Fine.", "Well."]
    for at in (6.4, 6.5, 6.6, 6.7):
        events = conversation(tmp_path, ["Set a timer.", "And now this.", "So."], replies, ("timers",), at)
        heard = "".join(event.heard for event in events if isinstance(event, ev.TurnEnded))
        assert "Your timer" in heard, at


@pytest.mark.parametrize(
    ("about", "gone"),
    [
        ("", [0, 1, 2, 3]),
        ("all", [0, 1, 2, 3]),
        ("the two minute timer", [0]),
        ("the timer", [0]),
        ("2 minutes", [0]),
        ("my seven thirty alarm", [1]),
        ("alarms", [1]),
        ("the reminder to call Ann", [2]),
        ("Ann", [2]),
        ("reminder", [2, 3]),
        ("the parsnips", []),
    ],
)
def test_timers_are_found_by_the_words_that_users_have_for_them(about: str, gone: list[int]) -> None:
    there = [
        Timer(1.0, "timer", "for 2 minutes"),
        Timer(2.0, "alarm", "for 07:30"),
        Timer(3.0, "reminder:", "call Ann"),
        Timer(4.0, "reminder:", "water the plants"),
    ]
    assert [there.index(each) for each in fitting(there, about)] == gone


def test_what_is_remembered_is_there_the_next_day_and_what_is_forgotten_nowhere(tmp_path: Path) -> None:
    note = "The user is allergic to peanuts."
    said = "Remember that I am allergic to peanuts."
    conversation(tmp_path, [said], [[call("remember", note=note)], "I will."], ("notes",), 0.0)
    assert stat.S_IMODE((tmp_path / "notes.md").stat().st_mode) == 0o600
    events = conversation(
        tmp_path, ["What?"], [[call("recall", about="food")], "No peanuts."], ("notes",), 0.0
    )
    (returned,) = [e for e in events if isinstance(e, ev.ToolReturned)]
    assert note in returned.result
    conversation(tmp_path, ["Forget."], [[call("forget", about="the peanuts")], "Gone."], ("notes",), 0.0)
    assert not [
        path for path in tmp_path.iterdir() if path.suffix != ".wav" and re.search("peanut", path.read_text())
    ]


@pytest.mark.parametrize("use", [("hammer",), ("nowhere.py",)])
def test_a_name_that_leads_nowhere_is_told(use: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=use[0]):
        loaded(ToolsConfig(use=use))


def test_a_file_that_fails_is_told_in_one_line(tmp_path: Path) -> None:
    for text, told in [("1/0", "ZeroDivisionError"), ("x = 1", "has no tools")]:
        (tmp_path / "mine.py").write_text(text)
        with pytest.raises(ConfigError, match=told) as error:
            loaded(ToolsConfig(use=(str(tmp_path / "mine.py"),)))
        assert "\n" not in str(error.value)


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two are called"):
        loaded(ToolsConfig(use=("clock", "clock")))
