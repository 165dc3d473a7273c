"""`backchat mcp`: a client of the protocol speaks to its user, who is scripted, on the virtual clock."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import Any

import anyio
import pytest

from agent import events as ev
from agent import testing
from agent.cli.mcp import Silent, server_of
from agent.config import load
from agent.conversation.session import Session
from agent.errors import DeviceError
from agent.protocols import Engines
from agent.runner import VirtualRunner
from agent.transports.exchange import Voice
from audio.frame import HEARING_RATE, Frame
from audio.playback import Playback

BLOCK = 0.02
CONFIG = load(None, ["costs.mode=declared", "stt.interim=0", "turns.meaning=off"])


class Room:
    """A microphone, in which the user speaks from `at` for a second, and a speaker. open: how many are."""

    open = 0

    def __init__(self, engines: Engines, watchers: Sequence[ev.Watcher], at: float | None) -> None:
        self._runner, self._playback, self._at = VirtualRunner(CONFIG.costs), Playback(), at
        self.session = Session(engines, CONFIG, self._runner, self._playback, watchers)

    async def run(
        self, through: Callable[[AsyncIterable[Frame]], AsyncIterable[Frame]] = lambda frames: frames
    ) -> None:
        Room.open += 1
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._play)
                await self.session.run(through(self._frames()))
                tasks.cancel_scope.cancel()
        finally:
            Room.open -= 1

    async def _play(self) -> None:
        count = 0
        while True:
            await self._runner.sleep_until(count * BLOCK)
            self._playback.read(round(BLOCK * self._playback.rate), count * BLOCK)
            count += 1

    async def _frames(self) -> AsyncIterator[Frame]:
        count = 0
        while True:
            time = count * BLOCK
            speaks = self._at is not None and self._at <= time < self._at + 1.0
            samples = (testing.loud if speaks else testing.quiet)(BLOCK).samples
            count += 1
            await self._runner.sleep_until(count * BLOCK)
            yield Frame(samples, HEARING_RATE, time)


def asked(name: str, hears: str, at: float | None, **arguments: Any) -> tuple[str, float, bool]:
    """What a client is told that calls this, after how many seconds, and whether as an error."""
    from mcp import Client

    engines = testing.engines([hears])
    engines.llm.stream = None  # type: ignore[attr-defined]  # nobody asks it

    async def main() -> tuple[str, float, bool]:
        server = server_of(Voice(lambda watchers: Room(engines, watchers, at)))
        async with Client(server) as client:
            began = anyio.current_time()
            result = await client.call_tool(name, arguments)
            assert Room.open == 0, "the microphone is open while a tool runs, and at no other time"
            return result.content[0].text, anyio.current_time() - began, result.is_error

    return testing.run(main)


LONG = "This is a long announcement that goes on and on for quite some time."


@pytest.mark.parametrize(
    ("name", "at", "arguments", "told"),
    [
        ("speak", None, {"text": "The build is done."}, "It was heard."),
        ("listen", 2.0, {}, "Yes, do that now please."),
        ("converse", 3.0, {"text": "Shall I go on?"}, "Yes, do that now please."),
        ("listen", None, {"wait": 4}, "The user has said nothing for 4 seconds."),
        (
            "converse",
            None,
            {"text": "Shall I?", "wait": 4},
            "It was heard. They have said nothing for 4 seconds.",
        ),
    ],
)
def test_each_tool_tells_what_came_of_it(
    name: str, at: float | None, arguments: dict[str, Any], told: str
) -> None:
    assert asked(name, "Yes, do that now please.", at, **arguments)[::2] == (told, False)


@pytest.mark.parametrize("name", ["speak", "converse"])
def test_the_user_may_talk_over_it(name: str) -> None:
    told, took, failed = asked(name, "Stop that, I am busy.", 1.0, text=LONG)
    assert not failed
    assert took < len(LONG) * testing.SECONDS_PER_CHARACTER
    cut, _, said = told.partition(" They said: ")
    heard = cut.removeprefix("The user talked over it, and heard only: '").removesuffix("'.")
    assert LONG.startswith(heard)
    assert 0 < len(heard) < len(LONG) / 2
    assert said == "Stop that, I am busy."


def test_it_waits_from_the_end_of_its_words_and_for_who_has_begun() -> None:
    _, took, _ = asked("converse", "Yes.", None, text="Shall I?", wait=5)
    assert took == pytest.approx(8 * testing.SECONDS_PER_CHARACTER + 5, abs=0.5)
    told, took, _ = asked("listen", "Yes, at last.", 2.9, wait=3)
    assert told == "Yes, at last."
    assert took > 3.9


@pytest.mark.parametrize("arguments", [{}, {"text": ""}, {"text": "a" * 5001}, {"text": "a", "wait": 0}])
def test_wrong_arguments_are_refused(arguments: dict[str, Any]) -> None:
    assert asked("converse", "Yes.", None, **arguments)[2]


def test_a_sound_card_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: Any) -> None:
        raise DeviceError("no microphone; connect one")

    monkeypatch.setattr(Room, "run", fails)
    told, _, failed = asked("listen", "Yes.", None)
    assert failed
    assert "no microphone; connect one" in told


def test_the_model_of_who_speaks_for_itself_says_nothing() -> None:
    assert list(Silent().stream([])) == []


def test_http_needs_a_token() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from agent.cli import main; main()", "mcp", "--http"],
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("BACKCHAT")},
        timeout=60,
    )
    assert done.returncode == 6, done.stderr
    assert "needs a token" in done.stderr


@pytest.mark.net
def test_over_http_who_shows_the_token_is_served_and_nobody_else(capsys: pytest.CaptureFixture[str]) -> None:
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    from agent.cli.mcp import _serve

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}/mcp"

    async def main() -> None:
        server = server_of(Voice(lambda watchers: Room(testing.engines(), watchers, None)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_serve, server, port, "a-token-of-sixteen")
            while address not in capsys.readouterr().err:
                await anyio.sleep(0.01)
            await anyio.sleep(0.2)
            for shown in ({}, {"Authorization": "Bearer a-token-of-another"}):
                async with httpx2.AsyncClient(trust_env=False) as http:
                    assert (await http.post(address, headers=shown)).status_code == 401
            right = {"Authorization": "Bearer a-token-of-sixteen"}
            async with (
                httpx2.AsyncClient(headers=right, trust_env=False) as http,
                Client(streamable_http_client(address, http_client=http)) as client,
            ):
                tools = await client.list_tools()
                assert [tool.name for tool in tools.tools] == ["speak", "listen", "converse"]
            tasks.cancel_scope.cancel()

    anyio.run(main)
