"""From 1 to 10,000 people on a cluster: a simulation on the virtual clock, with service times as measured.

Each person asks, hears the answer and thinks. An engine's replica makes one item after the other, for who
falls silent soonest first, by the very queue that the workers have (`agent.order`); seats are dealt out in
turn. Two forms: a core for each replica; and machines whose engines share their cores, each with one of every
kind, which its own people use. What is not simulated: networks that are full.
"""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass, field

import anyio
import click
import trio
from trio.testing import MockClock

from agent.order import Queue
from benchmarks.results import Results

OPTIONS = [
    click.Option(["--most"], type=int, default=10_000, help="People, at most."),
    click.Option(["--hop"], type=float, default=3.0, help="Milliseconds of the way to an engine."),
    click.Option(["--cores"], type=int, default=2, help="Of a machine whose engines share them."),
]
PEOPLE = (1, 10, 100, 1000, 10_000)
TURNS = 3
THINK = 6.0
"""Seconds for which a person thinks and speaks between two answers, on average."""
SENTENCES, TOKENS = 2, 15
"""Of an answer; tokens of each sentence."""
SENTENCE = 4.0
"""Seconds of speech in a sentence."""
TURN = THINK + SENTENCES * SENTENCE
"""Seconds of a turn without waits; of the first, and of what comes after the last, no use is counted."""
UTILIZATION = 0.6
"""Share of its time that a replica is to work."""
BOUND = 1.0
"""Seconds that the engines may take to the first sound, for 19 of 20 answers."""


@dataclass(frozen=True)
class Times:
    """Seconds that one item of an engine takes. own: share of a core that a session takes by itself."""

    stt: float
    first: float
    token: float
    tts: float
    own: float

    @property
    def llm(self) -> float:
        """Of a whole answer."""
        return self.first + SENTENCES * TOKENS * self.token

    @property
    def turn(self) -> float:
        """Of all engines, for a turn."""
        return self.stt + self.llm + SENTENCES * self.tts


SMALL = Times(stt=0.09, first=0.05, token=0.0114, tts=0.032, own=0.05)
"""On one core: Whisper tiny.en on a short window, SmolLM2 135M (88 tokens/s), hibari; and the voice detector
and turn-taking, 2.9 s a minute (docs/benchmarks.md)."""
SLICE = 0.05
"""Seconds of work after which it is looked at anew how many share the cores."""


@dataclass
class Cores:
    """A machine's, shared evenly by all that is being made there. count: less what sessions take of them."""

    count: float
    making: int = 0

    async def work(self, seconds: float) -> None:
        """So many seconds of work of one core."""
        self.making += 1
        while seconds > 0:
            step = min(seconds, SLICE)
            await anyio.sleep(step * max(1.0, self.making / self.count))
            seconds -= step
        self.making -= 1


@dataclass
class Engine:
    """The replicas of one engine, each on those cores. hop: seconds of the way there."""

    cores: list[Cores]
    hop: float
    busy: float = 0.0
    queues: list[Queue] = field(default_factory=list[Queue])

    def __post_init__(self) -> None:
        self.queues = [Queue() for _ in self.cores]

    async def make(self, person: int, seconds: float, due: float | None = None) -> None:
        """One item for that person."""
        await anyio.sleep(self.hop)
        which = person % len(self.cores)
        async with self.queues[which].place("needed", None if due is None else lambda: due):
            self.busy += seconds * (TURN < anyio.current_time() < TURNS * TURN)
            await self.cores[which].work(seconds)


def wanted(people: int, seconds: float) -> int:
    """Replicas for so many seconds of work in each turn, at that utilization."""
    return max(1, math.ceil(people * seconds / TURN / UTILIZATION))


async def talk(person: int, times: Times, engines: dict[str, Engine], waits: list[float]) -> None:
    """Some turns, and how long each of their answers is waited for."""
    chance = random.Random(person)
    await anyio.sleep(chance.uniform(0, THINK + SENTENCES * SENTENCE))
    for _ in range(TURNS):
        asked = anyio.current_time()
        await engines["stt"].make(person, times.stt)
        silent = math.inf
        for sentence in range(SENTENCES):
            for token in range(TOKENS):
                cost = times.first if sentence + token == 0 else times.token
                due = None if sentence == 0 else silent
                await engines["llm"].make(person, cost, due)
            await engines["tts"].make(person, times.tts, None if sentence == 0 else silent)
            now = anyio.current_time()
            if sentence == 0:
                waits.append(now - asked)
                silent = now
            silent = max(silent, now) + SENTENCE
        await anyio.sleep_until(silent)
        await anyio.sleep(chance.expovariate(1 / THINK))


Form = tuple[dict[str, Engine], int]
"""Engines, and the cores of all their machines."""


def apart(people: int, times: Times, hop: float) -> Form:
    """As many replicas of each engine as it needs, each with a core of its own; sessions have theirs."""
    count = {
        "stt": wanted(people, times.stt),
        "llm": wanted(people, times.llm),
        "tts": wanted(people, SENTENCES * times.tts),
    }
    engines = {name: Engine([Cores(1) for _ in range(number)], hop) for name, number in count.items()}
    return engines, sum(count.values()) + wanted(people, times.own * TURN)


def together(people: int, times: Times, hop: float, cores: int) -> Form:
    """As many machines as that work needs, each with one replica of every engine."""
    number = wanted(people, (times.turn + times.own * TURN) / cores)
    machines = [Cores(cores - times.own * people / number) for _ in range(number)]
    return {name: Engine(machines, hop) for name in ("stt", "llm", "tts")}, cores * number


def simulated(people: int, times: Times, form: Form) -> dict[str, float]:
    """What so many people see, and what works for them."""
    (engines, cores), waits = form, list[float]()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for person in range(people):
                tasks.start_soon(talk, person, times, engines, waits)

    trio.run(main, clock=MockClock(autojump_threshold=0))
    waits.sort()
    return {
        "people": people,
        **{name: len(engine.cores) for name, engine in engines.items()},
        "cores": cores,
        "wait p50, s": statistics.median(waits),
        "wait p95, s": waits[int(0.95 * (len(waits) - 1))],
        "llm busy": engines["llm"].busy / ((TURNS - 1) * TURN) / len(engines["llm"].cores),
    }


def run(most: int = PEOPLE[-1], hop: float = 3.0, cores: int = 2) -> Results:
    results = Results("sizing")
    for people in (each for each in PEOPLE if each <= most):
        for form, made in (
            ("a core each", apart(people, SMALL, hop / 1000)),
            (f"{cores} cores shared", together(people, SMALL, hop / 1000, cores)),
        ):
            results.add(row := {"form": form, **simulated(people, SMALL, made)})
            what = f"{people} people, {form}, p95 of the wait, s"
            results.target(what, row["wait p95, s"], "<=", BOUND)
    return results
