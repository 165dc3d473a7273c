"""VITS and Kokoro in chunks against the whole sentence; whose words are understood; word times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import click
import numpy as np
from helpers_align import heard_words, onset_errors

from agent.weights import catalogue as models
from audio.frame import HEARING_RATE, Frame, Samples, resample
from audio.stt.whisper import Whisper
from audio.tts import Speech, kokoro_graph
from audio.tts.coqui import Coqui
from audio.tts.kokoro import Kokoro
from audio.tts.piper import Piper
from audio.tts.vits.chunks import STREAMED, Plan
from benchmarks.results import Results
from helpers_wer import wer

LONG = (
    "The lighthouse keeper climbed the long spiral staircase every evening, carrying a lamp, a heavy coat "
    "and a small book of poems that his grandmother had given him many years before."
)
"""About ten seconds."""
SENTENCES = (
    "The capital of France is Paris, and it lies on the river Seine.",
    "There are seven days in a week and twelve months in a year.",
    "Please close the window before you leave the house tonight.",
    "My brother bought a red bicycle at the market last Saturday.",
    "Water boils at one hundred degrees at the level of the sea.",
    "The old library keeps thousands of books about the ocean.",
    "She opened the letter slowly and began to read it aloud.",
    "We should meet at the station around half past nine.",
    "The children were playing in the garden when it started to rain.",
    "A good cup of coffee makes the morning much easier.",
    "He forgot his keys on the kitchen table again.",
    "The train to London leaves from platform number four.",
    "Mountains are usually colder at the top than in the valley.",
    "Can you tell me where the nearest hospital is?",
    "The farmer sold his apples and bought a new horse.",
    "Nobody knew the answer to the final question.",
    "Music helps many people to forget their worries.",
    "The ship sailed across the sea for more than forty days.",
    "Her favorite color is green, but she often wears blue.",
    "Remember to water the plants while I am away.",
)
LONGER = tuple(
    f"{one.rstrip('.?')}, and {other[0].lower()}{other[1:]}"
    for one, other in zip(SENTENCES[::2], SENTENCES[1::2], strict=True)
)
"""Of seven seconds, which Kokoro says in two or three chunks."""
WHOLE = Plan(first=10**6, largest=10**6)
ROUNDS = 7


def joined(parts: list[Speech]) -> Samples:
    return np.concatenate([part.samples for part in parts])


def timed(voice: Any, text: str) -> tuple[float, float, list[Speech]]:
    """Seconds to the first part and to the last, and the parts."""
    began = time.perf_counter()
    parts, first = [], 0.0
    for part in voice.stream(text):
        first = first or time.perf_counter() - began
        parts.append(part)
    return first, time.perf_counter() - began, parts


def chunks(
    results: Results, name: str, voice: Any, plan: Callable[[Plan], None], streamed: Plan = STREAMED
) -> None:
    """One sentence of ten seconds, in chunks and whole by turns."""
    firsts: dict[Plan, list[float]] = {streamed: [], WHOLE: []}
    totals: dict[Plan, list[float]] = {streamed: [], WHOLE: []}
    parts: dict[Plan, list[Speech]] = {}
    voice.warm()
    for _ in range(ROUNDS + 1):
        for chosen in (streamed, WHOLE):
            plan(chosen)
            first, total, parts[chosen] = timed(voice, LONG)
            firsts[chosen].append(first)
            totals[chosen].append(total)
    plan(streamed)
    for chosen, how in ((streamed, "in chunks"), (WHOLE, "whole")):
        row = {"voice": name, "how": how, "speech (s)": sum(p.duration for p in parts[chosen])}
        first, total = (statistics.median(took[chosen][1:]) for took in (firsts, totals))
        results.add({**row, "first (s)": first, "all (s)": total, "parts": len(parts[chosen])})
    pairs = list(zip(firsts[WHOLE][1:], firsts[streamed][1:], strict=True))
    sooner = statistics.median(whole / early for whole, early in pairs)
    costs = zip(totals[streamed][1:], totals[WHOLE][1:], strict=True)
    exact = streamed is STREAMED
    results.target(
        f"{name}: first audio, times sooner than the whole sentence", sooner, ">=", 4.0 if exact else 3.0
    )
    cost = statistics.median(a / b for a, b in costs)
    results.target(f"{name}: cost against the whole sentence", cost, "<=", 1.3)
    if exact:
        difference = float(np.abs(joined(parts[streamed]) - joined(parts[WHOLE])).max())
        results.target(
            f"{name}: largest difference of a sample, in units of 1e-4", difference * 1e4, "<=", 1.0
        )


def words_and_times(
    results: Results, voices: dict[str, Callable[[str], list[Speech]]], texts: Sequence[str], bound: float
) -> dict[str, float]:
    """What Whisper base understands, and when it hears each word begin; each voice's word error rate.

    bound: seconds that the median word may be off.
    """
    with models.progress_bar() as progress:
        base = Whisper(models.resolve("whisper-base", progress), window=30.0)
    rates: dict[str, float] = {}
    for name, speak in voices.items():
        errors: list[tuple[float, int]] = []
        off: list[float] = []
        for text in texts:
            parts = speak(text)
            heard = Frame(resample(joined(parts), parts[0].rate, HEARING_RATE), HEARING_RATE)
            errors.append((wer(text, base.transcribe(heard).text), len(text.split())))
            off += map(abs, onset_errors(begins(parts, text), heard_words(base, heard)))
        rates[name] = sum(e * n for e, n in errors) / sum(n for _, n in errors)
        row = {"voice": name, "how": f"{len(texts)} sentences", "word error rate": rates[name]}
        results.add({**row, "words": len(off), "median off (s)": statistics.median(off)})
        results.target(f"{name}: begins of words, median error (s)", statistics.median(off), "<=", bound)
    return rates


def begins(parts: list[Speech], text: str) -> list[tuple[str, float]]:
    """Each word and when it begins, in seconds from the first part's first sample."""
    found, at = [], 0.0
    for part in parts:
        found += [(text[word.start : word.end], at + word.begin) for word in part.words]
        at += part.duration
    return found


