"""Turns as OpenTelemetry spans: their times, their parts, and no word of what was said."""

from __future__ import annotations

import json
import sys

import anyio
import pytest
import serving
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from websockets.asyncio.client import connect

from agent import events as ev
from agent.causes import Cause
from agent.config import load
from agent.errors import MissingExtra
from agent.server.run import run_server
from agent.server.telemetry.metrics import Metrics
from agent.server.telemetry.traces import Traces, TurnSpans, traces_for

SPOKEN = [
    ev.SessionStarted(0.0, "llm", "stt", "tts"),
    ev.TurnOpened(2.1, 1, 2.0),
    ev.Transcribed(2.3, 1, "what is a secret", 0.2),
    ev.Token(2.4, 1, "Secret"),
    ev.Token(2.5, 1, " words."),
    ev.Chunk(2.5, 1, 0, 13, "Secret words.", "Secret words."),
    ev.Synthesized(2.6, 1, 0, 13, 1.0, 0.1),
    ev.TurnCommitted(2.75, 1, "what is a secret", Cause("endpointing")),
    ev.AudioStarted(2.8, 1),
    ev.GenerationEnded(2.9, 1, 2),
    ev.TurnEnded(3.8, 1, "finished", "Secret words.", ""),
]


def watched(*events: ev.Event):
    """The spans of these events, by name."""
    exporter = InMemorySpanExporter()
    traces = Traces(exporter)
    watcher = TurnSpans(traces)
    for event in events:
        watcher.watch(event)
    traces.close()
    return exporter.get_finished_spans()


def seconds(span) -> float:
    return round((span.end_time - span.start_time) / 1e9, 6)


def test_a_turn_is_a_span_and_its_wait_is_cut_into_parts() -> None:
    *parts, turn = watched(*SPOKEN)
    assert turn.name == "turn"
    assert turn.parent is None
    assert seconds(turn) == 1.8
    session = turn.attributes["backchat.session"]
    assert len(session) == 16
    assert dict(turn.attributes) == {
        "backchat.session": session,
        "backchat.turn": 1,
        "backchat.reason": "finished",
        "backchat.tokens": 2,
        "backchat.voice_to_voice": 0.8,
    }
    assert {part.name: seconds(part) for part in parts} == {
        "end of turn": 0.1,
        "STT": 0.2,
        "first token": 0.1,
        "first chunk": 0.1,
        "TTS": 0.1,
        "commit": 0.15,
        "start": 0.05,
        "speaking": 1.0,
    }
    assert parts[0].start_time == turn.start_time
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        assert part.parent.span_id == turn.context.span_id
        assert following is None or following.start_time == part.end_time
    assert parts[-1].end_time == turn.end_time


def test_a_part_says_how_much_of_it_was_spent_behind_other_conversations() -> None:
    at = next(n for n, event in enumerate(SPOKEN) if isinstance(event, ev.Transcribed))
    waited = ev.Queued(SPOKEN[at].time - 0.05, "stt", 0.1, 1)
    *parts, _ = watched(*SPOKEN[:at], waited, *SPOKEN[at:])
    told = {part.name: dict(part.attributes) for part in parts}
    assert told.pop("STT") == {"backchat.queued": 0.1}
    assert not any(told.values())


def test_no_word_that_was_said_is_in_a_span() -> None:
    told = "".join(span.to_json() for span in watched(*SPOKEN))
    assert "ecret" not in told


def test_a_call_is_a_span_also_after_its_turn_without_what_was_said_to_it() -> None:
    *_, turn, late = watched(
        *SPOKEN,
        ev.ToolReturned(9.0, 1, "call_1", "boil", "failed", "secret", 4.0),
    )
    assert (late.name, seconds(late), late.parent) == ("tool", 4.0, None)
    told = dict(late.attributes)
    assert told.pop("backchat.session") == turn.attributes["backchat.session"]
    assert told == {"backchat.turn": 1, "backchat.tool": "boil", "backchat.outcome": "failed"}
    assert not late.status.is_unset
    assert "secret" not in late.to_json()


def test_dropped_silent_and_failed_turns_are_told_as_such() -> None:
    dropped, failed = watched(
        ev.TurnOpened(1.0, 1, 0.9),
        ev.TurnDiscarded(1.2, 1, Cause("went_on"), 3),
        ev.TurnOpened(2.0, 2, 1.9),
        ev.Error(2.1, "llm", "secret", 2),
        ev.TurnEnded(2.2, 2, "error", "", ""),
        ev.TurnOpened(3.0, 3, 2.9),  # never over: the session ended first
    )
    assert dropped.attributes["backchat.reason"] == "discarded"
    assert dropped.attributes["backchat.tokens"] == 3
    assert dropped.status.is_unset
    assert not failed.status.is_ok
    assert not failed.status.is_unset
    assert "backchat.voice_to_voice" not in failed.attributes
    assert "secret" not in failed.to_json()


def test_spans_of_a_second_turn_have_no_parent_either_and_another_session_another_name() -> None:
    first, *_ = (span for span in watched(*SPOKEN) if span.name == "turn")
    second, *_ = (span for span in watched(*SPOKEN) if span.name == "turn")
    assert first.attributes["backchat.session"] != second.attributes["backchat.session"]
    assert first.context.trace_id != second.context.trace_id


def test_without_the_extra_one_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert traces_for(load(None, [])) is None
    with pytest.raises(MissingExtra, match=r"scripts/setup otel"):
        traces_for(load(None, ["server.traces=true"]))


@pytest.mark.net
def test_a_served_session_is_traced() -> None:
    exporter = InMemorySpanExporter()
    traces = Traces(exporter)
    pool = serving.pool(["x"], ["One two."], "server.sessions=1")

    async def main() -> None:
        opened = anyio.Event()
        address: list[str] = []

        def started(at: list[str]) -> None:
            address.extend(at)
            opened.set()

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run_server, pool, None, None, None, started, traces)
                await opened.wait()
                async with connect(f"ws{address[0].removeprefix('http')}/v1/realtime") as socket:
                    await socket.send(json.dumps({"type": "response.create"}))
                    while json.loads(await socket.recv())["type"] != "response.done":
                        pass
                tasks.cancel_scope.cancel()

    anyio.run(main, backend="asyncio")
    traces.close()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert spans["turn"].attributes["backchat.reason"] == "finished"
    assert spans["speaking"].end_time <= spans["turn"].end_time


def test_nobody_is_traced_unasked() -> None:
    assert len(Metrics(serving.pool(["x"], ["y"])).watchers()) == 1
