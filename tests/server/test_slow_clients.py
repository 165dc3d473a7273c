"""Clients that hold on and send little or nothing, on a real socket: each is cut, the honest are served."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
from collections.abc import Callable

import anyio
import grpc
import httpx
import pytest
import serving
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from agent.server.grpc import backchat_pb2 as pb
from agent.server.http.sockets import AHEAD
from agent.server.run import _bound

pytestmark = pytest.mark.net


def served(main: Callable, *settings: str, token: str | None = None) -> None:
    async def inside() -> None:
        with anyio.fail_after(60):
            pool = serving.pool(["x"], ["y"], *settings)
            async with serving.both(pool, token) as addresses:
                await main(*addresses)
                with anyio.fail_after(10):
                    while not pool.idle:
                        await anyio.sleep(0.01)

    anyio.run(inside, backend="asyncio")


async def to(address: str) -> anyio.abc.SocketStream:
    host, _, port = address.removeprefix("http://").partition(":")
    return await anyio.connect_tcp(host, int(port))


def head(length: int, path: str = "/converse") -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {length}\r\n\r\n".encode()


async def trickle(stream: anyio.abc.SocketStream, piece: bytes = b"x") -> bytes:
    """Send a piece every 50 ms until the other side closes; what it said."""
    said = b""

    async def read() -> None:
        nonlocal said
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                said += await stream.receive()
        tasks.cancel_scope.cancel()

    async with stream, anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        with contextlib.suppress(anyio.BrokenResourceError):
            while True:
                await stream.send(piece)
                await anyio.sleep(0.05)
    return said


async def honest(address: str) -> None:
    async with httpx.AsyncClient(base_url=address) as client:
        reply = await client.post("/generate", json={"prompt": "x"})
        assert (reply.status_code, "event: end" in reply.text) == (200, True)


def test_a_trickling_body_is_refused_and_its_connection_closed() -> None:
    """Though each byte comes in time; a refusal does not keep the connection for the rest of the body."""

    async def main(address: str) -> None:
        said: list[bytes] = []

        async def one() -> None:
            stream = await to(address)
            await stream.send(head(20_000_000))
            said.append(await trickle(stream))

        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(one)
            await honest(address)
        assert [each.split(b"\r\n")[0] for each in said] == [b"HTTP/1.1 408 Request Timeout"] * 12
        assert all(b"server.body_time" in each for each in said)

    served(main, "server.client_timeout=1", "server.body_time=1.5")


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HTTP/1.1\r\nx-slow: ",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /healthz HTTP/1.1\r\nx: ",
    ],
)
def test_a_head_that_trickles_is_cut(begun: bytes) -> None:
    async def main(address: str) -> None:
        stream = await to(address)
        await stream.send(begun)
        with anyio.fail_after(5):
            await trickle(stream)
        await honest(address)

    served(main, "server.client_timeout=0.5")


def test_who_reads_nothing_of_what_is_for_everybody_is_cut() -> None:
    """Pages that are asked for again and again, and never read: the server's side of it fills up."""

    async def main(address: str) -> None:
        asks = b"GET /app.js HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 400
        async with await to(address) as stream:
            with anyio.fail_after(10), contextlib.suppress(anyio.BrokenResourceError):
                while True:
                    await stream.send(asks)
        await honest(address)

    served(main, "server.client_timeout=0.5")


