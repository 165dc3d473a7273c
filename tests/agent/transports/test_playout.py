"""What of a reply's sound had sounded at a moment, and what was heard of one that was cut, in samples."""

from __future__ import annotations

import pytest

from agent.transports.playout import BLOCK, RATE, Reply


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [(0.5, 0.0), (1.0, 0.0), (1.005, 0.005), (1.03, 0.03), (1.5, 0.06), (2.01, 0.07), (9.0, 0.08)],
)
def test_position_in_a_reply_that_was_held(moment: float, seconds: float) -> None:
    reply = Reply()
    for at in (1.0, 1.0 + BLOCK / RATE, 1.0 + 2 * BLOCK / RATE, 2.0):
        reply.note(at)
    assert reply.position(moment) == pytest.approx(seconds)


def test_nothing_sent_is_nothing_heard() -> None:
    assert Reply().position(3.0) == 0.0


def test_a_reply_may_be_cut_at_each_of_its_lengths() -> None:
    """Clients clamp to what they were sent: 700 ms of 35 blocks once was one block too many."""
    reply = Reply()
    for block in range(3000):
        reply.note(1.0 + block * BLOCK / RATE)
        reply.words.append((1.0 + (block + 1) * BLOCK / RATE, block + 1))
        milliseconds = (block + 1) * 20
        assert reply.end_at(milliseconds * RATE // 1000) == block + 1, milliseconds
    for samples in range(0, 60 * RATE, 331):
        # The word in which it was cut, and by the grace of 40 ms the next two.
        assert 1 <= reply.end_at(samples) - samples // BLOCK <= 3, samples
