"""LiveKit's plugin: its Realtime model, language model, speech and transcription."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from livekit import rtc
from livekit.agents import llm, utils
from livekit.plugins import openai
from trial import BASE, KEY, tone, trial


def frame(data: bytes, rate: int = 24_000) -> rtc.AudioFrame:
    """A stretch from the microphone."""
    return rtc.AudioFrame(data, rate, 1, len(data) // 2)


async def realtime() -> bool:
    """A spoken question, answered by voice."""
    async with aiohttp.ClientSession() as http:
        model = openai.realtime.RealtimeModel(base_url=BASE, api_key=KEY, http_session=http)
        session = model.session()
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def first(value: Any) -> None:
            if not answered.done():
                answered.set_result(value)

        session.on("generation_created", first)
        session.on("error", lambda event: first(event.error) if not event.recoverable else None)
        for _ in range(50):
            session.push_audio(frame(tone(0.02)))
            await asyncio.sleep(0.02)
        for _ in range(100):
            session.push_audio(frame(tone(0.02, level=0.0)))
            await asyncio.sleep(0.02)
        created = await answered
        if isinstance(created, Exception):
            raise created
        sound = 0
        async for message in created.message_stream:
            async for part in message.audio_stream:
                sound += part.samples_per_channel
        await session.aclose()
        return sound > 0


async def chat() -> bool:
    """A chat."""
    context = llm.ChatContext.empty()
    context.add_message(role="user", content="Hi")
    model = openai.LLM(model="gpt-4o", base_url=BASE, api_key=KEY)
    text = ""
    async with model.chat(chat_ctx=context) as stream:
        async for chunk in stream:
            text += (chunk.delta.content or "") if chunk.delta else ""
    return bool(text)


async def speech() -> bool:
    """A sentence as sound."""
    count = 0
    async with openai.TTS(base_url=BASE, api_key=KEY).synthesize("Hi there.") as stream:
        async for part in stream:
            count += part.frame.samples_per_channel
    return count > 0


async def words() -> bool:
    """A stretch of speech as words."""
    event = await openai.STT(base_url=BASE, api_key=KEY, use_realtime=False).recognize(frame(tone(0.5)))
    return bool(event.alternatives[0].text)


async def streamed() -> bool:
    """The same over Realtime, by a session that only transcribes."""
    stream = openai.STT(base_url=BASE, api_key=KEY, use_realtime=True).stream()
    for level, count in ((0.4, 50), (0.0, 100)):
        for _ in range(count):
            stream.push_frame(frame(tone(0.02, level=level)))
            await asyncio.sleep(0.02)
    async for event in stream:
        if event.type == "final_transcript":
            return bool(event.alternatives[0].text)
    return False


async def within(run: Any) -> bool:
    """In a job's context, which gives HTTP clients."""
    utils.http_context._new_session_ctx()
    try:
        return await run()
    finally:
        await utils.http_context._close_http_ctx()


trial("livekit", "RealtimeModel", lambda: within(realtime))
trial("livekit", "LLM", lambda: within(chat))
trial("livekit", "TTS", lambda: within(speech))
trial("livekit", "STT", lambda: within(words))
trial("livekit", "STT over Realtime", lambda: within(streamed))
