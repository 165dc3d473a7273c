"""Answers in JSON: what is inside is said, whatever it is and however it comes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.llm.deltas import deltas
from agent.text.wrapped import KEYS, Unwrapped

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def unwrapped(text: str, cuts: list[int]) -> str:
    one, at, said = Unwrapped(), 0, ""
    for cut in sorted(cuts):
        said, at = said + one.feed(text[at : max(at, cut)]), max(at, cut)
    return said + one.feed(text[at:]) + one.rest()


@given(st.sampled_from(KEYS), WORDS, st.booleans(), st.sampled_from(["", "```json\n", "```\n"]), st.data())
def test_what_is_inside_is_said_however_it_comes(key: str, words: str, ascii: bool, fence: str, data) -> None:
    written = (
        fence + json.dumps({key: words, "emotion": ["calm"]}, ensure_ascii=ascii) + ("\n```" if fence else "")
    )
    cuts = data.draw(st.lists(st.integers(0, len(written)), max_size=8))
    assert unwrapped(written, cuts) == words


@given(WORDS, st.lists(st.integers(0, 40), max_size=8))
def test_any_other_answer_passes_as_it_is(words: str, cuts: list[int]) -> None:
    if not words.lstrip().startswith(("{", "`")):
        assert unwrapped(words, cuts) == words


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('{"response": "It is noon."}', "It is noon."),
        ('{"response": "It is noon."} And sunny.', "It is noon. And sunny."),
        ('{"response": "It is', "It is"),
        ('{"response": "C:\\dir"}', "C:\\dir"),
        ('{"response": 5}', '{"response": 5}'),
        ('{"name": "clock", "arguments": {}}', '{"name": "clock", "arguments": {}}'),
        ('Look: {"response": "x"}', 'Look: {"response": "x"}'),
        ("{", "{"),
        ("```python\nprint(1)\n```", "```python\nprint(1)\n```"),
    ],
)
@pytest.mark.parametrize("step", [1, 100])
def test_examples(written: str, said: str, step: int) -> None:
    assert unwrapped(written, list(range(0, len(written), step))) == said


def test_a_conversation_has_the_words_and_who_asked_for_json_has_json() -> None:
    written = ['{"resp', 'onse": "It', " is noon", '."}']
    assert "".join(delta.text for delta in deltas(written)) == "It is noon."
    assert "".join(delta.text for delta in deltas(written, spoken=False)) == "".join(written)
