"""What each engine costs, one process each: time to load, first output, speed, memory. A table of docs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from agent.config import load
from agent.engines import registry as engines
from agent.engines.built_in import BUILT_IN
from agent.engines.status import listing
from agent.messages import Message
from agent.settings import Config
from agent.weights import catalogue as models
from audio.files import read_audio
from benchmarks.results import Results
from helpers_server import llama_server

LLMS = ("smollm2", "qwen2.5-0.5b")
STTS = ("whisper-tiny.en", "whisper-base")
QUESTIONS = Path("tests/data/questions")
SENTENCE = (
    "The old lighthouse keeper climbed the winding stairs every evening, lit the great lamp with a careful "
    "hand, and watched the ships go by until the first light of the morning came over the sea."
)
SYSTEM = Message("system", Config().session.system)
TURNS = ("What is the capital of France?", "And of Spain?", "Tell me a story about a lighthouse keeper.")
ROUNDS = 3
NO_WEIGHTS = {"vlm", "llamavision", "xtts", "mms", "whisper-torch"}
"""Engines whose published weights cannot be had without a hub; the last one's are converted."""


class Table(Results):
    """The figures as docs/benchmarks.md shows them."""

    def table(self) -> str:
        columns = list(self.rows[0])
        lines = [columns, ["---"] * len(columns), *([str(row[c]) for c in columns] for row in self.rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def candidates(server: str, torch_whisper: Path) -> list[tuple[engines.Kind, str, str, list[str]]]:
    """Kind, engine, model and settings of all whose weights are to be had.

    server: the address of one for `openai`. torch_whisper: tiny.en in transformers' format.
    """
    found: list[tuple[engines.Kind, str, str, list[str]]] = []
    for entry in listing(Config()):
        names = {"llm": LLMS, "stt": STTS, "tts": ("",)}.get(entry.kind)
        if entry.source != "backchat" or names is None or entry.name in NO_WEIGHTS:
            continue
        if entry.name == "moonshine":
            names = ("moonshine",)
        for name in names[:1] if entry.state == "elsewhere" else names:
            settings = [f"{entry.kind}.engine={entry.name}"]
            settings += [f"{entry.kind}.model={name}"] if name else []
            settings += [f"llm.base_url={server}"] if entry.state == "elsewhere" else []
            found.append((entry.kind, entry.name, name, settings))
    whisper = ["stt.engine=whisper-torch", f"stt.model={torch_whisper}"]
    return [*found, ("stt", "whisper-torch", STTS[0], whisper)]


def run() -> Results:
    from ct2_to_torch import convert  # here: torch is not to count as memory of the engines without it

    results = Table("engines")
    with models.progress_bar() as progress, ExitStack() as stack:
        for name in (*LLMS, *STTS, "piper-joe", "kokoro"):
            models.resolve(name, progress)
        server = stack.enter_context(llama_server(models.resolve(LLMS[0]))).url
        torch_whisper = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        convert(models.resolve(STTS[0]), torch_whisper)
        for kind, name, model, settings in candidates(server, torch_whisper):
            program = f"from benchmarks.engines import measured; measured({kind!r}, {settings!r})"
            paths = [str(Path(__file__).parents[1]), *sys.path]
            command = [sys.executable, "-c", f"import sys; sys.path[:] = {paths!r}; {program}"]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{kind} {name}: {done.stderr.strip().splitlines()[-1]}")
            figures: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
            what = f"`{name}`" + (f" {model}" if model else "")
            licence = BUILT_IN[kind][name].licence
            results.add({"kind": kind, "engine": what, **figures, "licence": licence})
    return results


def measured(kind: engines.Kind, settings: list[str]) -> None:
    """Load one engine, use it, and print its figures as JSON. For a process of its own."""
    began = time.perf_counter()
    engine = engines.load_one(kind, load(None, settings))
    loaded = time.perf_counter() - began
    uses: dict[str, Callable[[Any], tuple[float, str]]] = {"llm": _llm, "tts": _tts, "stt": _stt}
    first, speed = uses[kind](engine)
    memory = psutil.Process().memory_info().rss / 1e6
    figures = {"load": f"{loaded:.1f} s", "first output": f"{first * 1e3:.0f} ms", "speed": speed}
    print(json.dumps({**figures, "memory": f"{memory:.0f} MB"}))


def _llm(engine: Any) -> tuple[float, str]:
    """Third turn, read ahead as in a conversation: seconds to the first text; tokens a second after it."""
    firsts, rates = [], []
    for _ in range(ROUNDS):
        said = [SYSTEM]
        for turn in TURNS:
            said.append(Message("user", turn))
            engine.prefill(said[:-1])
            began, stamps, text = time.perf_counter(), list[float](), ""
            for piece in engine.stream(said):
                if piece:
                    stamps.append(time.perf_counter() - began)
                    text += piece
                if len(stamps) == 40:
                    break
            said.append(Message("assistant", text.strip()))
        firsts.append(stamps[0])
        rates.append((len(stamps) - 1) / (stamps[-1] - stamps[0]))
    return statistics.median(firsts), f"{statistics.median(rates):.0f} tokens/s"


def _tts(engine: Any) -> tuple[float, str]:
    """One long sentence: seconds to the first sound; seconds of work for one of speech."""
    firsts, factors = [], []
    for _ in range(ROUNDS):
        began, first, spoken = time.perf_counter(), 0.0, 0.0
        for part in engine.stream(SENTENCE):
            first = first or time.perf_counter() - began
            spoken += part.duration
        firsts.append(first)
        factors.append((time.perf_counter() - began) / spoken)
    return statistics.median(firsts), f"{statistics.median(factors):.3f} of real time"


def _stt(engine: Any) -> tuple[float, str]:
    """Short questions: median seconds for one; seconds of work for one of speech."""
    took, factors = [], []
    for path in sorted(QUESTIONS.glob("*.flac")):
        audio = read_audio(path)
        began = time.perf_counter()
        engine.transcribe(audio)
        took.append(time.perf_counter() - began)
        factors.append(took[-1] / audio.duration)
    return statistics.median(took), f"{statistics.median(factors):.3f} of real time"
