"""A server under load: how many can talk at once, what happens at twice as many, and what a session costs.

The server is a process of its own, `backchat serve` as it is; the clients are here, on the same cores, and
speak recorded questions over the Realtime WebSocket. Waits are a client's own: from the last audible sample
that it sent to the first audible one that it got.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import anyio
import click
import numpy as np
import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from audio.files import read_audio
from audio.pcm import from_pcm16, pcm16
from benchmarks.measure import AGENT_AUDIBLE, USER_AUDIBLE
from benchmarks.results import Results

QUESTIONS = sorted(Path("tests/data/questions").glob("*.flac"))
CLIENTS = (1, 2, 3, 4, 6, 8, 12, 16)
ASKED = int(os.environ.get("BENCH_ASKED", "4"))
"""Questions that each client asks, one after the other."""
SHORT = int(os.environ.get("BENCH_SHORT", "500"))
"""Short sessions after which memory is looked at again."""
WANTED = {"smollm2": 8, "qwen2.5-0.5b": 4}
"""People at once, by language model."""
MODEL = "smollm2"
"""Of the loads that are measured with one model only, and of the other benchmarks of a server."""
SLOW = "stt.model=whisper-base"
"""The setting of a slow engine: a transcript takes three times as long."""
BOUND = 1.2
"""Seconds, at the 95th percentile of voice to voice."""
RATE, BLOCK = 24_000, 0.04
QUIET = 12.0
"""Seconds after which the server has cleared away what ended sessions left (`agent.server.run.TIDY`)."""
PATIENCE = 30.0
"""Seconds after which a question counts as not answered."""
OPTIONS = [
    click.Option(["--llm"], multiple=True, help="Only this language model; repeatable."),
    click.Option(["--at-once"], type=int, multiple=True, help="Only so many people; repeatable."),
]
UNCOUNTED = "server.rate=100000"
"""All of them come from one address."""
BETWEEN = 1.0
"""Seconds of quiet between the end of an answer and the next question."""


@dataclass
class Served:
    """The server's process and its address."""

    process: subprocess.Popen[str]
    address: str = ""
    grpc: str = ""
    """host:port of its gRPC service, if it has one."""
    token: str = ""
    refused: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def memory(self) -> float:
        """What belongs to the process alone, MB."""
        return psutil.Process(self.process.pid).memory_full_info().uss / 1e6

    @property
    def url(self) -> str:
        return f"ws{self.address.removeprefix('http')}/v1/realtime"

    def connect(self) -> connect:
        """A Realtime WebSocket, with the token."""
        headers = {"authorization": f"Bearer {self.token}"} if self.token else None
        return connect(self.url, max_size=None, additional_headers=headers)


@contextmanager
def server(
    sessions: int, *more: str, token: str = "", log: int | IO[bytes] = subprocess.DEVNULL
) -> Iterator[Served]:
    """`backchat serve` with so many slots, until the end of the block.

    more: settings. log: where its log goes once it is up.
    """
    settings = [f"llm.model={MODEL}", "llm.max_tokens=40", f"server.sessions={sessions}", *more]
    command = [sys.executable, "-c", "from agent.cli import main; main()", "serve", "--port", "0"]
    command += [word for setting in settings for word in ("--set", setting)]
    environment = os.environ | ({"BACKCHAT_TOKEN": token} if token else {})
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    drain: subprocess.Popen[bytes] | None = None
    try:
        assert process.stderr is not None
        address = next((line for line in process.stderr if line.startswith("http://")), None)
        if address is None:
            raise RuntimeError("the server did not start")
        calls = any(each.startswith("server.grpc_port=") for each in more)
        grpc = process.stderr.readline().strip().removeprefix("grpc://") if calls else ""
        drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=log)
        yield Served(process, address.strip(), grpc, token)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if drain is not None:
            drain.wait(5)


