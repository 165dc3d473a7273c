"""The bridge: engines that raise, hang and are cancelled, on both clocks; nobody waits for ever."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import anyio
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import EngineFault, EngineStalled
from agent.runner import Runner, SharedLock, VirtualRunner, run_real
from agent.settings import Config, Costs
from agent.simulation.virtual import run_virtual

LONG = 30.0
"""A limit that no test reaches."""

SHORT = 0.1
"""A limit that a hanging engine exceeds."""


@pytest.fixture(params=["trio", "asyncio"])
def run(request: pytest.FixtureRequest) -> Callable[..., object]:
    """Runs an async function on each backend, on the real clock; a deadlock fails."""

    def within(main: Callable[..., object], *args: object) -> object:
        async def limited() -> object:
            with anyio.fail_after(20):
                return await main(*args)

        return anyio.run(limited, backend=request.param)

    return within


@dataclass
class Counter:
    """An engine that counts; it notes how many callers were inside at once, and how it was closed."""

    pause: float = 0.0
    raises: Exception | None = None
    hangs_at: int | None = None
    made: int = 0
    inside: int = 0
    most_inside: int = 0
    closed: int = 0
    opened: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def work(self) -> int:
        with self.lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        try:
            time.sleep(self.pause)
            if self.hangs_at == self.made:
                self.released.wait(LONG)
            if self.raises is not None:
                raise self.raises
            self.made += 1
            return self.made
        finally:
            with self.lock:
                self.inside -= 1

    def stream(self, length: int = 1000) -> Iterator[int]:
        self.opened += 1
        assert self.opened - self.closed == 1, "the last stream is still open"
        try:
            for _ in range(length):
                yield self.work()
        finally:
            self.closed += 1


def test_a_call_and_a_stream_give_what_the_engine_gives(run) -> None:
    async def main() -> None:
        runner, engine = Runner(), Counter()
        assert await runner.call("stt", engine.work, LONG) == 1
        async with runner.stream("llm", lambda: engine.stream(3), LONG, LONG) as items:
            assert [item async for item in items] == [2, 3, 4]
        assert engine.closed == 1

    run(main)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("out of paper\nline two"), "the llm engine failed: ValueError: out of paper"),
        (RuntimeError(), "the llm engine failed: RuntimeError: it does not say why"),
        (EngineFault("own words"), "own words"),
    ],
)
def test_an_engine_that_raises_is_a_fault_of_one_line(run, error: Exception, text: str) -> None:
    async def main() -> None:
        runner, engine = Runner(), Counter(raises=error)
        with pytest.raises(EngineFault) as called:
            await runner.call("llm", engine.work, LONG)
        with pytest.raises(EngineFault) as streamed:
            async with runner.stream("llm", engine.stream, LONG, LONG) as items:
                await anext(items)
        assert str(called.value) == str(streamed.value) == text
        engine.raises = None
        assert await runner.call("llm", engine.work, LONG) == 1

    run(main)


@pytest.mark.parametrize("virtual", [False, True])
def test_an_engine_that_raises_before_its_first_item_is_a_fault_too(virtual: bool) -> None:
    """Its `stream` need not be a generator function."""

    def begin() -> Iterator[int]:
        raise ValueError("no such voice")

    async def main() -> None:
        runner = VirtualRunner(Costs(mode="declared")) if virtual else Runner()
        with pytest.raises(EngineFault, match="no such voice"):
            async with runner.stream("tts", begin, LONG, LONG) as items:
                await anext(items)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0) if virtual else None)


def test_nothing_is_made_before_it_is_pulled(run) -> None:
    async def main() -> None:
        runner, engine = Runner(), Counter()
        async with runner.stream("llm", engine.stream, LONG, LONG) as items:
            await anyio.sleep(0.02)
            assert (engine.opened, engine.made) == (0, 0)
            for number in range(1, 4):
                assert await anext(items) == number
                await anyio.sleep(0.02)
                assert engine.made == number

    run(main)


def test_who_is_cancelled_wastes_one_item_and_leaves_the_engine_closed(run) -> None:
    async def main() -> None:
        runner, engine, taken = Runner(), Counter(pause=0.05), 0

        async def consume() -> None:
            nonlocal taken
            async with runner.stream("llm", engine.stream, LONG, LONG) as items:
                async for _ in items:
                    taken += 1
                    arrived.set()

        arrived = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(consume)
            await arrived.wait()
            await anyio.sleep(0.02)  # in the middle of the next item
            tasks.cancel_scope.cancel()
        assert engine.made <= taken + 1
        assert (engine.opened, engine.closed, engine.inside) == (1, 1, 0)
        assert await runner.call("llm", engine.work, LONG) == engine.made

    run(main)


def test_who_stops_early_closes_the_engine(run) -> None:
    async def main() -> None:
        runner, engine = Runner(), Counter()

        async def stumble() -> None:
            async with runner.stream("llm", engine.stream, LONG, LONG) as items:
                await anext(items)
                raise KeyError

        with pytest.raises(KeyError):
            await stumble()
        assert (engine.made, engine.closed) == (1, 1)

    run(main)


def test_one_engine_is_never_entered_twice_and_others_do_not_wait(run) -> None:
    async def main() -> None:
        runner, shared, other = Runner(), Counter(pause=0.002), Counter()

        async def stream() -> None:
            async with runner.stream("llm", lambda: shared.stream(5), LONG, LONG) as items:
                async for _ in items:
                    pass

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(stream)
                tasks.start_soon(runner.call, "llm", shared.work, LONG)
        assert shared.most_inside == 1
        assert shared.made == 24
        async with runner.stream("llm", shared.stream, LONG, LONG) as items:
            await anext(items)
            assert await runner.call("tts", other.work, LONG) == 1

    run(main)


@pytest.mark.parametrize("hangs_at", [0, 2])
def test_an_engine_that_hangs_is_given_up_and_not_entered_until_it_comes_back(run, hangs_at: int) -> None:
    async def main() -> None:
        runner, engine = Runner(), Counter(hangs_at=hangs_at)

        async def exhaust() -> None:
            async with runner.stream("llm", engine.stream, SHORT, SHORT) as items:
                async for _ in items:
                    pass

        try:
            with pytest.raises(EngineStalled, match=r"the llm engine gave nothing for 0\.1 s"):
                await exhaust()
            for _ in range(2):
                with pytest.raises(EngineStalled, match="still hangs"):
                    await runner.call("llm", engine.work, SHORT)
            assert engine.most_inside == 1
            engine.hangs_at = None
        finally:
            engine.released.set()
        assert await runner.call("llm", engine.work, LONG) == hangs_at + 2
        assert (engine.opened, engine.closed, engine.most_inside) == (1, 1, 1)
        async with runner.stream("llm", lambda: engine.stream(1), LONG, LONG) as items:
            assert [item async for item in items] == [hangs_at + 3]

    run(main)


def test_who_waits_for_a_hanging_engine_can_be_cancelled_at_once(run) -> None:
    async def main() -> None:
        runner, engine = Runner(), Counter(hangs_at=0)
        try:
            with pytest.raises(EngineStalled):
                await runner.call("stt", engine.work, SHORT)
            with anyio.move_on_after(SHORT) as scope:
                await runner.call("stt", engine.work, LONG)
            assert scope.cancelled_caught
        finally:
            engine.released.set()

    run(main)


def test_the_next_item_has_its_own_limit(run) -> None:
    async def main() -> None:
        runner, engine = Runner(), Counter(hangs_at=1)
        try:
            async with runner.stream("llm", engine.stream, LONG, SHORT) as items:
                assert await anext(items) == 1
                with pytest.raises(EngineStalled, match=r"0\.1 s"):
                    await anext(items)
        finally:
            engine.released.set()

    run(main)


def test_declared_costs_are_charged_for_each_item_and_for_nothing_else() -> None:
    async def main() -> None:
        costs = Costs(mode="declared", stt=1.5, first_token=2.0, token=0.25, speech=0.5)
        runner, engine = VirtualRunner(costs), Counter()
        assert runner.now() == 0.0
        await runner.call("stt", engine.work, LONG)
        assert runner.now() == 1.5
        async with runner.stream("llm", lambda: engine.stream(3), LONG, LONG) as items:
            times = [runner.now() async for _ in items]
        assert times == [3.5, 3.75, 4.0]
        async with runner.stream("tts", lambda: engine.stream(2), LONG, LONG) as items:
            times = [runner.now() async for _ in items]
        assert times == [4.5, 5.0]
        assert runner.now() == 5.0, "that a stream is over costs nothing"

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_measured_cost_is_charged() -> None:
    async def main() -> float:
        runner = VirtualRunner(Costs(mode="measured"))
        began = runner.now()
        await runner.call("stt", lambda: time.sleep(0.05), LONG)
        await runner.sleep_until(100.0)
        assert runner.now() == 100.0
        async with runner.stream("llm", lambda: Counter(pause=0.05).stream(2), LONG, LONG) as items:
            assert [item async for item in items] == [1, 2]
        return runner.now() - began

    assert trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0)) >= 100.1


def test_a_virtual_stream_is_pulled_one_by_one_and_closed() -> None:
    async def main() -> None:
        runner, engine = VirtualRunner(Costs(mode="declared")), Counter()
        with anyio.move_on_after(0.3):
            async with runner.stream("llm", engine.stream, LONG, LONG) as items:
                async for _ in items:
                    assert engine.made <= 8
        assert engine.made == 8  # 0.1 s and then 0.03 s each: seven by 0.3 s, and the one that was wasted
        assert engine.closed == 1

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_the_real_clock_counts_from_its_beginning(run) -> None:
    async def main() -> None:
        runner = Runner()
        began = runner.now()
        assert 0 <= began < 5
        await runner.sleep_until(began + 0.05)
        assert runner.now() >= began + 0.05
        await runner.sleep_until(0.0)

    run(main)


def test_what_a_tool_in_a_thread_asks_for_is_done_where_the_session_runs(run) -> None:
    async def main() -> None:
        runner, where = Runner(), list[int]()

        def here() -> None:
            runner.here(lambda: where.append(threading.get_ident()))

        here()
        await runner.tool(here)
        here()
        assert where == [threading.get_ident()] * 3

    run(main)


def test_sessions_that_share_a_lock_take_turns_item_by_item(run) -> None:
    """Their streams are open together; the engine is entered by one of them at a time."""

    async def main() -> None:
        lock, engine = SharedLock(), Counter(pause=0.002)
        order: list[str] = []

        def endless() -> Iterator[int]:
            while True:
                yield engine.work()

        async def session(name: str) -> None:
            async with Runner({"tts": lock}).stream("tts", endless, LONG, LONG) as items:
                for _ in range(5):
                    await anext(items)
                    order.append(name)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session, "a")
            tasks.start_soon(session, "b")
        assert engine.most_inside == 1
        assert order != sorted(order), "one had to wait for the whole of the other"

    run(main)


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), min_size=1, max_size=40))
def test_who_talks_waits_for_one_item_of_the_background(arrivals: list[tuple[float, bool]]) -> None:
    """However many wait there: each item takes a second, and all have their turn."""
    begun: list[tuple[float, bool]] = []
    waits: list[tuple[float, float]] = []

    async def one(lock: SharedLock, when: float, background: bool) -> None:
        await trio.sleep(when)
        left = threading.Event()
        async with lock.taken("stt", left, 1000.0, kind="background" if background else "needed"):
            begun.append((trio.current_time(), background))
            if not background:
                waits.append((when, trio.current_time()))
            await trio.sleep(1.0)
            left.set()

    async def main() -> None:
        lock = SharedLock()
        async with trio.open_nursery() as tasks:
            for when, background in arrivals:
                tasks.start_soon(one, lock, when, background)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.0))
    assert len(begun) == len(arrivals)
    for came, went in waits:
        before = [background for at, background in begun if came < at < went]
        assert sum(before) <= 1


def test_a_crowd_in_the_background_is_overtaken() -> None:
    """Sixteen long files wait; the item of who talks is the next."""
    order: list[str] = []

    async def one(lock: SharedLock, name: str, background: bool) -> None:
        left = threading.Event()
        async with lock.taken("stt", left, 1000.0, kind="background" if background else "needed"):
            order.append(name)
            await trio.sleep(1.0)
            left.set()

    async def main() -> None:
        lock = SharedLock()
        async with trio.open_nursery() as tasks:
            for number in range(16):
                tasks.start_soon(one, lock, f"file {number}", True)
            await trio.sleep(0.5)
            tasks.start_soon(one, lock, "talker", False)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.0))
    assert order.index("talker") == 1
    assert len(order) == 17


def test_work_that_hangs_keeps_the_desk_from_other_sessions_until_it_comes_back(run) -> None:
    async def main() -> None:
        lock, engine = SharedLock(), Counter(hangs_at=0)
        one, other = Runner({"stt": lock}), Runner({"stt": lock})
        try:
            with pytest.raises(EngineStalled, match="gave nothing"):
                await one.call("stt", engine.work, SHORT)
            assert lock.hangs
            with pytest.raises(EngineStalled, match="still hangs in the work of another session"):
                await other.call("stt", engine.work, SHORT)
            engine.hangs_at = None
        finally:
            engine.released.set()
        assert await other.call("stt", engine.work, LONG) == 2
        assert engine.most_inside == 1
        assert not lock.hangs

    run(main)


def test_who_waits_too_long_at_a_desk_is_told_and_who_is_cancelled_there_goes(run) -> None:
    async def main() -> None:
        lock, engine = SharedLock(), Counter(pause=0.5)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Runner({"stt": lock}).call, "stt", engine.work, LONG)
            await anyio.sleep(0.05)
            with pytest.raises(EngineStalled, match="busy with others"):
                await Runner({"stt": lock}).call("stt", engine.work, SHORT)
            with anyio.move_on_after(SHORT) as scope:
                await Runner({"stt": lock}).call("stt", engine.work, LONG)
            assert scope.cancelled_caught
        assert engine.made == 1

    run(main)


@pytest.mark.parametrize("run", [run_real, lambda main: run_virtual(Config(), main)])
def test_ctrl_c_is_raised_where_the_main_task_waits_and_leaves_no_work_half_done(run) -> None:
    done: list[str] = []

    async def work() -> None:
        with anyio.CancelScope():
            signal.raise_signal(signal.SIGINT)
            done.append("what had been begun")
            await anyio.sleep(LONG)
        done.append("too much")

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)

    with pytest.RaisesGroup(KeyboardInterrupt):
        run(main)
    assert done == ["what had been begun"]
