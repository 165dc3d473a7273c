"""Beside busy processes: voice to voice, the longest gap in a reply, tokens a second and CPU per token.

Every row is a process of its own, which talks in real time while so many others compute. With
`--baseline REF` another commit's build is measured in turn, on this one's packages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from benchmarks.results import Results

BUSY = (0, 1, 2, 4)
"""Processes that compute all the while."""
ASKED = 3
"""Questions of each conversation."""
TOKENS, PATIENCE = 40, 15.0
"""Tokens that are timed, and the seconds after which no more of them are waited for."""
TOLD = "The lamp, the boat and the harbour were as they had always been, and nobody came to see them. " * 10
"""About 200 tokens."""
WANTED = {0: 45.0, 2: 22.0, 4: 12.0}
"""Tokens a second beside so many, by the default model on two cores."""
CPU, SLOWER = 0.025, 1.6
"""Seconds of CPU a token, and voice to voice beside two busy processes as a factor of that beside none."""
LIMIT = 150
"""Seconds after which a row that does not come to its end is given up."""
OPTIONS = (
    click.Option(["--baseline"], metavar="REF", help="Another commit, measured in turn."),
    click.Option(["--llm"], default="qwen2.5-0.5b", show_default=True, help="The language model."),
    click.Option(["--busy"], type=int, multiple=True, help="Only beside so many; repeatable."),
)


@contextmanager
def crowd(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """`count` processes that compute, until the end of the block."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def checkout(ref: str) -> Iterator[Path]:
    """The tree of a commit, in a folder of its own until the end of the block."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "-q", "--detach", tree, ref], check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], check=True)


def measured(tree: Path, model: str) -> dict[str, Any]:
    """What the build in `tree` does here and now: a row of the table."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tree / "scripts", tree)))}
    command = [sys.executable, "-P", str(Path(__file__).resolve()), model]
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {LIMIT} s"}
    if done.returncode:
        return {"failed": f"exit status {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


def here(model: str) -> dict[str, Any]:
    """The same, of the build that this process imports."""
    from benchmarks import latency

    alone = tokens(model)
    latency.QUESTIONS = latency.QUESTIONS[:ASKED]
    row = latency.measured(model, "meaning", [])
    return {
        "voice to voice": row["voice to voice"],
        "worst": row["worst"],
        "gap": row["longest gap"],
        **alone,
    }


def tokens(model: str) -> dict[str, float]:
    """The language model by itself: reading, writing, and what both cost."""
    from agent.config import load
    from agent.engines.registry import load_one
    from agent.messages import Message

    settings = [f'llm.model="{model}"', f"llm.max_tokens={TOKENS}", "llm.temperature=0"]
    llm: Any = load_one("llm", load(None, settings))
    began = time.perf_counter()
    llm.prefill([Message("system", TOLD)])
    read = time.perf_counter() - began
    stream = iter(llm.stream([Message("user", "Tell me a long story about a lamp.")]))
    next(stream)
    count, began, cpu = 0, time.perf_counter(), time.process_time()
    for _ in stream:
        count += 1
        if time.perf_counter() - began > PATIENCE:
            break
    took, cost = time.perf_counter() - began, time.process_time() - cpu
    return {"read 200": read, "tokens/s": count / took, "CPU ms a token": 1000 * cost / count}


def judged(rows: list[dict[str, Any]]) -> Results:
    """The rows of all builds, and the targets, which are for this one."""
    results = Results("busy", rows)
    ours = {row["busy"]: row for row in rows if row["build"] == "this"}
    bad = float("inf")
    for busy in sorted(WANTED.keys() & ours):
        results.target(f"tokens/s beside {busy}", ours[busy].get("tokens/s", 0.0), ">=", WANTED[busy])
    cost = max(row.get("CPU ms a token", bad) for row in ours.values()) / 1000
    results.target("most CPU a token (s)", cost, "<=", CPU)
    if ours.keys() >= {0, 2}:
        slower = ours[2].get("voice to voice", bad) / ours[0].get("voice to voice", bad)
        results.target("voice to voice beside 2, as a factor of that beside none", slower, "<=", SLOWER)
    if 2 in ours:
        results.target("longest gap in a reply beside 2 (s)", ours[2].get("gap", bad), "<=", 0.0)
    return results


def run(baseline: str | None = None, llm: str = "qwen2.5-0.5b", busy: tuple[int, ...] = ()) -> Results:
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        builds = {"this": Path.cwd()}
        if baseline is not None:
            builds[baseline] = stack.enter_context(checkout(baseline))
        for count in busy or BUSY:
            for build, tree in builds.items():
                with crowd(count):
                    rows.append({"build": build, "busy": count, **measured(tree, llm)})
                print(rows[-1], file=sys.stderr)
    return judged(rows)


if __name__ == "__main__":
    print(json.dumps(here(sys.argv[1])))
