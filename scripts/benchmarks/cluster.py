"""A cluster on one machine: what the way to another process costs."""

from __future__ import annotations

import base64
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path

import anyio
import cluster_engines
import httpx
from realtime_client import Client
from serving import tone
from websockets.asyncio.client import connect

from benchmarks.crowd import cluster
from benchmarks.results import Results
from benchmarks.serve import server

TURNS = 10
"""Replies of which the median is taken."""
ROUNDS = 2
"""Turns of both forms, one after the other, while both are there."""
COLUMNS = ("item, ms", "typed to sound, ms", "voice to voice, ms")
TOKENS = 200
"""Tokens of the answer that is timed."""
SPOKEN = 0.8
"""Seconds that the user speaks."""
BLOCK = 0.04


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


def run() -> Results:
    results = Results("cluster")
    with tempfile.TemporaryDirectory() as folder:
        cluster_engines.offer(Path(folder))
        figures: dict[str, list[tuple[float, float, float]]] = {"one process": [], "a cluster": []}
        began = time.perf_counter()
        with cluster() as address, server(4, *cluster_engines.SETTINGS) as alone:
            results.add({"where": "both begin", "s": time.perf_counter() - began})
            for _ in range(ROUNDS):
                for where, asked in (("one process", alone.address), ("a cluster", address)):
                    took = (item(asked), *anyio.run(turns, asked, backend="asyncio"))
                    figures[where].append(took)
                    row = dict(zip(COLUMNS, took, strict=True))
                    results.add({"where": where, **row})
        means = {
            where: [statistics.mean(column) for column in zip(*rows, strict=True)]
            for where, rows in figures.items()
        }
        more = [there - alone for there, alone in zip(means["a cluster"], means["one process"], strict=True)]
        results.add({"where": "the cluster takes more", **dict(zip(COLUMNS, more, strict=True))})
        results.target("voice to voice, ms more", more[2], "<=", 40)
    return results
