"""Pictures on every wire, by stock clients, with a scripted eye and scripted engines on a real socket."""

from __future__ import annotations

import base64
from collections.abc import Callable

import anyio
import grpc
import numpy as np
import pytest
import serving
from openai import AsyncOpenAI, BadRequestError

import pictures
import scripted
from agent.config import load
from agent.images import Picture
from agent.protocols import Description
from agent.server.grpc import backchat_pb2 as pb
from agent.server.grpc.server import running_server
from agent.server.telemetry.metrics import Metrics

pytestmark = pytest.mark.net

STOP = pictures.encoded(pictures.sign("STOP", back="red"))
GO = pictures.encoded(pictures.sign("GO", back="green"), "WEBP")


class ColourVision:
    """Tells the colour of the first pixel."""

    def look(self, picture: Picture) -> Description:
        name = ["red", "green", "blue"][int(np.argmax(picture.pixels[0, 0]))]
        return Description("Look.", f"It is {name}.", f"I showed you {name}.")


def url(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def pool(*settings: str) -> serving.Scripted:
    config = load(None, [*serving.SETTINGS, "server.port=0", *settings])
    llm = serving.SharedLLM(["A sign."], config.server.sessions)
    engines = scripted.with_loudness(
        scripted.ScriptedSTT(["What is it?"]), llm, scripted.ScriptedTTS(), vision=ColourVision()
    )
    made = serving.Scripted(config, [engines])
    made.model = llm
    return made


def told(made: serving.Scripted) -> list[str]:
    """What the model was told last, without the system message, in each conversation."""
    return [" | ".join(m.content for m in messages if m.role != "system") for messages in made.model.asked]


def served(made: serving.Scripted, main: Callable) -> None:
    async def inside() -> None:
        with anyio.fail_after(60):
            async with serving.running(made) as address, serving.stock(address) as client:
                await main(client)

    anyio.run(inside, backend="asyncio")


async def until(connection, kind: str, seen: list | None = None):
    while True:
        event = await connection.recv()
        if seen is not None:
            seen.append(event)
        if event.type == kind:
            return event


async def item(connection, *content: dict) -> None:
    await connection.conversation.item.create(
        item={"type": "message", "role": "user", "content": list(content)}
    )


TEXT = {"type": "input_text", "text": "What is it?"}


def test_the_realtime_client_shows_a_picture_with_its_question():
    made = pool()

    async def main(client: AsyncOpenAI) -> None:
        async with client.realtime.connect(model="qwen2.5-0.5b") as connection:
            await item(connection, {"type": "input_image", "image_url": url(STOP)}, TEXT)
            await connection.response.create()
            await until(connection, "response.done")
            await item(connection, TEXT)
            await connection.response.create()
            await until(connection, "response.done")

    served(made, main)
    first, second = told(made)
    assert first == "Look. | It is red. | What is it?"
    assert second == "I showed you red.\nWhat is it? | A sign. | What is it?"


def test_a_picture_goes_with_a_spoken_question_and_a_camera_with_all():
    made = pool()

    async def main(client: AsyncOpenAI) -> None:
        async with client.realtime.connect(model="qwen2.5-0.5b") as connection:

            async def say(seconds: float, level: float) -> None:
                for _ in range(round(seconds / 0.1)):
                    sound = base64.b64encode(serving.tone(0.1, level)).decode()
                    await connection.input_audio_buffer.append(audio=sound)
                    await anyio.sleep(0.1)

            await connection.send({"type": "backchat.view", "image_url": url(GO, "webp")})  # pyright: ignore
            for _ in range(2):
                await say(0.6, 0.4)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(say, 30.0, 0.0)
                    await until(connection, "response.done")
                    tasks.cancel_scope.cancel()

    served(made, main)
    first, second = told(made)
    assert first == "Look. | It is green. | What is it?"
    assert second == "I showed you green.\nWhat is it? | A sign. | Look. | It is green. | What is it?"


@pytest.mark.parametrize(
    "bad", ["https://example.org/a.png", "/etc/passwd", url(STOP[:900]), url(b"hello"), ""]
)
def test_a_bad_picture_is_an_error_and_the_connection_lives(bad: str):
    made = pool()

    async def main(client: AsyncOpenAI) -> None:
        async with client.realtime.connect(model="qwen2.5-0.5b") as connection:
            await item(connection, {"type": "input_image", "image_url": bad}, TEXT)
            error = await until(connection, "error")
            assert "image" in error.error.message or "picture" in error.error.message
            assert "\n" not in error.error.message
            await item(connection, {"type": "input_image", "image_url": url(STOP)}, TEXT)
            await connection.response.create()
            await until(connection, "response.done")

    served(made, main)
    assert "It is red." in told(made)[-1]


def chat(*urls: str) -> list:
    parts = [{"type": "image_url", "image_url": {"url": each}} for each in urls]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "What is it?"}]}]


def test_chat_completions_take_pictures():
    made = pool()

    async def main(client: AsyncOpenAI) -> None:
        model = "qwen2.5-0.5b"
        whole = await client.chat.completions.create(model=model, messages=chat(url(STOP), url(GO)))
        assert whole.choices[0].message.content == "A sign."
        stream = await client.chat.completions.create(model=model, messages=chat(url(GO)), stream=True)
        assert "".join([part.choices[0].delta.content or "" async for part in stream]) == "A sign."
        for bad in ("https://example.org/a.png", "file:///etc/passwd", url(GO[:200])):
            with pytest.raises(BadRequestError, match="image_url"):
                await client.chat.completions.create(model=model, messages=chat(bad))
        with pytest.raises(BadRequestError, match="more than 8 pictures"):
            await client.chat.completions.create(model=model, messages=chat(*[url(GO)] * 9))

    served(made, main)
    assert told(made) == [
        "Look. | It is red. | Look. | It is green. | What is it?",
        "Look. | It is green. | What is it?",
    ]


def test_grpc_takes_pictures():
    made = pool("server.grpc_port=0")

    async def inside() -> None:
        with anyio.fail_after(60):
            async with (
                running_server(made, None, Metrics(made)) as running,
                grpc.aio.insecure_channel(running.address) as channel,
            ):
                call = channel.stream_stream(
                    "/backchat.v1.Backchat/Converse",
                    request_serializer=pb.ConverseRequest.SerializeToString,
                    response_deserializer=pb.ConverseReply.FromString,
                )()
                await call.write(pb.ConverseRequest(image=STOP[:500]))
                await call.write(pb.ConverseRequest(image=STOP))
                await call.write(pb.ConverseRequest(text="What is it?"))
                await call.done_writing()
                names = [reply.event.name async for reply in call]
                assert names.count("seen") == 1
                assert names.count("turn_ended") == 1

    anyio.run(inside, backend="asyncio")
    assert told(made) == ["Look. | It is red. | What is it?"]
