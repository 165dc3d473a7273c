"""In which parts a long prompt is read."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.llm.decoding import kvcache
from agent.llm.decoding.kvcache import PART, Pace


@given(
    st.integers(1, 20_000),
    st.floats(0.0, 1.0),
    st.lists(st.floats(1.0, 50_000.0), min_size=1, max_size=8),
)
def test_the_parts_of_a_prompt_are_as_long_as_the_machine_is_fast(
    length: int, known: float, rates: list[float]
) -> None:
    """rates: tokens a second that it reads, another one for each part; some stand still in between."""
    clock, pace = 0.0, Pace()
    ends = [int(known * length)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kvcache.time, "perf_counter", lambda: clock)
        while (end := pace.part(ends[-1], length)) is not None:
            rate = rates[len(ends) % len(rates)]
            with pace.reading(end - ends[-1]):
                clock += (end - ends[-1]) / rate
            assert pace.part(0, 10**9) == max(32, round(rate * PART))
            ends.append(end)
    assert all(before < after for before, after in pairwise(ends))
    assert ends[-1] < length or ends[-1] == int(known * length) == length


def test_a_short_prompt_is_read_at_once_and_a_token_is_no_measure() -> None:
    pace = Pace()
    before = pace.part(0, 1000)
    assert before == 64
    assert pace.part(0, 90) is None
    assert pace.part(900, 990) is None
    with pace.reading(1):
        pass
    assert pace.part(0, 1000) == before
