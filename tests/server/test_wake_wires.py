"""Before the wake word nothing of the sound goes anywhere, whichever wire it comes by."""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import numpy as np
import pytest
import serving
from prometheus_client import generate_latest
from websockets.asyncio.client import connect
from wyoming.client import AsyncTcpClient

import scripted
from agent.server.admission.exposure import host_and_port
from audio.frame import HEARING_RATE, Frame
from audio.pcm import pcm16
from audio.stt import Transcript
from satellite import Satellite

pytestmark = pytest.mark.net

BEFORE, BEHIND = 0.8, 0.8
"""Seconds that are said before the word, and behind it."""


@dataclass
class Ears(scripted.ScriptedSTT):
    """Keeps what it was given; what was said before the word it would understand as a secret."""

    texts: list[str] = field(default_factory=list)
    given: list[Frame] = field(default_factory=list)

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        self.given.append(audio)
        return Transcript("Secretcanary." if loudest(audio) > 0.35 else "What time is it?")


def loudest(audio: Frame) -> float:
    """Of what is in it; the scripted word is over a quarter of a wave before its sound is."""
    return float(np.abs(audio.samples[HEARING_RATE // 500 :]).max())


def sound() -> np.ndarray:
    """Somebody talks (louder), a pause, the word, a question (quieter), silence; 16 kHz."""
    parts = [tone(BEFORE, 0.4), np.zeros(6400), tone(0.6, 0.65), tone(BEHIND, 0.25), np.zeros(16_000)]
    return np.concatenate(parts).astype(np.float32)


def tone(seconds: float, level: float) -> np.ndarray:
    """What the scripted detector takes for speech, and above 0.5 the scripted wake engine for its word."""
    return level * np.sin(2 * np.pi * 500 * np.arange(round(seconds * HEARING_RATE)) / HEARING_RATE)


def listening(*settings: str) -> tuple[serving.Scripted, Ears]:
    made, ears = (
        serving.pool([], ["It is noon."], "wake.model=hey_jarvis", "echo.cancel=false", *settings),
        Ears(),
    )
    for slot in [*made._free, *made._halves]:
        slot.engines = replace(slot.engines, stt=ears)
    return made, ears


def nothing_of_before(ears: Ears, told: list[dict[str, Any]], logged: str) -> None:
    assert ears.given, "the question was not heard"
    for heard in ears.given:
        assert loudest(heard) < 0.35, "something from before the word, or the word itself"
    assert "Secretcanary" not in logged + json.dumps(told) + generate_latest().decode()


@pytest.mark.parametrize(("settings", "query"), [((), ""), (("wake.model=",), "&wake=hey_jarvis")])
def test_realtime_hears_what_comes_behind_the_word_alone(
    settings: tuple[str, ...], query: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether it is the server's settings that want it, or the client."""
    pool, ears = listening(*settings)
    told: list[dict[str, Any]] = []
    resampled = Frame(sound(), HEARING_RATE).at_rate(24_000).samples

    async def main() -> None:
        with anyio.fail_after(30), caplog.at_level(logging.DEBUG):
            async with (
                serving.running(pool) as address,
                connect(f"ws{address.removeprefix('http')}/v1/realtime?events=all{query}") as socket,
            ):
                for start in range(0, len(resampled), 2400):
                    part = base64.b64encode(pcm16(resampled[start : start + 2400])).decode()
                    await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": part}))
                while not told or told[-1]["type"] != "response.done":
                    told.append(json.loads(await socket.recv()))

    anyio.run(main, backend="asyncio")
    nothing_of_before(ears, told, caplog.text)
    inner = [each["event"] for each in told if each["type"] == "backchat.event"]
    states = [each["state"] for each in inner if each["event"] == "attention_changed"]
    assert states[:2] == ["asleep", "awake"]
    woken = next(
        at for at, each in enumerate(told) if each.get("event", {}).get("event") == "wake_word_detected"
    )
    early = {each["type"] for each in told[:woken]} - {"session.created", "backchat.event"}
    assert early == set(), "a client was told of speech that nobody listened to"
    (committed,) = [each for each in inner if each["event"] == "turn_committed"]
    assert committed["text"] == "What time is it?"


@pytest.mark.parametrize(("stage", "heard"), [("wake", "What time is it?"), ("asr", "Secretcanary.")])
def test_a_satellite_waits_for_our_word_unless_it_has_its_own(
    stage: str, heard: str, caplog: pytest.LogCaptureFixture
) -> None:
    pool, ears = listening("server.wyoming=tcp://127.0.0.1:0")
    found: list[Satellite] = []

    async def main() -> None:
        with anyio.fail_after(30), caplog.at_level(logging.DEBUG):
            async with serving.both(pool) as (_, address), AsyncTcpClient(*host_and_port(address)) as client:
                found.append(satellite := Satellite(client))
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(satellite.read)
                    tasks.start_soon(satellite.run)
                    await satellite.begin(start_stage=stage)
                    await satellite.say(sound())
                    while not satellite.of("transcript"):
                        await anyio.sleep(0.02)
                    tasks.cancel_scope.cancel()

    anyio.run(main, backend="asyncio")
    (satellite,) = found
    assert satellite.of("transcript")[0]["text"] == heard
    kinds = [event.type for event in satellite.told]
    if stage == "wake":
        nothing_of_before(ears, [event.data for event in satellite.told], caplog.text)
        assert kinds[0] == "detection", "nothing is told before the word"
    else:
        assert "detection" not in kinds


@pytest.mark.parametrize(
    ("chosen", "settings", "model"),
    [(None, "hey_jarvis", "hey_jarvis"), ("alexa", "hey_jarvis", "alexa"), ("none", "hey_jarvis", ""),
     ("alexa", "", "alexa"), (None, "", "")],
)  # fmt: skip
def test_a_client_chooses_its_word_and_the_rest_stays_the_servers(
    chosen: str | None, settings: str, model: str
) -> None:
    pool, _ = listening(f"wake.model={settings}", "wake.follow_up=3")
    found = pool.waking(chosen)
    assert (found.model, found.follow_up) == (model, 3.0)


def test_a_word_that_is_not_here_is_refused_by_name_before_anything_is_heard() -> None:
    pool, ears = listening()

    async def main() -> dict[str, Any]:
        with anyio.fail_after(30):
            async with (
                serving.running(pool) as address,
                connect(f"ws{address.removeprefix('http')}/v1/realtime?wake=hal") as socket,
            ):
                return json.loads(await socket.recv())

    told = anyio.run(main, backend="asyncio")
    assert (told["type"], told["error"]["param"]) == ("error", "wake")
    assert "no wake word is called 'hal'; there are: " in told["error"]["message"]
    assert "hey_jarvis" in told["error"]["message"]
    assert ears.given == []
