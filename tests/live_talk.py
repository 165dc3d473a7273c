"""`backchat talk` as a process with a sound card, for tests: what it prints, what it kept."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from agent.weights.catalogue import cache_dir

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "configs" / "demo"
TALK = "from agent.cli import main; main()"
PATIENCE = 120
"""Seconds within which something must be printed: a busy machine may be slow, but not silent."""


class Talk:
    """`backchat talk` in a process of its own, and the lines that it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: queue.Queue[str] = queue.Queue()
        self.seen: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")

    def wait_for(self, words: str) -> str:
        """The next line with `words` in it."""
        while True:
            line = self.lines.get(timeout=PATIENCE)
            self.seen.append(line)
            assert line, f"it ended before it said {words!r}: {self.seen}"
            if words in line:
                return line


@contextmanager
def talking(card, *words: object) -> Iterator[Talk]:
    command = [
        sys.executable,
        "-u",
        "-c",
        TALK,
        "talk",
        "--plain",
        "--llm",
        "smollm2",
        "--set",
        "llm.max_tokens=90",
        *map(str, words),
    ]
    env = card.env | {"PYTHONPATH": str(ROOT), "BACKCHAT_CACHE": str(cache_dir())}
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield Talk(process)
        finally:
            process.kill()


def events(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def named(found: list[dict], name: str) -> list[dict]:
    return [event for event in found if event["event"] == name]


def until_it_speaks(recording: Path) -> None:
    """Wait until what the speaker plays from now on is loud."""
    before, deadline = recording.stat().st_size, time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        time.sleep(0.1)
        new = np.frombuffer(recording.read_bytes()[before:][: 1 << 30], np.uint8)
        samples = new[: len(new) - len(new) % 2].view("<i2")
        if len(samples) and np.abs(samples.astype(int)).max() > 1000:
            return
    pytest.fail("the agent did not speak")
