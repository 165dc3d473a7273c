"""Sessions on a wire whose model has little context: what does not fit is told, and the talk goes on."""

from __future__ import annotations

import json
from typing import Any

import anyio
import grpc
import pytest
import serving
from websockets.asyncio.client import ClientConnection, connect

from agent.llm.context import TOO_LONG
from agent.server.grpc import backchat_pb2 as pb
from agent.server.grpc.server import running_server
from agent.server.telemetry.metrics import Metrics

pytestmark = pytest.mark.net

LIMIT = 200
REPLY = "I am here."


def small(*settings: str) -> serving.Scripted:
    return serving.pool([""], [REPLY], "session.system=Be brief.", *settings, limit=LIMIT)


class Client:
    """Text in, text out, on the Realtime socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.errors: list[dict[str, Any]] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self._socket.send(json.dumps({"type": kind, **fields}))

    async def item(self, role: str, text: str) -> None:
        content = [{"type": "output_text" if role == "assistant" else "input_text", "text": text}]
        await self.send(
            "conversation.item.create", item={"type": "message", "role": role, "content": content}
        )

    async def until(self, *kinds: str) -> dict[str, Any]:
        while True:
            event = json.loads(await self._socket.recv())
            if event["type"] == "error":
                self.errors.append(event["error"])
            if event["type"] in kinds:
                return event

    async def answer(self, text: str) -> str:
        await self.item("user", text)
        await self.send("response.create")
        done = (await self.until("response.done"))["response"]
        assert done["status"] == "completed"
        return done["output"][0]["content"][0]["text"]


def socket_of(address: str) -> str:
    return f"{address}/v1/realtime".replace("http", "ws")


def talked(pool: serving.Scripted, main: Any) -> None:
    async def inside() -> None:
        with anyio.fail_after(60):
            async with serving.running(pool) as address, connect(socket_of(address)) as socket:
                client = Client(socket)
                await client.send(
                    "session.update", session={"type": "realtime", "output_modalities": ["text"]}
                )
                await client.until("session.updated")
                await main(client)

    anyio.run(inside, backend="asyncio")


def test_a_pasted_text_is_refused_in_words_and_a_long_talk_goes_on() -> None:
    async def main(client: Client) -> None:
        for turn in range(60):
            assert await client.answer(f"This is question {turn} of a great many.") == REPLY
        assert client.errors == []
        assert await client.answer("much " * 400) == TOO_LONG
        (error,) = client.errors
        assert "404 tokens long, more than the model's context of 200" in error["message"]
        assert await client.answer("And now?") == REPLY

    pool = small()
    talked(pool, main)
    assert sum(model.refusals for model in pool.model.each) == 0


def test_a_conversation_that_was_had_elsewhere_is_taken_up_however_long() -> None:
    async def main(client: Client) -> None:
        for _ in range(100):
            await client.item("assistant", "The sea is deep and blue and cold.")
        assert await client.answer("And now?") == REPLY

    pool = small()
    talked(pool, main)
    (asked,) = pool.model.asked
    assert asked[-1].content.endswith("And now?")
    assert sum(len(message.content.split()) for message in asked) < LIMIT


def test_instructions_that_are_too_long_are_refused_and_the_old_ones_stay() -> None:
    async def main(client: Client) -> None:
        long = "word " * 300
        await client.send("session.update", session={"type": "realtime", "instructions": long})
        await client.until("error")
        await client.item("system", long)
        await client.until("error")
        await client.send("response.create", response={"instructions": long})
        await client.until("error")
        assert [error["code"] for error in client.errors] == ["context_length_exceeded"] * 3
        assert all("the instructions are" in error["message"] for error in client.errors)
        await client.send("session.update", session={"type": "realtime", "instructions": "Be kind."})
        assert await client.answer("Hello.") == REPLY

    pool = small()
    talked(pool, main)
    assert pool.model.asked[0][0].content == "Be kind."


def test_grpc_refuses_instructions_that_are_too_long() -> None:
    pool = serving.pool([""], [REPLY], "server.grpc_port=0", "session.system=Be brief.", limit=LIMIT)

    async def inside() -> None:
        with anyio.fail_after(30):
            async with (
                running_server(pool, None, Metrics(pool)) as running,
                grpc.aio.insecure_channel(running.address) as channel,
            ):
                converse = channel.stream_stream(
                    "/backchat.v1.Backchat/Converse",
                    request_serializer=pb.ConverseRequest.SerializeToString,
                    response_deserializer=pb.ConverseReply.FromString,
                )
                call = converse(iter([pb.ConverseRequest(settings=pb.Settings(system="word " * 300))]))
                with pytest.raises(grpc.aio.AioRpcError, match="the instructions are") as caught:
                    await call.read()
                assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    anyio.run(inside, backend="asyncio")
