"""Tools that a client runs: told once, when the turn is over; never for one that was withdrawn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from agent import events as ev
from agent.messages import ToolCall, ToolSchema
from agent.runner import Runner
from agent.settings import ToolsConfig
from agent.tools.client import ClientTools
from agent.tools.execution import NO_OBJECT, Execution, Running
from agent.tools.nowhere import Nowhere

LIGHT = ToolSchema(
    "light", "Switch the light.", {"type": "object", "properties": {"on": {"type": "boolean"}}}
)


Steps = Callable[[Execution, ClientTools, Running, anyio.Event], Awaitable[None]]


def called(steps: Steps, arguments: str = "{}") -> tuple[Running, list[ev.Event]]:
    """One call of a client's tool, and what is told of it."""
    seen: list[ev.Event] = []
    found: list[Running] = []

    async def main() -> None:
        client, over = ClientTools(), anyio.Event()
        execution = Execution([], ToolsConfig(), Runner(), seen.append, Nowhere(), lambda _: None)
        tools = execution.among([client.tool(LIGHT)], own=True)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                execution.enter(tasks)
                found.append(execution.begin(ToolCall("7", "light", arguments), 1, over, tools))
                await steps(execution, client, found[0], over)
                execution.leave()

    anyio.run(main, backend="trio")
    return found[0], seen


async def told(running: Running) -> None:
    while running.state == "waiting":
        await anyio.sleep(0)


def test_it_is_told_once_the_turn_is_over_and_its_output_is_the_result() -> None:
    async def steps(execution: Execution, client: ClientTools, running: Running, over: anyio.Event) -> None:
        await anyio.sleep(0.01)
        assert running.awaited, "its reply must not end before"
        assert not client.returned("7", "too soon")
        over.set()
        await told(running)
        await anyio.sleep(0.01)
        assert not running.awaited
        assert client.returned("7", "\x1b[31mthe light is on" + "x" * 9000)
        await running.done.wait()
        assert not client.returned("7", "again")

    running, events = called(steps)
    assert [type(event) for event in events] == [ev.ToolCalled, ev.ToolReturned]
    assert running.told.startswith("the light is on")
    assert len(running.told) < 2100


@pytest.mark.parametrize("kept", [False, True])
def test_for_a_turn_that_was_withdrawn_it_is_never_told(kept: bool) -> None:
    async def steps(execution: Execution, client: ClientTools, running: Running, over: anyio.Event) -> None:
        if kept:
            over.set()
            await told(running)
        execution.turn_over([running], kept=kept, cut=True)
        await anyio.sleep(0.01)
        over.set()
        await anyio.sleep(0.01)
        assert client.returned("7", "on") == kept, "one that is under way is finished"

    running, events = called(steps)
    assert [event.type for event in events] == (["tool_called", "tool_returned"] if kept else [])
    assert running.done.is_set()


def test_the_end_of_the_conversation_ends_the_waiting() -> None:
    async def steps(execution: Execution, client: ClientTools, running: Running, over: anyio.Event) -> None:
        over.set()
        await told(running)

    running, _ = called(steps)
    assert running.result is not None
    assert running.result.outcome == "cancelled"


@pytest.mark.parametrize("arguments", ["", "[1]", '{"on":', "null"])
def test_what_is_no_object_goes_back_to_the_model_and_not_to_the_client(arguments: str) -> None:
    async def steps(execution: Execution, client: ClientTools, running: Running, over: anyio.Event) -> None:
        over.set()
        await anyio.sleep(0.01)

    running, _ = called(steps, arguments)
    assert (running.told == NO_OBJECT) == bool(arguments)
    assert running.by_client == (not arguments)


@pytest.mark.parametrize(("arguments", "fits"), [('{"on": true}', True), ('{"on": "yes"}', False)])
def test_what_does_not_fit_the_schema_goes_back_to_the_model_and_not_to_the_client(
    arguments: str, fits: bool
) -> None:
    async def steps(execution: Execution, client: ClientTools, running: Running, over: anyio.Event) -> None:
        over.set()
        await anyio.sleep(0.01)

    running, events = called(steps, arguments)
    assert running.by_client == fits
    assert ("on" in running.told and "Call it again" in running.told) == (not fits)
    (told,) = [event for event in events if isinstance(event, ev.ToolCalled)]
    assert told.effect == ("changes" if fits else None), "who sees the calls knows that this one was refused"
