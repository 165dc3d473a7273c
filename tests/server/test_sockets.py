"""Connections as uvicorn has them: whose ping counts as answered, what is told, and how many come at once."""

from __future__ import annotations

import asyncio
import socket

import anyio
import pytest
import serving
from uvicorn import Config
from uvicorn.server import ServerState
from websockets.asyncio.client import connect
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from agent.server import run
from agent.server.admission.connections import Connection, Connections
from agent.server.admission.guard import CONNECTION
from agent.server.http import sockets
from agent.settings import ServerConfig

LIMITS = ServerConfig(message=1000, client_timeout=7.0)


class Transport:
    """Keeps what is written, and whether it is closed."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_write_buffer_limits(self, high: int) -> None: ...


class Pair:
    """A WebSocket of the server without a network, and its client; the session reads when it is told to."""

    def __init__(self) -> None:
        self.read = asyncio.Event()
        _, kind = sockets.protocols(sockets.Arrivals(Connections(9, 7.0)), LIMITS)
        config = Config(self.app, ws=kind, interface="asgi3", log_config=None)
        config.ws_ping_interval = config.ws_ping_timeout = LIMITS.client_timeout
        config.ws_max_size = LIMITS.message
        config.load()
        self.transport = Transport()
        self.server = kind(config, ServerState(), {CONNECTION: Connection()}, asyncio.get_running_loop())
        self.client = ClientProtocol(parse_uri("ws://127.0.0.1/"))
        self.server.connection_made(self.transport)
        self.client.send_request(self.client.connect())

    async def app(self, scope, receive, send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await self.read.wait()
            await receive()

    async def pass_on(self) -> None:
        """What the client has sent goes to the server, and back."""
        for data in self.client.data_to_send():
            self.server.data_received(data)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        data, self.transport.written = self.transport.written, b""
        self.client.receive_data(data)

    async def pinged(self) -> None:
        """The server asks whether the client is there; the answer does not come through."""
        await self.pass_on()
        self.server.send_keepalive_ping()
        self.transport.written = b""


@pytest.mark.parametrize(
    ("sends", "reads", "closed"),
    [
        (True, True, False),  # its answer is behind what it sends
        (True, False, False),  # nobody reads what it sends, nor its answer
        (False, True, True),  # it says nothing at all
    ],
)
def test_only_who_says_nothing_fails_a_ping(sends: bool, reads: bool, closed: bool) -> None:
    async def inside() -> None:
        pair = Pair()
        if reads:
            pair.read.set()
        elif sends:  # one message waits for the session, so that no more is read
            await pair.pass_on()
            pair.client.send_text(b"before")
        await pair.pinged()
        if sends and reads:
            pair.client.send_text(b"more")
            for data in pair.client.data_to_send():
                pair.server.data_received(data)
        pair.server.keepalive_timeout()
        assert pair.transport.closed == closed
        if closed:
            pair.client.receive_data(pair.transport.written)
            assert pair.client.close_rcvd is not None
            assert pair.client.close_rcvd.reason == "a ping was not answered for 7 s (server.client_timeout)"
        else:
            assert pair.server.ping_timer is not None, "it is asked again"
        pair.server.stop_keepalive()

    asyncio.run(inside())


def test_a_message_that_is_too_long_is_told_by_the_setting() -> None:
    async def inside() -> None:
        pair = Pair()
        await pair.pass_on()
        pair.client.send_text(b"x" * 1001)
        await pair.pass_on()
        assert pair.client.close_rcvd is not None
        assert pair.client.close_rcvd.code == 1009
        assert pair.client.close_rcvd.reason == "a message of more than 1000 bytes (server.message)"

    asyncio.run(inside())


@pytest.mark.net
@pytest.mark.parametrize("path", ["/v1/twilio", "/v1/realtime?model=none-such"])
def test_a_connection_that_the_server_closes_is_closed_at_once(path: str) -> None:
    """Its client answers, and that is read: uvicorn would wait five seconds for it."""

    async def inside() -> None:
        async with (
            serving.running(serving.pool([], [])) as address,
            connect(f"ws{address.removeprefix('http')}{path}") as socket,
        ):
            if "twilio" in path:
                await socket.send("no JSON")
            began = anyio.current_time()
            await socket.wait_closed()
            assert anyio.current_time() - began < 2.0

    anyio.run(inside, backend="asyncio")


@pytest.mark.net
def test_a_crowd_is_let_in_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is in already is looked after in between."""
    seen = list[str]()
    real = sockets._Listening.accept

    def accept(self):
        taken = real(self)
        seen.append("taken")
        return taken

    monkeypatch.setattr(sockets._Listening, "accept", accept)

    async def ticking() -> None:
        while True:
            seen.append("others")
            await asyncio.sleep(0)

    async def inside() -> None:
        async with serving.running(serving.pool(["x"], ["y"])) as address, anyio.create_task_group() as tasks:
            port = int(address.rpartition(":")[2])
            crowd = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
            tasks.start_soon(ticking)
            with anyio.fail_after(10):
                while seen.count("taken") < len(crowd):
                    await asyncio.sleep(0.01)
            tasks.cancel_scope.cancel()
            for each in crowd:
                each.close()

    anyio.run(inside, backend="asyncio")
    longest = max(map(len, "".join(each[0] for each in seen).split("o")))
    assert longest <= run.AT_ONCE
