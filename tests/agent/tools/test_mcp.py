"""Servers of tools: what they say of themselves, and conversations that outlive whatever they do."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

import scripted
from agent import events as ev
from agent import testing
from agent.config import load
from agent.errors import ConfigError
from agent.messages import ToolCall
from agent.runner import Runner
from agent.settings import MCPConfig, ToolsConfig
from agent.simulation.virtual import Line, converse
from agent.testing import call
from agent.tools.execution import Execution, Running
from agent.tools.mcp.connection import MCPServer, asked
from agent.tools.mcp.flow import BURST, LEAST, RATE, Flow
from agent.tools.nowhere import Nowhere
from tool_calls import Done, held

SERVER = Path(__file__).parents[2] / "tool_server.py"


def house(state: Path, *args: str, **more: Any) -> MCPConfig:
    return MCPConfig(
        name="house", command=sys.executable, args=(str(SERVER), *args), env={"STATE": str(state)}, **more
    )


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> MCPServer:
    """The server, asked once for all tests."""
    (server,) = asked([house(tmp_path_factory.mktemp("state"))])
    assert not server.failed
    return server


def known(listed: MCPServer, state: Path, **more: Any) -> MCPServer:
    server = MCPServer(house(state, **more))
    server.listed = listed.listed
    return server


def test_what_a_server_says_of_its_tools_becomes_their_effect(listed: MCPServer) -> None:
    tools = {tool.name: tool for tool in listed.open(Nowhere()).tools}
    said = {name: (tool.effect, tool.interrupted, tool.confirm) for name, tool in tools.items()}
    assert said["temperature"] == ("reads", "cancel", False)
    assert said["count"] == ("changes", "finish", False), "what is not known changes something"
    assert said["set_light"] == ("changes", "cancel", False)
    assert said["wipe"] == ("changes", "finish", True)
    assert tools["count"].schema.parameters == {
        "type": "object",
        "properties": {"room": {"type": "string"}},
        "required": [],
    }
    assert tools["count"].source == "MCP server house"


def test_the_settings_have_the_last_word(listed: MCPServer, tmp_path: Path) -> None:
    server = known(
        listed, tmp_path, allow=("*e*",), deny=("die*",), changes=("temp*",), reads=("wip?", "temp*")
    )
    said = {tool.name: tool.effect for tool in server.open(Nowhere()).tools}
    assert said["temperature"] == "changes"
    assert said["wipe"] == "reads"
    assert not {"die", "die_changing", "count"} & set(said)
    asks = known(listed, tmp_path, confirm=("count",)).open(Nowhere()).tools
    assert [tool.name for tool in asks if tool.confirm] == ["count", "wipe"]


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_calls_are_answered_in_words(listed: MCPServer, tmp_path: Path, backend: str) -> None:
    told: dict[str, str] = {}

    async def talk(done: Done, _: Execution) -> None:
        for name in ("temperature", "megabyte", "coloured", "fails", "refuse", "count"):
            told[name] = (await done(name, room="hall")).told
        told["wrong"] = (await done("temperature", room=3)).told

    held(known(listed, tmp_path), talk, backend)
    assert told["temperature"] == "temperature in the hall"
    assert told["megabyte"].endswith("(998000 more characters were left out)")
    assert told["coloured"] == "red"
    assert told["fails"] == "the oven is cold"
    assert told["refuse"] == "It failed: no refuse here"
    assert told["count"] == "done 1 times"
    assert told["wrong"] == 'Wrong arguments: room: 3 is not of type "string". Call it again with right ones.'


@pytest.mark.parametrize("what", ["die", "flood", "long_line"])
def test_what_only_reads_is_asked_again_when_a_server_breaks(
    listed: MCPServer, tmp_path: Path, what: str
) -> None:
    results: list[str] = []

    async def talk(done: Done, _: Execution) -> None:
        results.append((await done(what)).told)
        results.append((await done("temperature")).told)

    events = held(known(listed, tmp_path), talk)
    assert results == [f"{what} in the house", "temperature in the house"]
    (error,) = [event.message for event in events if isinstance(event, ev.Error)]
    why = "it has ended: no more coal" if what == "die" else "it sends more than can be read"
    assert error == f"tools.mcp: house: {why}"


def test_what_changes_something_is_never_asked_twice(listed: MCPServer, tmp_path: Path) -> None:
    results: list[Running] = []

    async def talk(done: Done, _: Execution) -> None:
        results.append(await done("die_changing"))
        results.append(await done("count"))

    held(known(listed, tmp_path), talk)
    assert results[0].told == (
        "The connection to house broke: it has ended: no more coal. "
        "It may have been done, and may be done yet: look before you do it again."
    )
    assert results[1].told == "done 1 times"


def test_a_server_that_hangs_is_started_anew(listed: MCPServer, tmp_path: Path) -> None:
    results: list[str] = []

    async def talk(done: Done, _: Execution) -> None:
        results.append((await done("temperature")).told)  # it has begun
        results.append((await done("hang")).told)
        while (result := await done("temperature")).told != "temperature in the house":
            assert result.result is not None
            assert result.result.outcome in ("timed_out", "failed")

    held(known(listed, tmp_path, timeout=0.5, connect_timeout=0.5), talk)
    assert results[1] == "It took longer than 0.5 s, and was given up."


def test_a_list_that_changes_is_followed(listed: MCPServer, tmp_path: Path) -> None:
    before: set[str] = set()
    after: set[str] = set()

    async def talk(done: Done, execution: Execution) -> None:
        before.update(execution.tools)
        await done("grow")
        while set(execution.tools) == before:
            await anyio.sleep(0.02)
        after.update(execution.tools)

    held(known(listed, tmp_path), talk)
    assert (after - before, before - after) == ({"grown"}, {"wipe"})


def test_what_a_server_sends_reaches_no_log(
    listed: MCPServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The library quotes what it cannot read; another program's logger of that name is left alone."""
    caplog.set_level(logging.DEBUG)

    async def talk(done: Done, _: Execution) -> None:
        assert (await done("malformed", room="the secret room")).told == "malformed in the the secret room"

    held(known(listed, tmp_path), talk)
    logging.getLogger("client").warning("mine")
    assert "secret" not in caplog.text
    assert "mine" in caplog.text


