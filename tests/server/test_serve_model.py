"""The whole server with real engines: a spoken question, its answer heard, an interruption."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import anyio
import numpy as np
import pytest
import serving
from openai import AsyncOpenAI

from agent.config import load
from agent.server.pool import Pool, load_pool
from audio.files import read_audio
from audio.frame import Frame, level_dbfs, silence
from audio.pcm import from_pcm16, pcm16

pytestmark = [pytest.mark.model, pytest.mark.net]

DEMO = Path(__file__).parents[2] / "configs" / "demo"
RATE = 24_000


@pytest.fixture(scope="module")
def pool() -> Pool:
    settings = [
        "llm.model=smollm2",
        "server.sessions=2",
        "server.port=0",
        "server.rate=10000",
        "server.load=1",
    ]
    return load_pool(load(None, settings))


def run(pool: Pool, main) -> None:
    async def inside() -> None:
        with anyio.fail_after(120):
            async with serving.running(pool) as address, serving.stock(address) as client:
                await main(client)

    anyio.run(inside, backend="asyncio")


def test_a_spoken_question_is_answered_and_the_answer_interrupted(pool: Pool) -> None:
    async def main(client: AsyncOpenAI) -> None:
        spoken: list[np.ndarray] = []
        audible = anyio.Event()

        async with client.realtime.connect(model="smollm2") as connection:

            async def say(sound: Frame) -> None:
                data, began = pcm16(sound.at_rate(RATE).samples), anyio.current_time()
                for number, start in enumerate(range(0, len(data), 1920)):
                    piece = base64.b64encode(data[start : start + 1920]).decode()
                    await connection.input_audio_buffer.append(audio=piece)
                    await anyio.sleep_until(began + (number + 1) * 0.04)

            async def user() -> None:
                await say(read_audio(DEMO / "story.wav"))
                while not audible.is_set():
                    await say(Frame(silence(0.2, RATE), RATE))
                await say(Frame(silence(2.0, RATE), RATE))
                await say(read_audio(DEMO / "interrupt.wav"))
                await say(Frame(silence(60.0, RATE), RATE))

            words: list[str] = []
            done: list = []
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(user)
                async for event in connection:
                    if event.type == "response.output_audio.delta":
                        spoken.append(from_pcm16(base64.b64decode(event.delta)))
                        audible.set()
                    elif event.type == "error":
                        pytest.fail(event.error.message)
                    elif event.type == "conversation.item.input_audio_transcription.completed":
                        words.append(event.transcript)
                    elif event.type == "response.done":
                        done.append(event.response)
                        if len(done) == 2:
                            break
                tasks.cancel_scope.cancel()
        assert re.search(r"lighthouse", words[0])
        assert re.search(r"days.*week", words[1])
        assert [r.status for r in done] == ["cancelled", "completed"]
        heard, answer = (r.output[0].content[0].transcript for r in done)
        assert 3 <= len(heard.split()) <= 25, "about two to five seconds of it were heard"
        assert answer
        assert level_dbfs(np.concatenate(spoken)) > -40

    run(pool, main)


def test_chat_speech_and_transcription_agree(pool: Pool) -> None:
    async def main(client: AsyncOpenAI) -> None:
        asked = {
            "model": "smollm2",
            "messages": [{"role": "user", "content": "Say hello."}],
            "temperature": 0.0,
        }
        whole = await client.chat.completions.create(**asked, max_tokens=12)
        stream = await client.chat.completions.create(**asked, max_tokens=12, stream=True)
        parts = [c.choices[0].delta.content or "" async for c in stream]
        assert "".join(parts) == whole.choices[0].message.content
        assert 0 < whole.usage.completion_tokens <= 12
        assert whole.usage.prompt_tokens > 5
        speech = await client.audio.speech.create(
            model="hibari", voice="default", input="How many days are there in a week?", response_format="wav"
        )
        heard = await client.audio.transcriptions.create(
            model="whisper-tiny.en", file=("a.wav", speech.content)
        )
        assert re.search(r"how many days are there in a week", heard.text.lower())

    run(pool, main)


def test_two_conversations_at_once_keep_their_own_thread(pool: Pool) -> None:
    async def main(client: AsyncOpenAI) -> None:
        answers: dict[str, str] = {}

        async def one(name: str) -> None:
            messages = [{"role": "user", "content": f"My name is {name}. What is my name?"}]
            whole = await client.chat.completions.create(
                model="smollm2", messages=messages, temperature=0.0, max_tokens=16
            )
            answers[name] = whole.choices[0].message.content or ""

        async with anyio.create_task_group() as tasks:
            for name in ("Margaret", "Oliver"):
                tasks.start_soon(one, name)
        assert "Margaret" in answers["Margaret"]
        assert "Oliver" in answers["Oliver"]
        assert "Oliver" not in answers["Margaret"]

    run(pool, main)
