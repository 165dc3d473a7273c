"""What the language model expects tells, too, when a turn is over; it is asked only where that counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

import scripted
from agent import events as ev
from agent import testing
from agent.config import load
from agent.llm.context import ContextWindow
from agent.messages import Message
from agent.protocols import Delta, PredictsEndOfTurn
from agent.reports.causes import in_words
from agent.simulation.virtual import Line, converse
from agent.tools.tool import tool
from audio.frame import Frame

DECLARED = ["costs.mode=declared", "stt.interim=0"]
TURNS = load(None, []).turns
SENTENCE = "My name is Daniel."
"""Words that alone ask for `unsure`, and with a voice that sounds finished for `likely`."""


@dataclass
class Expecting(scripted.ScriptedLLM):
    """A model that expects an answer with a probability of `expects`. told: the prompts it was asked of."""

    expects: float = 0.5
    told: list[Sequence[Message]] = field(default_factory=list)

    def with_end_of_turn(self) -> Telling:
        return Telling(self)


@dataclass
class Telling:
    model: Expecting

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        self.model.told.append(messages)
        yield Delta(tokens=0, end_of_turn=self.model.expects)
        yield from self.model.stream(messages)

    def prefill(self, messages: Sequence[Message]) -> None: ...


class Finished:
    """An end-of-turn model to which every voice sounds finished."""

    def complete(self, audio: Frame) -> float:
        return 0.95


def committed(
    folder: Path, model: scripted.ScriptedLLM, *settings: str, hears: str = SENTENCE, **more: Any
) -> list[ev.TurnCommitted]:
    events: list[ev.Event] = []
    engines = scripted.with_loudness(scripted.ScriptedSTT([hears]), model, scripted.ScriptedTTS(), **more)
    lines = [Line(scripted.loud(1.0))]
    converse(engines, load(None, [*DECLARED, *settings]), lines, folder / "c.wav", watchers=[events.append])
    assert not [event for event in events if isinstance(event, ev.Error)]
    return [event for event in events if isinstance(event, ev.TurnCommitted)]


@pytest.mark.parametrize(
    ("expects", "wait"), [(0.5, TURNS.likely), (0.05, TURNS.unsure), (0.001, TURNS.unlikely)]
)
def test_a_model_that_expects_an_answer_is_answered_sooner_and_one_that_expects_more_later(
    tmp_path: Path, expects: float, wait: float
) -> None:
    (turn,) = committed(tmp_path, Expecting(["Hello."], expects=expects), "turns.meaning=words")
    assert (turn.cause.model, turn.cause.wait) == (expects, wait)
    assert turn.cause.seconds == pytest.approx(wait, abs=0.05)
    assert f"the model expects an answer with a probability of {expects:.2f}" in in_words(turn.cause)


@pytest.mark.parametrize("slow", [0.01, 0.45], ids=["voice first", "model first"])
def test_words_voice_and_model_are_weighed_together_whichever_comes_last(tmp_path: Path, slow: float) -> None:
    settings = ["turns.meaning=both", f"costs.endpointing={slow}"]
    (turn,) = committed(tmp_path, Expecting(["Hello."], expects=0.001), *settings, endpointing=Finished())
    assert (turn.cause.sign, turn.cause.voice, turn.cause.model) == ("sentence", 0.95, 0.001)
    assert turn.cause.wait == TURNS.unsure, "likely by words and voice, a step later by the model"


@pytest.mark.parametrize(
    "setting", ["turns.llm=false", "turns.meaning=audio", "turns.meaning=off", "turns.policy=vad"]
)
def test_it_is_not_asked_where_its_word_counts_for_nothing(tmp_path: Path, setting: str) -> None:
    model = Expecting(["Hello."])
    (turn,) = committed(tmp_path, model, setting)
    assert model.told == []
    assert turn.cause.model is None
    assert len(model.asked) == 1


def test_it_is_not_asked_where_words_and_voice_are_sure(tmp_path: Path) -> None:
    model = Expecting(["Noon."], expects=0.001)
    (turn,) = committed(tmp_path, model, "turns.meaning=words", hears="What is the time of day?")
    assert (turn.cause.wait, turn.cause.model, model.told) == (TURNS.complete, None, [])


def test_a_model_that_cannot_tell_is_asked_as_ever(tmp_path: Path) -> None:
    (turn,) = committed(tmp_path, scripted.ScriptedLLM(["Hello."]), "turns.meaning=words")
    assert (turn.cause.model, turn.cause.wait) == (None, TURNS.unsure)


def test_it_is_not_asked_of_what_was_typed() -> None:
    model = Expecting(["It is noon."])

    async def talk() -> None:
        async with testing.session(llm=model) as session:
            session.send_text("What is the time?")
            await anyio.sleep(5)

    testing.run(talk)
    assert len(model.asked) == 1
    assert model.told == []


def test_it_is_asked_once_in_a_turn_and_not_after_a_tool(tmp_path: Path) -> None:
    @tool(effect="reads")
    def clock() -> str:
        """The time."""
        return "noon"

    model = Expecting([[testing.call("clock")], "It is noon."])
    (turn,) = committed(tmp_path, model, "turns.meaning=words", tools=(clock,))
    assert (turn.cause.model, len(model.asked), len(model.told)) == (0.5, 2, 1)


def test_a_window_asks_for_it_only_when_told_to() -> None:
    model = Expecting(["Hello."])
    assert isinstance(model, PredictsEndOfTurn)
    prompt = ContextWindow(model, 100, 20).prompt("Be brief.", [Message("user", SENTENCE)])
    assert list(prompt.stream()) == ["Hello."]
    first, *rest = prompt.stream(end_of_turn=True)
    assert first == Delta(tokens=0, end_of_turn=0.5)
    assert rest == ["Hello."]
