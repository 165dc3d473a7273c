"""Engines behind a line as in a cluster, without one: what passes is pickled, and a process may be lost."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from agent.cluster.calls import Served
from agent.cluster.engine import engine_at
from agent.cluster.line import Line, Lost
from agent.cluster.worker import Worker
from agent.settings import Config


class Process:
    """A worker on an event loop of its own."""

    def __init__(self, portal: BlockingPortal, kind: Served, engine: Any, seats: int) -> None:
        self.portal = portal
        self._begin = lambda: portal.call(Worker, kind, Config(), seats, lambda kind, config: engine)
        self.asked: list[str] = []
        self.again()

    def again(self) -> None:
        """A new one in its place."""
        self.worker, self.lost = self._begin(), False

    def ask(self, what: str, *args: Any) -> Any:
        if self.lost:
            raise Lost
        self.asked.append(what)
        given = pickle.loads(pickle.dumps(args))
        return pickle.loads(pickle.dumps(self.portal.call(getattr(self.worker, what), *given)))


class LocalSeat:
    def __init__(self, process: Process, name: str) -> None:
        self.process, self.name = process, name

    def ask(self, what: str, *args: Any, limit: float) -> Any:
        return self.process.ask(what, self.name, *args)

    def leave(self) -> None:
        if not self.process.lost:
            self.process.portal.start_task_soon(self.process.worker.leave, self.name)


class LocalLine(Line):
    """To the first process that has a seat."""

    taken = 0
    patience = 0.0

    def __init__(self, kind: Served, processes: Sequence[Process]) -> None:
        super().__init__(kind)
        self.processes = processes

    def take(self) -> LocalSeat | None:
        for process in self.processes:
            LocalLine.taken += 1
            name = str(LocalLine.taken)
            if not process.lost and process.ask("sit", name):
                return LocalSeat(process, name)
        return None


@contextmanager
def processes(kind: Served, *engines: Any, seats: int = 4) -> Iterator[list[Process]]:
    """One for each engine."""
    with start_blocking_portal() as portal:
        yield [Process(portal, kind, engine, seats) for engine in engines]


@contextmanager
def behind(kind: Served, *engines: Any, seats: int = 4) -> Iterator[tuple[Any, list[Process]]]:
    """An engine as a session has it, and the processes that it may ask."""
    with processes(kind, *engines, seats=seats) as found:
        line = LocalLine(kind, found)
        yield engine_at(kind, line, found[0].ask("facts")), found
