"""Blocking engines for async tasks; the one place that knows threads and clocks. Knows no engine.

An engine is called one item at a time: in a worker thread when the clock is real, in line when it is
virtual. So a slow consumer holds the engine back, and a cancelled one wastes one item at most. An
engine serves one caller at a time; the next one waits until it is free, even of work that was given up.
Sessions that share an engine share its lock: their streams may be open together, their items are made
one after the other, in the order of need (`agent.order`).
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from agent import signals
from agent.errors import BackchatError, EngineFault, EngineStalled, in_one_line
from agent.order import Due, Kind, Queue, Wish, wishing
from agent.settings import Costs

T = TypeVar("T")
Engine = Literal["stt", "llm", "tts", "endpointing", "vision", "camera", "decoder", "speakers"]
Waited = Callable[[Engine, Kind, float], None]

MOST_TOOLS = 16
"""Tools of one session that may block at once."""
VIRTUAL_START = 1_767_268_800.0
"""Seconds since 1970 at which the virtual clock begins: 1 January 2026, 12:00 UTC."""
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

    done: list[T] = []
    with anyio.CancelScope() as scope, signals.orderly(lambda: token.run_sync_soon(end)):
        done.append(await main(*args))
    if not done or signals.received() is not None:  # it may have come as all was done
        signals.obey()
    return done[0]


@contextmanager
def stoppable(stop: Callable[[], object]) -> Generator[None]:
    """Within, Ctrl-C cancels the block and not the program. Below `run_real`, in one task at a time.

    stop: then gives up what the block waited for. Only after that is its work in threads left behind, as
    after a time limit: whoever presses is not kept waiting by an engine, and none is said to have failed. A
    press that comes when the block is done already means what it means outside.
    """
    import trio

    token, pressed = trio.lowlevel.current_trio_token(), False

    def press() -> None:
        nonlocal pressed
        pressed = True
        token.run_sync_soon(scope.cancel)

    with anyio.CancelScope() as scope, signals.orderly(press, ends=False):
        yield
    if scope.cancelled_caught:
        stop()
        for work in tuple(_working.get()):
            work.cancel()
    elif pressed:
        signal.raise_signal(signal.SIGINT)


@dataclass(frozen=True, slots=True)
class _End:
    """What a step gives when the engine's iterator is exhausted; never leaves this file."""


@dataclass(slots=True)
class _Slot:
    """What lets one caller at a time into an engine.

    left: set whenever no thread is inside. unclosed: closes the stream of a caller that gave up waiting.
    spare: the scopes of those that wait for the engine without need.
    """

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    left: threading.Event = field(default_factory=threading.Event)
    unclosed: Callable[[], None] | None = None
    spare: set[anyio.CancelScope] = field(default_factory=set[anyio.CancelScope])

    def __post_init__(self) -> None:
        self.left.set()


class SharedLock:
    """Where the runners of several sessions meet over one engine: one item of one of them at a time.

    queue: who is next; several locks may share one, whose engines hang each for itself. waited: told how
    long each item has waited (s).
    """

    def __init__(self, queue: Queue | None = None, waited: Waited | None = None) -> None:
        self.queue, self._waited = queue or Queue(), waited
        self._inside = False
        self._left = threading.Event()
        self._left.set()

    @property
    def hangs(self) -> bool:
        """Whether work that was given up is still inside the engine."""
        return not self._inside and not self._left.is_set()

    @asynccontextmanager
    async def taken(
        self,
        engine: Engine,
        left: threading.Event,
        limit: float,
        *,
        due: Due | None = None,
        kind: Kind = "needed",
        waited: Waited | None = None,
    ) -> AsyncGenerator[None]:
        """The engine for one item, whose thread sets `left`. Raises EngineStalled after `limit` seconds.

        due, kind: as `Queue.place` takes them. waited: is told as well how long it has waited (s).
        """
        came = anyio.current_time()
        waiting = anyio.CancelScope(deadline=came + limit)
        async with AsyncExitStack() as held:
            with waiting:
                while True:
                    while self.hangs:  # without a place in the queue, which may be that of other engines too
                        await anyio.sleep(PATROL)
                    await held.enter_async_context(self.queue.place(kind, due))
                    if self._left.is_set():
                        break
                    await held.aclose()
            if waiting.cancelled_caught and self.hangs:
                raise _stalled(engine, "still hangs in the work of another session")
            if waiting.cancelled_caught:
                raise _stalled(engine, f"was busy with others for {limit:g} s; try again")
            for told in (self._waited, waited):
                if told is not None:
                    told(engine, kind, anyio.current_time() - came)
            self._inside, self._left = True, left
            try:
                yield
            finally:
                self._inside = False


