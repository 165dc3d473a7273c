"""Every boundary of a conversation against every other in steps of 5 ms: nobody is met with silence.

Scripted engines on the virtual clock: speech that begins, is confirmed and pauses around the end of a
reply; typing, cancelling and a microphone that ends around all of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import boundaries
from boundaries import Plan

from benchmarks.results import Results

STEP = 0.005
POLICIES = ("turns.policy=semantic", "turns.policy=vad")


def run() -> Results:
    results, wrong = Results("boundaries"), 0
    for name, plans in {
        "end of the reply": ends(),
        "while they speak": deeds(),
        "alone": alone(),
    }.items():
        tried = failed = 0
        for plan in plans:
            found = boundaries.faults(plan, boundaries.hold(plan))
            tried, failed = tried + 1, failed + bool(found)
            if found:
                print(f"{found}: {plan}")
        results.add({"boundary": name, "conversations": tried, "silence or loss": failed})
        wrong += failed
    results.target("conversations with a turn without a reply or a reason", wrong, "<=", 0)
    return results


def ends() -> Iterator[Plan]:
    """An utterance from 0.5 s before to 0.2 s after the end of a reply, which is read ahead or not."""
    lengths, said = (0.1, 0.3, 0.6), ("What time is it?", "Okay.")
    for policy, lead, length, words in product(POLICIES, (0.0, 0.15), lengths, said):
        for second in steps(0.5, 1.2):
            yield Plan(second=second, length=length, words=words, lead=lead, settings=(policy,))


def deeds() -> Iterator[Plan]:
    """What is done from before an utterance over a reply, or after one, until it is answered."""
    for policy, deed, second in product(POLICIES, ("typed", "twice", "asked", "cancel", "end"), (0.3, 0.9)):
        base = Plan(reply=0.8, second=second, length=0.2, deed=deed, settings=(policy,))
        for at in steps(0.0, 0.9):
            yield replace(base, at=second - 0.1 + at)


def alone() -> Iterator[Plan]:
    """The same around the end of a reply that nobody speaks over."""
    for policy, deed, lead in product(POLICIES, ("typed", "twice", "asked", "cancel", "end"), (0.0, 0.15)):
        for at in steps(0.6, 1.1):
            yield Plan(reply=0.8, length=0.0, deed=deed, lead=lead, at=at, settings=(policy,))


def steps(first: float, last: float) -> Iterator[float]:
    """Moments 5 ms apart."""
    return (number * STEP for number in range(round(first / STEP), round(last / STEP) + 1))