class Client:
    """One user: a microphone that never stops, and the waits for the answers.

    asked: questions after which it goes. seconds: after which it asks no more.
    """

    def __init__(
        self, served: Served, number: int, asked: int | None = None, seconds: float = math.inf
    ) -> None:
        self._served, self._number = served, number
        self._asked, self._seconds = asked, seconds
        self.waits: list[float] = []
        self.unanswered = 0
        self.sound: list[tuple[float, float]] = []
        """When each stretch of sound of the running answer came, and its seconds."""
        self._loud = float("inf")
        self._first = anyio.Event()
        self._done = anyio.Event()

    async def run(self) -> None:
        """Ask, or be refused."""
        end = anyio.current_time() + self._seconds
        await anyio.sleep(self._number * 0.37)  # people do not begin at once
        try:
            async with self._served.connect() as socket, anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen, socket)
                for asked in itertools.count():
                    if asked == self._asked or anyio.current_time() > end:
                        break
                    await self._ask(socket, QUESTIONS[(self._number + asked * 5) % len(QUESTIONS)])
                tasks.cancel_scope.cancel()
        except InvalidStatus as refused:
            if refused.response.status_code != 503:
                raise
            self._served.refused += 1

    async def _ask(self, socket: ClientConnection, path: Path) -> None:
        self._loud, self._first, self._done = float("inf"), anyio.Event(), anyio.Event()
        samples = read_audio(path).at_rate(RATE).samples
        end = int(np.flatnonzero(np.abs(samples) > 10 ** (USER_AUDIBLE / 20))[-1])
        began = anyio.current_time()
        self._loud = began + end / RATE
        size, sent, over = round(BLOCK * RATE), 0, float("inf")
        while anyio.current_time() < min(self._loud + PATIENCE, over):
            block = np.zeros(size, np.float32)
            piece = samples[sent : sent + size]
            block[: len(piece)] = piece
            data = base64.b64encode(pcm16(block)).decode()
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": data}))
            sent += size
            if self._done.is_set() and over == float("inf"):
                over = max(anyio.current_time(), self._loud) + BETWEEN
            await anyio.sleep_until(began + sent / RATE)
        self.unanswered += not self._first.is_set()

    async def _listen(self, socket: ClientConnection) -> None:
        try:
            async for text in socket:
                now = anyio.current_time()
                event = json.loads(text)
                if event["type"] == "response.output_audio.delta":
                    self._heard(from_pcm16(base64.b64decode(event["delta"])), now)
                elif event["type"] == "response.done" and now > self._loud:
                    self._done.set()
                elif event["type"] == "error":
                    self._served.errors.append(event["error"]["message"])
        except ConnectionClosed as closed:
            self._served.errors.append(str(closed))

    def _heard(self, samples: np.ndarray, now: float) -> None:
        loud = np.flatnonzero(np.abs(samples) > 10 ** (AGENT_AUDIBLE / 20))
        if now > self._loud and not self._first.is_set() and len(loud):
            self._first.set()
            self.waits.append(float(now + loud[0] / RATE - self._loud))


async def talk(served: Served, count: int, seconds: float | None = None) -> list[Client]:
    """`count` people at once; each asks `ASKED` questions, or for so many seconds."""
    asked, seconds = (ASKED, math.inf) if seconds is None else (None, seconds)
    clients = [Client(served, number, asked, seconds) for number in range(count)]
    async with anyio.create_task_group() as tasks:
        for client in clients:
            tasks.start_soon(client.run)
    return clients


async def short(served: Served, count: int) -> None:
    """`count` sessions, one after the other: one typed question each, and away at the first sound."""
    content = [{"type": "input_text", "text": "Hello."}]
    item = {"type": "message", "role": "user", "content": content}
    for _ in range(count):
        while True:
            try:
                socket = await served.connect()
                await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
                await socket.send(json.dumps({"type": "response.create"}))
                while json.loads(await socket.recv())["type"] != "response.output_audio.delta":
                    pass
                socket.transport.abort()
                break
            except InvalidStatus:  # the slot of the one before is not free yet
                await anyio.sleep(0.05)


def row(what: str, served: Served, clients: list[Client], before: float, load: float) -> dict[str, object]:
    """One line of the table; memory is what the server grew by for each session inside."""
    waits = [wait for client in clients for wait in client.waits]
    inside = sum(1 for client in clients if client.waits or client.unanswered)
    return {
        "load": what,
        "inside": inside,
        "refused": served.refused,
        "answers": len(waits),
        "unanswered": sum(client.unanswered for client in clients),
        "median": statistics.median(waits) if waits else float("nan"),
        "p95": float(np.percentile(waits, 95)) if waits else float("inf"),
        "worst": max(waits, default=float("nan")),
        "MB a session": round((load - before) / max(inside, 1), 1),
        "errors": len(served.errors),
    }


