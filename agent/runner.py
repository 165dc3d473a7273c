"""Blocking engines for async tasks; the one place that knows threads and clocks. Knows no engine.

An engine is called one item at a time: in a worker thread when the clock is real, in line when it is
virtual. So a slow consumer holds the engine back, and a cancelled one wastes one item at most. An
engine serves one caller at a time; the next one waits until it is free, even of work that was given up.
Sessions that share an engine share its desk: their streams may be open together, their items are made
one after the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

import anyio
import anyio.lowlevel
import anyio.to_thread

from agent import signals
from agent.errors import BackchatError, EngineFault, EngineStalled, in_one_line
from agent.settings import Costs

T = TypeVar("T")
Engine = Literal["stt", "llm", "tts", "endpointing", "vision", "camera", "decoder"]

PATROL = 0.02
"""Seconds between two looks at whether an engine that was given up has come back."""


def run_real(main: Callable[..., Awaitable[T]], *args: object) -> T:
    """The result of an async function on the real clock. A signal cancels it, and is obeyed then.

    Where signals are left to Python, Ctrl-C is raised where `main` waits, not wherever the program just is,
    which may be inside a library that must not be left half way.
    """
    safely = {"restrict_keyboard_interrupt_to_checkpoints": True}
    return anyio.run(until_told, main, *args, backend="trio", backend_options=safely)


_working: anyio.lowlevel.RunVar[set[anyio.CancelScope]] = anyio.lowlevel.RunVar("working")
"""The scopes of what is at work in threads; cancelled, they leave it behind."""


@contextmanager
def _at_work(scope: anyio.CancelScope) -> Generator[None]:
    working = _working.get(set[anyio.CancelScope]())
    working.add(scope)
    try:
        yield
    finally:
        working.discard(scope)


async def until_told(main: Callable[..., Awaitable[T]], *args: object) -> T:
    """The result of `main`, on trio; a signal cancels it, and what it means is raised then.

    Work in threads is left behind: the program ends, and waits for no engine.
    """
    import trio

    token, working = trio.lowlevel.current_trio_token(), set[anyio.CancelScope]()
    _working.set(working)

    def end() -> None:
        scope.cancel()
        for work in working:
            work.cancel()

    with anyio.CancelScope() as scope, signals.orderly(lambda: token.run_sync_soon(end)):
        return await main(*args)
    signals.obey()
    raise AssertionError("nothing but a signal cancels this scope")


@contextmanager
def stoppable() -> Generator[anyio.CancelScope]:
    """Within, Ctrl-C cancels the block and not the program. Below `run_real`, in one task at a time.

    Work in threads is left behind, as after its time limit: whoever presses is not kept waiting by an engine.
    """
    import trio

    token, working = trio.lowlevel.current_trio_token(), _working.get()

    def stop() -> None:
        scope.cancel()
        for work in working:
            work.cancel()

    with anyio.CancelScope() as scope, signals.orderly(lambda: token.run_sync_soon(stop), ends=False):
        yield scope


@dataclass(frozen=True, slots=True)
class _End:
    """What a step gives when the engine's iterator is exhausted; never leaves this file."""


@dataclass(slots=True)
class _Slot:
    """What lets one caller at a time into an engine.

    left: set whenever no thread is inside. unclosed: closes the stream of a caller that gave up waiting.
    """

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    left: threading.Event = field(default_factory=threading.Event)
    unclosed: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.left.set()


class SharedLock:
    """Where the bridges of several sessions meet over one engine: one item of one of them at a time.

    However much waits in the background, each item of who talks waits for one of them at most.
    """

    def __init__(self) -> None:
        self._lock, self._background = anyio.Lock(), anyio.Lock()
        self._left = threading.Event()
        self._left.set()

    @property
    def hangs(self) -> bool:
        """Whether work that was given up is still inside the engine."""
        return not self._lock.locked() and not self._left.is_set()

    @asynccontextmanager
    async def taken(
        self, engine: Engine, left: threading.Event, limit: float, *, background: bool = False
    ) -> AsyncGenerator[None]:
        """The desk for one item, whose thread sets `left`. Raises EngineStalled after `limit` seconds.

        background: nobody is in the midst of a conversation for it; all such items wait as one.
        """
        waiting = anyio.CancelScope(deadline=anyio.current_time() + limit)
        async with AsyncExitStack() as held:
            with waiting:
                for lock in (self._background, self._lock) if background else (self._lock,):
                    await held.enter_async_context(lock)
            if waiting.cancelled_caught:
                raise _stalled(engine, f"was busy with others for {limit:g} s; try again")
            with anyio.move_on_after(limit):
                while not self._left.is_set():
                    await anyio.sleep(PATROL)
            if not self._left.is_set():
                raise _stalled(engine, "still hangs in the work of another session")
            self._left = left
            yield


