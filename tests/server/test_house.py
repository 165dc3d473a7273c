"""A spoken order changes the house and is answered aloud; a second one over that answer changes it again."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import serving
from wyoming.client import AsyncTcpClient

import house
import scripted
from agent import events as ev
from agent import testing
from agent.config import load
from agent.server.admission.exposure import host_and_port
from agent.settings import MCPConfig
from agent.simulation.virtual import Line, converse
from agent.testing import call
from agent.tools.mcp.connection import MCPServer, asked
from satellite import RATE, Satellite

ORDERS = ["Turn on the kitchen light.", "No wait, close the living room blind."]
ANSWER = "The kitchen light is on now, and everything else in the house stays exactly as it was before."
REPLIES: list[Any] = [
    [call("HassTurnOn", name="kitchen light")],
    ANSWER,
    [call("HassTurnOff", name="living room blind")],
    "It is closed.",
]


def mcp(state: Path) -> MCPServer:
    """The house, already asked what it offers."""
    arguments = (str(Path(house.__file__)), str(state))
    (server,) = asked([MCPConfig(name="house", command=sys.executable, args=arguments)])
    assert not server.failed
    return server


def states(state: Path) -> dict[str, str]:
    return {name: about["state"] for name, about in house.read(state).items()}


CHANGED = {"kitchen light": "on", "hall light": "on", "living room blind": "closed", "thermostat": "heat"}


def test_an_order_and_a_second_one_over_its_answer(tmp_path: Path) -> None:
    """On the virtual clock, which goes as the real one while the house is asked."""
    state = tmp_path / "house.json"
    engines = replace(testing.engines(ORDERS, REPLIES), toolboxes=(mcp(state),))
    events: list[ev.Event] = []
    lines = [Line(scripted.loud(1.0), "at", 0.0), Line(scripted.loud(1.5), "over", 1.0)]
    config = load(None, ["costs.mode=declared", "stt.interim=0", "turns.meaning=off"])
    converse(engines, config, lines, tmp_path / "c.wav", watchers=[events.append])
    first, second = [e for e in events if isinstance(e, ev.TurnEnded)]
    assert (first.reason, second.reason) == ("interrupted", "finished")
    assert first.heard
    assert ANSWER.startswith(first.heard)
    assert first.heard + first.unheard == ANSWER
    assert second.heard == "It is closed."
    calls = [(e.name, e.outcome) for e in events if isinstance(e, ev.ToolReturned)]
    assert calls == [("HassTurnOn", "done"), ("HassTurnOff", "done")], "each once"
    assert states(state) == CHANGED
    asked_last = [(m.role, m.content) for m in engines.llm.asked[-1]]
    assert ("user", ORDERS[1]) in asked_last
    assert ("assistant", first.heard.strip()) in asked_last


@pytest.mark.net
def test_the_same_in_real_time_by_a_satellite(tmp_path: Path) -> None:
    state = tmp_path / "house.json"
    settings = ("server.wyoming=tcp://127.0.0.1:0", "echo.cancel=false", "server.sessions=1")
    pool, server = serving.pool(ORDERS, REPLIES, *settings), mcp(state)
    for slot in pool._free:
        slot.engines = replace(slot.engines, toolboxes=(server,))
    loud = (0.4 * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)).astype(np.float32)
    heard = list[float]()

    async def talk(satellite: Satellite) -> None:
        await satellite.begin()
        await satellite.say(loud)
        while satellite.heard < 0.6:
            await anyio.sleep(0.02)
        heard.append(satellite.heard)
        await satellite.say(np.concatenate([loud, loud]))
        while len(satellite.of("audio-stop")) < 2:
            await anyio.sleep(0.02)

    async def main() -> None:
        with anyio.fail_after(60):
            async with (
                serving.both(pool) as (_, address),
                AsyncTcpClient(*host_and_port(address)) as client,
                anyio.create_task_group() as tasks,
            ):
                satellite = Satellite(client)
                tasks.start_soon(satellite.read)
                tasks.start_soon(satellite.run)
                await talk(satellite)
                tasks.cancel_scope.cancel()

    anyio.run(main, backend="asyncio")
    assert states(state) == CHANGED
    said = [(m.role, m.content) for m in pool.model.asked[-1]]
    (answer,) = [text for role, text in said if role == "assistant" and text]
    assert ANSWER.startswith(answer)
    assert len(answer) < len(ANSWER) / 2, "the second order cut it short"
    assert said[-1][0] == "tool"


def test_the_house_is_found_by_name_area_and_kind(tmp_path: Path) -> None:
    file = tmp_path / "house.json"
    assert house.call(file, "HassTurnOff", {"domain": ["light"]})[1] is False
    assert states(file)["hall light"] == "off"
    assert house.call(file, "HassTurnOn", {"area": "kitchen"})[1] is False
    assert states(file)["kitchen light"] == "on"
    assert (
        house.call(file, "HassClimateSetTemperature", {"name": "thermostat", "temperature": 21.5})[1] is False
    )
    assert house.read(file)["thermostat"]["temperature"] == 21.5
    words, wrong = house.call(file, "HassTurnOn", {"name": "sauna"})
    assert wrong
    assert "sauna" in words