def waited(served: Served) -> dict[str, float]:
    """Milliseconds that an item waited for its engine, in the mean, by engine and kind of work."""
    with urllib.request.urlopen(f"{served.address}/metrics") as answer:
        told = answer.read().decode()
    found: dict[tuple[str, str], dict[str, float]] = {}
    for what, engine, kind, value in re.findall(
        r'^backchat_wait_seconds_(sum|count){engine="(\w+)",kind="(\w+)"} (\S+)$', told, re.MULTILINE
    ):
        found.setdefault((engine, kind), {})[what] = float(value)
    return {
        f"{engine} {kind} ms": round(1000 * each["sum"] / each["count"], 1)
        for (engine, kind), each in sorted(found.items())
        if each["count"]
    }


def measured(what: str, slots: int, count: int, *more: str) -> dict[str, Any]:
    """A fresh server with so many slots, and `count` clients. more: settings."""
    with server(slots, UNCOUNTED, *more) as served:
        anyio.run(short, served, 2)  # warm
        before, most = served.memory, [0.0]

        async def watched() -> list[Client]:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch)
                clients = await talk(served, count)
                tasks.cancel_scope.cancel()
            return clients

        async def watch() -> None:
            while True:
                most[0] = max(most[0], served.memory)
                await anyio.sleep(1.0)

        used = psutil.Process(served.process.pid).cpu_times()
        clients = anyio.run(watched)
        now = psutil.Process(served.process.pid).cpu_times()
        cost = now.user + now.system - used.user - used.system
        answers = sum(len(client.waits) for client in clients)
        found = row(what, served, clients, before, most[0])
        return found | {"CPU s an answer": cost / max(answers, 1), **waited(served)}


def _crowd(results: Results, model: str, wanted: int, counts: Sequence[int]) -> None:
    """How many can talk at once to this model: the first of `counts` that is too many ends it. With all of
    `CLIENTS` also twice as many as that, and a slow engine among its engines.
    """

    def load(what: str, slots: int, count: int, *more: str) -> dict[str, Any]:
        found = {"model": model, **measured(what, slots, count, f"llm.model={model}", *more)}
        results.add(found)
        return found

    most = 0
    for count in counts:
        found = load(f"{count} at once", count, count, "server.load=1")
        if found["p95"] > BOUND or found["unanswered"]:
            break
        most = count
    results.target(f"{model}: people at once with p95 voice to voice <= {BOUND} s", most, ">=", wanted)
    if counts is not CLIENTS:
        return
    slots = max(most, 1)
    found = load(f"{2 * slots} come, {slots} slots", slots, 2 * slots)
    results.target(f"{model}: p95 of those inside when twice as many come (s)", found["p95"], "<=", BOUND)
    results.target(f"{model}: refused of those too many", found["refused"], ">=", slots)
    found = load(f"{2 * slots} come, {2 * slots} slots", 2 * slots, 2 * slots)
    results.target(
        f"{model}: p95 of those let in where there is a slot for all (s)", found["p95"], "<=", BOUND
    )
    load(f"{max(slots // 2, 1)} at once, {SLOW}", slots, max(slots // 2, 1), SLOW)


def run(llm: tuple[str, ...] = (), at_once: tuple[int, ...] = ()) -> Results:
    results = Results("serve")
    for model in llm or WANTED:
        _crowd(results, model, WANTED.get(model, 1), at_once or CLIENTS)
    if at_once:
        return results
    with server(2, UNCOUNTED, "server.load=1") as served:
        anyio.run(short, served, max(SHORT // 5, 5))  # until the allocators have what they need
        time.sleep(QUIET)
        before, began = served.memory, time.monotonic()
        anyio.run(short, served, SHORT)
        time.sleep(QUIET)
        grown = served.memory - before
        results.add({"load": f"{SHORT} short sessions", "inside": 1, "MB a session": round(grown / SHORT, 4)})
        print(f"{SHORT} sessions in {time.monotonic() - began:.0f} s: {grown:+.1f} MB", file=sys.stderr)
    results.target(f"growth over {SHORT} short sessions (MB)", grown, "<=", 25)
    return results
