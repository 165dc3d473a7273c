"""Voice to voice in real time: 8 spoken questions to each of the two embedded models."""

from __future__ import annotations

import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from agent import events as ev
from agent.config import load
from agent.engines import registry as engines
from agent.reports import waits as report
from agent.simulation.virtual import Line, converse
from agent.weights import catalogue as models
from audio.files import read_audio
from audio.frame import HEARING_RATE
from benchmarks.measure import replies, responses
from benchmarks.results import Results

QUESTIONS = sorted(Path("tests/data/questions").glob("*.flac"))[:8]
TIMER = ["turns.meaning=off", "turns.end=0.3"]
RUNS: list[tuple[str, str, list[str], float]] = [
    ("smollm2", "0.3 s of silence", TIMER, 0.75),
    ("qwen2.5-0.5b", "0.3 s of silence", TIMER, 1.10),
    ("smollm2", "meaning", [], 0.50),
    ("qwen2.5-0.5b", "meaning", [], 0.80),
]
"""Model, what ends a turn, its settings, and the target (s); pipecat 1.14 with these models: 1.4, 1.9."""


def run() -> Results:
    """Each conversation in a process of its own: engines that are done with would still take their share."""
    results = Results("latency")
    for model, policy, settings, bound in RUNS:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            row = process.submit(measured, model, policy, settings).result()
        results.add(row)
        results.target(f"median voice to voice, {model}, {policy} (s)", row["voice to voice"], "<=", bound)
        after = f"median from the end of the turn to its answer, {model}, {policy} (s)"
        results.target(after, row["after release"], "<=", 0.06)
    return results


def measured(model: str, policy: str, settings: list[str]) -> dict[str, Any]:
    """One conversation, as a row of the table."""
    config = load(None, [f'llm.model="{model}"', "llm.max_tokens=40", *settings])
    with models.progress_bar() as progress:
        loaded = engines.load(config, progress)
    lines = [Line(read_audio(path).at_rate(HEARING_RATE), "after", 1.0) for path in QUESTIONS]
    seen: list[ev.Event] = []
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "conversation.wav"
        converse(loaded, config, lines, recording, realtime=True, watchers=[seen.append])
        waits, sounds = responses(recording), replies(recording)
    spoken = [turn for turn in report.turns(seen) if turn.voice_to_voice is not None]
    assert len(waits) == len(spoken) == len(QUESTIONS), "every question must be answered, once"
    parts = [dict(turn.parts) for turn in spoken]
    opened = [turn.committed for turn in spoken if turn.committed is not None]
    gates = [min(at - gate for at in sounds if at > gate) for gate in opened]
    return {
        "model": model,
        "turn ends by": policy,
        "answered": len(waits),
        "voice to voice": statistics.median(waits),
        "worst": max(waits),
        **{name: statistics.median(p[name] for p in parts) for name in report.PARTS},
        "after release": statistics.median(gates),
        "longest gap": max(_gap(seen, turn) for turn in spoken),
    }


def _gap(seen: list[ev.Event], turn: report.TurnReport) -> float:
    """The longest that the speaker of a reply had to wait for its next part (s)."""
    parts = [event for event in seen if isinstance(event, ev.Synthesized) and event.turn == turn.turn]
    longest, until = 0.0, turn.audio_started or 0.0
    for part in parts:
        longest = max(longest, part.time - until)
        until = max(until, part.time) + part.seconds
    return longest
