"""Ctrl-C at 20 moments of each command, at a terminal: how many are gone within a second, nothing torn."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.results import Results
from pressing import press

ROOT = Path(__file__).parents[2]
MOMENTS = 20
FIRST, LAST = 0.05, 4.0
"""Seconds after the start of the first moment, and of the last one unless the command is over before."""


def commands(out: Path) -> dict[str, list[str]]:
    """What is run of each; without a sound card `talk` and `say` end early by themselves."""
    demo = ROOT / "configs" / "demo"
    question = str(demo / "question.wav")
    return {
        "talk": ["talk"],
        "chat": ["chat"],
        "run": ["run", question, question, "-o", str(out / "run")],
        "simulate": ["simulate", str(ROOT / "configs/scenarios/cough.toml"), "-o", str(out / "simulate")],
        "say": ["say", "Hello there. " * 200, "-o", str(out / "a.wav")],
        "serve": ["serve", "--port", "0"],
        "doctor": ["doctor"],
        "engines": ["engines"],
        "devices": ["devices"],
        "models verify": ["models", "verify"],
        "config": ["config"],
    }


def run() -> Results:
    """The table, one row a command; the target is that every one is good."""
    results = Results("ctrlc")
    with tempfile.TemporaryDirectory() as out:
        for name, words in commands(Path(out)).items():
            results.rows.append(row(name, words))
    pressed, good = (sum(each[key] for each in results.rows) for key in ("pressed", "good"))
    results.target("share of Ctrl-C that ended the command as it should", good / pressed, ">=", 1.0)
    return results


def row(name: str, words: list[str], tree: Path = ROOT) -> dict[str, Any]:
    """Press Ctrl-C at moments that are spread evenly over the time that the command takes."""
    command = [sys.executable, "-c", "from agent.cli import main; main()", *words]
    env = os.environ | {"PYTHONPATH": str(tree), "TERM": "xterm-256color"}
    whole = press(command, env, LAST)
    last = min(LAST, whole.ended) - 0.02
    every = [FIRST + (last - FIRST) * number / (MOMENTS - 1) for number in range(MOMENTS)]
    seen = [found for moment in every if not (found := press(command, env, moment)).over]
    wrong = [f"{each.moment:.2f} s: {each.fault}" for each in seen if each.fault]
    return {
        "command": name,
        "pressed": len(seen),
        "good": len(seen) - len(wrong),
        "slowest": max((each.took for each in seen), default=0.0),
        "not good": "; ".join(wrong),
    }
