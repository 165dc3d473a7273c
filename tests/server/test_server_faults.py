"""What goes wrong on the other side, or in an engine: the server stays up, and the others notice nothing."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

import anyio
import grpc
import httpx
import psutil
import pytest
import serving
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent.server.grpc import backchat_pb2 as pb
from agent.server.grpc.server import running_server
from agent.server.realtime import server_events
from agent.server.realtime.connection import Realtime
from agent.server.reception import Reception
from agent.server.telemetry.metrics import Metrics

pytestmark = pytest.mark.net

STORY = "Once upon a time there was a lighthouse keeper. He lived alone on a rock in the sea. " * 20
MANY = 1000
FORM = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
TOKEN = "a-token-of-some-length"


def served(pool: serving.Scripted, main: Callable, token: str | None = None, limit: float = 120.0) -> None:
    """Run `main(address)`; a deadlock fails, and so does a slot or a model that is not given back."""

    async def inside() -> None:
        with anyio.fail_after(limit):
            async with serving.running(pool, token) as address:
                await main(address)
                await freed(pool)
                await well(address, token)
        assert pool.idle

    anyio.run(inside, backend="asyncio")


def test_what_is_still_to_be_sent_to_who_has_gone_is_no_fault() -> None:
    """Two tasks send; the first finds out that nobody is there, and the second must not be surprised."""
    found: list[str] = []

    async def send(message: dict) -> None:
        if message["type"] == "websocket.send":
            await anyio.sleep(0)
            raise OSError("the connection is lost")

    async def inside() -> None:
        pool = serving.pool([], [])
        socket = WebSocket({"type": "websocket", "query_string": b"", "headers": []}, connected, send)
        await socket.accept()

        async def one() -> None:
            try:
                await line._send([server_events.message("session.created")])
            except WebSocketDisconnect:
                found.append("gone")

        async with Reception.of(pool, None, Metrics(pool)).visit("realtime", "") as visit:
            line = Realtime(socket, visit, WebSocketDisconnect)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(one)
                tasks.start_soon(one)

    async def connected() -> dict:
        return {"type": "websocket.connect"}

    anyio.run(inside)
    assert found == ["gone", "gone"]


async def freed(pool: serving.Scripted) -> None:
    with anyio.fail_after(15):
        while not pool.idle or pool.model.open:
            await anyio.sleep(0.01)


async def well(address: str, token: str | None = None) -> None:
    """The server answers, and a new session is let in."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=address, headers=headers) as client:
        assert (await client.get("/readyz")).json() == {"status": "ready"}
        reply = await client.post("/generate", json={"prompt": "x", "max_tokens": 2})
        assert (reply.status_code, "event: end" in reply.text) == (200, True)


def realtime(address: str, **options):
    return connect(f"ws{address.removeprefix('http')}/v1/realtime", **options)


