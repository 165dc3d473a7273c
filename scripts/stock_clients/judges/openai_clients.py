"""OpenAI's library for Python, over HTTP and Realtime."""

from __future__ import annotations

import base64
import os
from typing import Any

from openai import AsyncOpenAI, OpenAI
from trial import BASE, KEY, tone, trial, wav

os.environ["OPENAI_API_KEY"] = KEY
client = OpenAI(base_url=BASE, api_key=KEY, max_retries=0)
ASKED: Any = [{"role": "user", "content": "Hi"}]
FORM: Any = {"type": "json_schema", "json_schema": {"name": "p", "schema": {"type": "object"}}}
TOOL: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
sound = ("a.wav", wav())


def chat(**more: Any) -> Any:
    """The answer to a chat."""
    return client.chat.completions.create(model="gpt-4o-mini", messages=ASKED, **more).choices[0].message


def streamed() -> str:
    """The same in pieces."""
    chunks = client.chat.completions.create(model="gpt-5", messages=ASKED, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def spoken() -> int:
    """Speech, while it comes."""
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="marin", input="Hi there."
    ) as reply:
        return sum(map(len, reply.iter_bytes()))


def over_http() -> None:
    """Each resource that a voice agent uses."""
    words: Any = client.audio.transcriptions
    trial("openai", "chat", lambda: chat().content)
    trial("openai", "chat stream", streamed)
    trial("openai", "chat tools", lambda: chat(tools=[TOOL]).tool_calls)
    trial("openai", "chat json_schema", lambda: chat(response_format=FORM).content)
    trial("openai", "responses", lambda: client.responses.create(model="gpt-5", input="Hi").output_text)
    trial(
        "openai",
        "responses stream",
        lambda: list(client.responses.create(model="gpt-5", input="Hi", stream=True)),
    )
    trial("openai", "speech", spoken)
    trial("openai", "transcription", lambda: words.create(model="gpt-4o-transcribe", file=sound).text)
    trial(
        "openai",
        "transcription verbose_json",
        lambda: words.create(model="whisper-1", file=sound, response_format="verbose_json").segments,
    )
    trial(
        "openai",
        "transcription stream",
        lambda: list(words.create(model="gpt-4o-transcribe", file=sound, stream=True)),
    )
    trial("openai", "models", lambda: client.models.list().data)
    trial("openai", "client secret", lambda: client.realtime.client_secrets.create().value)


async def told() -> bool:
    """A Realtime session in text."""
    async with AsyncOpenAI(base_url=BASE, api_key=KEY).realtime.connect(model="gpt-realtime") as line:
        await line.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        part: Any = {"type": "input_text", "text": "Hi"}
        await line.conversation.item.create(item={"type": "message", "role": "user", "content": [part]})
        await line.response.create()
        text = ""
        async for event in line:
            if event.type == "error":
                raise RuntimeError(event.error.message)
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.done":
                return bool(text)
    return False


async def transcribed() -> bool:
    """A Realtime session that only transcribes."""
    async with AsyncOpenAI(base_url=BASE, api_key=KEY).realtime.connect(
        extra_query={"intent": "transcription"}
    ) as line:
        model: Any = {"model": "gpt-4o-transcribe"}
        await line.session.update(
            session={"type": "transcription", "audio": {"input": {"transcription": model}}}
        )
        for start in range(0, len(data := tone(0.8) + tone(1.0, level=0.0)), 4800):
            await line.input_audio_buffer.append(audio=base64.b64encode(data[start : start + 4800]).decode())
        async for event in line:
            if event.type == "error":
                raise RuntimeError(event.error.message)
            if event.type == "conversation.item.input_audio_transcription.completed":
                return bool(event.transcript)
    return False


over_http()
trial("openai", "realtime", told)
trial("openai", "realtime transcription", transcribed)