class Runner:
    """Runs engines on the real clock, each step in a worker thread.

    locks: where the engines are shared with other sessions; none is needed for an engine of one's own.
    background: whether those who are in the midst of a conversation go first there.
    """

    def __init__(self, locks: Mapping[Engine, SharedLock] | None = None, *, background: bool = False) -> None:
        self._zero = time.perf_counter()
        self._locks, self._background = locks or {}, background
        self._slots: dict[Engine, _Slot] = {name: _Slot() for name in get_args(Engine)}

    def now(self) -> float:
        """Seconds on the session's clock. On the real clock any thread may ask."""
        return time.perf_counter() - self._zero

    async def sleep_until(self, moment: float) -> None:
        """Wait for a moment of the session's clock (s); one that is past only yields to other tasks."""
        await anyio.sleep(max(0.0, moment - self.now()))

    async def wait_for(self, work: Callable[[], T]) -> T:
        """The result of something that may block for ever, such as a user at a keyboard.

        When the task is cancelled the thread is left behind.
        """
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)

    async def call(self, engine: Engine, work: Callable[[], T], limit: float) -> T:
        """The result of one blocking call. Raises EngineFault, or EngineStalled after `limit` seconds."""
        async with self._entered(engine, limit):
            return await self._step(engine, work, limit, first=True)

    @asynccontextmanager
    async def stream(
        self, engine: Engine, begin: Callable[[], Iterator[T]], first_limit: float, limit: float
    ) -> AsyncGenerator[AsyncIterator[T]]:
        """An engine's generator as an async iterator, pulled one item at a time and closed at the end.

        The first item may take `first_limit` seconds, each later one `limit`. Raises as `call` does.
        """
        iterator: Iterator[T] | None = None

        def pull() -> T | _End:
            nonlocal iterator
            if iterator is None:
                iterator = iter(begin())
            return next(iterator, _End())

        def finish() -> None:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

        async def items() -> AsyncGenerator[T]:
            first = True
            while True:
                item = await self._step(engine, pull, first_limit if first else limit, first=first)
                if isinstance(item, _End):
                    return
                yield item
                first = False

        async with self._entered(engine, first_limit) as door, aclosing(items()) as source:
            try:
                yield source
            finally:
                if not door.left.is_set():  # its thread is still inside: the next caller closes it
                    door.unclosed = finish
                else:
                    with anyio.CancelScope(shield=True):
                        await self._run(engine, finish, limit)

    @asynccontextmanager
    async def _entered(self, engine: Engine, limit: float) -> AsyncGenerator[_Slot]:
        """The engine for oneself, free of what an earlier caller gave up; EngineStalled if it is not."""
        door = self._slots[engine]
        async with door.lock:
            with anyio.move_on_after(limit):
                while not door.left.is_set():
                    await anyio.sleep(PATROL)
            if not door.left.is_set():
                raise _stalled(engine, "still hangs in earlier work; this reply is given up")
            if (close := door.unclosed) is not None:
                door.unclosed = None
                await self._run(engine, close, limit)
            yield door

    async def _step(self, engine: Engine, work: Callable[[], T], limit: float, *, first: bool) -> T:
        """One item of an engine's work; on a virtual clock this is what is charged."""
        return await self._run(engine, work, limit)

    async def _run(self, engine: Engine, work: Callable[[], T], limit: float) -> T:
        """Blocking work in a thread.

        The shield lets work that was cancelled end by itself, since an engine must not be entered
        twice; only what exceeds its limit is left behind in its thread, and all when the program ends.
        """
        if (desk := self._locks.get(engine)) is None:
            return await self._in_thread(engine, work, limit, threading.Event())
        left = threading.Event()
        async with desk.taken(engine, left, limit, background=self._background):
            return await self._in_thread(engine, work, limit, left)

    async def _in_thread(
        self, engine: Engine, work: Callable[[], T], limit: float, left: threading.Event
    ) -> T:
        done: list[T] = []
        self._slots[engine].left = left
        claim = threading.Lock()  # taken by the work as it begins, or by who gives it up before that

        def inside() -> T:
            if not claim.acquire(blocking=False):
                raise EngineStalled("given up before it began")
            try:
                return _guarded(engine, work)
            finally:
                left.set()

        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + limit) as scope, _at_work(scope):
            done.append(await anyio.to_thread.run_sync(inside, abandon_on_cancel=True))
        if not done:
            if claim.acquire(blocking=False):
                left.set()
            await anyio.lowlevel.checkpoint_if_cancelled()
            raise _stalled(engine, f"gave nothing for {limit:g} s; this reply is given up")
        await anyio.lowlevel.checkpoint_if_cancelled()
        return done[0]


class VirtualRunner(Runner):
    """Runs engines in line on a virtual clock, and charges each step to it.

    Needs trio with a MockClock that jumps (`agent.simulation.virtual.run_virtual` sets one up).
    """

    def __init__(self, costs: Costs) -> None:
        super().__init__()
        self._costs = costs
        self._start: float | None = None

    def now(self) -> float:
        """Seconds of virtual time since the first call."""
        moment = anyio.current_time()
        if self._start is None:
            self._start = moment
        return moment - self._start

    async def _step(self, engine: Engine, work: Callable[[], T], limit: float, *, first: bool) -> T:
        began = time.perf_counter()
        result = await self._run(engine, work, limit)
        if self._costs.mode == "measured":
            cost = time.perf_counter() - began
        elif isinstance(result, _End):
            cost = 0.0
        elif engine == "llm":
            cost = self._costs.first_token if first else self._costs.token
        else:
            declared = self._costs
            costs = {
                "stt": declared.stt,
                "tts": declared.speech,
                "endpointing": declared.endpointing,
                "vision": declared.vision,
            }
            cost = costs.get(engine, 0.0)
        await anyio.sleep(cost)
        return result

    async def _run(self, engine: Engine, work: Callable[[], T], limit: float) -> T:
        # The step is in line, so nothing could be cancelled before its end: a signal is raised inside it.
        with signals.orderly():
            return _guarded(engine, work)


def _guarded(engine: Engine, work: Callable[[], T]) -> T:
    try:
        return work()
    except BackchatError as error:
        error.engine = error.engine or engine
        raise
    except Exception as error:  # engines are other people's code: whatever they raise ends the turn, no more
        fault = EngineFault(f"the {engine} engine failed: {in_one_line(error)}")
        fault.engine = engine
        raise fault from error


def _stalled(engine: Engine, what: str) -> EngineStalled:
    fault = EngineStalled(f"the {engine} engine {what}")
    fault.engine = engine
    return fault
