"""A satellite's conversation over Wyoming: heard while it speaks, silenced by the user, told what it said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import numpy as np
import pytest
import serving
from wyoming.asr import Transcript
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import async_read_event, async_write_event
from wyoming.pipeline import PipelineStage, RunPipeline

from agent.server.admission.exposure import host_and_port
from agent.server.wyoming import satellite as module
from agent.testing import SECONDS_PER_CHARACTER
from audio.frame import Samples
from satellite import RATE, Satellite

pytestmark = pytest.mark.net

STORY = (
    "Once upon a time there was a king who had three sons and a daughter. They lived in a castle by the "
    "sea, with a very old horse, and a clock that was always wrong by an hour."
)
ADDRESS = "server.wyoming=tcp://127.0.0.1:0"
NO_ECHO = "echo.cancel=false"
"""The scripted voice is a constant, which no canceller has ever heard."""


def loud(seconds: float = 1.0) -> Samples:
    return (0.4 * np.sin(2 * np.pi * 500 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def said(
    pool: serving.Scripted, main: Callable[[Satellite], Coroutine[Any, Any, None]], **more: Any
) -> Satellite:
    """Hold a conversation; a deadlock fails, and so does a slot that is not given back."""
    found: list[Satellite] = []

    async def inside() -> None:
        with anyio.fail_after(40):
            async with serving.both(pool) as (_, address):
                async with AsyncTcpClient(*host_and_port(address)) as client:
                    found.append(satellite := Satellite(client, **more))
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(satellite.read)
                        tasks.start_soon(satellite.run)
                        await main(satellite)
                        tasks.cancel_scope.cancel()
                while not pool.idle:
                    await anyio.sleep(0.01)

    anyio.run(inside, backend="asyncio")
    return found[0]


async def until(ready: Callable[[], object]) -> None:
    while not ready():
        await anyio.sleep(0.02)


def history(pool: serving.Scripted) -> list[tuple[str, str]]:
    """What the model was told last, but for its instructions."""
    return [(m.role, m.content) for m in pool.model.asked[-1] if m.role != "system"]


def seconds(text: str) -> float:
    return len(text) * SECONDS_PER_CHARACTER


def test_who_speaks_over_a_reply_silences_it_and_has_heard_what_was_played() -> None:
    pool = serving.pool(["Tell me a story.", "Stop, what time is it?"], [STORY, "Noon."], ADDRESS, NO_ECHO)
    heard = list[float]()

    async def main(satellite: Satellite) -> None:
        await satellite.begin()
        await satellite.say(loud())
        await until(lambda: satellite.heard > 1.5)
        await satellite.say(loud())
        await until(lambda: satellite.of("audio-stop"))
        heard.append(satellite.heard)
        await until(lambda: len(pool.model.asked) > 1)

    said(pool, main, late=0.2)
    (_, (role, kept), question) = history(pool)
    assert (role, question) == ("assistant", ("user", "Stop, what time is it?"))
    assert STORY.startswith(kept)
    assert seconds(kept) == pytest.approx(heard[0], abs=0.35), "a word more or less"
    assert heard[0] < 3.0, "it fell silent"


def test_a_back_channel_leaves_the_reply_alone() -> None:
    pool = serving.pool(
        ["Tell me a story.", "Uh-huh."], ["Once there was a king in a castle."], ADDRESS, NO_ECHO
    )

    async def main(satellite: Satellite) -> None:
        await satellite.begin()
        await satellite.say(loud())
        await until(lambda: satellite.heard > 0.5)
        await satellite.say(loud(0.5))
        await until(lambda: satellite.drained)

    satellite = said(pool, main)
    assert satellite.heard >= seconds("Once there was a king in a castle.") - 0.1
    assert len(pool.model.asked) == 1


def test_one_with_a_wake_word_of_its_own_is_told_what_was_said_when_the_conversation_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stops streaming at that: told at once, it could not be spoken over."""
    monkeypatch.setattr("agent.server.wyoming.satellite.FOLLOW_UP", 0.3)
    pool = serving.pool(["What is that?"], ["A bell.", "By the sea."], ADDRESS, NO_ECHO)

    async def main(satellite: Satellite) -> None:
        for number in (1, 2):
            await satellite.begin(start_stage="asr", restart_on_end=False)
            await satellite.say(loud())
            await until(lambda number=number: len(satellite.of("transcript")) == number)
            assert satellite.told[-1].type == "transcript"
            assert satellite.told[-2].type == "audio-stop"
            await until(lambda: pool.idle)

    said(pool, main)
    assert history(pool) == [("user", "What is that?"), ("assistant", "A bell."), ("user", "What is that?")]


