"""Whether real people have finished: prompts, whole and cut at a pause, judged by words, voice and model.

They are those of the Debian package asterisk-core-sounds-en-g722 (CC-BY-SA), one speaker. Cut in: the mean
chance that a pause of 0.2 to 1.5 s, each as likely, is longer than what is waited. Three prompts of five are
there to choose the thresholds of `agent.turns` by; what is claimed holds of the other two.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import click
import numpy as np

from agent.config import load
from agent.engines import registry as engines
from agent.turns import endpointing
from agent.turns.endpointing import Delays, decision
from agent.turns.phrases import language
from audio.frame import HEARING_RATE, Frame, Samples, silence
from benchmarks.measure import expected
from benchmarks.results import Results

TEXTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
SOUNDS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
PART = HEARING_RATE // 100
"""Samples of the 10 ms in which loudness is looked at."""
QUIET = 38.0
"""Decibels below the loudest of them from which one is silent."""
PAUSE, BEFORE, AFTER = 6, 50, 30
"""Parts of a silence that a speaker may be cut at, and of what must be said before and after it."""
SHORTEST, LONGEST = 0.2, 1.5
"""Seconds of the pauses that somebody may make there."""
STEPS = (0.0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0)
"""Thresholds that are tried."""

OPTIONS = [
    click.Option(["--llm"], default="qwen2.5-0.5b", show_default=True, help="The language model."),
    click.Option(["--prompts"], default=400, show_default=True, help="How many at most."),
    click.Option(["--texts"], default=TEXTS, type=click.Path(path_type=Path), help="What is said in them."),
    click.Option(["--sounds"], default=SOUNDS, type=click.Path(path_type=Path), help="Where they lie."),
]


@dataclass(frozen=True)
class Stop:
    """A moment at which somebody fell silent. over: they had said all."""

    over: bool
    text: str
    complete: float
    expected: float | None


def run(llm: str, prompts: int, texts: Path, sounds: Path) -> Results:
    """Rows by half of the prompts and by judge."""
    config = load(None, [f'llm.model="{llm}"'])
    loaded = engines.load(config)
    halves: dict[str, list[Stop]] = {"tuning": [], "held out": []}
    for name in _names(texts, sounds)[:prompts]:
        kept = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 5 < 2
        halves["held out" if kept else "tuning"] += _stops(sounds / f"{name}.g722", loaded, config)
    results = Results("endofturn")
    waits = Delays(*(getattr(config.turns, name) for name in Delays.__annotations__))
    in_force = (endpointing.EXPECTS_MORE, language("en").expects_answer)
    for half, stops in halves.items():
        for judge, thresholds in (("words and voice", None), ("and the model", in_force)):
            results.add({"half": half, "judged by": judge} | _judged(stops, waits, thresholds))
    for low, high in itertools.combinations(STEPS, 2):
        found = _judged(halves["tuning"], waits, (low, high))
        results.add({"half": "tuning", "judged by": f"and the model, {low:g} and {high:g}"} | found)
    without, with_model = results.rows[2:4]
    for figure in ("cut in", "wait mean (s)"):
        results.target(f"held out, {figure}, with the model", with_model[figure], "<=", without[figure])
    return results


def _names(texts: Path, sounds: Path) -> list[str]:
    """Prompts of one sentence of five words or more, in an order by chance that stays."""
    told = gzip.decompress(texts.read_bytes()).decode("utf-8", "replace")
    names = []
    for name, text in re.findall(r"^([\w\-/]+):\s*(.*)$", told, re.MULTILINE):
        one = len(re.findall(r"[.?!](?:\s|$)", text)) <= 1 and not set("[(") & set(text)
        if one and len(text.split()) >= 5 and (sounds / f"{name}.g722").exists():
            names.append(name)
    return sorted(names, key=lambda name: hashlib.sha256(f"order {name}".encode()).digest())


def _stops(path: Path, loaded: engines.Engines, config: Any) -> list[Stop]:
    """Where the speaker ends, and where the longest silence in between begins, if there is one."""
    samples = _decoded(path)
    parts = samples[: len(samples) // PART * PART].reshape(-1, PART)
    levels = 20 * np.log10(np.sqrt((parts**2).mean(1)) + 1e-9)
    loud = np.flatnonzero(levels > levels.max() - QUIET)
    begin, end = max(0, loud[0] - 10), loud[-1] + 1
    gaps = [
        (after - before, before + 1)
        for before, after in itertools.pairwise(loud)
        if after - before > PAUSE and before - loud[0] >= BEFORE and loud[-1] - after >= AFTER
    ]
    ends = [(True, end), *((False, at) for _, at in sorted(gaps)[-1:])]
    found = []
    for over, at in ends:
        said = [samples[begin * PART : at * PART], silence(0.2, HEARING_RATE)]
        frame = Frame(np.concatenate(said), HEARING_RATE)
        text = loaded.stt.transcribe(frame).text.strip()
        assert loaded.endpointing is not None
        told = expected(loaded.llm, config.told(tools=False, several=""), text)
        found.append(Stop(over, text, loaded.endpointing.complete(frame), told))
    return [stop for stop in found if stop.text]


def _decoded(path: Path) -> Samples:
    with av.open(str(path), format="g722") as container:
        sounds = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return (np.concatenate(sounds) / 32768.0).astype(np.float32)


def _judged(stops: list[Stop], waits: Delays, thresholds: tuple[float, float] | None) -> dict[str, Any]:
    """How often somebody is cut off, and how long one who has finished waits. thresholds: of the model."""
    low, high = thresholds or (0.0, 1.0)
    words = replace(language("en"), expects_answer=high)
    with patch.object(endpointing, "EXPECTS_MORE", low):
        told = [
            (s.over, decision(s.text, s.complete, waits, words, expected=s.expected if thresholds else None))
            for s in stops
        ]
    wait = [decided.wait for over, decided in told if over]
    cut = [(LONGEST - decided.wait) / (LONGEST - SHORTEST) for over, decided in told if not over]
    return {
        "whole": len(wait),
        "cut": len(cut),
        "cut in": float(np.mean(np.clip(cut, 0.0, 1.0))),
        "wait mean (s)": float(np.mean(wait)),
        "wait p95 (s)": float(np.percentile(wait, 95)),
    }
