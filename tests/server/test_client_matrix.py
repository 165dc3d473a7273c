"""A call that a client runs, and whatever the user says around it: told once, and never forgotten."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import numpy as np
import pytest

import scripted
from agent import events as ev
from agent.config import load
from agent.conversation.reply import Manner
from agent.conversation.session import Session
from agent.messages import Message, ToolCall, ToolSchema
from agent.protocols import Delta, Engines
from agent.runner import VirtualRunner
from agent.server.realtime.server_events import ServerEvents
from agent.simulation.virtual import run_virtual
from agent.tools.client import ClientTools
from audio.frame import HEARING_RATE, Frame
from audio.playback import Playback
from audio.stt import Transcript

FIRST, SECOND, THIRD = 0.3, 0.6, 0.9
"""Levels of what the user says in turn: by them the transcriber knows the words."""
WORDS = {FIRST: "Switch on the light.", SECOND: "And tell me of birds.", THIRD: "And of bees."}
OUTPUT = "the light is on: 60 W"
BLOCK = 320


class Levels:
    """A transcriber that tells what was said by how loud it was."""

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        return Transcript(
            " ".join(WORDS[level] for level in WORDS if np.isclose(abs(audio.samples), level).any())
        )


@dataclass
class Caller:
    """Has the light switched once, when asked to, and answers all else; `seen`: its prompts."""

    before: str
    seen: list[list[Message]] = field(default_factory=list)

    def with_tools(self, tools: Sequence[Any], *, required: bool = False) -> Caller:
        return self

    def prefill(self, messages: Sequence[Message]) -> None: ...

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        self.seen.append(list(messages))
        asked = any("light" in m.content for m in messages if m.role == "user")
        if asked and not any(message.calls for message in messages):
            yield self.before
            yield Delta(call=ToolCall("", "light", '{"on": true}'))
        else:
            yield "It is done now. All is on."


class Remote:
    """A Realtime client on the virtual clock: runs what it is told of in `seconds`, and asks for a reply."""

    def __init__(self, tools: ClientTools, seconds: float) -> None:
        self.events: list[ev.Event] = []
        self.told: list[dict[str, Any]] = []
        self.returned: list[str] = []
        self._narrator = ServerEvents(1_000_000)
        self._narrator.tools = {"light"}
        self._tools, self._seconds = tools, seconds
        self._calls, self._taken = anyio.create_memory_object_stream[str](100)

    def watch(self, event: ev.Event) -> None:
        self.events.append(event)
        self.told += (told := self._narrator.tell(event))
        for each in told:
            if each["type"] == "response.function_call_arguments.done":
                self._calls.send_nowait(each["call_id"])

    async def work(self, session: Session) -> None:
        async for call in self._taken:
            await anyio.sleep(self._seconds)
            assert self._tools.returned(call, OUTPUT), "an output is waited for"
            assert not self._tools.returned(call, OUTPUT), "and only once"
            self.returned.append(call)
            while session.controller.busy:  # as `response.create` behind an output waits
                await anyio.sleep(0.05)
            session.send_text("")


async def conversation(at: float, seconds: float, before: str) -> tuple[Remote, Caller]:
    """The user asks for the light, says something else at `at` (s), and something more when all is over."""
    config = load(None, ["costs.mode=declared", "stt.interim=0", "turns.meaning=off", "turns.end=0.8"])
    runner, playback, model, tools = VirtualRunner(config.costs), Playback(), Caller(before), ClientTools()
    runner.now()
    remote = Remote(tools, seconds)
    engines = Engines(Levels(), model, scripted.ScriptedTTS(), vad=scripted.LoudnessDetector)
    session = Session(engines, config, runner, playback, [remote.watch])
    schema = ToolSchema("light", "Switch the light.", {"type": "object", "properties": {}})
    session.controller.manner = Manner(tools=(tools.tool(schema),))
    spans = [(FIRST, 0.0, 1.0), (SECOND, at, at + 0.5), (THIRD, 14.0, 14.5)]

    async def microphone() -> Any:
        for number in range(round(20.0 * HEARING_RATE / BLOCK)):
            time = number * BLOCK / HEARING_RATE
            await runner.sleep_until(time + BLOCK / HEARING_RATE)
            level = next((level for level, begin, end in spans if begin <= time < end), 0.0)
            samples = np.full(BLOCK, level, np.float32)
            samples[1::2] *= -1
            yield Frame(samples, HEARING_RATE, time)

    async def speaker() -> None:
        for count in range(10_000):
            await runner.sleep_until(count * 0.01)
            playback.read(240, count * 0.01)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(speaker)
        tasks.start_soon(remote.work, session)
        await session.run(microphone())
        tasks.cancel_scope.cancel()
    return remote, model


OFFSETS = [round(1.05 + 0.05 * n, 2) for n in range(84)]
EACH = 1 if os.environ.get("BACKCHAT_THOROUGH") else 7
"""Every seventh of them; with BACKCHAT_THOROUGH=1 all: 252 conversations."""


@pytest.mark.parametrize(("seconds", "before"), [(0.1, ""), (0.1, "Let me see."), (2.0, "")])
def test_whatever_is_said_around_a_call_the_client_is_told_once_and_its_output_is_read(
    seconds: float, before: str
) -> None:
    config = load(None, ["costs.mode=declared"])
    withdrawn = 0
    for at in OFFSETS[round(seconds) + len(before) :: EACH]:
        remote, model = run_virtual(config, conversation, at, seconds, before)
        events = remote.events
        assert not [event for event in events if isinstance(event, ev.Error)], at
        kept = {event.turn for event in events if isinstance(event, ev.TurnCommitted)}
        called = [event for event in events if isinstance(event, ev.ToolCalled)]
        assert len(called) == 1, f"once, whatever was withdrawn before ({at:g} s)"
        assert called[0].turn in kept
        told = [each for each in remote.told if each["type"] == "response.function_call_arguments.done"]
        assert [each["call_id"] for each in told] == remote.returned == [called[0].call]
        (returned,) = [event for event in events if isinstance(event, ev.ToolReturned)]
        assert (returned.outcome, returned.result) == ("done", OUTPUT)
        results = {m.call: m.content for m in model.seen[-1] if m.role == "tool"}
        assert results == {called[0].call: results[called[0].call]}
        assert results[called[0].call].startswith(OUTPUT)
        asked = [m.content for m in model.seen[-1] if m.role == "user"]
        assert " ".join(asked).count("light") == 1, "no word of the user is lost or doubled"
        spoken = " ".join(event.spoken for event in events if isinstance(event, ev.Chunk))
        assert not {"{", "60 W", "light("} & {*spoken, spoken}
        withdrawn += sum(isinstance(event, ev.TurnDiscarded) for event in events)
    assert withdrawn, "some turns are withdrawn after they have called"
