"""Vision Agents: its Realtime by WebRTC, with the camera that it offers, its language model and its voice."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import numpy as np
from getstream.video.rtc.track_util import AudioFormat, PcmData
from trial import BASE, KEY, tone, trial
from vision_agents.core.edge.types import Participant
from vision_agents.plugins import openai

os.environ["OPENAI_API_KEY"], os.environ["OPENAI_BASE_URL"] = KEY, BASE
RATE, BLOCK = 48_000, 960
NAME = "vision-agents"


async def spoken() -> bool:
    """A typed question and a spoken one, each answered by sound."""
    line: Any = openai.Realtime()
    told, sounds = list[str](), list[Any]()
    events, play = line._handle_openai_event, line._handle_audio_output

    async def take(event: dict[str, Any]) -> None:
        told.append(event["type"])
        await events(event)

    async def listen(sound: Any) -> None:
        sounds.append(sound)
        await play(sound)

    async def until(count: int) -> None:
        while told.count("response.done") < count:
            await asyncio.sleep(0.05)

    line._handle_openai_event, line._handle_audio_output = take, listen
    await line.connect()
    _ = [part async for part in line.simple_response("Hi")]
    await until(1)
    samples = np.frombuffer(tone(1.0, RATE) + tone(1.5, RATE, 0.0), np.int16)
    who: Any = Participant(original=None, user_id="u", id="u")
    for at in range(0, len(samples) - BLOCK + 1, BLOCK):
        block = samples[at : at + BLOCK]
        pcm = PcmData(samples=block, sample_rate=RATE, format=AudioFormat.S16, channels=1)
        await line.simple_audio_response(pcm, who)
        await asyncio.sleep(BLOCK / RATE)
    await until(2)
    await line.close()
    return "error" not in told and bool(sounds)


async def written() -> list[Any]:
    """By responses, in a conversation that it makes first."""
    model: Any = openai.LLM(model="gpt-4o")
    return [part async for part in model.simple_response("Hi")]


async def read_aloud() -> list[Any]:
    """A text as speech."""
    voice: Any = openai.TTS()
    return [await voice.stream_audio("Hi there.")]


trial(NAME, "Realtime by WebRTC", spoken)
trial(NAME, "LLM", written)
trial(NAME, "TTS", read_aloud)
os._exit(0)  # its threads would go on
