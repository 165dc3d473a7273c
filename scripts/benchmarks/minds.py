"""What language models know: everyday questions, answered right, wrong, or by what nobody could know."""

from __future__ import annotations

import re
import statistics
import time
from collections import Counter
from typing import Any, Literal

import click

from agent.config import load
from agent.engines.registry import load_one
from agent.messages import Message
from agent.protocols import LanguageModel
from agent.text.normalization import normalized
from agent.weights import catalogue as models
from benchmarks.everyday import CODE, QUESTIONS, UNKNOWN, Question
from benchmarks.llm import texts
from benchmarks.results import Results

Verdict = Literal["right", "wrong", "invented"]

HALVES = {"all": slice(None), "tuning": slice(0, None, 2), "held-out": slice(1, None, 2)}
OPTIONS = [
    click.Option(
        ["--model", "names"],
        multiple=True,
        default=("smollm2", "qwen2.5-0.5b", "qwen2.5-1.5b"),
        show_default=True,
        help="Language models.",
    ),
    click.Option(["--language", "codes"], multiple=True, default=tuple(QUESTIONS), show_default=True),
    click.Option(["--half"], type=click.Choice(list(HALVES)), default="all", help="Every second question."),
    click.Option(["--set", "settings"], multiple=True, help="A setting, as llm.temperature=0."),
    click.Option(["--answers"], is_flag=True, help="Tell each answer that is not right."),
]
LONGEST = 60
"""Tokens of an answer that are looked at."""


def run(
    names: tuple[str, ...], codes: tuple[str, ...], half: str, settings: tuple[str, ...], answers: bool
) -> Results:
    results = Results("minds")
    for name in names:
        with models.progress_bar() as progress:
            llm = load_one("llm", load(None, [f'llm.model="{name}"', *settings]), progress)
        short = llm.with_sampling(max_tokens=LONGEST, stop=(), seed=0)
        for code in codes:
            system = load(None, settings, code).told(tools=False, several="")
            results.add({"model": name, "language": code} | _asked(short, code, half, system, answers))
    return results


def _asked(llm: LanguageModel, code: str, half: str, system: str, answers: bool) -> dict[str, Any]:
    """All questions of a language, each in a conversation of its own, as a row of the table."""
    counts, of_kind, firsts = Counter[Verdict](), Counter[str](), list[float]()
    for question in _of(code, half):
        answer, first = _answer(llm, question, system)
        told = verdict(question, answer, code)
        counts[told] += 1
        of_kind[question.kind] += told == "right"
        firsts.append(first)
        if answers and told != "right":
            print(f"  {told}: {question.turns[-1]} -> {answer!r}", flush=True)
    asked = Counter(question.kind for question in _of(code, half))
    return {
        **{kind: f"{of_kind[kind]} of {asked[kind]}" for kind in asked},
        **{each: counts[each] for each in ("right", "wrong", "invented")},
        "first token (s)": statistics.median(firsts),
    }


def _of(code: str, half: str) -> list[Question]:
    """That half of each kind's questions."""
    kinds = dict.fromkeys(question.kind for question in QUESTIONS[code])
    return [
        question
        for kind in kinds
        for question in [each for each in QUESTIONS[code] if each.kind == kind][HALVES[half]]
    ]


def _answer(llm: LanguageModel, question: Question, system: str) -> tuple[str, float]:
    """What is answered to the question's last turn, and how long its first token took (s)."""
    said = [Message("system", system)]
    answer, first = "", 0.0
    for turn in question.turns:
        llm.prefill(said)
        said.append(Message("user", turn))
        began, answer, first = time.perf_counter(), "", 0.0
        for text in texts(llm.stream(said)):
            first = first or time.perf_counter() - began
            answer += text
        said.append(Message("assistant", answer.strip()))
    return answer.strip(), first


def verdict(question: Question, answer: str, code: str) -> Verdict:
    """By fixed rules. What cannot be known is invented where the answer does not say so."""
    told = f"{answer}\n{normalized(answer, code)}".lower()
    if question.kind == "unknowable":
        return "right" if re.search(UNKNOWN[code], told) else "invented"
    fits = re.search(question.right, told, re.DOTALL) and not re.search(question.wrong, told)
    return "right" if fits and not re.search(CODE, answer) else "wrong"