async def asked(socket: ClientConnection, text: str, modality: str = "text") -> dict:
    """A typed question's `response.done`."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await socket.send(json.dumps({"type": "response.create", "response": {"output_modalities": [modality]}}))
    while True:
        event = json.loads(await socket.recv())
        if event["type"] == "response.done":
            return event["response"]


async def closing(socket: ClientConnection) -> int:
    """Read on until the server closes; the code that it gives."""
    with anyio.fail_after(10):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code


async def figure(address: str, name: str) -> float:
    async with httpx.AsyncClient(base_url=address) as client:
        text = (await client.get("/metrics")).text
    return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1])


def test_a_thousand_clients_that_vanish_in_mid_reply() -> None:
    """Half of them from `/generate`, half from a WebSocket; somebody talks on and is not disturbed."""
    pool = serving.pool(["x"], [STORY], "server.sessions=5", token=0.002)
    body = json.dumps({"prompt": "x"})
    open_files: list[int] = []

    async def from_http(address: str) -> bool:
        host, _, port = address.removeprefix("http://").partition(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            head = f"POST /generate HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-length: {len(body)}\r\n\r\n"
            await stream.send((head + body).encode())
            got = b""
            while b"data:" not in got and b" 503 " not in got:
                got += await stream.receive()
            return b" 200 OK" in got

    async def from_socket(address: str, voice: bool) -> bool:
        try:
            socket = await realtime(address)
        except InvalidStatus as refused:
            if refused.response.status_code != 503:
                raise
            return False
        await socket.send('{"type": "response.create"}')
        wanted = "response.output_audio.delta" if voice else "session.created"
        while json.loads(await socket.recv())["type"] != wanted:
            pass
        socket.transport.abort()
        return True

    async def many(address: str, first: int) -> None:
        for number in range(first, MANY, 3):
            while not await (
                from_socket(address, number % 4 == 0) if number % 2 == 0 else from_http(address)
            ):
                await anyio.sleep(0.02)  # the slots of those before are not free yet

    async def main(address: str) -> None:
        answered = 0
        async with realtime(address) as socket:
            async with anyio.create_task_group() as tasks:

                async def keep_talking() -> None:
                    nonlocal answered
                    while True:
                        assert (await asked(socket, "Go on."))["status"] == "completed"
                        answered += 1

                tasks.start_soon(keep_talking)
                while not answered:
                    await anyio.sleep(0.05)
                open_files.append(psutil.Process().num_fds())
                async with anyio.create_task_group() as crowd:
                    for first in range(3):
                        crowd.start_soon(many, address, first)
                tasks.cancel_scope.cancel()
            assert answered > 3, "the one who stayed was not served"
        await freed(pool)
        assert await figure(address, "backchat_sessions") == 0
        assert await figure(address, "backchat_sessions_begun_total") >= MANY // 2
        assert psutil.Process().num_fds() <= open_files[0] + 5
        assert max(pool.model.pulled()[-100:]) <= len(STORY.split())

    served(pool, main, limit=240)


def test_who_opens_a_websocket_and_says_nothing_is_closed() -> None:
    pool = serving.pool(["x"], ["y"], "server.sessions=1", "server.idle=0.5")

    async def main(address: str) -> None:
        async with realtime(address) as socket:
            assert await closing(socket) == 1008
        await freed(pool)

    served(pool, main)


def test_who_opens_a_connection_and_says_nothing_or_only_half_is_closed() -> None:
    pool = serving.pool(["x"], ["y"], "server.client_timeout=0.5")

    async def main(address: str) -> None:
        host, _, port = address.removeprefix("http://").partition(":")
        for said in (b"", b"POST /gen", b"POST /generate HTTP/1.1\r\nhost: 127.0.0.1\r\n"):
            async with await anyio.connect_tcp(host, int(port)) as stream:
                if said:
                    await stream.send(said)
                with anyio.fail_after(10), contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    while True:
                        await stream.receive()
        head = f"POST /generate HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: 100\r\n\r\n"
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(head.encode() + b'{"prompt"')
            with anyio.fail_after(10):
                assert b" 408 " in await stream.receive()

    served(pool, main)


def chunks(total: int) -> Iterator[bytes]:
    for _ in range(total // 1_000_000):
        yield bytes(1_000_000)


def test_a_hundred_megabytes_are_refused_and_not_kept() -> None:
    pool = serving.pool(["x"], ["y"], "server.grpc_port=0")
    size = 100_000_000

    async def slowly():
        yield FORM
        for data in chunks(size):
            yield data

    async def main(address: str) -> None:
        before = psutil.Process().memory_info().rss
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            for path in ("/generate", "/converse", "/v1/audio/transcriptions"):
                for head in ({"content-length": str(size + len(FORM))}, {}):
                    head["content-type"] = "multipart/form-data; boundary=x"
                    with contextlib.suppress(httpx.WriteError, httpx.ReadError):  # cut while it sends
                        reply = await client.post(path, content=slowly(), headers=head)
                        assert reply.status_code == 413, (path, reply.text)
        async with realtime(address) as socket:
            with contextlib.suppress(ConnectionClosed):
                await socket.send(bytes(size))
            assert await closing(socket) == 1009
        async with running_server(pool, None, Metrics(pool)) as server, channel(server.address) as wire:
            call = wire.stream_stream(
                "/backchat.v1.Backchat/Transcribe",
                request_serializer=pb.TranscribeRequest.SerializeToString,
                response_deserializer=pb.TranscribeReply.FromString,
            )()
            with contextlib.suppress(grpc.aio.AioRpcError):
                await call.write(pb.TranscribeRequest(data=bytes(size)))
            assert await call.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert psutil.Process().memory_info().rss - before < 4 * size, "that much was kept"

    served(pool, main)


def channel(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, [("grpc.max_send_message_length", -1)])


def sound_at(rate: int) -> bytes:
    """A second of a WAV whose header gives this rate."""
    data = bytearray(serving.wav())
    where = data.index(b"fmt ") + 12
    data[where : where + 8] = struct.pack("<II", rate, rate * 2 % 2**32)
    return bytes(data)


@pytest.mark.parametrize("rate", [0, 1, 3_999, 384_001, 10**6, 2**31 - 1, 2**32 - 1])
def test_a_wrong_sample_rate_is_refused_in_one_line(rate: int) -> None:
    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            for path, form in (("/converse", False), ("/v1/audio/transcriptions", True)):
                data = sound_at(rate)
                reply = await client.post(path, **({"files": {"file": data}} if form else {"content": data}))
                assert reply.status_code == 400, (path, reply.text)
                assert "\n" not in reply.json()["error"]["message"]
        async with realtime(address) as socket:
            await socket.recv()
            form = {"type": "audio/pcm", "rate": rate}
            session = {"type": "realtime", "audio": {"input": {"format": form}}}
            await socket.send(json.dumps({"type": "session.update", "session": session}))
            assert json.loads(await socket.recv())["type"] == "error"

    served(serving.pool(["x"], ["y"]), main)


def test_two_people_on_one_token_have_a_session_each() -> None:
    pool = serving.pool(["x"], ["A bell."], "server.sessions=2")
    show = {"additional_headers": {"authorization": f"Bearer {TOKEN}"}}

    async def main(address: str) -> None:
        async with realtime(address, **show) as one:
            other = await realtime(address, **show)
            assert (await asked(one, "I am Ann."))["status"] == "completed"
            assert (await asked(other, "I am Bob."))["status"] == "completed"
            other.transport.abort()
            assert (await asked(one, "Who am I?"))["status"] == "completed"
            talks = [" ".join(m.content for m in messages) for messages in pool.model.asked]
            assert not [talk for talk in talks if "Ann" in talk and "Bob" in talk]
            with pytest.raises(InvalidStatus):
                await realtime(address)

    served(pool, main, TOKEN)


class Dying:
    """An engine around another, which fails from when it is told to."""

    def __init__(self, inner) -> None:
        self._inner, self.dead = inner, False
        self.rate = getattr(inner, "rate", 0)
        self.language = getattr(inner, "language", "")

    def transcribe(self, audio, *, final: bool = True):
        if self.dead:
            raise RuntimeError("no more ears")
        return self._inner.transcribe(audio, final=final)

    def stream(self, text: str):
        for speech in self._inner.stream(text):
            if self.dead:
                raise RuntimeError("no more voice")
            yield speech


def test_a_model_that_dies_in_mid_reply_ends_that_turn_alone() -> None:
    pool = serving.pool(["x"], ["One two three four. Five six."], "server.sessions=2", token=0.002)

    async def main(address: str) -> None:
        async with realtime(address) as one, realtime(address) as other:
            assert (await asked(one, "Go."))["status"] == "completed"
            broken = next(model for model in pool.model.each if model.asked)
            broken.fail_at = {1: 3}
            assert (await asked(one, "Again."))["status"] == "failed"
            assert (await asked(other, "You too."))["status"] == "completed"
            assert (await asked(one, "And now?"))["status"] == "completed"

    served(pool, main)


@pytest.mark.parametrize("kind", ["tts", "stt"])
def test_a_voice_or_transcriber_that_dies_is_an_error_and_comes_back(kind: str) -> None:
    pool = serving.pool(["What?"], ["One two three four. Five six."], "server.sessions=2")
    slots = [*pool._free, *pool._halves]
    dying = Dying(getattr(slots[0].engines, kind))
    for slot in slots:
        slot.engines = replace(slot.engines, **{kind: dying})

    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address, timeout=30) as client, realtime(address) as other:
            ask = {"tts": ("/v1/audio/speech", {"json": {"input": "One two.", "response_format": "wav"}})}
            ask["stt"] = ("/v1/audio/transcriptions", {"files": {"file": serving.wav()}})
            path, what = ask[kind]
            assert (await client.post(path, **what)).status_code == 200
            dying.dead = True
            reply = await client.post(path, **what)
            assert reply.status_code == 500
            assert reply.json()["error"]["code"] == f"{kind}_failed"
            if kind == "tts":
                assert (await asked(other, "Speak.", "audio"))["status"] == "failed"
            assert (await asked(other, "Write."))["status"] == "completed", "text needs neither"
            dying.dead = False
            assert (await client.post(path, **what)).status_code == 200
            assert (await asked(other, "Speak.", "audio"))["status"] == "completed"

    served(pool, main)


def test_spoken_nonsense_is_told_and_the_session_goes_on() -> None:
    """Random bytes as sound, loud and clipped: it is only a noise."""

    async def main(address: str) -> None:
        async with realtime(address) as socket:
            for _ in range(50):
                data = base64.b64encode(os.urandom(960)).decode()
                await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": data}))
            assert (await asked(socket, "Still there?"))["status"] in ("completed", "cancelled")

    served(serving.pool(["x"], ["Yes."]), main)
