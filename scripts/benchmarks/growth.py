"""2,000 turns in one session, in English, Chinese and digits, on a real tokenizer: what each must read.

And a session of 40 answers that a real model writes."""

from __future__ import annotations

import statistics

import click

import growing
from agent.weights import catalogue as models
from benchmarks.results import Results

TURNS, PASTED, PARTS = 2000, 50, 5
REAL = 40
"""Turns of a session of its own whose answers SmolLM2 writes itself."""
OPTIONS = [click.Option(["--turns"], default=TURNS, show_default=True, help="Of the first session.")]


def run(turns: int = TURNS) -> Results:
    grown = growing.grow(models.resolve("smollm2"), turns, PASTED)
    results = Results("growth")
    read, ahead = grown.model.read, grown.model.ahead
    means: list[float] = []
    for part in range(PARTS):
        waited, before = (
            some[len(some) * part // PARTS : len(some) * (part + 1) // PARTS] for some in (read, ahead)
        )
        means.append(statistics.mean(waited) + statistics.mean(before))
        results.add(
            {
                "turns": f"{turns * part // PARTS + 1}-{turns * (part + 1) // PARTS}",
                "read_while_waiting_mean": statistics.mean(waited),
                "median": statistics.median(waited),
                "longest": max(waited),
                "read_ahead_mean": statistics.mean(before),
                "longest_ahead": max(before),
            }
        )
    results.target("turns without their answer", len(grown.wrong), "<=", 0)
    results.target("refusals of what is too long", grown.refused, ">=", turns // PASTED)
    results.target("tokens read in a turn, last fifth against the first", means[-1] / means[0], "<=", 1.1)
    early, late = grown.kept
    results.target("kilobytes that three quarters of the session add", (late - early) / 1000, "<=", 200)
    real = growing.answers(models.resolve("smollm2"), REAL)
    for name, half in (("first half", slice(REAL // 2)), ("second half", slice(REAL // 2, REAL))):
        read = real.model.read[half]
        results.add(
            {
                "turns": f"{name} of {REAL} with real answers",
                "read_while_waiting_mean": statistics.mean(read),
                "median": statistics.median(read),
                "longest": max(read),
            }
        )
    results.target("real answers that were none", len(real.wrong) + real.refused, "<=", 0)
    return results
