"""A thought that only its end shows to be one: what is told of it, and what is remembered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scripted
from agent import events as ev
from agent.config import load
from agent.llm.beginnings import Beginnings
from agent.llm.deltas import deltas
from agent.messages import Message
from agent.protocols import Delta, Finish, FinishReason
from agent.simulation.virtual import Line, converse

THOUGHT, ANSWER = "They greet me. I greet them.", "Hello, my friend."
LONE = f"{THOUGHT}\n</think>\n\n{ANSWER}"


def heard(
    beginnings: Beginnings, text: str, cuts: Sequence[int] = (), end: FinishReason = "stop"
) -> tuple[str, str]:
    """What is for the user in the end, and what was thought."""

    def written() -> Iterator[str | Delta]:
        rest = text
        for cut in cuts:
            yield rest[:cut]
            rest = rest[cut:]
        yield rest
        yield Finish("", end)

    words = thought = ""
    for delta in deltas(beginnings.told(written()), spoken=False):
        words = delta.text if delta.anew else words + delta.text
        thought += delta.thought
    return words.strip(), thought.strip()


@given(st.lists(st.integers(0, 7), max_size=30), st.lists(st.integers(0, 7), max_size=30))
def test_a_lone_end_shows_what_was_a_thought_and_the_next_is_expected(a: list[int], b: list[int]) -> None:
    beginnings = Beginnings("some-model")
    for cuts in (a, b):
        assert heard(beginnings, LONE, cuts) == (ANSWER, THOUGHT)


@given(st.lists(st.integers(0, 7), max_size=30))
def test_the_second_thought_is_never_taken_for_words(cuts: list[int]) -> None:
    beginnings = Beginnings("some-model")
    heard(beginnings, LONE)
    found = list(deltas(beginnings.told([*(LONE[at : at + 3] for at in range(0, len(LONE), 3))])))
    assert "".join(each.text for each in found) == ANSWER
    assert not any(each.anew for each in found)


@given(st.text(max_size=60).filter(lambda text: "<" not in text and text.strip()))
def test_ordinary_words_pass_in_the_call_that_brings_them(text: str) -> None:
    beginnings = Beginnings("some-model")
    assert list(beginnings.told(iter(text))) == list(text)


@pytest.mark.parametrize("name", ["deepseek-r1:8b", "Qwen/QwQ-32B", "Qwen3-30B-A3B-Thinking-2507"])
def test_models_that_always_think_are_known_by_their_names(name: str) -> None:
    beginnings = Beginnings(name)
    first = list(deltas(beginnings.told(iter([THOUGHT, "</think>", ANSWER, Finish("", "stop")]))))
    assert ("".join(d.text for d in first), any(d.anew for d in first)) == (ANSWER, False)


def test_an_answer_that_was_expected_to_be_a_thought_is_not_lost() -> None:
    beginnings = Beginnings("a-thinking-model")
    assert heard(beginnings, ANSWER)[0] == ANSWER
    assert list(beginnings.told(iter([ANSWER]))) == [ANSWER], "and the next one does not wait"
    assert heard(Beginnings("a-thinking-model"), THOUGHT, end="length") == ("", THOUGHT)


def test_a_server_that_tells_thoughts_apart_is_believed() -> None:
    beginnings = Beginnings("deepseek-r1")
    items = [Delta("", THOUGHT), ANSWER, Finish("", "stop")]
    assert list(beginnings.told(items)) == items
    assert list(beginnings.told([ANSWER])) == [ANSWER]


def test_what_opens_its_own_thought_is_left_as_it_is() -> None:
    assert heard(Beginnings("some-model"), f"<think>{LONE}") == (ANSWER, THOUGHT)


class Unparsed(scripted.ScriptedLLM):
    """As behind a server whose template opens the thought and which parses none."""

    def __init__(self, replies: list[str]) -> None:
        super().__init__(replies)
        self._beginnings = Beginnings("some-model")

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        return self._beginnings.told(super().stream(messages))


def test_a_thought_that_begins_to_sound_is_cut_and_not_kept(tmp_path: Path) -> None:
    thought = " ".join([THOUGHT] * 60)
    llm = Unparsed([f"{thought}</think>{ANSWER}"])
    engines = replace(scripted.engines(["What is that?"], []), llm=llm)
    events: list[ev.Event] = []
    config = load(None, ["costs.mode=declared", "stt.interim=0", "turns.meaning=off"])
    lines = [Line(scripted.loud(1.0)), Line(scripted.loud(1.0))]
    converse(engines, config, lines, tmp_path / "conversation.wav", watchers=[events.append])
    ended = [event for event in events if isinstance(event, ev.TurnEnded)]
    assert [(each.reason, each.heard, each.unheard) for each in ended] == [("finished", ANSWER, "")] * 2
    for turn, starts in ((1, 2), (2, 1)):
        assert sum(isinstance(e, ev.AudioStarted) and e.turn == turn for e in events) == starts
    said = [event.text for event in events if isinstance(event, ev.Chunk) and event.turn == 2]
    assert "".join(said) == ANSWER
    kept = [message.content for message in llm.asked[1] if message.role == "assistant"]
    assert kept == [ANSWER]
