"""A sign shown to the real models over the network: its words are in the answer, on each wire."""

from __future__ import annotations

import base64
from collections.abc import Callable

import anyio
import grpc
import pytest
import serving
from openai import AsyncOpenAI

import pictures
from agent.config import load
from agent.conversation.speak import render
from agent.engines import registry as engines
from agent.protocols import Engines
from agent.server.grpc import backchat_pb2 as pb
from agent.server.grpc.server import running_server
from agent.server.pool import Pool
from agent.server.telemetry.metrics import Metrics
from agent.settings import Config
from audio.frame import Frame
from audio.pcm import pcm16

pytestmark = [pytest.mark.model, pytest.mark.net]

SIGN = pictures.encoded(pictures.sign("NO PARKING").rotate(6, fillcolor="grey"), "JPEG")
QUESTION = "What does this sign say?"
MODEL = "qwen2.5-0.5b"


@pytest.fixture(scope="module")
def loaded() -> tuple[Config, Engines]:
    chosen = [
        "server.port=0",
        "server.grpc_port=0",
        "server.sessions=1",
        "llm.max_tokens=40",
        "llm.temperature=0",
    ]
    config = load(None, [*chosen, "server.rate=100000", "server.load=1"])
    return config, engines.load(config)


@pytest.fixture
def pool(loaded: tuple[Config, Engines]) -> Pool:
    config, one = loaded
    return Pool(config, [one])


def url() -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(SIGN).decode()}"


def served(pool: Pool, main: Callable) -> None:
    async def inside() -> None:
        with anyio.fail_after(120):
            async with serving.running(pool) as address, serving.stock(address) as client:
                await main(client)

    anyio.run(inside, backend="asyncio")


def test_a_spoken_question_over_the_realtime_protocol(pool: Pool):
    with pool.shared_slot() as slot:
        voice = slot.engines.tts
        sound = pcm16(Frame(render(QUESTION, voice), voice.rate).at_rate(24_000).samples)

    async def main(client: AsyncOpenAI) -> None:
        async with client.realtime.connect(model=MODEL) as connection:
            shown = [{"type": "input_image", "image_url": url()}]
            await connection.conversation.item.create(
                item={"type": "message", "role": "user", "content": shown}  # pyright: ignore
            )

            async def user() -> None:
                for data in (sound, bytes(48_000 * 60)):
                    for start in range(0, len(data), 4_800):
                        block = base64.b64encode(data[start : start + 4_800]).decode()
                        await connection.input_audio_buffer.append(audio=block)
                        await anyio.sleep(0.1)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(user)
                while (event := await connection.recv()).type != "response.done":
                    assert event.type != "error", event
                tasks.cancel_scope.cancel()
            said = event.response.output[0].content[0].transcript
            assert "no parking" in said.lower(), said

    served(pool, main)


def test_a_chat_request(pool: Pool):
    async def main(client: AsyncOpenAI) -> None:
        parts = [{"type": "image_url", "image_url": {"url": url()}}, {"type": "text", "text": QUESTION}]
        asked = [{"role": "user", "content": parts}]
        answer = await client.chat.completions.create(model=MODEL, messages=asked, max_tokens=40)  # pyright: ignore
        assert "no parking" in (answer.choices[0].message.content or "").lower(), answer

    served(pool, main)


def test_grpc(pool: Pool):
    async def inside() -> None:
        with anyio.fail_after(120):
            async with (
                running_server(pool, None, Metrics(pool)) as running,
                grpc.aio.insecure_channel(running.address) as channel,
            ):
                call = channel.stream_stream(
                    "/backchat.v1.Backchat/Converse",
                    request_serializer=pb.ConverseRequest.SerializeToString,
                    response_deserializer=pb.ConverseReply.FromString,
                )()
                await call.write(pb.ConverseRequest(image=SIGN))
                await call.write(pb.ConverseRequest(text=QUESTION))
                await call.done_writing()
                replies = [reply async for reply in call]
        tokens = [r.event.fields["text"] for r in replies if r.event.name == "token"]
        assert "no parking" in "".join(tokens).lower(), tokens
        assert sum(len(r.sound.audio) for r in replies) > 24_000

    anyio.run(inside, backend="asyncio")