def test_one_without_a_speaker_is_answered_in_text() -> None:
    pool = serving.pool(["What is that?"], ["A bell."], ADDRESS, NO_ECHO)

    async def main(satellite: Satellite) -> None:
        await satellite.begin(end_stage="handle")
        await satellite.say(loud())
        await until(lambda: satellite.of("handled"))

    satellite = said(pool, main)
    assert satellite.of("handled")[0]["text"] == "A bell."
    assert not satellite.of("audio-chunk")


def test_a_question_is_answered_in_the_sound_that_the_speaker_wants_and_to_its_end() -> None:
    pool = serving.pool(["What is that?"], ["A bell."], ADDRESS, NO_ECHO)

    async def main(satellite: Satellite) -> None:
        await satellite.begin(snd_format={"rate": 22_050, "width": 4, "channels": 2})
        await satellite.say(loud())
        await until(lambda: satellite.of("audio-stop"))

    satellite = said(pool, main)
    kinds = [event.type for event in satellite.told if event.type != "audio-chunk"]
    assert kinds == ["voice-started", "voice-stopped", "transcript", "audio-start", "audio-stop"]
    assert satellite.of("transcript")[0]["text"] == "What is that?"
    sound = [event for event in satellite.told if event.type in ("audio-start", "audio-chunk")]
    forms = {(e.data["rate"], e.data["width"], e.data["channels"]) for e in sound}
    assert forms == {(22_050, 2, 2)}
    total = sum(len(event.payload or b"") for event in sound)
    assert total / 4 / 22_050 == pytest.approx(seconds("A bell."), abs=0.03)


def test_one_that_plays_late_says_so_by_played_and_typed_words_cut_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is on its way to the room then cannot be taken back: it counts as heard."""
    pool = serving.pool(["Hello."], ["Yes?", STORY, "Noon."], ADDRESS, NO_ECHO)
    heard, sides = list[float](), list[Any]()
    made = module._Satellite
    monkeypatch.setattr(module, "_Satellite", lambda *given: sides.append(made(*given)) or sides[-1])

    async def main(satellite: Satellite) -> None:
        await satellite.begin()
        await satellite.client.write_event(Transcript("Hello.").event())
        await until(lambda: sides and sides[0]._session.delay)
        assert sides[0]._session.delay == pytest.approx(0.6 - module.SOONER, abs=0.25)
        before = satellite.heard
        await satellite.client.write_event(Transcript("Tell me a story.").event())
        await until(lambda: satellite.heard - before > 0.5)
        await satellite.client.write_event(Transcript("What time is it?").event())
        await until(lambda: satellite.drained == 2)
        heard.append(satellite.heard - before)
        await until(lambda: len(pool.model.asked) > 2)

    said(pool, main, late=0.6)
    *_, (role, kept), question = history(pool)
    assert (role, question) == ("assistant", ("user", "What time is it?"))
    assert STORY.startswith(kept)
    assert seconds(kept) == pytest.approx(heard[0], abs=0.35)


def test_a_satellite_that_waits_is_called_and_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.server.wyoming.satellites.AGAIN", 0.05)
    told = list[str]()

    async def waiting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (event := await async_read_event(reader)) is not None and event.type != "handled":
            told.append(event.type)
            if event.type == "run-satellite":
                for each in (RunPipeline(PipelineStage.ASR, PipelineStage.HANDLE), Transcript("What time?")):
                    await async_write_event(each.event(), writer)
        writer.close()

    async def main() -> None:
        with anyio.fail_after(20):
            listening = await asyncio.start_server(waiting, "127.0.0.1", 0)
            port = listening.sockets[0].getsockname()[1]
            pool = serving.pool([], ["Noon."], f'server.satellites=["tcp://127.0.0.1:{port}"]')
            async with serving.running(pool):
                await until(lambda: told.count("run-satellite") == 3)
                assert len(pool.model.asked) >= 2
            listening.close()

    anyio.run(main, backend="asyncio")


def test_seats_are_those_of_every_wire_and_who_finds_none_is_told() -> None:
    pool = serving.pool(["x"], ["y"], ADDRESS, NO_ECHO, "server.sessions=1")

    async def main(first: Satellite) -> None:
        await first.begin()
        await until(lambda: pool.taken)
        async with AsyncTcpClient(first.client.host, first.client.port) as client:
            second = Satellite(client)
            await second.begin()
            await second.read()
        error = Error.from_event(second.told[0])
        assert error.code == "busy"
        assert "server.sessions" in error.text
        assert second.over

    said(pool, main)
