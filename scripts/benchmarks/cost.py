"""What a conversation costs: processor time by part, in silence and in talk; memory; time to begin.

On a virtual sound card, in real time, with the live view on a terminal that nobody sees. With --baseline REF
another commit is measured before it, with this benchmark.
"""

from __future__ import annotations

import importlib
import json
import os
import site
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import click
import numpy as np

from benchmarks.results import Results

ROOT = Path(__file__).parents[2]
QUESTIONS = sorted((ROOT / "tests" / "data" / "questions").glob("*.flac"))[:5]
"""What is asked, one after the other."""
SILENCE = 20.0
"""Seconds of silence that are measured."""
SETTLING = 5.0
"""Seconds before that in which the instructions are read ahead and the canceller goes to rest."""
STARTS = 3
"""Starts of each command that is timed when all is in the page cache; the best counts."""
TALK = "from agent.cli import main; main()"

OPTIONS = [
    click.Option(["--baseline"], metavar="REF", help="Measure this commit too, before the present one."),
    click.Option(["--llm"], default="qwen2.5-0.5b", show_default=True, help="The language model."),
]


def run(baseline: str | None = None, llm: str = "qwen2.5-0.5b") -> Results:
    """Rows by part; the newest build's figures are held against the targets."""
    from conftest import virtual_card

    results = Results("cost")
    with ExitStack() as stack:
        card = stack.enter_context(virtual_card())
        builds = {baseline: stack.enter_context(_checked_out(baseline))} if baseline else {}
        for name, tree in {**builds, "now": ROOT}.items():
            env = card.env | {
                "PYTHONPATH": os.pathsep.join(map(str, (tree, ROOT / "scripts", ROOT / "tests")))
            }
            figures = _conversation(env, tree, llm)
            for part, (silent, talking) in figures["parts"].items():
                row = {"build": name, "part": part, "silence (CPU s/min)": silent}
                results.add({**row, "conversation (CPU s/min)": talking})
            begun = _beginnings(card, env, tree, llm)
            for what, value in {**figures["memory"], **begun}.items():
                results.add({"build": name, "part": what, "value": value})
    silent, _ = figures["parts"]["all"]
    results.target("CPU in silence, share of a core", silent / 60, "<=", 0.015)
    results.target("memory idle (GB)", figures["memory"]["memory idle (GB)"], "<=", 0.75)
    results.target("memory talking (GB)", figures["memory"]["memory talking (GB)"], "<=", 0.85)
    results.target("`talk` to listening, warm (s)", begun["`talk` to listening, warm (s)"], "<=", 1.0)
    results.target("`say hi -o` whole, warm (s)", begun["`say hi -o`, warm (s)"], "<=", 0.5)
    return results