def test_who_sends_minutes_of_sound_and_goes_frees_the_seat() -> None:
    """Though all that came would take ten minutes to be heard, and its end is only read after that."""
    sound = {"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(1_400_000)).decode()}

    async def main(address: str) -> None:
        socket = await connect(f"ws{address.removeprefix('http')}/v1/realtime", max_size=None)
        with anyio.move_on_after(1.0):
            for _ in range(20):
                await socket.send(json.dumps(sound))
        socket.transport.abort()

    served(main, "server.client_timeout=1")


def test_bodies_have_room_together_and_small_ones_always() -> None:
    async def main(address: str) -> None:
        async with await to(address) as holding:
            await holding.send(head(1_000_000) + bytes(900_000))
            await anyio.sleep(0.5)  # it is in first, or it is the one that is told to come again
            async with httpx.AsyncClient(base_url=address) as client:
                with anyio.fail_after(10):
                    while (
                        reply := await client.post("/converse", content=bytes(500_000))
                    ).status_code != 503:
                        assert reply.status_code == 400, "no sound, while there was room"
                        await anyio.sleep(0.05)
            assert reply.headers["retry-after"] == "5"
            assert "server.bodies" in reply.json()["error"]["message"]
            await honest(address)
        async with httpx.AsyncClient(base_url=address) as client:
            with anyio.fail_after(10):
                while (await client.post("/converse", content=bytes(500_000))).status_code == 503:
                    await anyio.sleep(0.05)

    served(main, "server.bodies=1000000", "server.client_timeout=30")


def test_however_many_hold_a_connection_there_is_one_for_who_comes() -> None:
    async def main(address: str) -> None:
        async with contextlib.AsyncExitStack() as crowd:
            for number in range(60):
                stream = await crowd.enter_async_context(await to(address))
                with contextlib.suppress(anyio.BrokenResourceError):
                    await stream.send(head(1000) if number % 2 else b"GET / HT")
            await honest(address)
            async with connect(f"ws{address.removeprefix('http')}/v1/realtime") as talk:
                assert json.loads(await talk.recv())["type"] == "session.created"
                for _ in range(20):
                    await crowd.enter_async_context(await to(address))
                await honest(address)
                await talk.send('{"type": "session.update", "session": {"type": "realtime"}}')
                assert json.loads(await talk.recv())["type"] == "session.updated", "who is served stays"

    served(main, "server.connections=10", "server.client_timeout=30")


def test_a_websocket_that_never_speaks_gives_its_seat_back() -> None:
    async def main(address: str) -> None:
        async with connect(f"ws{address.removeprefix('http')}/v1/realtime") as talk:
            assert json.loads(await talk.recv())["type"] == "session.created"
            assert json.loads(await talk.recv())["error"]["code"] == "session_expired"
            with pytest.raises(ConnectionClosed) as closed:
                await talk.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, "server.first_event" in closed.value.rcvd.reason) == (1008, True)
        await honest(address)

    served(main, "server.sessions=1", "server.first_event=0.5")


def test_a_full_server_reads_no_body() -> None:
    async def main(address: str) -> None:
        async with connect(f"ws{address.removeprefix('http')}/v1/realtime"), await to(address) as stream:
            await stream.send(head(20_000_000))
            with anyio.fail_after(5):
                assert (await stream.receive()).startswith(b"HTTP/1.1 503")

    served(main, "server.sessions=1", "server.client_timeout=30")


def test_a_trickling_call_is_ended_and_calls_share_the_room_of_bodies() -> None:
    async def main(address: str, rpc: str) -> None:
        async with grpc.aio.insecure_channel(rpc) as channel:
            ask = channel.stream_unary(
                "/backchat.v1.Backchat/Transcribe", pb.TranscribeRequest.SerializeToString
            )

            async def slowly():
                while True:
                    yield pb.TranscribeRequest(data=b"x")
                    await anyio.sleep(0.05)

            with pytest.raises(grpc.aio.AioRpcError, match=r"server\.body_time") as late:
                await ask(slowly())
            assert late.value.code() == grpc.StatusCode.ABORTED
            with pytest.raises(grpc.aio.AioRpcError, match=r"server\.bodies") as full:
                await ask(iter([pb.TranscribeRequest(data=bytes(100_000))] * 10))
            assert full.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            with pytest.raises(grpc.aio.AioRpcError, match="the sound"):
                await ask(iter([pb.TranscribeRequest(data=bytes(100_000))]))

    served(
        main, "server.grpc_port=0", "server.client_timeout=1", "server.body_time=1.5", "server.bodies=500000"
    )


def test_what_is_written_in_two_parts_does_not_wait() -> None:
    """Nagle's algorithm is off: with it each answer on a kept connection took 40 ms more."""
    with _bound("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="optional: this system cannot hold back")
def test_a_network_that_is_slow_is_known_before_megabytes_lie_in_it() -> None:
    with _bound("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == AHEAD
