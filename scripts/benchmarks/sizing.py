"""From 1 to 10,000 people on a cluster: a simulation on the virtual clock, with service times as measured.

Each person asks, hears the answer and thinks. An engine's replica makes one item after the other, for who
falls silent soonest first, by the very queue that the workers have (`agent.order`); seats are dealt out in
turn. What is not simulated: cores that engines share, and networks that are full.
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

OPTIONS = [click.Option(["--most"], type=int, default=10_000, help="People, at most.")]
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
    """Seconds that one item of an engine takes, and the way to it."""

    stt: float
    first: float
    token: float
    tts: float
    hop: float

    @property
    def llm(self) -> float:
        """Of a whole answer."""
        return self.first + SENTENCES * TOKENS * self.token


SMALL = Times(stt=0.09, first=0.05, token=0.0114, tts=0.032, hop=0.003)
"""One core each: Whisper tiny.en on a short window, SmolLM2 135M (88 tokens/s), hibari (docs/benchmarks.md);
the hop is assumed: put in what
`scripts/bench cluster` finds on your machines."""


@dataclass
class Engine:
    """The replicas of one engine."""

    count: int
    busy: float = 0.0
    queues: list[Queue] = field(default_factory=list[Queue])

    def __post_init__(self) -> None:
        self.queues = [Queue() for _ in range(self.count)]

    async def make(self, person: int, seconds: float, hop: float, due: float | None = None) -> None:
        await anyio.sleep(hop)
        async with self.queues[person % self.count].place("needed", None if due is None else lambda: due):
            self.busy += seconds * (TURN < anyio.current_time() < TURNS * TURN)
            await anyio.sleep(seconds)


def wanted(people: int, seconds: float) -> int:
    """Replicas for so many seconds of work in each turn, at that utilization."""
    return max(1, math.ceil(people * seconds / TURN / UTILIZATION))


async def talk(person: int, times: Times, engines: dict[str, Engine], waits: list[float]) -> None:
    """Some turns, and how long each of their answers is waited for."""
    chance = random.Random(person)
    await anyio.sleep(chance.uniform(0, THINK + SENTENCES * SENTENCE))
    for _ in range(TURNS):
        asked = anyio.current_time()
        await engines["stt"].make(person, times.stt, times.hop)
        silent = math.inf
        for sentence in range(SENTENCES):
            for token in range(TOKENS):
                cost = times.first if sentence + token == 0 else times.token
                due = None if sentence == 0 else silent
                await engines["llm"].make(person, cost, times.hop, due)
            await engines["tts"].make(person, times.tts, times.hop, None if sentence == 0 else silent)
            now = anyio.current_time()
            if sentence == 0:
                waits.append(now - asked)
                silent = now
            silent = max(silent, now) + SENTENCE
        await anyio.sleep_until(silent)
        await anyio.sleep(chance.expovariate(1 / THINK))


def simulated(people: int, times: Times) -> dict[str, float]:
    """What so many people see, and what works for them."""
    count = {
        "stt": wanted(people, times.stt),
        "llm": wanted(people, times.llm),
        "tts": wanted(people, SENTENCES * times.tts),
    }
    engines, waits = {name: Engine(number) for name, number in count.items()}, list[float]()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for person in range(people):
                tasks.start_soon(talk, person, times, engines, waits)

    trio.run(main, clock=MockClock(autojump_threshold=0))
    waits.sort()
    return {
        "people": people,
        **count,
        "wait p50, s": statistics.median(waits),
        "wait p95, s": waits[int(0.95 * (len(waits) - 1))],
        "llm busy": engines["llm"].busy / ((TURNS - 1) * TURN) / count["llm"],
    }


def run(most: int = PEOPLE[-1]) -> Results:
    results = Results("sizing")
    for people in (each for each in PEOPLE if each <= most):
        results.add(row := simulated(people, SMALL))
        results.target(f"{people} people, p95 of the wait, s", row["wait p95, s"], "<=", BOUND)
    return results
