"""Semantic Kernel: chat, speech, transcription, and its Realtime client."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI
from semantic_kernel.connectors.ai.open_ai import (
    OpenAIAudioToText,
    OpenAIChatCompletion,
    OpenAIChatPromptExecutionSettings,
    OpenAIRealtimeExecutionSettings,
    OpenAIRealtimeWebsocket,
    OpenAITextToAudio,
)
from semantic_kernel.contents import AudioContent, ChatHistory, RealtimeAudioEvent
from trial import BASE, KEY, tone, trial, wav


def client() -> AsyncOpenAI:
    """OpenAI's own, at our address."""
    return AsyncOpenAI(base_url=BASE, api_key=KEY, max_retries=0)


async def chat() -> Any:
    """An answer."""
    history = ChatHistory()
    history.add_user_message("Hi")
    service = OpenAIChatCompletion("gpt-4o", async_client=client())
    return (await service.get_chat_message_content(history, OpenAIChatPromptExecutionSettings())).content


async def streamed() -> str:
    """An answer in pieces."""
    history = ChatHistory()
    history.add_user_message("Hi")
    service = OpenAIChatCompletion("gpt-4o", async_client=client())
    pieces = service.get_streaming_chat_message_content(history, OpenAIChatPromptExecutionSettings())
    return "".join([str(piece) async for piece in pieces if piece is not None])


async def spoken() -> Any:
    """A sentence as sound."""
    return (await OpenAITextToAudio("tts-1", async_client=client()).get_audio_content("Hi there.")).data


async def heard() -> Any:
    """A sound as words."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        path.write_bytes(wav())
        sound = AudioContent.from_audio_file(str(path))
        return (await OpenAIAudioToText("whisper-1", async_client=client()).get_text_content(sound)).text


async def realtime() -> bool:
    """A spoken question, answered by voice."""
    settings = OpenAIRealtimeExecutionSettings(instructions="Be brief.", voice="alloy")
    service = OpenAIRealtimeWebsocket(ai_model_id="gpt-realtime", client=client(), settings=settings)
    async with service():

        async def talk() -> None:
            for part in [*[tone(0.02)] * 50, *[tone(0.02, level=0.0)] * 500]:
                await service.send(RealtimeAudioEvent(audio=AudioContent(data=part, data_format="base64")))
                await asyncio.sleep(0.02)

        talking = asyncio.create_task(talk())
        try:
            async for event in service.receive():
                if getattr(event, "service_type", "") == "error":
                    raise RuntimeError(str(event.service_event))
                if isinstance(event, RealtimeAudioEvent):
                    return True
        finally:
            talking.cancel()
    return False


trial("semantic-kernel", "OpenAIChatCompletion", chat)
trial("semantic-kernel", "streamed", streamed)
trial("semantic-kernel", "OpenAITextToAudio", spoken)
trial("semantic-kernel", "OpenAIAudioToText", heard)
trial("semantic-kernel", "OpenAIRealtimeWebsocket", realtime)
