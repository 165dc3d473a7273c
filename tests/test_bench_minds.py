"""The rules by which scripts/bench minds judges answers."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def minds(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "scripts"))
    return importlib.import_module("benchmarks.minds")


@pytest.mark.parametrize(
    ("code", "asked", "answer", "verdict"),
    [
        ("en", "How many minutes are there in an hour?", "There are 60 minutes in an hour.", "right"),
        ("en", "How many minutes are there in an hour?", "There are sixteen.", "wrong"),
        ("en", "What is the capital of France?", "# Paris", "wrong"),
        ("en", "What is the capital of France?", "```\nParis\n```", "wrong"),
        ("en", "How many days are there in a leap year?", "It has 366 days.", "right"),
        ("en", "What is my name?", "Your name is Anna.", "right"),
        ("en", "What time is it?", "I don't know the time.", "right"),
        ("en", "What time is it?", "It is 3:15 in the afternoon.", "invented"),
        ("en", "Where did I leave my keys?", "You left them on the kitchen table.", "invented"),
        ("es", "¿Cuánto es nueve por ocho?", "Son 72.", "right"),
        ("es", "¿Qué hora es?", "No sé qué hora es.", "right"),
        ("fr", "Combien font neuf fois huit ?", "Cela fait 72.", "right"),
        ("fr", "Quelle heure est-il ?", "Je ne sais pas l'heure.", "right"),
        ("fr", "Quelle heure est-il ?", "Il est huit heures.", "invented"),
        ("it", "Quanto fa nove per otto?", "Fa 72.", "right"),
        ("it", "Che ore sono?", "Non lo so.", "right"),
        ("pt", "Quanto é nove vezes oito?", "É 72.", "right"),
        ("pt", "Que horas são?", "Eu não sei.", "right"),
        ("de", "Was ist neun mal acht?", "Das ist 72.", "right"),
        ("de", "Wie spät ist es?", "Das weiß ich leider nicht.", "right"),
        ("zh", "九乘以八等于多少？", "等于72。", "right"),
        ("zh", "现在几点？", "我不知道现在几点。", "right"),
        ("zh", "现在几点？", "现在是下午三点。", "invented"),
    ],
)
def test_an_answer_is_judged_by_fixed_rules(
    minds: Any, code: str, asked: str, answer: str, verdict: str
) -> None:
    (question,) = [each for each in minds.QUESTIONS[code] if each.turns[-1] == asked]
    assert minds.verdict(question, answer, code) == verdict


def test_there_are_as_many_questions_of_each_kind_as_are_told(minds: Any) -> None:
    assert {code: len(questions) for code, questions in minds.QUESTIONS.items()} == {
        "en": 60,
        **dict.fromkeys(("es", "fr", "it", "pt", "de", "zh"), 20),
    }
    for questions in minds.QUESTIONS.values():
        assert all(re.compile(each.right) and each.turns for each in questions)
