"""What the server counts is labelled by what it is, not by how it is told."""

from __future__ import annotations

from typing import get_args

import pytest
from serving import pool

from agent import events as ev
from agent.server.metrics import Metrics


@pytest.mark.parametrize("reason", get_args(ev.DropReason))
def test_a_reply_given_up_is_counted_by_its_typed_reason(reason: ev.DropReason) -> None:
    metrics = Metrics(pool(["x"], ["y"]))
    (watch,) = metrics.watchers()
    watch(ev.TurnOpened(1.0, 1, 0.9))
    watch(ev.TurnDropped(1.2, 1, reason, f"in other words: {reason}", 3))
    counted = [
        line for line in metrics.text().decode().splitlines() if line.startswith("backchat_cancels_total")
    ]
    assert counted == [f'backchat_cancels_total{{cause="{reason}"}} 1.0']
