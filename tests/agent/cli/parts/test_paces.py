"""What doctor says of other language models: as many times as slow as their weights are large."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.parts.paces import Paces, prospects
from agent.settings import TurnsConfig

HERE = Paces(stt=0.13, opening=0.4, token=0.04, first=0.03, voice=0.01)
TURNS = TurnsConfig()


def test_a_model_of_twice_the_size_writes_half_as_fast_and_is_heard_later():
    large, small = prospects(HERE, TURNS, 500, [("small", 100), ("large", 1000)], memory=None)
    assert (large.name, large.rate, large.in_time) == ("large", pytest.approx(12.5), False)
    assert large.wait == pytest.approx(0.1 + 0.13 + 0.8 + 0.03)
    assert (small.rate, small.in_time) == (pytest.approx(125), True)
    assert small.wait == TURNS.complete, "no answer comes before the turn is over"


def test_a_model_that_fills_more_than_half_the_memory_has_no_room():
    quick = replace(HERE, opening=0.01)
    for memory, fits in ((2 * 1.6e9, True), (1.9 * 1.6e9, False)):
        (found,) = prospects(quick, TURNS, 500_000_000, [("large", 1_000_000_000)], memory)
        assert (found.fits, found.in_time) == (fits, fits)


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=9), st.integers(1, 10**10))
def test_the_larger_one_is_told_first_and_is_never_the_quicker(sizes: list[int], size: int):
    found = prospects(HERE, TURNS, size, [(str(each), each) for each in sizes], None)
    assert [int(each.name) for each in found] == sorted(sizes, reverse=True)
    assert all(one.wait >= other.wait for one, other in itertools.pairwise(found))