def test_a_call_that_changes_something_outlives_the_conversation(listed: MCPServer, tmp_path: Path) -> None:
    calls: list[Running] = []

    async def main() -> None:
        over = anyio.Event()
        server = known(listed, tmp_path)
        execution = Execution(
            [], ToolsConfig(), Runner(), lambda _: None, Nowhere(), lambda _: None, [server]
        )
        async with anyio.create_task_group() as tasks:
            execution.enter(tasks)
            calls.append(execution.begin(ToolCall("1", "count"), 1, over))
            execution.leave()
            over.set()

    anyio.run(main, backend="trio")
    assert calls[0].told == "done 1 times"


def test_a_silent_server_keeps_nobody_waiting(tmp_path: Path) -> None:
    began = time.monotonic()
    (server,) = asked([house(tmp_path, "silent", connect_timeout=0.5)])
    assert server.failed == "it did not answer for 0.5 s"
    assert time.monotonic() - began < 5.0


def test_no_child_is_left(listed: MCPServer, tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")

    async def talk(done: Done, _: Execution) -> None:
        await done("temperature")
        assert len(psutil.Process().children()) == before + 1

    before = len(psutil.Process().children())
    held(known(listed, tmp_path), talk)
    assert len(psutil.Process().children()) == before


def test_a_conversation_goes_on_when_its_server_dies(listed: MCPServer, tmp_path: Path) -> None:
    """On the virtual clock, which goes as the real one while the server is asked."""
    replies = [[call("die_changing")], "It broke.", [call("count")], "It is done."]
    engines = replace(testing.engines(["Do it.", "Again."], replies), toolboxes=(known(listed, tmp_path),))
    events: list[ev.Event] = []
    lines = [Line(scripted.loud(1.0), "at", 0.0), Line(scripted.loud(1.0))]
    config = load(None, ["costs.mode=declared", "stt.interim=0", "turns.meaning=off"])
    converse(engines, config, lines, tmp_path / "c.wav", watchers=[events.append])
    assert [e.heard for e in events if isinstance(e, ev.TurnEnded)] == ["It broke.", "It is done."]
    assert [e.outcome for e in events if isinstance(e, ev.ToolReturned)] == ["failed", "done"]
    assert (tmp_path / "count").read_text() == "x", "once"
    assert engines.llm.tools, "the model was told of them"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"name": "x"}, "either a command or a url"),
        ({"name": "x", "command": "a", "url": "http://b"}, "either a command or a url"),
        ({"name": "x", "command": "a", "token_env": "T"}, "a command has no token_env"),
        ({"name": "x", "url": "ftp://b"}, "begins with http"),
        ({"name": "x y", "command": "a"}, "match pattern"),
        ({"name": "x", "comand": "a"}, "did you mean 'tools.mcp.command'"),
    ],
)
def test_wrong_settings_are_told_in_one_line(tmp_path: Path, settings: dict[str, str], told: str) -> None:
    text = "".join(f'{key} = "{value}"\n' for key, value in settings.items())
    (tmp_path / "c.toml").write_text(f"[[tools.mcp]]\n{text}")
    with pytest.raises(ConfigError, match=told) as error:
        load(tmp_path / "c.toml")
    assert "\n" not in str(error.value)


def test_two_of_one_name_and_a_program_that_is_nowhere_are_refused() -> None:
    server = '{name = "a", command = "nowhere-at-all"}'
    with pytest.raises(ConfigError, match="two MCP servers are called 'a'"):
        load(None, [f"tools.mcp=[{server}, {server}]"])
    with pytest.raises(ConfigError, match="no program 'nowhere-at-all'"):
        asked(load(None, [f"tools.mcp=[{server}]"]).tools.mcp)


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_flood_is_one_however_it_comes(size: int) -> None:
    flow = Flow()
    began = time.monotonic()
    came = 0
    while not flow.floods(size, messages=1):
        came += max(size, LEAST)
    assert BURST - max(size, LEAST) <= came <= BURST + RATE * (time.monotonic() - began)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "array"}, "no JSON object"),
        (
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/A"}},
                "$defs": {"A": {"$ref": "#/$defs/A"}},
            },
            "contains itself",
        ),
        ({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/a"}}}, "defined nowhere"),
        ({"type": "object", "properties": {"a": {"description": "x" * 9000}}}, "longer than"),
        ({"type": "object", "properties": {"a": {"type": "many"}}}, "no JSON schema"),
    ],
)
def test_what_a_model_cannot_be_told_is_left_out(
    listed: MCPServer, tmp_path: Path, schema: dict[str, Any], why: str
) -> None:
    server = known(listed, tmp_path)
    odd = listed.listed[0].model_copy(update={"name": "odd", "input_schema": schema})
    server.listed = (odd, *listed.listed[:2])
    opened = server.open(Nowhere())
    assert [tool.name for tool in opened.tools] == [tool.name for tool in listed.listed[:2]]
    (left,) = opened.left_out
    assert why in left
