"""Whisper on its short window against the full 30 s one: time and word error rate on the same audio."""

from __future__ import annotations

import csv
import statistics
import time
from pathlib import Path

from agent.weights import catalogue as models
from audio.files import read_audio
from audio.frame import Frame
from audio.stt.whisper import Whisper
from benchmarks.results import Results
from helpers_wer import wer

SPOKEN = (Path("tests/data/questions/questions.tsv"), Path("../shared/speech/transcripts.tsv"))
"""Our own recordings, and human speech that the project does not ship and uses where it is there."""


def clips() -> list[tuple[Frame, str]]:
    found = []
    for table in SPOKEN:
        if table.exists():
            with table.open(encoding="utf-8", newline="") as file:
                rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
                found += [(read_audio(table.parent / row["file"]), row["text"]) for row in rows]
    return found


def run() -> Results:
    with models.progress_bar() as progress:
        folder = models.resolve("whisper-tiny.en", progress)
    spoken = clips()
    engines = {window: Whisper(folder, window=window) for window in (10.0, 30.0)}
    took: dict[float, list[float]] = {window: [] for window in engines}
    errors: dict[float, list[tuple[float, int]]] = {window: [] for window in engines}
    for engine in engines.values():
        engine.warm()
    for audio, text in spoken:
        for window, engine in engines.items():
            began = time.perf_counter()
            said = engine.transcribe(audio).text
            took[window].append(time.perf_counter() - began)
            errors[window].append((wer(text, said), len(text.split())))
    results = Results("stt")
    rates = {w: sum(e * n for e, n in errors[w]) / sum(n for _, n in errors[w]) for w in engines}
    for window in engines:
        row = {"window (s)": window, "clips": len(spoken), "median (s)": statistics.median(took[window])}
        results.add({**row, "word error rate": rates[window]})
    ratio = statistics.median(b / a for a, b in zip(took[10.0], took[30.0], strict=True))
    results.target("times faster than the full window (median of pairs)", ratio, ">=", 3.0)
    results.target("word error rate above the full window's", rates[10.0] - rates[30.0], "<=", 0.02)
    return results
