"""The log's version and schema: docs/events.md has them as they are, and old logs are read or refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints

import pytest

from agent import events as ev
from agent.causes import Cause
from agent.errors import ScriptError
from agent.reports.event_log import VERSION, read_events

PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")
SPELLED = {
    float: "number",
    int: "integer",
    str: "text",
    bool: "true or false",
    type(None): "null",
    Cause: "cause",
}


def spelled(kind: type) -> str:
    """A field's type as the page writes it."""
    if get_origin(kind) is Literal:
        return ", ".join(f'"{each}"' for each in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(map(spelled, get_args(kind)))
    return SPELLED[kind]


def schema(kind: type) -> dict[str, str]:
    """The fields of an event, or of a cause, that a file has, each with its type."""
    hints = get_type_hints(kind)
    shown = [field.name for field in dataclasses.fields(kind) if field.metadata.get("shown", True)]
    return {name: spelled(hints[name]) for name in shown}


def rows(title: str) -> dict[str, tuple[str, ...]]:
    """The rows of the table under this heading, by their first cell."""
    table = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line.strip("|") for line in table.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    return {first.strip("`"): tuple(rest) for first, *rest in cells}


def test_the_page_has_every_event_with_its_fields() -> None:
    told = {name: cells[0] for name, cells in rows("Events").items()}
    wanted = {
        kind.type: "; ".join(f"`{name}` {kind}" for name, kind in schema(kind).items() if name != "time")
        for kind in get_args(ev.Event)
    }
    assert told == wanted
    assert all(meaning for _, meaning in rows("Events").values())


def test_the_page_has_every_field_of_a_cause() -> None:
    told = {name: cells[0] for name, cells in rows("Causes").items()}
    kinds = schema(Cause)
    assert set(told) == set(kinds)
    assert told["seconds"] == kinds["seconds"] == "number or null"


def test_the_page_tells_the_version() -> None:
    assert f'{{"event": "event_log", "version": {VERSION}}}' in PAGE


OLD = [
    {"event": "decision", "time": 1.0, "action": "prepare", "why": "silent for 0.1 s"},
    {"event": "decision", "time": 1.4, "action": "release", "why": "silent for 0.4 s: a whole question"},
    {"event": "turn_released", "time": 1.4, "turn": 1, "text": "What is it?"},
    {"event": "decision", "time": 2.0, "action": "hold", "why": "somebody speaks"},
    {"event": "audio_held", "time": 2.0, "turn": 1, "at": 0.3},
    {"event": "decision", "time": 2.2, "action": "listen", "why": "they paused"},
    {"event": "audio_resumed", "time": 2.4, "turn": 1, "at": 0.3, "why": "'Uh-huh.' is a back-channel"},
    {"event": "decision", "time": 3.0, "action": "yield", "why": "'Wait, what' are words"},
    {"event": "interrupted", "time": 3.0, "turn": 1, "onset": 2.8},
    {"event": "decision", "time": 3.4, "action": "drop", "why": "the person went on"},
    {"event": "turn_dropped", "time": 3.4, "turn": 2, "why": "the person went on", "tokens": 0},
    {
        "event": "turn_dropped",
        "time": 4.4,
        "turn": 3,
        "reason": "cancelled",
        "why": "it was cancelled",
        "tokens": 0,
    },
    {"event": "decision", "time": 5.0, "action": "transcribeoverlap", "why": "whatever it was"},
    {"event": "error", "time": 6.0, "where": "eye", "message": "no camera", "turn": None, "code": "failed"},
]


def written(path: Path, *lines: dict) -> Path:
    file = path / "events.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_a_log_of_version_1_is_read(tmp_path: Path) -> None:
    told = read_events(written(tmp_path, *OLD))
    actions = [event.action for event in told if isinstance(event, ev.Decision)]
    assert actions == [
        "generate", "commit", "pause", "transcribe_overlap", "interrupt", "discard", "transcribe_overlap",
    ]  # fmt: skip
    assert [event.cause.reason for event in told[:-1]] == [
        "pause", "endpointing", "unrecorded", "speech", "unrecorded", "pause", "backchannel", "words",
        "unrecorded", "went_on", "went_on", "interrupt_call", "unrecorded",
    ]  # fmt: skip
    assert told[-1].where == "vision"


def test_a_log_of_version_2_is_read(tmp_path: Path) -> None:
    cause = {"reason": "words"}
    old = [
        {"event": "partial", "time": 1.0, "text": "Wait"},
        {"event": "turn_released", "time": 1.4, "turn": 1, "text": "What is it?", "cause": cause},
        {"event": "piece", "time": 1.6, "turn": 1, "start": 0, "end": 5, "text": "A cat", "spoken": "A cat"},
        {"event": "audio_held", "time": 2.0, "turn": 1, "at": 0.3, "cause": cause},
        {"event": "overheard", "time": 2.1, "turn": 1, "text": "Wait", "kind": "words"},
        {"event": "turn_dropped", "time": 2.2, "turn": 2, "cause": cause, "tokens": 0},
        {
            "event": "error",
            "time": 3.0,
            "where": "turn",
            "message": "no idea",
            "turn": None,
            "code": "failed",
        },
    ]
    told = read_events(written(tmp_path, {"event": "event_log", "version": 2}, *old))
    assert [event.type for event in told] == [
        "interim_transcript", "turn_committed", "chunk", "audio_paused", "overlap_transcribed",
        "turn_discarded", "error",
    ]  # fmt: skip
    assert told[-1].where == "endpointing"


@pytest.mark.parametrize("version", [VERSION + 1, 0, "2", None, True, 2.0])
def test_a_log_of_another_version_is_refused_in_one_line(tmp_path: Path, version: object) -> None:
    with pytest.raises(ScriptError, match=rf"reads 1 to {VERSION}") as refused:
        read_events(written(tmp_path, {"event": "event_log", "version": version}))
    assert "\n" not in str(refused.value)


def test_what_is_no_cause_is_named(tmp_path: Path) -> None:
    head = {"event": "event_log", "version": VERSION}
    paused = {"event": "audio_paused", "time": 1.0, "turn": 1, "at": 0.5}
    for cause, says in (
        ({"reason": "bored"}, "reason"),
        ({"reason": "words", "mood": ""}, "cause has no 'mood'"),
    ):
        with pytest.raises(ScriptError, match=r"line 2: AudioPaused: ") as refused:
            read_events(written(tmp_path, head, paused | {"cause": cause}))
        assert says in str(refused.value)
