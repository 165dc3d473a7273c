"""Users of a cluster who talk while something happens to it, and what they saw."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import cluster_engines
import psutil
from anyio.from_thread import start_blocking_portal
from coming_back import ComingBack
from websockets.exceptions import ConnectionClosed

from agent.cluster.deployments import served
from agent.cluster.library import serve
from agent.cluster.line import APP, DEPLOYMENTS
from agent.cluster.run import begin, end
from agent.config import load
from benchmarks.results import Results

SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu")
AFTER = 3.0
"""Seconds after which nothing is left of who has gone."""


@contextmanager
def cluster(*settings: str) -> Iterator[str]:
    """The address of a cluster with scripted engines."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = [f'cluster.journal="{folder}/sessions.jsonl"', *cluster_engines.SETTINGS, *settings]
        try:
            yield begin(load(None, chosen))
        finally:
            end()


def name_of(number: int) -> str:
    """A word for it, which is spoken as it is written."""
    return "".join(SYLLABLES[int(digit)] for digit in str(number))


class Crowd:
    """Users who talk. wrong: questions after which the history is not what it should be, and what it was."""

    def __init__(self, address: str, people: int) -> None:
        self._address, self._people, self._over = address, people, False
        self.users: list[ComingBack] = []
        self.asked, self.wrong = 0, list[tuple[str, str]]()

    def during(self, happens: Callable[[], None]) -> None:
        """Talk until what happens is over: that is in this thread, where Ray wants its nodes to begin."""
        with start_blocking_portal() as portal:
            talking = portal.start_task_soon(self._all)
            try:
                happens()
            finally:
                self._over = True
            talking.result()

    async def _all(self) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(self._people):
                tasks.start_soon(self._talk, number)
                await anyio.sleep(0.1)

    async def _talk(self, number: int) -> None:
        user, turn = ComingBack(self._address), 0
        self.users.append(user)
        await user.open()
        while not self._over:
            turn += 1
            question = f"question {name_of(number)} {name_of(turn)}"
            answer = f"{question} {cluster_engines.COUNT}"
            await user.ask(question, answer)
            self.asked += 1
            try:
                known = await user.told("Which words")
            except ConnectionClosed:  # what was asked so is in the history itself
                await user.settle()
            else:
                self.wrong += [] if known == answer else [(question, known)]
        await user.close()

    def report(self, results: Results, what: str) -> None:
        """What they saw, as figures."""
        away = sorted(each for user in self.users for each in user.absences)
        cuts = [cut for user in self.users for cut in user.cuts]
        lost = sum(len(user.losses) for user in self.users)
        row = {"what": what, "replies": self.asked, "connections lost": lost, "replies cut": len(cuts)}
        results.add({**row, "away p50, s": statistics.median(away) if away else 0.0})
        for cut in cuts:
            if not cut.right:
                results.add({"what": f"not so: {cut}"})
        for question, known in self.wrong:
            results.add({"what": f"not so: {question!r} is known as {known!r}"})
        for error in (error for user in self.users for error in user.errors):
            results.add({"what": f"an error: {error}"})
        results.target(
            "words lost or doubled, replies that were cut", sum(not c.right for c in cuts), "<=", 0
        )
        results.target("histories that are not as it was heard", len(self.wrong), "<=", 0)
        results.target("sessions that were not found again", sum(u.replaced for u in self.users), "<=", 0)
        results.target("seconds until it goes on, the longest", away[-1] if away else 0.0, "<=", 3)


def leaked(*settings: str) -> int:
    """Seats that are taken by processes that are gone."""
    time.sleep(AFTER)
    taken = list[str]()
    for kind in served(load(None, [*cluster_engines.SETTINGS, *settings])):
        handle = serve().get_deployment_handle(DEPLOYMENTS[kind], APP)
        for _ in range(8):  # of each of its replicas, by chance
            taken += handle.taken.remote().result()
    return sum(not psutil.pid_exists(int(name.partition("-")[0])) for name in set(taken))
