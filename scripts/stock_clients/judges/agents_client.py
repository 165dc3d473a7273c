"""OpenAI's Agents SDK for Python with its defaults, in text and by voice."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import numpy as np
from agents import Agent, Runner, function_tool, set_default_openai_client, set_tracing_disabled
from agents.realtime import RealtimeAgent, RealtimeRunner
from agents.voice import (
    AudioInput,
    OpenAIVoiceModelProvider,
    SingleAgentVoiceWorkflow,
    VoicePipeline,
    VoicePipelineConfig,
)
from openai import AsyncOpenAI
from trial import BASE, KEY, REALTIME, tone, trial

os.environ["OPENAI_API_KEY"] = KEY


async def spoken_with(agent: RealtimeAgent[Any], wanted: str) -> bool:
    """A spoken question to an agent, until something of that type happens."""
    session = await RealtimeRunner(agent).run(
        model_config={"url": f"{REALTIME}?model=gpt-realtime", "api_key": KEY}
    )
    async with session:

        async def talk() -> None:
            for part in [*[tone(0.02)] * 50, *[tone(0.02, level=0.0)] * 1500]:
                await session.send_audio(part)
                await asyncio.sleep(0.02)

        talking = asyncio.create_task(talk())
        try:
            async for event in session:
                if event.type == "error":
                    raise RuntimeError(str(event.error))
                if event.type == wanted:
                    return True
        finally:
            talking.cancel()
    return False


async def piped(agent: Agent[Any]) -> int:
    """Samples of the answer to a spoken question, by its pipeline with its defaults."""
    set_default_openai_client(AsyncOpenAI(base_url=BASE, api_key=KEY, max_retries=0))  # of this event loop
    config = VoicePipelineConfig(model_provider=OpenAIVoiceModelProvider(base_url=BASE, api_key=KEY))
    sound = AudioInput(np.frombuffer(tone(0.8), np.int16))
    result = await VoicePipeline(workflow=SingleAgentVoiceWorkflow(agent), config=config).run(sound)
    heard = 0
    async for event in result.stream():
        if event.type == "voice_stream_event_error":
            raise event.error
        if event.type == "voice_stream_event_audio":
            heard += len(event.data)
    return heard


@function_tool
def weather(city: str) -> str:
    """How the weather is."""
    return f"Rain in {city}."


def agents() -> None:
    """The Agents SDK, in text and by voice."""
    set_tracing_disabled(True)
    set_default_openai_client(AsyncOpenAI(base_url=BASE, api_key=KEY, max_retries=0))
    plain, able = Agent(name="A", instructions="Be brief."), Agent(name="A", tools=[weather])
    trial("openai-agents", "Runner", lambda: Runner.run_sync(plain, "Hi").final_output)
    trial("openai-agents", "Runner with a tool", lambda: Runner.run_sync(able, "Ely?").final_output)
    trial("openai-agents", "VoicePipeline", lambda: piped(plain))
    voice: RealtimeAgent[Any] = RealtimeAgent(name="A", instructions="Be brief.")
    clever: RealtimeAgent[Any] = RealtimeAgent(name="A", tools=[weather])
    trial("openai-agents", "RealtimeRunner", lambda: spoken_with(voice, "audio_end"))
    trial("openai-agents", "RealtimeRunner with a tool", lambda: spoken_with(clever, "tool_end"))


agents()
