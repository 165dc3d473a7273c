"""What the server counts is labelled by what it is, not by how it is told."""

from __future__ import annotations

from typing import get_args

import pytest
from serving import pool

from agent import events as ev
from agent.causes import Cause, Reason
from agent.server.telemetry.metrics import MOST_TOOLS, Metrics


@pytest.mark.parametrize("reason", get_args(Reason))
def test_what_turn_taking_does_is_counted_by_its_typed_reason(reason: Reason) -> None:
    metrics = Metrics(pool(["x"], ["y"]))
    (watch,) = metrics.watchers()
    cause = Cause(reason, "words that no one may read")
    watch(ev.TurnOpened(1.0, 1, 0.9))
    watch(ev.Decision(1.1, 1, "discard", cause))
    watch(ev.TurnDiscarded(1.2, 1, cause, 3))
    told = metrics.text().decode().splitlines()
    counted = [
        line for line in told if line.startswith(("backchat_cancels_total", "backchat_decisions_total"))
    ]
    assert sorted(counted) == [
        f'backchat_cancels_total{{cause="{reason}"}} 1.0',
        f'backchat_decisions_total{{action="discard",cause="{reason}"}} 1.0',
    ]
    assert not any("no one may read" in line for line in told)


def test_calls_are_counted_by_tool_and_outcome_and_names_are_few() -> None:
    metrics = Metrics(pool(["x"], ["y"]))
    (watch,) = metrics.watchers()
    for number in range(2 * MOST_TOOLS):
        name = f"tool_{number}"
        watch(ev.ToolCalled(1.0, 1, str(number), name, '{"secret": 1}', "reads"))
        watch(ev.ToolReturned(1.3, 1, str(number), name, "done", "secret", 0.3))
    watch(ev.ToolCalled(2.0, 2, "x", "made_up", "{}", None))
    watch(ev.ToolReturned(2.0, 2, "x", "made_up", "refused", "There is none.", 0.0))
    told = metrics.text().decode()
    assert 'backchat_tool_seconds_count{outcome="done",tool="tool_0"} 1.0' in told
    assert f'backchat_tool_seconds_count{{outcome="done",tool="other"}} {MOST_TOOLS}.0' in told
    assert 'backchat_tool_seconds_count{outcome="refused",tool="other"} 1.0' in told
    assert "made_up" not in told
    assert "secret" not in told
