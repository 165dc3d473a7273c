"""What of a reply's sound had sounded at a moment, when it was sent with gaps."""

from __future__ import annotations

import pytest

from agent.server.outlet import BLOCK, Reply


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [(0.5, 0.0), (1.0, 0.0), (1.005, 0.005), (1.03, 0.03), (1.5, 0.06), (2.01, 0.07), (9.0, 0.08)],
)
def test_position_in_a_reply_that_was_held(moment: float, seconds: float) -> None:
    reply = Reply()
    for at in (1.0, 1.0 + BLOCK, 1.0 + 2 * BLOCK, 2.0):
        reply.note(at)
    assert reply.position(moment) == pytest.approx(seconds)


def test_nothing_sent_is_nothing_heard() -> None:
    assert Reply().position(3.0) == 0.0
