"""A hostile hour in five minutes: a crowd that costs beside three people who talk, and what it leaves behind.

The server is a process of its own, `backchat serve` with a token and its default limits. The crowd is
another one, below everybody's priority; it has the token, as a guest who misbehaves, and each of its clients
an address of its own (on Linux). The three talk first in quiet, then beside the crowd, on the same cores;
with one kind at a time it is one who talks.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import click
import httpx
import numpy as np
import psutil

from benchmarks.results import Results
from benchmarks.serve import PATIENCE, QUIET, Client, Served, server, short, talk
from hostile_clients import KINDS

OPTIONS = [
    click.Option(["--minutes"], default=5.0, show_default=True, help="How long the crowd is there."),
    click.Option(["--clients"], default=200, show_default=True, help="How many there are of it."),
    click.Option(
        ["--kinds"],
        default=",".join(KINDS),
        help="What they do; with `each` in front one kind at a time: 12 clients, 15 seconds.",
    ),
]
TALKERS, SLOTS = 3, 4
CALM = 60.0
"""Seconds for which they talk in quiet."""
EACH, EACH_CLIENTS = 15.0, 12
FACTOR = 1.5
"""How much longer the 95th percentile of their waits may become."""
MEMORY = 400.0
"""MB by which the server's peak may grow: bodies in work (`server.bodies`, 100), what four sessions keep
(`memory`, 100), one picture and one sound that are decoded (100), and as much again for copies and what is
not given back yet."""
LEAVING = 30.0
"""Seconds in which everything must be gone: `server.client_timeout` and half of it."""
WORKERS = 40
"""Threads that anyio keeps for the next work at most: they hold nothing, and end when there is some."""
LOOK = 0.25
SETTINGS = ("server.grpc_port=0", "vision.engine=ocr", "server.load=1")


@dataclass(frozen=True)
class Held:
    """What a server's process has open, and how many slots are taken."""

    sockets: int
    files: int
    threads: int
    slots: int

    def beyond(self, other: Held) -> int:
        """How much more this is than it was, all together."""
        more = {name: getattr(self, name) - value for name, value in vars(other).items()}
        more["threads"] -= WORKERS
        return sum(max(0, count) for count in more.values())


def held(served: Served) -> Held:
    """What the server has now."""
    process = psutil.Process(served.process.pid)
    # A connection of its own, whose socket is one of those that are counted.
    text = httpx.get(
        f"{served.address}/metrics", headers={"authorization": f"Bearer {served.token}"}, timeout=30
    )
    slots = next(line for line in text.text.splitlines() if line.startswith("backchat_sessions "))
    return Held(
        len(process.net_connections()), process.num_fds(), process.num_threads(), int(float(slots.split()[1]))
    )


