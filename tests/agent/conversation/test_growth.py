"""A long session with a real tokenizer: every turn is answered, and none costs more than the ones before."""

from __future__ import annotations

import statistics

import pytest

import growing
from agent.weights import catalogue as models

TURNS = 150


@pytest.mark.model
def test_a_long_session_is_answered_in_any_script_and_the_reading_does_not_grow() -> None:
    grown = growing.grow(models.resolve("smollm2"), TURNS, pasted=15)
    assert grown.wrong == []
    assert grown.refused == TURNS // 15
    read = grown.model.read
    assert len(read) == TURNS - TURNS // 15
    assert statistics.mean(read[len(read) // 2 :]) < 1.2 * statistics.mean(read[1 : len(read) // 2])
    assert statistics.median(read) < 80, "what is new in a turn"
    early, late = grown.kept
    assert late - early < 200_000, "bytes"
