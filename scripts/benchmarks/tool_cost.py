"""What tools cost a turn that needs none: the same spoken questions with and without them, in real time."""

from __future__ import annotations

import json
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import click

from agent import events as ev
from agent.config import load
from agent.engines import registry as engines
from agent.reports import waits as report
from agent.simulation.virtual import Line, converse
from agent.tools.registry import BUILT_IN
from agent.weights import catalogue as models
from audio.files import read_audio
from audio.frame import HEARING_RATE
from benchmarks.latency import QUESTIONS, TIMER
from benchmarks.results import Results

OPTIONS = [
    click.Option(["--model"], default="qwen2.5-0.5b", show_default=True, help="The language model."),
    click.Option(["--rounds"], default=2, show_default=True, help="How often each conversation is held."),
]
MOST_LATER = 0.02
"""Seconds that a turn may be answered later, at the median."""


def run(model: str, rounds: int) -> Results:
    """With and without in turn, each conversation in a process of its own."""
    results = Results("tool_cost")
    times: dict[bool, dict[int, list[tuple[float, float]]]] = {False: {}, True: {}}
    for _ in range(rounds):
        for tools in (False, True):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                for number, waits in process.submit(measured, model, tools).result().items():
                    times[tools].setdefault(number, []).append(waits)
    compared = sorted(set(times[False]) & set(times[True]))
    medians = {
        tools: [[statistics.median(each) for each in zip(*times[tools][n], strict=True)] for n in compared]
        for tools in times
    }
    for tools, rows in medians.items():
        voice, token = (statistics.median(each) for each in zip(*rows, strict=True))
        results.add(
            {
                "model": model,
                "tools": "configured" if tools else "none",
                "turns compared": len(compared),
                "voice to voice": voice,
                "first token": token,
            }
        )
    later = [
        with_tools[0] - without
        for with_tools, (without, _) in zip(medians[True], medians[False], strict=True)
    ]
    what = f"median of how much later a turn without a call is answered, {model} (s)"
    results.target(what, statistics.median(later), "<=", MOST_LATER)
    return results


def measured(model: str, tools: bool) -> dict[int, tuple[float, float]]:
    """Of each question, by its number, for which nothing was called: voice to voice, and the wait for the
    first token (s).
    """
    with tempfile.TemporaryDirectory() as folder:
        use = [f"tools.use={json.dumps(sorted(BUILT_IN))}", f'tools.folder="{folder}"'] if tools else []
        config = load(None, [f'llm.model="{model}"', "llm.max_tokens=40", *TIMER, *use])
        with models.progress_bar() as progress:
            loaded = engines.load(config, progress)
        lines = [Line(read_audio(path).at_rate(HEARING_RATE), "after", 1.0) for path in QUESTIONS]
        seen: list[ev.Event] = []
        converse(loaded, config, lines, Path(folder) / "c.wav", realtime=True, watchers=[seen.append])
    called = {event.turn for event in seen if isinstance(event, ev.ToolCalled)}
    spoken = [turn for turn in report.turns(seen) if turn.voice_to_voice is not None]
    assert len(spoken) == len(QUESTIONS), "every question must be answered, once"
    return {
        number: (turn.voice_to_voice or 0.0, dict(turn.parts)["first token"])
        for number, turn in enumerate(spoken)
        if turn.turn not in called
    }
