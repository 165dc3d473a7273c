"""Beside pipecat: sessions of it and as many of ours on the same models, quiet and beside a busy process.

pipecat gets an environment of its own in this machine's cache the first time. Both hear the same questions,
transcribe with Whisper tiny.en, answer with SmolLM2 and speak with the same voice, all of one
`backchat serve`; pipecat asks for them over HTTP, as it does for those of a company.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import psutil

from agent.settings import SYSTEM_PROMPT
from agent.weights.catalogue import cache_dir
from audio.files import read_audio
from audio.pcm import pcm16
from benchmarks import busy, serve
from benchmarks.results import Results

VERSION = "1.14.0"
PACKAGE = f"pipecat-ai[silero,openai]=={VERSION}"
SESSIONS = tuple(int(count) for count in os.environ.get("BENCH_SESSIONS", "1,4").split(","))
BUSY = (0, 1)
ASKED = int(os.environ.get("BENCH_ASKED", "4"))
"""Questions of each session."""
SHARE = 0.15
"""Of pipecat's 95th percentile, one session beside a busy process: the most that ours may take."""


def environment() -> Path:
    """A Python that has pipecat; made if it is not there."""
    folder = cache_dir() / "bench" / f"pipecat-{VERSION}"
    python = folder / "bin" / "python"
    done = folder / "done"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", PACKAGE], check=True)
        done.touch()
    return python


def theirs(served: serve.Served, count: int, python: Path, questions: list[Path]) -> dict[str, Any]:
    """So many sessions of pipecat."""
    script = Path(__file__).with_name("peer_pipecat.py")
    command = [python, script, served.address, str(count), str(ASKED), SYSTEM_PROMPT, *questions]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    return json.loads(done.stdout.splitlines()[-1])


def ours(served: serve.Served, count: int) -> dict[str, Any]:
    """As many of ours."""
    began = time.perf_counter()
    serve.ASKED = ASKED
    clients = anyio.run(serve.talk, served, count)
    return {
        "waits": [wait for client in clients for wait in client.waits],
        "unanswered": sum(client.unanswered for client in clients),
        "cpu": 0.0,
        "seconds": time.perf_counter() - began,
    }


def measured(name: str, count: int, beside: int, python: Path, questions: list[Path]) -> dict[str, Any]:
    """A row of the table, on a fresh server. Its own processor time counts for both."""
    with serve.server(max(count, 2), serve.UNCOUNTED) as served:
        anyio.run(serve.short, served, 2)  # warm
        used = psutil.Process(served.process.pid).cpu_times()
        with busy.crowd(beside):
            found = theirs(served, count, python, questions) if name == "pipecat" else ours(served, count)
        now = psutil.Process(served.process.pid).cpu_times()
    waits = found["waits"]
    cpu = found["cpu"] + now.user + now.system - used.user - used.system
    return {
        "agent": name,
        "sessions": count,
        "busy": beside,
        "answers": len(waits),
        "unanswered": found["unanswered"],
        "median": statistics.median(waits) if waits else float("nan"),
        "p95": float(np.percentile(waits, 95)) if waits else float("inf"),
        "CPU s a minute": cpu * 60 / found["seconds"],
        "CPU s an answer": cpu / max(1, len(waits)),
    }


def run() -> Results:
    results, python = Results("peer"), environment()
    with tempfile.TemporaryDirectory() as folder:
        questions = [Path(folder) / f"{path.stem}.npy" for path in serve.QUESTIONS]
        for path, file in zip(serve.QUESTIONS, questions, strict=True):
            np.save(file, np.frombuffer(pcm16(read_audio(path).at_rate(16_000).samples), np.int16))
        rows = {
            (name, count, beside): measured(name, count, beside, python, questions)
            for count in SESSIONS
            for beside in BUSY
            for name in ("pipecat", "backchat")
        }
    for row in rows.values():
        results.add(row)
    last = BUSY[-1]
    us, them = (rows[name, SESSIONS[0], last]["p95"] for name in ("backchat", "pipecat"))
    results.target("p95 beside a busy process, as a share of pipecat's", us / them, "<=", SHARE)
    return results
