"""Who is next at an engine that sessions share: item by item, and for conversations on a virtual clock."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import anyio
import numpy as np
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from agent import events as ev
from agent.config import load
from agent.order import BACKGROUND, LATE, PATIENCE, Queue
from agent.protocols import Engines
from agent.reports.waits import turns
from agent.runner import Engine, Runner, SharedLock, VirtualRunner
from agent.settings import Costs
from agent.simulation.virtual import Line, _converse, run_virtual
from agent.testing import LoudnessDetector, ScriptedLLM, ScriptedSTT, ScriptedTTS
from audio.files import Recorder
from scripted import loud

LONG = 30.0


def virtually(main, *args) -> None:
    trio.run(main, *args, clock=trio.testing.MockClock(autojump_threshold=0.0))


@dataclass(eq=False)
class Item:
    """One that comes at `came` (s), is needed `slack` seconds later, and takes `takes` seconds.

    patient: seconds after which it goes away, if it has not begun.
    """

    came: float
    slack: float
    takes: float
    kind: str = "needed"
    patient: float = math.inf
    began: float | None = None

    @property
    def ended(self) -> float:
        """When it was done (s)."""
        assert self.began is not None
        return self.began + self.takes

    @property
    def due(self) -> float:
        """Its deadline as it ages."""
        slack = BACKGROUND if self.kind == "background" else min(max(self.slack, -LATE), PATIENCE)
        return self.came + slack


MOMENTS = st.integers(0, 24).map(lambda eighths: eighths / 8)
"""Seconds that add up without rounding, as all that is taken here: who comes as another ends comes then."""
ITEMS = st.lists(
    st.builds(
        Item,
        st.integers(0, 64).map(lambda eighths: eighths / 8),
        st.floats(-1e9, 1e9) | st.floats(-2, 8),
        st.sampled_from([1 / 16, 0.25, 1.0]),
        st.sampled_from(["needed", "needed", "spare"]),
        st.sampled_from([math.inf, math.inf, 0.5]),
    ),
    min_size=1,
    max_size=25,
)


def served(items: list[Item]) -> Queue:
    """The queue after all that came and did not go was served, one after the other."""
    queue, inside = Queue(), []

    async def one(item: Item) -> None:
        await trio.sleep_until(trio.current_time() + item.came)
        item.came = trio.current_time()
        with trio.move_on_after(item.patient) as patience:
            async with queue.place(item.kind, lambda: item.came + item.slack):
                patience.deadline = math.inf
                assert not inside, "two at once"
                inside.append(item)
                item.began = trio.current_time()
                await trio.sleep(item.takes)
                inside.remove(item)

    async def main() -> None:
        with trio.fail_after(10_000):
            async with trio.open_nursery() as tasks:
                for item in items:
                    tasks.start_soon(one, item)

    virtually(main)
    return queue


@given(ITEMS)
def test_the_next_is_whose_deadline_is_the_earliest(items: list[Item]) -> None:
    served(items)
    for item in (each for each in items if each.began is not None):
        rivals = [
            other
            for other in items
            if other.came < item.began
            and (
                item.began < other.began
                if other.began is not None
                else item.began < other.came + other.patient
            )
        ]
        if item.came < item.began:
            needed = [each.due for each in rivals if each.kind == "needed"]
            assert all(item.due <= due for due in needed) if item.kind == "needed" else not needed


@given(ITEMS)
def test_none_is_overtaken_by_what_came_much_later_and_all_are_served(items: list[Item]) -> None:
    queue = served(items)
    for item in (each for each in items if each.kind == "needed"):
        assert item.began is not None or item.patient < math.inf
        if item.began is None:
            continue
        for other in items:
            if other is not item and other.began is not None and item.came < other.began < item.began:
                assert other.kind == "needed"
                assert other.came <= item.came + PATIENCE + LATE
    assert not queue._waiting

    async def again() -> None:
        with trio.fail_after(1):
            async with queue.place("needed"):
                pass

    virtually(again)


def left(items: list[Item], moment: float) -> float:
    """Seconds of needed work that had come by a moment and was not done."""
    needed = [each for each in items if each.kind == "needed" and each.came <= moment]
    done = [min(max(moment - each.began, 0.0), each.takes) for each in needed if each.began is not None]
    return sum(each.takes for each in needed) - sum(done)


@given(
    st.lists(st.tuples(MOMENTS, st.floats(-2, 8)), min_size=1, max_size=8),
    st.lists(MOMENTS, min_size=1, max_size=12),
)
def test_spare_work_costs_what_is_needed_no_more_than_one_item_of_it(
    needed: list[tuple[float, float]], spare: list[float]
) -> None:
    """However much of it is wanted, at no moment is more left to do than without it, but for one that had
    begun: nobody waits a second for the interim transcripts of others, which take 0.25 s.
    """
    alone = [Item(came, slack, 0.5) for came, slack in needed]
    together = [*(replace(each) for each in alone), *(Item(came, 0.0, 0.25, "spare") for came in spare)]
    for each in (together, alone):
        served(each)
    for at in (moment for each in (*together, *alone) for moment in (each.came, each.began, each.ended)):
        assert left(together, at) <= left(alone, at) + 0.25


def test_who_is_far_ahead_is_served_under_a_load_that_never_ends() -> None:
    """Two sessions that are silent ask for one item after the other; a third has an hour of speech ahead."""
    queue, served_at = Queue(), []

    async def silent() -> None:
        while not served_at:
            async with queue.place("needed", lambda: 0.0):
                await trio.sleep(0.1)

    async def far_ahead() -> None:
        await trio.sleep(0.05)
        async with queue.place("needed", lambda: trio.current_time() + 3600):
            served_at.append(trio.current_time())

    async def main() -> None:
        zero = trio.current_time()
        with trio.fail_after(100):
            async with trio.open_nursery() as tasks:
                for task in (silent, silent, far_ahead):
                    tasks.start_soon(task)
        assert PATIENCE - 1 < served_at[0] - zero <= PATIENCE + LATE + 0.3

    virtually(main)


def test_a_deadline_is_asked_for_when_the_engine_is_free_not_when_it_is_come_for() -> None:
    """The reply that had 0.2 s ahead has got 3 s of speech meanwhile; the other is silent in 1 s."""
    queue, order, ahead = Queue(), list[str](), {"first": 0.2, "second": 1.0}

    async def one(name: str) -> None:
        async with queue.place("needed", lambda: trio.current_time() + ahead[name]):
            order.append(name)

    async def main() -> None:
        async with trio.open_nursery() as tasks, queue.place("needed"):
            for name in ahead:
                tasks.start_soon(one, name)
            await trio.testing.wait_all_tasks_blocked()
            ahead["first"] = 3.0

    virtually(main)
    assert order == ["second", "first"]


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_who_is_cancelled_as_it_is_let_in_lets_the_next_one_in(backend: str) -> None:
    async def main() -> None:
        queue = Queue()
        scopes = [anyio.CancelScope() for _ in range(3)]
        inside: list[int] = []

        async def one(number: int) -> None:
            with scopes[number]:
                async with queue.place("needed"):
                    inside.append(number)

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                async with queue.place("needed"):
                    for number in range(3):
                        tasks.start_soon(one, number)
                    await anyio.wait_all_tasks_blocked()
                    scopes[1].cancel()
                scopes[0].cancel()  # its turn has come in this very moment
            async with queue.place("needed"):
                pass
        assert 2 in inside
        assert 1 not in inside

    anyio.run(main, backend=backend)


def test_what_nobody_would_miss_comes_last_and_not_at_all_when_it_is_late() -> None:
    async def main() -> None:
        lock, costs = SharedLock(), Costs(mode="declared", stt=1.0)
        order: list[str] = []

        async def session(name: str, come: float, until: float | None) -> None:
            runner = VirtualRunner(costs, {"stt": lock})
            runner.now()
            await trio.sleep(come)
            if until is None:
                await runner.call("stt", partial(order.append, name), LONG, due=lambda: 5.0)
            else:
                before = len(order)
                done = await runner.spare("stt", lambda: order.append(name) or True, LONG, until)
                assert (done is None) == (name == "late")
                assert done or len(order) >= before

        async with trio.open_nursery() as tasks:
            tasks.start_soon(session, "first", 0.0, None)
            tasks.start_soon(session, "spare", 0.1, 4.0)
            tasks.start_soon(session, "late", 0.2, 1.9)
            tasks.start_soon(session, "needed", 0.3, None)
        assert order == ["first", "needed", "spare"]

    virtually(main)


@pytest.mark.parametrize("virtual", [True, False])
def test_what_is_needed_does_not_wait_behind_ones_own_spare_work(virtual: bool) -> None:
    """An interim transcript waits for the engine, which another session has; the final one comes."""

    async def main() -> None:
        lock = SharedLock()
        runner = VirtualRunner(Costs(mode="declared"), {"stt": lock}) if virtual else Runner({"stt": lock})
        done: list[object] = []

        async def interim() -> None:
            done.append(await runner.spare("stt", lambda: "interim", LONG, runner.now() + LONG))

        async def final() -> None:
            done.append(await runner.call("stt", lambda: "final", LONG))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks, lock.queue.place("needed"):
                tasks.start_soon(interim)
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(final)
                await anyio.wait_all_tasks_blocked()
                assert done == [None], "it gives up its place at once"
        assert done == [None, "final"]

    anyio.run(main, backend="trio")


def test_spare_work_that_has_begun_is_finished() -> None:
    async def main() -> None:
        runner, done = VirtualRunner(Costs(mode="declared", stt=1.0), {"stt": SharedLock()}), list[object]()

        async def interim() -> None:
            done.append(await runner.spare("stt", lambda: "interim", LONG, runner.now() + 0.5))

        async with trio.open_nursery() as tasks:
            tasks.start_soon(interim)
            await trio.sleep(0.1)
            done.append(await runner.call("stt", lambda: "final", LONG))
        assert done == ["interim", "final"]

    virtually(main)


def ahead(parts: int, done: list[int]):
    """A prompt that is read in so many parts."""

    def begin():
        for number in range(parts - 1):
            done.append(number)
            yield
        done.append(parts - 1)

    return begin


def test_a_long_prompt_lets_others_in_between_its_parts() -> None:
    """Reading ahead takes 20 parts of 0.2 s. Another session comes: read whole it waited 3.5 s."""

    async def main() -> None:
        lock, costs = SharedLock(), Costs(mode="declared", first_token=0.2, token=0.05)
        done: list[int] = []
        waits: list[float] = []

        async def reads() -> None:
            await VirtualRunner(costs, {"llm": lock}).ahead("llm", ahead(20, done), LONG, 10.0)

        async def answers() -> None:
            await trio.sleep(0.5)
            runner, last = VirtualRunner(costs, {"llm": lock}), trio.current_time()
            async with runner.stream("llm", lambda: iter("abcdef"), LONG, LONG, lambda: 0.0) as stream:
                async for letter in stream:
                    waits.append(trio.current_time() - last - (0.2 if letter == "a" else 0.05))
                    last = trio.current_time()

        async with trio.open_nursery() as tasks:
            tasks.start_soon(reads)
            tasks.start_soon(answers)
        assert max(waits) <= 0.2 + 1e-6
        assert done == list(range(20)), "nothing of it is lost"

    virtually(main)


@pytest.mark.parametrize("virtual", [True, False])
@pytest.mark.parametrize("what", ["answer", "newer"])
def test_reading_ahead_ends_where_its_own_session_wants_something_else(virtual: bool, what: str) -> None:
    """The user has gone on, or has finished: either is another prompt, and would undo what this one reads."""

    async def main() -> None:
        runner = VirtualRunner(Costs(mode="declared")) if virtual else Runner()
        done: list[int] = []
        order: list[str] = []
        parts = ahead(100, done)

        def slowly():
            for part in parts():
                threading.Event().wait(0.0 if virtual else 0.02)
                yield part

        async def other() -> None:
            while not done:
                await anyio.sleep(0.01)
            if what == "answer":
                order.append(await runner.call("llm", lambda: "answer", LONG))
            else:
                await runner.ahead("llm", lambda: iter(order.append("newer") or ()), LONG, LONG)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(other)
                await runner.ahead("llm", slowly, LONG, LONG)
                before = len(done)
                assert before < 100
        assert order == [what]
        assert len(done) == before

    anyio.run(
        main,
        backend="trio",
        backend_options={"clock": trio.testing.MockClock(autojump_threshold=0)} if virtual else {},
    )


COSTS = Costs(mode="declared", stt=0.25, endpointing=0.03, first_token=0.12, token=0.03, speech=0.05)
SESSIONS, ASKED = 5, 2
REPLY = "The first thing is this. " + "And then there is one more thing to be told about it. " * 3


@dataclass
class Talk:
    """What happened in one session."""

    events: list[ev.Event] = field(default_factory=list)

    @property
    def waits(self) -> list[float]:
        """From each last speech of the user to the first sound."""
        return [turn.voice_to_voice for turn in turns(self.events) if turn.voice_to_voice is not None]

    @property
    def gap(self) -> float:
        """The longest that a reply which had begun to sound had to wait for its next part."""
        longest = 0.0
        for turn in turns(self.events):
            until = turn.audio_started or 0.0
            for part in self.events:
                if isinstance(part, ev.Synthesized) and part.turn == turn.turn:
                    longest = max(longest, part.time - until)
                    until = max(until, part.time) + part.seconds
        return longest

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)


def held(tmp_path: Path, count: int, *more: str, shared: bool = True) -> list[Talk]:
    """`count` conversations at once over one set of engines, each item of which takes what `COSTS` says."""
    config = load(None, ["turns.meaning=off", "turns.end=0.3", *more]).model_copy(update={"costs": COSTS})
    language_model = Queue()
    kinds: tuple[Engine, ...] = ("stt", "tts", "endpointing")
    common = {kind: SharedLock() for kind in kinds}
    talks = [Talk() for _ in range(count)]

    async def one(number: int) -> None:
        await trio.sleep(0.23 * number)
        engines = Engines(
            ScriptedSTT(["tell me what it is"]), ScriptedLLM([REPLY]), ScriptedTTS(), vad=LoudnessDetector
        )
        locks: dict[Engine, SharedLock] = {"llm": SharedLock(language_model), **common} if shared else {}
        lines = [Line(loud(2.0 + 0.3 * ((number + asked) % 4)), "after", 0.7) for asked in range(ASKED)]
        runner = VirtualRunner(config.costs, locks)
        with Recorder(tmp_path / f"{count}-{number}.wav") as recorder:
            watchers = [talks[number].events.append]
            await _converse(engines, config, lines, runner, recorder, watchers, None, None)

    async def main() -> None:
        async with trio.open_nursery() as tasks:
            for number in range(count):
                tasks.start_soon(one, number)

    run_virtual(config, main)
    assert all(len(talk.waits) == ASKED for talk in talks), "every question must be answered, once"
    return talks


def p95(talks: list[Talk]) -> float:
    return float(np.percentile([wait for talk in talks for wait in talk.waits], 95))


def test_nobody_waits_long_because_of_anothers_interim_work(tmp_path: Path) -> None:
    """Five talk at once; a transcript takes 0.25 s, and an interim one is wanted every 0.3 s of speech."""
    interim = held(tmp_path, SESSIONS, "stt.interim=0.3")
    without = held(tmp_path, SESSIONS, "stt.interim=0")
    alone = held(tmp_path, 1, "stt.interim=0")
    assert sum(talk.count(ev.InterimTranscript) for talk in interim) > 0, "they are thinned, not given up"
    assert p95(interim) - p95(without) <= 0.4
    assert p95(interim) - p95(alone) <= 1.2


def test_a_session_tells_what_of_its_wait_was_spent_behind_others(tmp_path: Path) -> None:
    """The same talk alone, all else being equal, is shorter by what five at once tell to have waited."""
    together, (alone,) = held(tmp_path, SESSIONS, "stt.interim=0"), held(tmp_path, 1, "stt.interim=0")
    reports = [turn for talk in together for turn in turns(talk.events) if turn.audio_started is not None]
    assert sum(bool(turn.queued) for turn in reports) > len(reports) / 2
    for turn in reports:
        longer = (turn.voice_to_voice or 0.0) - max(alone.waits)
        assert longer <= sum(turn.queued.values()) + 0.05
    assert not any(turn.queued for turn in turns(alone.events))


def test_no_reply_falls_silent_because_others_are_answered(tmp_path: Path) -> None:
    """Five begin within a second; whose speech runs out first goes first. First come, first served: 0.8 s."""
    assert max(talk.gap for talk in held(tmp_path, SESSIONS)) <= 0.1


@pytest.mark.parametrize(("others", "share"), [(0, 1.0), (1, 0.34)])
def test_spare_work_leaves_an_engine_alone_that_others_need(others: int, share: float) -> None:
    """It is wanted all the time, by who takes what is left; needed work comes once a second, and waits."""
    spent = 0.0

    async def main() -> None:
        queue, end = Queue(), trio.current_time() + 30

        async def spare() -> None:
            nonlocal spent
            while trio.current_time() < end:
                async with queue.place("spare"):
                    await trio.sleep(0.2)
                    spent += 0.2

        async def needed() -> None:
            while trio.current_time() < end:
                await trio.sleep(1)
                async with queue.place("needed"):
                    await trio.sleep(0.1)

        async with trio.open_nursery() as tasks:
            tasks.start_soon(spare)
            for _ in range(others):
                tasks.start_soon(needed)
                tasks.start_soon(needed)

    virtually(main)
    assert spent / 30 <= share + 0.03
    assert spent / 30 >= share - 0.1
