"""An engine in a process of its own, and those who use it from others. Knows no Ray: any caller will do.

Each who uses it has a seat, as a session has a slot in one process: a language model's seat is one of its
slots, so that a conversation keeps its prefix cache. An iterator is pulled one item at a time, as it is asked
for, and items of several seats are made in the order of need (`agent.order`), wherever their sessions are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

from agent.cluster.calls import FACTS, OFFERS, Answer, Facts, Request, Served, Step, detected
from agent.engines.registry import load_endpointing, load_llm, load_one
from agent.errors import BackchatError, Busy, EngineFault
from agent.order import Queue, Wish
from agent.protocols import HasSlots, WritesInTurn
from agent.runner import Runner, SharedLock
from agent.settings import Config
from audio.tts import ChangesVoice, TellsGender

Load = Callable[[Served, Config], Any]
"""Loads one engine."""

CLOSING = 30.0
"""Seconds that an engine is given to come out of an item whose stream is closed."""

ASKED: Mapping[Served, frozenset[str]] = {
    "stt": frozenset(("transcribe", "transcribe_words", "expecting", "detected")),
    "llm": frozenset(
        (
            *("stream", "prefill", "prefill_parts"),
            *("with_sampling", "with_tools", "with_schema", "with_end_of_turn"),
            "with_probabilities",
        )
    ),
    "tts": frozenset(("stream", "faster", "with_voice")),
    "endpointing": frozenset(("complete",)),
}
"""The methods that may be asked for."""


@dataclass
class _Seat:
    """One who uses the engine. engine: it, or of a language model one of its slots."""

    engine: Any
    runner: Runner
    streams: dict[int, Iterator[Any]] = field(default_factory=dict[int, Iterator[Any]])
    opened: int = 0


class _End:
    """What a pull gives when the iterator is exhausted."""


def loaded(kind: Served, config: Config) -> Any:
    """That engine, loaded and warm. Raises as the registry does."""
    if kind == "llm":
        return load_llm(config)
    if kind == "endpointing":
        return load_endpointing(config)
    return load_one(kind, config)


class Worker:
    """One loaded engine, and the seats at it. Its methods run on one event loop.

    seats: most that use it at once; a language model has no more than slots, and without any one.
    runner: makes the clock of a seat.
    """

    def __init__(
        self,
        kind: Served,
        config: Config,
        seats: int,
        load: Load = loaded,
        runner: Callable[[Mapping[Any, SharedLock]], Runner] = Runner,
    ) -> None:
        self._kind: Served = kind
        self._runner = runner
        self._engine = engine = load(kind, config)
        if kind == "llm":
            models: Sequence[Any] = engine.slots() if isinstance(engine, HasSlots) else [engine]
            in_turn = isinstance(engine, WritesInTurn) and engine.in_turn
            writing = Queue() if in_turn else None
            self._free = [(model, SharedLock(writing)) for model in models[:seats]]
        else:
            self._free = [(engine, SharedLock())] * seats
        self._seats: dict[str, _Seat] = {}
        self._locks: dict[str, SharedLock] = {}
        self._size = len(self._free)

    async def facts(self) -> Facts:
        """What is known of the engine."""
        return facts(self._free[0][0] if self._free else self._engine, self._size)

    async def healthy(self) -> bool:
        """Whether any seat's engine comes back from what it was asked."""
        locks = [lock for _, lock in self._free] + list(self._locks.values())
        return not locks or not all(lock.hangs for lock in locks)

    async def sit(self, name: str) -> bool:
        """Take a seat by that name; False where there is none."""
        found = next((each for each in self._free if not each[1].hangs), None)
        if found is None:
            return False
        self._free.remove(found)
        engine, lock = found
        self._seats[name], self._locks[name] = _Seat(engine, self._runner({self._kind: lock})), lock
        return True

    async def taken(self) -> list[str]:
        """The names of the seats that are taken."""
        return list(self._seats)

    async def rests(self, name: str) -> bool:
        """Whether nothing that was begun at that seat goes on."""
        seat = self._seats.get(name)
        return seat is None or not seat.streams

    async def leave(self, name: str) -> None:
        """Give the seat back; what it had begun is closed."""
        seat = self._seats.pop(name, None)
        if seat is None:
            return
        for number in list(seat.streams):
            await self._closed(seat, number)
        self._free.append((seat.engine, self._locks.pop(name)))

    async def call(self, name: str, request: Request, wish: Wish) -> Answer:
        """The result of a method."""
        seat = self._seats.get(name)
        if seat is None:
            return Answer(seated=False)
        return await self._answer(seat, partial(self._made, seat, request), wish)

    async def begin(self, name: str, request: Request, wish: Wish) -> Answer:
        """The first item of what a method yields."""
        seat = self._seats.get(name)
        if seat is None:
            return Answer(seated=False)
        seat.opened += 1
        number = seat.opened

        def first() -> Any:
            seat.streams[number] = iter(self._made(seat, request))
            return next(seat.streams[number], _End)

        return await self._item(seat, number, first, wish)

    async def pull(self, name: str, number: int, wish: Wish) -> Answer:
        """The next item of it."""
        seat = self._seats.get(name)
        if seat is None or number not in seat.streams:
            fault = EngineFault(f"the {self._kind} engine was asked to go on with what it has closed")
            return Answer(error=fault, over=True)
        return await self._item(seat, number, lambda: next(seat.streams[number], _End), wish)

    async def close(self, name: str, number: int) -> None:
        """No more of it is wanted: the work stops, within one item."""
        if (seat := self._seats.get(name)) is not None:
            await self._closed(seat, number)

    async def _closed(self, seat: _Seat, number: int) -> None:
        stream: Any = seat.streams.pop(number, None)
        close = getattr(stream, "close", None)
        if close is not None:
            await self._answer(seat, close, Wish(limit=CLOSING))

    async def _item(self, seat: _Seat, number: int, work: Callable[[], Any], wish: Wish) -> Answer:
        answer = await self._answer(seat, work, wish)
        over = answer.error is not None or answer.value is _End
        if over:
            seat.streams.pop(number, None)
        return Answer(None if answer.value is _End else answer.value, answer.error, number, over)

    async def _answer(self, seat: _Seat, work: Callable[[], Any], wish: Wish) -> Answer:
        """What came of blocking work, once it is this seat's turn."""
        due = None
        if wish.due is not None:
            moment = seat.runner.now() + wish.due
            due = lambda: moment  # noqa: E731
        try:
            return Answer(await seat.runner.call(self._kind, work, wish.limit, due, wish.kind))
        except BackchatError as error:
            return Answer(error=error)

    def _made(self, seat: _Seat, request: Request) -> Any:
        """What the last step gives. For a worker's thread."""
        return self._done(reduce(self._done, request.made, seat.engine), request.step)

    def _done(self, engine: Any, step: Step) -> Any:
        if step.name not in ASKED[self._kind]:
            raise Busy(f"{step.name[:80]!r} is nothing that is asked of an engine in another process")
        if step.name == "detected":
            return detected(engine, *step.args, **step.named)
        return getattr(engine, step.name)(*step.args, **step.named)


def facts(engine: Any, seats: int) -> Facts:
    """What is known of it."""
    offers = tuple(name for name, protocol in OFFERS.items() if isinstance(engine, protocol))
    known = _known(engine)
    voices = dict[tuple[str, str], Mapping[str, Any]]()
    if isinstance(engine, ChangesVoice):
        known["loaded_voices"] = loaded = dict(engine.loaded_voices)
        if isinstance(engine, TellsGender):
            known["genders"] = {name: engine.gender(name) for name in loaded}
        spoken = {"", *loaded.values(), *(language.partition("-")[0] for language in loaded.values())}
        for name in loaded:
            for language in spoken:
                voices[name, language] = _known(engine.with_voice(name, language))
    return Facts(offers, known, voices, seats)


def _known(engine: Any) -> dict[str, Any]:
    found = {name: getattr(engine, name) for name in FACTS if hasattr(engine, name)}
    if "languages" in found:
        found["languages"] = frozenset(found["languages"])
    return found