class Runner:
    """Runs engines on the real clock, each step in a worker thread.

    locks: where the engines are shared with other sessions; none is needed for an engine of one's own.
    background: whether those who are in the midst of a conversation go first there.
    """

    def __init__(self, locks: Mapping[Engine, SharedLock] | None = None, *, background: bool = False) -> None:
        self._zero = time.perf_counter()
        self._locks, self._background = locks or {}, background
        self._slots: dict[Engine, _Slot] = {name: _Slot() for name in get_args(Engine)}
        self._tools: anyio.CapacityLimiter | None = None
        self._thread: int | None = None
        self._waited: Waited | None = None

    def watch_waits(self, watch: Waited) -> None:
        """Have `watch` told how long each item of this session waits for an engine that others use too."""
        self._waited = watch

    def now(self) -> float:
        """Seconds on the session's clock. On the real clock any thread may ask."""
        return time.perf_counter() - self._zero

    def time(self) -> float:
        """Seconds since 1970."""
        return time.time()

    async def sleep_until(self, moment: float) -> None:
        """Wait for a moment of the session's clock (s); one that is past only yields to other tasks."""
        await anyio.sleep(max(0.0, moment - self.now()))

    async def wait_for(self, work: Callable[[], T]) -> T:
        """The result of something that may block for ever, such as a user at a keyboard.

        When the task is cancelled the thread is left behind.
        """
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)

    async def tool(self, work: Callable[[], T]) -> T:
        """The result of a tool's blocking work, of which several may go on at once.

        When the task is cancelled the thread is left behind. Tools that hang take no thread from the engines.
        """
        if self._tools is None:
            self._tools = anyio.CapacityLimiter(MOST_TOOLS)
        self._thread = threading.get_ident()
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._tools)

    def here(self, work: Callable[[], object]) -> None:
        """Have this done where the session runs: a tool's blocking work, in its thread, may ask for it."""
        if self._thread in (None, threading.get_ident()):
            work()
        else:
            anyio.from_thread.run_sync(work)

    @contextmanager
    def outside(self) -> Generator[None]:
        """Within, something is waited for that keeps its own time, as another process does."""
        yield

    async def call(
        self,
        engine: Engine,
        work: Callable[[], T],
        limit: float,
        due: Due | None = None,
        kind: Kind | None = None,
    ) -> T:
        """The result of one blocking call. Raises EngineFault, or EngineStalled after `limit` seconds.

        due: when somebody will notice that it is not there yet (s); None: from now on. kind: of the item,
        where it is not that of all others of this session.
        """
        async with self._entered(engine, limit):
            return await self._step(engine, work, limit, first=True, due=due, kind=kind)

    async def spare(self, engine: Engine, work: Callable[[], T], limit: float, until: float) -> T | None:
        """The same for what nobody would miss: None where there is no time for it.

        It comes after all that is needed, and is not begun after the moment `until` (s), nor once something
        that is needed comes to the same engine of this session.
        """
        waiting = anyio.CancelScope(deadline=anyio.current_time() + until - self.now())
        spare = self._slots[engine].spare

        def begun() -> None:
            waiting.deadline = math.inf
            spare.discard(waiting)

        with waiting:
            spare.add(waiting)
            try:
                async with self._entered(engine, limit, spare=True):
                    return await self._step(engine, work, limit, first=True, spare=begun)
            finally:
                spare.discard(waiting)
        return None

    async def ahead(
        self, engine: Engine, begin: Callable[[], Iterator[object]], limit: float, patience: float
    ) -> None:
        """Pull an engine's generator to its end, if there is time: each item is made as by `spare`, which
        waits `patience` seconds for it at most. It is given up once anything else comes to the same engine
        of this session.
        """
        items: Iterator[object] | None = None

        def pull() -> bool:
            nonlocal items
            if items is None:
                items = iter(begin())
            return not isinstance(next(items, _End()), _End)

        while await self.spare(engine, pull, limit, self.now() + patience):
            if self._slots[engine].lock.locked():  # it was waited for
                return

    @asynccontextmanager
    async def stream(
        self,
        engine: Engine,
        begin: Callable[[], Iterator[T]],
        first_limit: float,
        limit: float,
        due: Due | None = None,
    ) -> AsyncGenerator[AsyncIterator[T]]:
        """An engine's generator as an async iterator, pulled one item at a time and closed at the end.

        The first item may take `first_limit` seconds, each later one `limit`. due: as for `call`, of the
        next item. Raises as `call` does.
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
                wait = first_limit if first else limit
                item = await self._step(engine, pull, wait, first=first, due=due)
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
                        await self._step(engine, finish, limit)

    @asynccontextmanager
    async def _entered(self, engine: Engine, limit: float, *, spare: bool = False) -> AsyncGenerator[_Slot]:
        """The engine for oneself, free of what an earlier caller gave up; EngineStalled if it is not.

        What nobody would miss, and has not begun, makes room for what is needed.
        """
        door = self._slots[engine]
        for waiting in () if spare else tuple(door.spare):
            waiting.cancel()
        async with door.lock:
            with anyio.move_on_after(limit):
                while not door.left.is_set():
                    await anyio.sleep(PATROL)
            if not door.left.is_set():
                raise _stalled(engine, "still hangs in earlier work; this reply is given up")
            if (close := door.unclosed) is not None:
                door.unclosed = None
                await self._step(engine, close, limit)
            yield door

    async def _step(
        self,
        engine: Engine,
        work: Callable[[], T],
        limit: float,
        *,
        first: bool | None = None,
        due: Due | None = None,
        spare: Callable[[], None] | None = None,
        kind: Kind | None = None,
    ) -> T:
        """One item of an engine's work, once it is this session's turn.

        first: whether it is the first of a stream, or a call; None: it only closes one. spare: it is work
        that nobody would miss; called as it begins.
        """
        left = threading.Event()
        own = "background" if self._background else "needed"
        kind = kind or ("spare" if spare is not None else own)
        async with self._taken(engine, left, limit, due, kind):
            if spare is not None:
                spare()
            with wishing(Wish(kind, None if due is None else due() - self.now(), limit)):
                return await self._item(engine, work, limit, left, first)

    def _taken(
        self, engine: Engine, left: threading.Event, limit: float, due: Due | None, kind: Kind
    ) -> AbstractAsyncContextManager[None]:
        """The engine among all sessions that share it."""
        if (lock := self._locks.get(engine)) is None:
            return nullcontext()
        on_anyios_clock = None if due is None else lambda: anyio.current_time() + due() - self.now()
        return lock.taken(engine, left, limit, due=on_anyios_clock, kind=kind, waited=self._waited)

    async def _item(
        self, engine: Engine, work: Callable[[], T], limit: float, left: threading.Event, first: bool | None
    ) -> T:
        """Blocking work in a thread, which sets `left` at its end.

        The shield lets work that was cancelled end by itself, since an engine must not be entered
        twice; only what exceeds its limit is left behind in its thread, and all when the program ends.
        """
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

    def __init__(self, costs: Costs, locks: Mapping[Engine, SharedLock] | None = None) -> None:
        super().__init__(locks)
        self._costs = costs
        self._start: float | None = None
        self._outside = 0

    def now(self) -> float:
        """Seconds of virtual time since the first call."""
        moment = anyio.current_time()
        if self._start is None:
            self._start = moment
        return moment - self._start

    def time(self) -> float:
        """Seconds since 1970 on the virtual clock, which begins on a Thursday in 2026, at noon in UTC."""
        return VIRTUAL_START + self.now()

    @contextmanager
    def outside(self) -> Generator[None]:
        """Within, the clock goes as the real one: what is outside cannot be hurried."""
        from trio.lowlevel import current_clock
        from trio.testing import MockClock

        clock = current_clock()
        assert isinstance(clock, MockClock)
        self._outside += 1
        clock.rate, clock.autojump_threshold = 1.0, math.inf
        try:
            yield
        finally:
            self._outside -= 1
            if not self._outside:
                clock.rate, clock.autojump_threshold = 0.0, 0.0

    async def tool(self, work: Callable[[], T]) -> T:
        """The result of a tool's blocking work, in line; on this clock one that waits is async."""
        began = time.perf_counter()
        with signals.orderly():
            result = work()
        await anyio.sleep(time.perf_counter() - began if self._costs.mode == "measured" else 0.0)
        return result

    async def _item(
        self, engine: Engine, work: Callable[[], T], limit: float, left: threading.Event, first: bool | None
    ) -> T:
        began = time.perf_counter()
        try:
            # It is in line, so nothing could be cancelled before its end: a signal is raised inside it.
            with signals.orderly():
                result = _guarded(engine, work)
            if first is not None:
                measured = self._costs.mode == "measured"
                cost = time.perf_counter() - began if measured else self._declared(engine, result, first)
                await anyio.sleep(cost)
            return result
        finally:
            left.set()

    def _declared(self, engine: Engine, result: object, first: bool) -> float:
        """What this item costs (s)."""
        declared = self._costs
        costs: dict[Engine, float] = {
            "stt": declared.stt,
            "llm": declared.first_token if first else declared.token,
            "tts": declared.speech,
            "endpointing": declared.endpointing,
            "vision": declared.vision,
        }
        return 0.0 if isinstance(result, _End) else costs.get(engine, 0.0)


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
