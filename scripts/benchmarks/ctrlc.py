"""Ctrl-C at 20 moments of each command, at a terminal: how many are gone within a second, nothing torn."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conftest import SoundCard, virtual_card
from slow_hub import PULLED, slow_hub

from benchmarks.results import Results
from pressing import answering, press

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "configs" / "demo"
MOMENTS = 20
FIRST, LAST = 0.05, 4.0
"""Seconds after the start of the first moment, and of the last one unless the command is over before."""
SHORT = ("--set", "llm.max_tokens=24")
BACKCHAT = (sys.executable, "-c", "from agent.cli import main; main()")


@dataclass(frozen=True)
class Case:
    """What is run, and from when on it is interrupted. The fields are those of `press`.

    fresh: the variable whose folder is a new one each time. check: the fault of what is left at the end.
    """

    words: list[str]
    after: str = ""
    then: Callable[[str], AbstractContextManager[object]] = lambda _: nullcontext()
    twice: float = 0.0
    meant: Callable[[str], int] = lambda _: 130
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    fresh: str = ""
    check: Callable[[Mapping[str, str]], str] = lambda _: ""


def cases(out: Path, card: SoundCard, hub: str) -> dict[str, Case]:
    """What is run of each."""
    question = str(DEMO / "question.wav")
    scenario = str(ROOT / "configs/scenarios/cough.toml")
    pulling = {"HF_ENDPOINT": hub, "PIP_NO_INDEX": "1"}

    @contextmanager
    def asked(_: str) -> Iterator[None]:
        """The user asks; the answer is heard, thought about and said meanwhile."""
        with card.play(DEMO / "question.wav") as player:
            yield
            player.terminate()

    return {
        "talk": Case(["talk"], env=card.env),
        "talk, asked": Case(["talk"], after="listening", then=asked, env=card.env),
        "chat": Case(["chat"]),
        "chat --aloud": Case(["chat", "--aloud"], env=card.env),
        "run": Case(["run", question, question, "-o", str(out / "run")]),
        "simulate": Case(["simulate", scenario, "-o", str(out / "simulate")]),
        "replay": Case(["replay", str(out / "kept"), "-o", str(out / "replay")]),
        "say": Case(["say", "Hello there. " * 200, "-o", str(out / "a.wav")]),
        "say, aloud": Case(["say", "Hello there. " * 200], env=card.env),
        "serve": Case(["serve", "--port", "0"], meant=lambda printed: 0 if "http://" in printed else 130),
        "serve, listening": Case(["serve", "--port", "0"], after="http://", meant=lambda _: 0),
        "serve, answering, twice": Case(["serve", "--port", "0"], after="http://", then=answering, twice=1.1),
        "models pull": Case(["models", "pull", PULLED], env=pulling, fresh="BACKCHAT_CACHE", check=pulled),
        "models verify": Case(["models", "verify"]),
        "doctor": Case(["doctor"]),
        "engines": Case(["engines"]),
        "devices": Case(["devices"], env=card.env),
        "config": Case(["config"]),
    }


def run() -> Results:
    """The table, one row a command; the target is that every one is good."""
    results = Results("ctrlc")
    with tempfile.TemporaryDirectory() as out, virtual_card() as card, slow_hub(LAST) as hub:
        subprocess.run(
            [*BACKCHAT, "run", str(DEMO / "question.wav"), "-o", f"{out}/kept", *SHORT],
            check=True,
            capture_output=True,
            env=environment(),
        )
        for name, case in cases(Path(out), card, hub).items():
            results.add(row(name, case))
    pressed, good = (sum(each[key] for each in results.rows) for key in ("pressed", "good"))
    results.target("share of Ctrl-C that ended the command as it should", good / pressed, ">=", 1.0)
    return results


def environment(tree: Path = ROOT) -> dict[str, str]:
    """Where commands run."""
    return os.environ | {"PYTHONPATH": str(tree), "TERM": "xterm-256color"}


def row(name: str, case: Case, tree: Path = ROOT) -> dict[str, Any]:
    """Press Ctrl-C at moments that are spread evenly over the time that the command takes."""
    command = [*BACKCHAT, *case.words]
    seen, wrong = [], []
    last = LAST
    for number in range(-1, MOMENTS):  # the first one only finds out how long it takes
        moment = LAST if number < 0 else FIRST + (last - FIRST) * number / (MOMENTS - 1)
        with tempfile.TemporaryDirectory() as folder:
            env = environment(tree) | dict(case.env) | ({case.fresh: folder} if case.fresh else {})
            found = press(
                command, env, moment, after=case.after, then=case.then, twice=case.twice, meant=case.meant
            )
            if number < 0:
                last = min(LAST, found.ended) - 0.02
            elif not found.over:
                seen.append(found)
                if fault := found.fault or case.check(env):
                    wrong.append(f"{moment:.2f} s: {fault}")
    return {
        "command": name,
        "pressed": len(seen),
        "good": len(seen) - len(wrong),
        "slowest": max((each.took for each in seen), default=0.0),
        "not good": "; ".join(wrong),
    }


def pulled(env: Mapping[str, str]) -> str:
    """Whether what is left can be fetched to its end and is whole then."""
    done = subprocess.run(
        [*BACKCHAT, "models", "pull", PULLED],
        env=dict(env) | {"HF_ENDPOINT": env["HF_ENDPOINT"].replace("slow", "fast")},
        capture_output=True,
        text=True,
    )
    return "" if done.returncode == 0 else f"cannot be fetched afterwards: {done.stderr[-100:]}"