def kokoro(results: Results) -> None:
    """Its chunks are not exact: whether they are understood as well as the whole is what counts."""
    with models.progress_bar() as progress:
        voice = Kokoro(weights=models.resolve("kokoro", progress), voice="af_heart")
    network = voice._network

    def by(plan: Plan) -> Callable[[str], list[Speech]]:
        def speak(text: str) -> list[Speech]:
            network.plan = plan
            return list(voice.stream(text))

        return speak

    chunks(results, "kokoro", voice, lambda plan: setattr(network, "plan", plan), kokoro_graph.STREAMED)
    ways = {"kokoro in chunks": by(kokoro_graph.STREAMED), "kokoro whole": by(WHOLE)}
    rates = words_and_times(results, ways, LONGER, 0.08)
    above = rates["kokoro in chunks"] - rates["kokoro whole"]
    results.target("kokoro in chunks: word error rate above the whole", above, "<=", 0.02)


OPTIONS = [
    click.Option(["--voice"], type=click.Choice(["all", "vits", "kokoro"]), default="all", show_default=True)
]


def run(voice: str = "all") -> Results:
    results = Results("voices_tts")
    if voice != "vits":
        kokoro(results)
    if voice == "kokoro":
        return results
    with models.progress_bar() as progress:
        weights = models.resolve("piper-joe", progress)
    piper, coqui = Piper(weights=weights), Coqui(weights=weights)
    chunks(results, "piper", piper, lambda plan: setattr(piper, "_plan", plan))
    chunks(results, "coqui", coqui, lambda plan: setattr(coqui, "plan", plan))
    ways = {"piper": lambda text: list(piper.stream(text)), "coqui": lambda text: list(coqui.stream(text))}
    rates = words_and_times(results, ways, SENTENCES, 0.12)
    above = rates["coqui"] - rates["piper"]
    results.target("converted voice: word error rate above Piper's own", above, "<=", 0.05)
    return results
