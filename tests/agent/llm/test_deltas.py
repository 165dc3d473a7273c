"""What a model's stream is to whoever reads it; and what becomes of an answer without words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import scripted
from agent import events as ev
from agent.config import load
from agent.errors import NoAnswer
from agent.llm.deltas import deltas
from agent.protocols import Delta
from agent.simulation.virtual import Line, converse

THOUGHT = "<think>They greet me.</think>"


def test_text_thoughts_and_tokens_are_told_apart():
    found = list(deltas(iter(["<th", "ink>", "", "a b", "</think>", "\n\nHel", "lo."])))
    assert "".join(each.text for each in found) == "Hello."
    assert "".join(each.thought for each in found) == "a b"
    assert [each.tokens for each in found] == [1, 1, 0, 1, 1, 1, 1]


def test_what_was_held_back_comes_at_the_end():
    assert [each.text for each in deltas(iter(["I *smi"]))] == ["I ", "*smi"]
    assert [each.text for each in deltas(iter(["3 <"]))] == ["3 ", "<"]


def test_a_thought_that_comes_apart_leaves_no_blank_line():
    found = list(deltas(iter([Delta(thought="Hm."), Delta("\n\nHello.")])))
    assert [(each.text, each.thought) for each in found] == [("", "Hm."), ("Hello.", "")]


def test_what_a_model_writes_is_clean():
    found = deltas(iter(["Hi \ud83d", "\ude00 \x1b[2", "Jthere\x00", " \ud83d"]))
    assert "".join(each.text for each in found) == "Hi 😀 there \ufffd"


@pytest.mark.parametrize(
    ("written", "news"),
    [
        (["<think>and on ", "and on"], "only thought, for 2 tokens.*llm.max_tokens=1000"),
        (['{"name": "f", "arguments": {}}'], "nothing to say, only .*arguments"),
        (["*smiles*"], "nothing to say, only .*smiles"),
        ([], "empty answer"),
        ([" ", "\n"], "empty answer"),
    ],
)
def test_an_answer_without_words_is_told_in_words(written: list[str], news: str):
    with pytest.raises(NoAnswer, match=news):
        list(deltas(iter(written)))
    list(deltas(iter(written), spoken=False))


def test_closing_it_closes_the_model():
    closed: list[bool] = []

    def model() -> Iterator[str]:
        try:
            yield "a"
            yield "b"
        finally:
            closed.append(True)

    stream = deltas(model())
    assert next(stream).text == "a"
    stream.close()
    assert closed == [True]


def talk(tmp_path: Path, *replies: str) -> tuple[list[ev.Event], scripted.ScriptedLLM]:
    engines = scripted.engines(["What is that?"], list(replies))
    events: list[ev.Event] = []
    config = load(None, ["costs.mode=declared", "stt.interim=0", "turns.meaning=off"])
    lines = [Line(scripted.loud(1.0)), Line(scripted.loud(1.0))]
    converse(engines, config, lines, tmp_path / "conversation.wav", watchers=[events.append])
    assert isinstance(engines.llm, scripted.ScriptedLLM)
    return events, engines.llm


def test_a_thought_is_seen_and_neither_said_nor_kept(tmp_path: Path):
    events, llm = talk(tmp_path, f"{THOUGHT}*smiles* Hello, my friend.<|im_end|>")
    for ended in (event for event in events if isinstance(event, ev.TurnEnded)):
        assert (ended.reason, ended.heard, ended.unheard) == ("finished", "Hello, my friend.", "")
    spoken = [event.spoken for event in events if isinstance(event, ev.Chunk)]
    assert " ".join(spoken[:2]).startswith("Hello, my friend.")
    assert "".join(e.text for e in events if isinstance(e, ev.Token) and e.turn == 1) == "Hello, my friend."
    assert "".join(e.text for e in events if isinstance(e, ev.Thought) and e.turn == 1) == "They greet me."
    kept = [message.content for message in llm.asked[1] if message.role == "assistant"]
    assert kept == ["Hello, my friend."]


def test_who_is_only_thought_about_hears_of_it_and_may_ask_again(tmp_path: Path):
    events, llm = talk(tmp_path, "<think>It is a bell, I think, or is it", "It is a bell.")
    (error,) = (event for event in events if isinstance(event, ev.Error))
    assert (error.where, error.turn) == ("reply", 1)
    assert "only thought" in error.message
    ended = [event for event in events if isinstance(event, ev.TurnEnded)]
    assert [(e.reason, e.heard) for e in ended] == [("error", ""), ("finished", "It is a bell.")]
    assert all("<think>" not in message.content for message in llm.asked[1])
