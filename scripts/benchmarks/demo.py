"""The demo's three turns beside busy processes: each answered, and no reply falls silent in its middle.

By the recording: the user asks, asks for a story, and talks over it. Each row is `backchat run --realtime`, a
process of its own, while so many others compute.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from audio.files import read_channels
from benchmarks.busy import BUSY, crowd
from benchmarks.measure import AGENT_AUDIBLE, USER_AUDIBLE, responses, stretches
from benchmarks.results import Results

ROOT = Path(__file__).parents[2]
SPOKEN = [str(ROOT / "configs" / "demo" / name) for name in ("question.wav", "story.wav")]
SPOKEN += [f"{ROOT / 'configs' / 'demo' / 'interrupt.wav'}@over:3.5"]
BREATH = 0.05
"""Seconds of silence from which on a voice pauses; shorter ones are within its words."""
PAUSE = 0.8
"""Seconds beyond which a silence in a reply is none of its voice's: hibari pauses for half a second."""
LIMIT = 300
"""Seconds after which a conversation that does not come to its end is given up."""
OPTIONS = [
    click.Option(["--llm"], default="qwen2.5-0.5b", show_default=True, help="The language model."),
    click.Option(["--busy"], type=int, multiple=True, help="Only beside so many; repeatable."),
]


def run(llm: str = "qwen2.5-0.5b", busy: tuple[int, ...] = ()) -> Results:
    results = Results("demo")
    for count in busy or BUSY[:3]:
        with crowd(count):
            row = {"busy": count, **talk(llm)}
        results.add(row)
        results.target(f"turns answered beside {count}", row["answered"], ">=", len(SPOKEN))
        results.target(f"longest silence in a reply beside {count} (s)", row["longest silence"], "<=", PAUSE)
    return results


def talk(llm: str) -> dict[str, Any]:
    """One conversation, and what its recording tells."""
    program = "from agent.cli import main; main()"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", program, "run", *SPOKEN, "--realtime", "--llm", llm, "-o", folder]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, timeout=LIMIT)
        return told(Path(folder) / "conversation.wav")


def told(recording: Path) -> dict[str, Any]:
    """What a recording tells: answered turns, their waits (s), the longest silence in a reply (s).

    A silence in which the user ends belongs to no reply: it is a wait, or what the user has cut off.
    """
    waits = responses(recording)
    user, agent = read_channels(recording)
    ends = [end for _, end in stretches(user, USER_AUDIBLE, gap=1.2)]
    silences = [
        after - before
        for (_, before), (after, _) in pairwise(stretches(agent, AGENT_AUDIBLE, gap=BREATH))
        if not any(before < end <= after for end in ends)
    ]
    return {
        "answered": len(waits),
        "voice to voice": float(statistics.median(waits)) if waits else float("nan"),
        "worst": float(max(waits, default=float("nan"))),
        "longest silence": float(max(silences, default=0.0)),
    }
