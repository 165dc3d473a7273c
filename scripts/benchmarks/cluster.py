"""A cluster on one machine: what the way to another process costs, and what is lost when one of them dies."""

from __future__ import annotations

import base64
import itertools
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import cluster_engines
import httpx
import psutil
from coming_back import ComingBack
from realtime_client import Client
from serving import tone
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from agent.cluster.deployments import served
from agent.cluster.library import serve
from agent.cluster.line import APP, DEPLOYMENTS
from agent.cluster.run import begin, end
from agent.config import load
from benchmarks.results import Results
from benchmarks.serve import server

PEOPLE = int(os.environ.get("BENCH_PEOPLE", "12"))
KILLS = int(os.environ.get("BENCH_KILLS", "50"))
BETWEEN = 8.0
"""Seconds from one death to the next, at least: then the one that took its place is there."""
TURNS = 15
"""Replies of which the median is taken."""
TOKENS = 200
"""Tokens of the answer that is timed."""
SPOKEN = 0.8
"""Seconds that the user speaks."""
BLOCK = 0.04


@contextmanager
def cluster(*settings: str) -> Iterator[str]:
    """The address of a cluster with scripted engines."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = [*cluster_engines.SETTINGS, f'cluster.journal="{folder}/sessions.jsonl"', *settings]
        address = begin(load(None, chosen))
        try:
            yield address
        finally:
            end()


def item(address: str) -> float:
    """Milliseconds of one token of a streamed answer, beyond what the model takes for it: the median."""
    asked = {"model": "backchat", "stream": True, "messages": [{"role": "user", "content": "word " * TOKENS}]}
    came = list[float]()
    with httpx.stream("POST", f"{address}/v1/chat/completions", json=asked, timeout=120) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                came.append(time.perf_counter())
    gaps = [after - before for before, after in itertools.pairwise(came)]
    return (statistics.median(gaps) - cluster_engines.TOKEN) * 1000


async def say(client: Client, level: float) -> None:
    """A block of sound, as it is said."""
    audio = base64.b64encode(tone(BLOCK, level)).decode()
    await client.send("input_audio_buffer.append", audio=audio)
    await anyio.sleep(BLOCK)


async def silence(client: Client) -> None:
    """The user says no more."""
    while True:
        await say(client, 0.0)


async def turns(address: str) -> tuple[float, float]:
    """Medians in ms: from what was typed, and from the last sample said, to the first of the reply."""
    typed, spoken = list[float](), list[float]()
    async with connect(f"ws{address.removeprefix('http')}/v1/realtime?events=all") as socket:
        client = Client(socket)
        for number in range(TURNS):
            await client.put(f"question {number}")
            asked = time.perf_counter()
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            typed.append(time.perf_counter() - asked)
            await client.send("response.cancel")
            await client.until("response.done")
        for _ in range(TURNS):
            for _ in range(round(SPOKEN / BLOCK)):
                await say(client, 0.4)
            said = time.perf_counter()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(silence, client)
                await client.until("response.output_audio.delta")
                spoken.append(time.perf_counter() - said)
                tasks.cancel_scope.cancel()
            await client.send("response.cancel")
            await client.until("response.done")
    return statistics.median(typed) * 1000, statistics.median(spoken) * 1000


class Crowd:
    """Users who talk while processes die. wrong: replies that the history does not have word by word."""

    def __init__(self, address: str) -> None:
        self.address, self.over = address, False
        self.users: list[ComingBack] = []
        self.asked, self.wrong = 0, list[tuple[str, str]]()

    async def talk(self, number: int) -> None:
        user, turn = ComingBack(self.address), 0
        self.users.append(user)
        await user.open()
        while not self.over:
            turn += 1
            question = f"question {number} {turn}"
            await user.ask(question)
            known = await self.known(user)
            self.asked += 1
            if known != f"{question} {cluster_engines.COUNT}":
                self.wrong.append((question, known))
        await user.close()

    async def known(self, user: ComingBack) -> str:
        while True:
            try:
                return await user.told("Which words")
            except ConnectionClosed:
                await user.open()


def replicas() -> list[psutil.Process]:
    found = list[psutil.Process]()
    for process in psutil.process_iter(["cmdline"]):
        if (line := process.info["cmdline"]) and "ServeReplica:backchat:Sessions" in line[0]:
            found.append(process)
    return found


async def deaths(crowd: Crowd) -> None:
    """Kill one process of sessions after the other, each at a random moment."""
    killed = 0
    while killed < KILLS:
        await anyio.sleep(BETWEEN + random.uniform(0, 3))
        if len(there := replicas()) == 2:
            random.choice(there).kill()
            killed += 1
    await anyio.sleep(BETWEEN)
    crowd.over = True


async def crowded(crowd: Crowd) -> None:
    """That, while all of them talk."""
    async with anyio.create_task_group() as tasks:
        for number in range(PEOPLE):
            tasks.start_soon(crowd.talk, number)
            await anyio.sleep(0.1)
        await deaths(crowd)


def leaked() -> int:
    """Seats that are taken by processes that are gone."""
    time.sleep(3)
    taken = list[str]()
    for kind in served(load(None, [*cluster_engines.SETTINGS])):
        taken += serve().get_deployment_handle(DEPLOYMENTS[kind], APP).taken.remote().result()
    return sum(not psutil.pid_exists(int(name.partition("-")[0])) for name in taken)


def run() -> Results:
    results = Results("cluster")
    with tempfile.TemporaryDirectory() as folder:
        cluster_engines.offer(Path(folder))
        figures = list[tuple[float, float, float]]()
        with server(4, *cluster_engines.SETTINGS) as alone:
            figures.append((item(alone.address), *anyio.run(turns, alone.address, backend="asyncio")))
        began = time.perf_counter()
        with cluster() as address:
            started = time.perf_counter() - began
            figures.append((item(address), *anyio.run(turns, address, backend="asyncio")))
        for where, (token, typed, spoken) in zip(("one process", "a cluster"), figures, strict=True):
            row = {"item, ms": token, "typed to sound, ms": typed, "voice to voice, ms": spoken}
            results.add({"where": where, **row})
        results.add({"where": "the cluster begins", "s": started})
        results.target("voice to voice, ms more", figures[1][2] - figures[0][2], "<=", 40)
        if not KILLS:
            return results
        with cluster("cluster.sessions=2", f"server.sessions={PEOPLE}") as address:
            crowd = Crowd(address)
            anyio.run(crowded, crowd, backend="asyncio")
            away = sorted(each for user in crowd.users for each in user.absences)
            results.add(
                {"where": f"{KILLS} killed, {PEOPLE} people", "replies": crowd.asked, "cut": len(away)}
            )
            results.target("replies with a word lost or doubled", len(crowd.wrong), "<=", 0)
            results.target(
                "sessions that were not found again", sum(u.replaced for u in crowd.users), "<=", 0
            )
            results.target("seconds until it goes on, the longest", away[-1] if away else 0.0, "<=", 3)
            results.target("seats of the dead that are still taken", leaked(), "<=", 0)
    return results
