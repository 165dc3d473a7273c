"""How often a wake word wakes for nothing and is missed, by distance and noise, and what waiting costs.

False wakes: recordings below --speech (by default Debian's asterisk-core-sounds-*), as they are, and
as a television would have them (over music, over a crowd, over another voice), until --hours are full.
Misses: the word by every English voice that is here, from 0.5 to 4 m in a simulated living room, with noise.
"""

from __future__ import annotations

import time
from itertools import cycle, islice
from pathlib import Path

import click
import numpy as np

from audio.frame import HEARING_RATE, Frame
from audio.wake import MicroWakeWord
from benchmarks import speech
from benchmarks.results import Results

OPTIONS = [
    click.Option(["--model"], default="hey_jarvis", show_default=True, help="The wake word."),
    click.Option(
        ["--speech", "folder"], type=click.Path(path_type=Path), default=speech.PROMPTS, show_default=True
    ),
    click.Option(["--hours"], default=2.0, show_default=True, help="Of what is no wake word."),
]
METRES = (0.5, 1.0, 2.0, 4.0)
NOISES: tuple[tuple[str, float | None], ...] = (
    ("pink", None),
    ("pink", -50.0),
    ("babble", -45.0),
    ("babble", -38.0),
)
FRAME = 320


def run(model: str, folder: Path, hours: float) -> Results:
    results = Results("wake")
    _false_wakes(results, model, folder, hours)
    _misses(results, model)
    return results


def detections(engine: MicroWakeWord, sound: Frame) -> list[tuple[float, float]]:
    """When the word was heard, and until when it was said (s)."""
    found: list[tuple[float, float]] = []
    for start in range(0, len(sound.samples) - FRAME + 1, FRAME):
        frame = Frame(sound.samples[start : start + FRAME], HEARING_RATE, start / HEARING_RATE)
        if (heard := engine.feed(frame)) is not None:
            found.append((frame.end, heard.end))
    return found


def _false_wakes(results: Results, model: str, folder: Path, hours: float) -> None:
    recorded = [said for _, said in speech.prompts(folder)]
    if not recorded:
        raise click.UsageError(
            f"{folder}: no recordings; apt-get install asterisk-core-sounds-en-g722, or --speech"
        )
    engine = MicroWakeWord(model)
    left, total, wakes, cost = hours * 3600, 0.0, 0, 0.0
    rounds = cycle([("as recorded", recorded), *[(f"as television {n}", None) for n in range(1, 10)]])
    for number, (kind, frames) in enumerate(islice(rounds, 40)):
        given = frames or list(speech.television(recorded, recorded[::-1], seed=number))
        seconds, found = 0.0, 0
        began = time.process_time()
        for said in given:
            found += len(detections(engine, said))
            seconds += said.duration
            if seconds >= min(left, hours * 1800):  # half of them as they are, half as a television has them
                break
        cost += time.process_time() - began
        results.add({"what": kind, "hours": seconds / 3600, "wakes": found})
        left, total, wakes = left - seconds, total + seconds, wakes + found
        if left <= 0:
            break
    results.add({"what": "all", "hours": total / 3600, "wakes": wakes, "% of a core": 100 * cost / total})
    results.target("false wakes an hour", wakes / (total / 3600), "<=", 0.5)
    results.target("% of a core while waiting", 100 * cost / total, "<=", 0.5)


def _misses(results: Results, model: str) -> None:
    word = model.replace("_", " ").title()
    spoken: list[Frame] = []
    for voice in speech.voices():
        spoken += speech.said(voice, [f"{word}.", f"{word}, what time is it?"])
    late: list[float] = []
    for metres in METRES:
        for kind, level in NOISES:
            missed = 0
            for number, said in enumerate(spoken):
                far = speech.from_afar(said, metres, seed=number)
                found = detections(MicroWakeWord(model), speech.noisy(far, kind, level, seed=number))
                missed += not found
                if found and number % 2 == 0:  # alone: its end is known
                    sound = np.flatnonzero(np.abs(said.samples) > 0.02)
                    late.append(found[0][0] - 1.0 - sound[-1] / HEARING_RATE)
            noise = "quiet" if level is None else f"{kind} {level:g} dBFS"
            results.add({"metres": metres, "noise": noise, "said": len(spoken), "missed": missed})
            if metres <= 2.0 and level is None:
                results.target(f"share missed at {metres:g} m in quiet", missed / len(spoken), "<=", 0.05)
    results.add({"what": "from the word's end to its detection, s", "median": float(np.median(late))})
