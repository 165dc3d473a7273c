"""What is left of the machine, on a clock of the test's own."""

from __future__ import annotations

import anyio
import pytest
import serving
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import Busy
from agent.server.admission.load import BORNE, FEW, SAMPLE, WINDOW, Load
from agent.server.telemetry.metrics import Metrics


class Machine:
    """A clock, and a process that computes as it is told to."""

    def __init__(self, cores: int = 2) -> None:
        self.now = self.cpu = 0.0
        self.load = Load(cores, lambda: self.now, lambda: self.cpu)

    def work(self, seconds: float, share: float, wait: float = 0.0) -> None:
        """`seconds` at `share` of both cores, with an item ten times a second that waits for `wait`."""
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.cpu += 0.1 * share * 2
            self.load.note("stt", "needed", wait)


def test_the_share_is_that_of_the_last_seconds() -> None:
    machine = Machine()
    machine.work(30, 0.9)
    assert machine.load.share == pytest.approx(0.9, abs=0.01)
    assert machine.load.full(0.85)
    machine.work(5, 0.1)
    assert machine.load.share == pytest.approx(0.5, abs=0.03)
    machine.work(2, 0.9)
    assert machine.load.share == pytest.approx(0.9, abs=0.05), "those who have just come are talking"
    machine.work(10, 0.1)
    assert machine.load.share == pytest.approx(0.1, abs=0.03)
    assert not machine.load.full(0.85)


@given(st.floats(0, 100), st.floats(0, 1))
def test_a_machine_on_which_nothing_happens_is_not_full_for_ever(quiet: float, share: float) -> None:
    """Nothing is noted while nobody talks: what was before is forgotten all the same."""
    machine = Machine()
    machine.work(20, share, wait=1.0)
    assert machine.load.full(0.99), "they waited"
    assert not machine.load.full(1.0), "nobody asks"
    machine.now += WINDOW + SAMPLE + quiet
    assert machine.load.wait == 0.0
    assert machine.load.share <= share * 0.05 + 0.01


def test_items_that_wait_for_each_other_fill_a_machine_that_others_keep_busy() -> None:
    machine = Machine()
    machine.work(10, 0.4, wait=BORNE + 0.1)
    assert machine.load.full(0.85)
    few = Machine()
    for _ in range(FEW - 1):
        few.load.note("stt", "needed", 5.0)
    assert not few.load.full(0.85), "a few say nothing"
    for _ in range(100):
        few.load.note("stt", "spare", 5.0)
        few.load.note("stt", "background", 5.0)
    assert few.load.wait == 0.0, "what nobody waits for is nobody's wait"
    for _ in range(1000):
        few.load.note("llm", "needed", 0.01)
    few.load.note("stt", "needed", 5.0)
    assert few.load.full(0.85), "however many tokens are quick, who waits for a transcript waits"


def test_a_newcomer_is_refused_by_what_is_left_and_whoever_is_alone_is_not() -> None:
    async def main() -> None:
        pool, machine = serving.pool(["x"], ["y"], "server.sessions=4", "server.load=0.9"), Machine()
        pool.load = machine.load
        machine.work(10, 1.0)
        async with pool.slot():
            with pytest.raises(Busy, match=r"the machine is busy with 1 session .*server\.load") as refused:
                async with pool.slot():
                    pass
            assert refused.value.retry_after == 5
            with pytest.raises(Busy):
                await pool.expect_slot()
            machine.work(10, 0.2)
            async with pool.slot():
                assert pool.taken == 2

    anyio.run(main)


def test_speech_and_transcripts_leave_room_for_who_talks() -> None:
    """They take the same cores, and as many as sixteen of them; where nobody talks they may have them all."""

    async def main() -> None:
        pool, machine = serving.pool(["x"], ["y"], "server.load=0.9"), Machine()
        pool.load = machine.load
        machine.work(10, 1.0)
        with pool.shared_slot():
            pass
        async with pool.slot():
            with pytest.raises(Busy, match=r"server\.load"):
                pool.expect_shared_slot()
            with pytest.raises(Busy, match=r"server\.load"), pool.shared_slot():
                pass
            machine.work(10, 0.2)
            with pool.shared_slot():
                pass
        assert pool.idle

    anyio.run(main)


def test_waits_are_counted_by_engine_and_kind_of_work() -> None:
    pool = serving.pool(["x"], ["y"])
    metrics = Metrics(pool)
    pool.waited("stt", "needed", 0.3)
    pool.waited("stt", "spare", 0.0)
    told = metrics.text().decode()
    assert 'backchat_wait_seconds_sum{engine="stt",kind="needed"} 0.3' in told
    assert 'backchat_wait_seconds_count{engine="stt",kind="spare"} 1.0' in told
    assert "backchat_load " in told