@contextmanager
def crowd(served: Served, clients: int, kinds: list[str], seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A crowd that is ready to come, and begins at a line on its stdin; ended with the block."""
    command = [sys.executable, "-m", "hostile_clients", served.address.rpartition(":")[2], served.grpc]
    command += ["--clients", str(clients), "--kinds", ",".join(kinds), "--seconds", str(seconds)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"{served.token}\n")
        process.stdin.flush()
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError("the crowd did not come")
        yield process
    finally:
        process.kill()
        process.wait()


@dataclass
class Watched:
    """What was seen while people talked. peak: the server's memory at its highest, MB resident."""

    clients: list[Client]
    peak: float
    errors: list[str]

    @property
    def waits(self) -> list[float]:
        """Voice to voice (s); a question without an answer counts as the longest wait."""
        lost = sum(client.unanswered for client in self.clients)
        return [wait for client in self.clients for wait in client.waits] + [PATIENCE] * lost

    @property
    def p95(self) -> float:
        return float(np.percentile(self.waits, 95)) if self.waits else float("inf")


def resident(served: Served) -> float:
    """MB of memory that the server holds."""
    return psutil.Process(served.process.pid).memory_info().rss / 1e6


async def watched(
    served: Served, talkers: int, seconds: float, start: subprocess.Popen[str] | None = None
) -> Watched:
    """So many people talk for so long, and the crowd comes once they are in."""
    peak, seen = resident(served), len(served.errors)

    async def watch() -> None:
        nonlocal peak
        await anyio.sleep(2.0)
        if start is not None and start.stdin is not None:
            start.stdin.write("\n")
            start.stdin.flush()
        while True:
            peak = max(peak, resident(served))
            await anyio.sleep(LOOK)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        clients = await talk(served, talkers, seconds)
        tasks.cancel_scope.cancel()
    return Watched(clients, peak, served.errors[seen:])


def left(served: Served, before: Held) -> tuple[int, float, Held]:
    """How much more than before is held once all have gone; after how long; and what it is."""
    began = time.monotonic()
    while (now := held(served)).beyond(before) and time.monotonic() - began < LEAVING:
        time.sleep(1.0)
    return now.beyond(before), time.monotonic() - began, now


def faults(log: Path) -> list[str]:
    """Lines of the server's log that tell of a fault of its own: errors, and what is no line of the log."""
    found: list[str] = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            entry: dict[str, Any] = json.loads(line)
        except ValueError:
            entry = {"level": "error"}
        if entry.get("level") not in ("info", "warning"):
            found.append(line)
    return found


def hostile(served: Served, calm: Watched, kinds: list[str], clients: int, seconds: float) -> dict[str, Any]:
    """One row: the crowd of these kinds, beside as many people as talked in quiet."""
    before = held(served)
    with crowd(served, clients, kinds, seconds) as process:
        seen = anyio.run(watched, served, len(calm.clients), seconds, process)
        output, _ = process.communicate(timeout=LEAVING + seconds)
    heard: dict[str, Counter[str]] = {kind: Counter(told) for kind, told in json.loads(output).items()}
    rest, after, now = left(served, before)
    if rest:
        print(f"left behind: {now}, before {before}", file=sys.stderr)
    for kind, told in heard.items():
        print(f"  {kind}: {dict(told.most_common())}", file=sys.stderr)
    print(f"  the talkers were told: {dict(Counter(seen.errors))}", file=sys.stderr)
    all_told = sum(heard.values(), Counter[str]())
    return {
        "crowd": kinds[0] if len(kinds) == 1 else f"{clients} of {len(kinds)} kinds",
        "visits": all_told.total(),
        "answers": len(seen.waits),
        "lost": sum(client.unanswered for client in seen.clients) + len(seen.errors),
        "p95 (s)": seen.p95,
        "ratio": seen.p95 / calm.p95,
        "grown (MB)": round(seen.peak - calm.peak),
        "left": rest,
        "after (s)": round(after),
        "load": round(psutil.getloadavg()[0], 1),
        "told": ", ".join(f"{told} {count}x" for told, count in all_told.most_common(4)),
    }


def run(minutes: float, clients: int, kinds: str) -> Results:
    results = Results("hostile")
    names = kinds.split(",")
    one_by_one = names[0] == "each"
    names = (names[1:] or list(KINDS)) if one_by_one else names
    if unknown := [name for name in names if name not in KINDS]:
        raise click.BadParameter(f"{unknown[0]}: there is {', '.join(KINDS)}")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with (
            log.open("wb") as sink,
            server(SLOTS, *SETTINGS, token=secrets.token_hex(24), log=sink) as served,
        ):
            anyio.run(short, served, 2)  # warm
            time.sleep(QUIET)
            calm = anyio.run(watched, served, 1 if one_by_one else TALKERS, CALM)
            results.add({"crowd": "none", "answers": len(calm.waits), "p95 (s)": calm.p95})
            print(f"calm: {calm.p95:.3f} s of {len(calm.waits)}", calm.errors, file=sys.stderr)
            time.sleep(QUIET)
            for group in [[name] for name in names] if one_by_one else [names]:
                size, seconds = (EACH_CLIENTS, EACH) if one_by_one else (clients, minutes * 60)
                results.add(hostile(served, calm, group, size, seconds))
        found = faults(log)
    for fault in found[:20]:
        print(fault[:2000], file=sys.stderr)
    rows = results.rows[1:]
    worst = {name: max(float(row[name]) for row in rows) for name in ("ratio", "lost", "grown (MB)", "left")}
    results.target(
        "p95 voice to voice beside the crowd, as a multiple of that in quiet", worst["ratio"], "<=", FACTOR
    )
    results.target("questions without an answer, and errors told to who talks", worst["lost"], "<=", 0)
    results.target("memory beyond that in quiet (MB)", worst["grown (MB)"], "<=", MEMORY)
    results.target(f"left behind after {LEAVING:g} s", worst["left"], "<=", 0)
    results.target("faults in the log", len(found), "<=", 0)
    return results
