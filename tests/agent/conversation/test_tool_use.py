"""Calls of tools in a conversation: whatever the user does, each is done once, and never forgotten."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

import scripted
from agent import events as ev
from agent import testing, tool
from agent.config import load
from agent.errors import ToolError
from agent.messages import Message, ToolCall
from agent.protocols import Delta, Engines
from agent.simulation.virtual import Line, converse
from agent.testing import call
from agent.tools.execution import RUNNING, UNTOLD
from agent.tools.tool import Tool, ToolContext
from audio.frame import HEARING_RATE, Frame
from audio.stt import Transcript

DECLARED = ["costs.mode=declared", "stt.interim=0", "turns.meaning=off"]
FIRST, SECOND, THIRD = 0.3, 0.6, 0.9
"""Levels of what the user says in turn: by them the transcriber knows the words."""
WORDS = {FIRST: "Switch on the light.", SECOND: "And tell me of birds.", THIRD: "And of bees."}
ANSWER = "It is done now. All is on."
OTHER = "Birds fly."


def said(level: float, seconds: float) -> Frame:
    samples = np.full(round(seconds * HEARING_RATE), level, np.float32)
    samples[1::2] *= -1
    return Frame(samples, HEARING_RATE)


class Levels:
    """A transcriber that tells what was said by how loud it was."""

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        loud = [(np.flatnonzero(np.isclose(np.abs(audio.samples), level)), level) for level in WORDS]
        return Transcript(" ".join(WORDS[level] for found, level in loud if len(found)))


@dataclass
class Caller:
    """A model that calls the tool for the light, once for each time it is asked to; and answers all else.

    returned: results that are known so far; seen: of each prompt, those, and its messages.
    """

    events: list[ev.Event]
    before: str = ""
    seen: list[tuple[list[ev.ToolReturned], list[Message]]] = field(default_factory=list)

    def with_tools(self, tools: Sequence[Any], *, required: bool = False) -> Caller:
        return self

    def prefill(self, messages: Sequence[Message]) -> None: ...

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        returned = [event for event in self.events if isinstance(event, ev.ToolReturned)]
        self.seen.append((returned, list(messages)))
        asked = max(n for n, message in enumerate(messages) if message.role == "user")
        done = any(message.calls for message in messages)
        if messages[-1].role == "tool":
            yield from scripted_words(ANSWER)
        elif "light" in messages[asked].content and not done:
            yield from scripted_words(self.before)
            yield Delta(call=ToolCall("", "light", '{"on": true}'))
        else:
            yield from scripted_words(OTHER)


def scripted_words(text: str) -> list[str]:
    return [f"{word} " for word in text.split()]


@dataclass
class Light:
    """What the tool does; `runs`: how often it was begun, and came to its end."""

    seconds: float
    fails: bool = False
    runs: list[bool] = field(default_factory=list)

    def tool(self, effect: Any, **more: Any) -> Tool:
        @tool(effect=effect, name="light", **more)
        async def light(on: bool) -> str:
            """Switch the light."""
            self.runs.append(False)
            await anyio.sleep(self.seconds)
            self.runs[-1] = True
            if self.fails:
                raise ToolError("the bulb is broken")
            return "the light is on: 60 W"

        return light


def of(events: list[ev.Event], kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


def talk(
    out: Path, lines: Sequence[Line], light: Light, effect: str, before: str = "", *settings: str, **more: Any
) -> tuple[list[ev.Event], Caller]:
    events: list[ev.Event] = []
    model = Caller(events, before)
    engines = Engines(
        Levels(),
        model,
        scripted.ScriptedTTS(),
        vad=scripted.LoudnessDetector,
        tools=(light.tool(effect, **more),),
    )
    converse(engines, load(None, [*DECLARED, *settings]), lines, out / "c.wav", watchers=[events.append])
    return events, model


def assert_whole(events: list[ev.Event], model: Caller, light: Light, effect: str) -> None:
    """What must hold of any conversation: once, never for a withdrawn turn, never forgotten, never spoken."""
    assert not of(events, ev.Error)
    released = {event.turn for event in of(events, ev.TurnCommitted)}
    called, returned = of(events, ev.ToolCalled), of(events, ev.ToolReturned)
    assert [each.call for each in called] == sorted({each.call for each in called})
    assert {each.call for each in called} == {each.call for each in returned}
    kept = [each for each in called if each.turn in released]
    if effect == "changes":
        assert light.runs == [True] * len(kept), (
            "exactly once, to its end, and for no turn that was withdrawn"
        )
    for known, messages in model.seen:
        told = {message.call: message.content for message in messages if message.role == "tool"}
        for result in known:
            turn_over = result.turn in released
            if turn_over and result.call in told:
                assert told[result.call].startswith(result.result)
        pairs = [c.id for message in messages for c in message.calls]
        assert pairs == list(told), "no call without its result, no result without its call"
    spoken = " ".join(piece.spoken for piece in of(events, ev.Chunk))
    heard = " ".join(event.heard for event in of(events, ev.TurnEnded))
    for text in (spoken, heard):
        assert not {"{", "light(", "call", "60 W"} & {*text, *text.split()}
    assert "moment" not in heard


def results_reach_the_next_prompt(events: list[ev.Event], model: Caller) -> None:
    """Each result of a turn that counts is in every prompt that was made after it."""
    released = {event.turn for event in of(events, ev.TurnCommitted)}
    for known, messages in model.seen:
        told = {message.call: message.content for message in messages if message.role == "tool"}
        for result in known:
            if result.turn in released:
                assert result.call in told
                assert told[result.call].removesuffix(f"\n{UNTOLD}") == result.result


KINDS = {
    "reads": (0.2, False, "reads"),
    "slow reads": (1.5, False, "reads"),
    "changes": (0.2, False, "changes"),
    "slow changes": (1.5, False, "changes"),
    "failing": (0.3, True, "changes"),
}
OFFSETS = [round(1.05 + 0.05 * n, 2) for n in range(84)]
"""When the user says more, from the end of their first sentence to the end of all replies, each 50 ms (s)."""
EACH = 1 if os.environ.get("BACKCHAT_THOROUGH") else 6
"""Each kind takes every sixth of them, another one first; with BACKCHAT_THOROUGH=1 all: 420 conversations."""


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_said_around_a_call_it_is_done_once_and_never_forgotten(
    kind: str, tmp_path: Path
) -> None:
    seconds, fails, effect = KINDS[kind]
    outcomes, withdrawn = set[str](), 0
    for number, at in [*enumerate(OFFSETS)][list(KINDS).index(kind) % EACH :: EACH]:
        light = Light(seconds, fails)
        lines = [
            Line(said(FIRST, 1.0), "at", 0.0),
            Line(said(SECOND, 0.5), "at", at),
            Line(said(THIRD, 0.5), "after", 0.3),
        ]
        before = ("", "Let me see.")[number // EACH % 2]
        events, model = talk(tmp_path, lines, light, effect, before, "turns.end=0.8")
        released = {event.turn for event in of(events, ev.TurnCommitted)}
        withdrawn += sum(event.turn not in released for event in of(events, ev.ToolCalled))
        try:
            assert_whole(events, model, light, effect)
            results_reach_the_next_prompt(events, model)
        except AssertionError as error:
            raise AssertionError(f"{kind}, the user goes on at {at:g} s") from error
        outcomes |= {event.outcome for event in of(events, ev.ToolReturned)}
        outcomes |= {event.reason for event in of(events, ev.TurnEnded)}
    assert withdrawn, "some turns are withdrawn after they have called"
    assert outcomes >= {"failed" if fails else "done", "finished", "interrupted"}


@pytest.mark.parametrize("before", ["", "Let me see."])
@pytest.mark.parametrize(
    ("effect", "seconds"), [(e, s) for e in ("reads", "changes") for s in (0.1, 0.39, 0.5, 1.5)]
)
def test_a_line_is_never_dead_over_a_call(effect: str, seconds: float, before: str, tmp_path: Path) -> None:
    light = Light(seconds)
    events, model = talk(tmp_path, [Line(said(FIRST, 1.0))], light, effect, before)
    assert_whole(events, model, light, effect)
    (released,), (called,) = of(events, ev.TurnCommitted), of(events, ev.ToolCalled)
    quiet = max(released.time, called.time)
    if before:
        quiet = max(quiet, of(events, ev.AudioStarted)[0].time)
    for made in of(events, ev.Synthesized):
        begins = max(made.time, quiet) if made.time > released.time else released.time
        assert begins - quiet <= 0.8
        quiet = begins + made.seconds
    moments = [piece for piece in of(events, ev.Chunk) if piece.text == "One moment."]
    assert len(moments) == (seconds >= 0.4 if not before else seconds > 1.2)
    (ended,) = of(events, ev.TurnEnded)
    assert (ended.heard.strip(), ended.reason) == (f"{before} {ANSWER}".strip(), "finished")


def test_what_was_said_before_a_call_is_heard_at_once(tmp_path: Path) -> None:
    events, _ = talk(tmp_path, [Line(said(FIRST, 1.0))], Light(1.0), "reads", "Let me see.")
    assert of(events, ev.AudioStarted)[0].time < of(events, ev.ToolReturned)[0].time


def test_a_call_that_changes_something_waits_for_the_end_of_the_turn_and_is_not_waited_for(
    tmp_path: Path,
) -> None:
    events, _ = talk(tmp_path, [Line(said(FIRST, 1.0))], Light(0.0), "changes", "", "turns.end=1.0")
    (called,), (released,), (returned,) = (
        of(events, k) for k in (ev.ToolCalled, ev.TurnCommitted, ev.ToolReturned)
    )
    assert called.time < released.time <= returned.time
    waited = released.time - of(events, ev.TurnOpened)[0].speech_end
    assert waited == pytest.approx(1.0, abs=0.03), "at the end of the silence, not at the longest wait"


def test_who_interrupts_before_a_result_is_told_has_the_model_know_that(tmp_path: Path) -> None:
    lines = [Line(said(FIRST, 1.0)), Line(said(SECOND, 0.5), "at", 2.4)]
    events, model = talk(tmp_path, lines, Light(1.0), "changes")
    (returned,) = of(events, ev.ToolReturned)
    _, messages = model.seen[-1]
    assert [(m.role, m.content) for m in messages[1:]] == [
        ("user", WORDS[FIRST]),
        ("assistant", ""),
        ("tool", f"{returned.result}\n{UNTOLD}"),
        ("user", WORDS[SECOND]),
    ]


def test_a_call_that_is_to_be_cancelled_by_an_interruption_is(tmp_path: Path) -> None:
    light = Light(3.0)
    lines = [Line(said(FIRST, 1.0)), Line(said(SECOND, 0.5), "at", 2.0)]
    events, model = talk(tmp_path, lines, light, "changes", interrupted="cancel")
    (returned,) = of(events, ev.ToolReturned)
    assert (returned.outcome, light.runs) == ("cancelled", [False])
    assert "may have been done" in model.seen[-1][1][3].content


def test_a_very_slow_call_goes_on_in_the_background_and_is_told_when_there_is_room(tmp_path: Path) -> None:
    light = Light(6.0)
    settings = ("tools.background_after=1.0",)
    events, model = talk(
        tmp_path,
        [Line(said(FIRST, 1.0)), Line(said(SECOND, 0.5), "after", 0.5)],
        light,
        "changes",
        "",
        *settings,
    )
    first, _, late = of(events, ev.TurnEnded)
    (returned,) = of(events, ev.ToolReturned)
    assert first.time < returned.time < late.time
    assert model.seen[1][1][-1].content == RUNNING
    assert model.seen[-1][1][-1].content == returned.result
    assert late.heard.strip() == ANSWER


@dataclass
class Numbered:
    """Tools that write down what they are called with."""

    done: list[Any] = field(default_factory=list)

    def tools(self) -> list[Tool]:
        @tool(effect="changes")
        def add(amount: int, what: str = "tea") -> str:
            """Add to the list."""
            self.done.append((amount, what))
            return f"{amount} of {what}"

        @tool(effect="changes", confirm="Shall I really throw {what} away?")
        def drop(what: str) -> str:
            """Throw something away."""
            self.done.append(what)
            return f"{what} is gone"

        return [add, drop]


def asked(
    tmp_path: Path, hears: list[str], replies: list[Any], *settings: str
) -> tuple[list[ev.Event], Any, Numbered]:
    """A conversation in which each line is said after the reply to the one before."""
    events: list[ev.Event] = []
    things = Numbered()
    engines = testing.engines(hears, replies, things.tools())
    lines = [Line(scripted.loud(1.0)) for _ in hears]
    converse(engines, load(None, [*DECLARED, *settings]), lines, tmp_path / "c.wav", watchers=[events.append])
    return events, engines.llm, things


def test_several_calls_in_one_answer_are_all_done_and_told(tmp_path: Path) -> None:
    replies = [["Sure.", call("add", amount=2), call("add", amount=3, what="milk")], "Both are on the list."]
    events, llm, things = asked(tmp_path, ["Tea and milk."], replies)
    assert things.done == [(2, "tea"), (3, "milk")]
    assert [(m.role, m.content) for m in llm.asked[-1][2:]] == [
        ("assistant", "Sure."),
        ("tool", "2 of tea"),
        ("tool", "3 of milk"),
    ]
    (ended,) = of(events, ev.TurnEnded)
    assert ended.heard == "Sure. Both are on the list."


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (call("add", amount="many"), "Wrong arguments: amount: .*'many'"),
        (call("add"), "Wrong arguments: amount: is missing"),
        (call("add", amount=1, colour="red"), "colour: is no argument"),
        (ToolCall("", "add", "many"), "no JSON object"),
        (call("subtract", amount=1), "no tool 'subtract'. There are: add, drop"),
    ],
)
def test_what_is_called_wrongly_goes_back_to_the_model_in_words(
    written: Any, told: str, tmp_path: Path
) -> None:
    events, llm, things = asked(tmp_path, ["Tea."], [[written], [call("add", amount="2")], "There."])
    assert re.search(told, llm.asked[1][-1].content)
    assert things.done == [(2, "tea")], "and the second try is right"
    assert of(events, ev.ToolReturned)[0].outcome == "refused"


def test_a_model_that_calls_again_and_again_is_stopped(tmp_path: Path) -> None:
    events, _, things = asked(tmp_path, ["Tea."], [["More. ", call("add", amount=1)]], "tools.rounds=3")
    assert len(things.done) == 3
    assert of(events, ev.ToolReturned)[-1].outcome == "refused"
    assert of(events, ev.TurnEnded)[0].reason == "finished"


@pytest.mark.parametrize(
    ("answer", "agreed"),
    [
        ("Yes.", True),
        ("Yes, please do.", True),
        ("Yeah, throw it away.", True),
        ("Sure, go ahead.", True),
        ("Okay.", True),
        ("No.", False),
        ("No, don't.", False),
        ("Yes, but only tomorrow.", False),
        ("What is it?", False),
        ("Never mind.", False),
    ],
)
def test_what_must_be_agreed_to_is_asked_aloud_and_done_only_then(
    answer: str, agreed: bool, tmp_path: Path
) -> None:
    replies = [["Well. ", call("drop", what="it")], "So be it."]
    events, llm, things = asked(tmp_path, ["Throw it away.", answer], replies)
    ended = of(events, ev.TurnEnded)
    assert ended[0].heard == "Well. Shall I really throw it away?"
    assert things.done == (["it"] if agreed else [])
    if agreed:
        assert [m.content for m in llm.asked[-1] if m.role == "tool"][-1] == "it is gone"
        assert ended[1].heard == "So be it."


def test_yes_is_asked_for_anew_each_time(tmp_path: Path) -> None:
    replies = [[call("drop", what="it")], "Gone.", "What?"]
    _, _, things = asked(tmp_path, ["Throw it away.", "Yes.", "Yes."], replies)
    assert things.done == ["it"]


def test_a_tool_ends_the_conversation_and_says_what_nobody_asked_for(tmp_path: Path) -> None:
    @tool(effect="changes")
    def leave(conversation: ToolContext) -> str:
        """Goodbye."""
        conversation.say("One thing more.")
        conversation.end()
        return "Say goodbye."

    events: list[ev.Event] = []
    engines = testing.engines(["Bye."], [[call("leave")], "Goodbye then."], [leave])
    lines = [Line(scripted.loud(1.0)), Line(scripted.loud(1.0), "at", 30.0)]
    converse(engines, load(None, DECLARED), lines, tmp_path / "c.wav", watchers=[events.append])
    assert [each.heard for each in of(events, ev.TurnEnded)] == ["Goodbye then.", "One thing more."]
    assert of(events, ev.SessionEnded)[0].time < 10.0


def test_what_a_tool_tells_unasked_stands_before_the_question_and_not_with_the_instructions(
    tmp_path: Path,
) -> None:
    """All that was read before stays as it was. Where nothing was said yet, it would be one with those."""
    light = replace(Light(0.0).tool("reads"), tells=lambda conversation: f"{conversation.last_said} is told.")
    events: list[ev.Event] = []
    engines = Engines(Levels(), model := Caller(events), scripted.ScriptedTTS(), tools=(light,))
    engines = replace(engines, vad=scripted.LoudnessDetector)
    lines = [Line(said(SECOND, 1.0)), Line(said(FIRST, 1.0))]
    converse(engines, load(None, DECLARED), lines, tmp_path / "c.wav", watchers=[events.append])
    first, second, third = ([(m.role, m.content) for m in messages][1:] for _, messages in model.seen)
    assert first == [("user", WORDS[SECOND]), ("system", " is told.")]
    assert second == [
        ("user", WORDS[SECOND]),
        ("assistant", OTHER),
        ("system", f"{OTHER} is told."),
        ("user", WORDS[FIRST]),
    ]
    assert third[:4] == second
    assert [role for role, _ in third[4:]] == ["assistant", "tool"]


def test_a_model_that_cannot_be_told_of_tools_goes_on_as_ever(tmp_path: Path) -> None:
    class Old:
        def prefill(self, messages: Sequence[Message]) -> None: ...

        def stream(self, messages: Sequence[Message]) -> Iterator[str]:
            yield "Hello."

    events: list[ev.Event] = []
    engines = replace(testing.engines(["Hi."], tools=Numbered().tools()), llm=Old())
    converse(
        engines,
        load(None, DECLARED),
        [Line(scripted.loud(1.0))],
        tmp_path / "c.wav",
        watchers=[events.append],
    )
    assert of(events, ev.TurnEnded)[0].heard == "Hello."


def test_a_call_that_a_model_writes_as_text_is_done_and_not_spoken(tmp_path: Path) -> None:
    written = (
        'Sure. <tool_call>\n{"name": "add", "arguments": {"amount": 4}}\n</tool_call> It is on the list!'
    )
    events, _, things = asked(tmp_path, ["Tea."], [written, "Four of tea, then."])
    assert things.done == [(4, "tea")]
    assert of(events, ev.TurnEnded)[0].heard == "Sure. Four of tea, then."


def test_a_session_has_tools_of_its_own() -> None:
    async def main() -> list[str]:
        async with testing.session(
            ["Tea."], [[call("add", amount=1)], "Done."], tools=Numbered().tools()
        ) as session:
            await session.push_audio(*testing.loud(1.0))
            session.close()
            return [
                json.dumps(ev.as_dict(event))
                async for event in session.events()
                if isinstance(event, ev.ToolReturned)
            ]

    (event,) = testing.run(main)
    assert json.loads(event)["result"] == "1 of tea"