@contextmanager
def _checked_out(ref: str) -> Iterator[Path]:
    """The files of another commit."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", ref], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        yield Path(folder)


def _conversation(env: dict[str, str], tree: Path, llm: str) -> dict[str, Any]:
    """The figures of one conversation, held in a process of its own, which sees the card."""
    program = f"from benchmarks.cost import hold; hold({llm!r})"
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, cwd=tree, capture_output=True, text=True, timeout=400
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def _beginnings(card: Any, env: dict[str, str], tree: Path, llm: str) -> dict[str, float]:
    """Seconds from a command to what it is wanted for, with nothing of it in the page cache, and with all."""
    talk, file = ["talk", "--plain", "--llm", llm], tempfile.mktemp(".wav")
    ways: dict[str, Callable[[], float]] = {
        "`talk` to listening": lambda: _listening(env, tree, talk),
        "`say hi -o`": lambda: _whole(env, tree, ["say", "hi", "-o", file]),
        "`say hi` to first sound": lambda: _first_sound(card, env, tree),
    }
    found: dict[str, float] = {}
    for what, way in ways.items():
        _forget()
        found[f"{what}, cold (s)"] = way()
        found[f"{what}, warm (s)"] = min(way() for _ in range(STARTS))
    Path(file).unlink(missing_ok=True)
    return found


def _forget() -> None:
    """Drop weights and libraries from the page cache, as far as no other process holds them."""
    from agent.weights.catalogue import cache_dir

    for folder in (
        cache_dir(),
        *map(Path, site.getsitepackages()),
        *(Path(p) for p in sys.path if "site-" in p),
    ):
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                number = os.open(path, os.O_RDONLY)
                os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(number)


def _command(words: list[str]) -> list[str]:
    return [sys.executable, "-c", TALK, *words]


def _listening(env: dict[str, str], tree: Path, words: list[str]) -> float:
    began = time.perf_counter()
    with subprocess.Popen(_command(words), env=env, cwd=tree, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("listening"):
                break
        took = time.perf_counter() - began
        process.kill()
    return took


def _whole(env: dict[str, str], tree: Path, words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(_command(words), env=env, cwd=tree, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _first_sound(card: Any, env: dict[str, str], tree: Path) -> float:
    """By what the card's speaker plays: its recording is cut off where the command begins."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speaker.wav"
        with card.record(path):
            before = path.stat().st_size // 4 * 4
            _whole(env, tree, ["say", "hi"])
        heard = np.frombuffer(path.read_bytes()[before:][: 1 << 28], np.int16)
    return float(np.flatnonzero(np.abs(heard[: len(heard) // 2 * 2]) > 300)[0] / 2 / 48_000)


class Ledger:
    """Whose processor time it was. Engines' own threads are those that appear while they load."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._owners: dict[int, str] = {}

    def owns(self, part: str) -> None:
        """Every thread that nobody owns yet is that part's."""
        for tid in _threads():
            self._owners.setdefault(tid, part)

    def counting(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work`, whose time in the thread that calls it is that part's."""

        def counted(*args: Any, **options: Any) -> Any:
            began = time.thread_time()
            try:
                return work(*args, **options)
            finally:
                self.spent[part] = self.spent.get(part, 0.0) + time.thread_time() - began

        return counted

    def totals(self) -> dict[str, float]:
        """Seconds by part until now; "all" is the process's own figure."""
        python = {thread.native_id: thread for thread in threading.enumerate()}
        found, threads, first = dict(self.spent), _threads(), threading.main_thread().native_id
        for tid, seconds in threads.items():
            thread = python.get(tid)
            if tid == first:
                continue
            if tid in self._owners:
                part = self._owners[tid]
            elif type(thread).__name__ == "_RefreshThread":
                part = "screen"
            elif thread is not None:
                continue  # a worker: its engines have told what they took, what is left is the rest
            else:
                part = "sound card"
            found[part] = found.get(part, 0.0) + seconds
        inside = sum(self.spent.get(part, 0.0) for part in INSIDE)
        return {**found, "frames and turns": threads[first or 0] - inside, "all": time.process_time()}


INSIDE = ("echo canceller", "voice detection")
"""What is computed in the main thread."""


def _threads() -> dict[int, float]:
    """Processor seconds of each thread of this process, by its number."""
    found: dict[int, float] = {}
    for path in Path("/proc/self/task").iterdir():
        try:
            found[int(path.name)] = int((path / "schedstat").read_text().split()[0]) / 1e9
        except OSError:  # it has just ended
            continue
    return found


def hold(llm: str) -> None:
    """Hold one conversation and print its figures as JSON."""
    import agent.transports.local as transport
    from agent.config import load
    from agent.engines import registry
    from agent.runner import Runner, run_real
    from agent.weights.catalogue import resolve
    from audio.echo.front_end import FrontEnd
    from audio.smart_turn import SmartTurn
    from audio.vad import VoiceDetector

    config, ledger = load(None, [f"llm.model={llm}", "llm.max_tokens=60"]), Ledger()
    ledger.owns("numpy")
    loaded: dict[str, Any] = {}
    for kind in ("stt", "llm", "tts"):
        loaded[kind] = registry.load_one(kind, config)
        ledger.owns(kind)
    loaded["endpointing"] = SmartTurn(resolve("smart-turn-v3.2"))
    loaded["endpointing"].warm()
    ledger.owns("turn")

    class Counting(Runner):
        async def _item(self, engine: Any, work: Callable[[], Any], *rest: Any, **more: Any) -> Any:
            return await super()._item(engine, ledger.counting(engine, work), *rest, **more)

    transport.Runner = Counting
    FrontEnd.cleaned = ledger.counting("echo canceller", FrontEnd.cleaned)
    VoiceDetector.feed = ledger.counting("voice detection", VoiceDetector.feed)
    engines = registry.load(config, given=registry.Given(**loaded))
    print(json.dumps(run_real(partial(_talk, engines, config, ledger))))


async def _talk(engines: Any, config: Any, ledger: Ledger) -> dict[str, Any]:
    """Silence, then questions; what each took of the processor and of memory."""
    from rich.console import Console

    from agent import events as ev
    from agent.transports.local import LocalSession

    send, ended = anyio.create_memory_object_stream[None](100)

    def watch(event: ev.Event) -> None:
        view.watch(event)
        if isinstance(event, ev.TurnEnded):
            send.send_nowait(None)

    with Path(os.devnull).open("w") as nowhere:
        view = _live_view()(Console(file=nowhere, force_terminal=True, width=100, height=30))
        local = LocalSession(engines, config, [watch])
        ledger.owns("echo canceller")
        with view:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(local.run, through=view.listening))
                await anyio.sleep(SETTLING)
                marks = [(time.perf_counter(), ledger.totals())]
                await anyio.sleep(SILENCE)
                marks.append((time.perf_counter(), ledger.totals()))
                idle = _memory()
                for path in QUESTIONS:
                    await anyio.run_process(["paplay", "--device=micsink", str(path)])
                    with anyio.fail_after(60):
                        await ended.receive()
                    await anyio.sleep(0.5)
                marks.append((time.perf_counter(), ledger.totals()))
                talking = _memory()
                tasks.cancel_scope.cancel()
    memory = {"memory idle (GB)": idle, "memory talking (GB)": talking}
    return {"parts": _by_part(*marks), "memory": memory}


def _live_view() -> Any:
    """The class of the live view, which older builds have elsewhere."""
    try:
        return importlib.import_module("agent.cli.parts.view").LiveView
    except ModuleNotFoundError:
        return importlib.import_module("agent.cli.parts.view").LiveView


Mark = tuple[float, dict[str, float]]


def _by_part(first: Mark, second: Mark, third: Mark) -> dict[str, tuple[float, float]]:
    """CPU seconds a minute in the first stretch and in the second, by part, the largest of them first."""

    def a_minute(begin: Mark, end: Mark) -> dict[str, float]:
        seconds = end[0] - begin[0]
        found = {part: (cpu - begin[1].get(part, 0.0)) * 60 / seconds for part, cpu in end[1].items()}
        found["threads and the rest"] = 2 * found["all"] - sum(found.values())
        return found

    silent, talking = a_minute(first, second), a_minute(second, third)
    parts = sorted(talking, key=lambda part: -talking[part])
    return {part: (silent.get(part, 0.0), talking[part]) for part in parts}


def _memory() -> float:
    """What this process holds, in GB, as the system counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1e6
