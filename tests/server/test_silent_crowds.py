"""Crowds that open connections and calls and say nothing, on every wire: who comes after them is served."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import grpc
import httpx
import psutil
import pytest
import serving
from grpc_health.v1 import health_pb2
from websockets.asyncio.client import connect

from agent.server.grpc import backchat_pb2 as pb
from agent.server.grpc import server as service

pytestmark = pytest.mark.net

TOKEN = "t" * 20
BEARER = {"authorization": f"Bearer {TOKEN}"}
ROOM, CROWD = 12, 40
SOON = 8.0
"""Seconds in which an honest client is served, with the time that TLS takes on a slow machine; what is
silent is not ended by itself before a minute."""
LIMITS = (f"server.connections={ROOM}", "server.client_timeout=60", "server.first_event=60")


@dataclass(frozen=True)
class Wires:
    """A server with its addresses, and the certificate to trust it by, if it has one."""

    http: str
    rpc: str
    chain: Path | None

    @property
    def trusting(self) -> ssl.SSLContext | None:
        return None if self.chain is None else ssl.create_default_context(cafile=str(self.chain))

    @contextlib.asynccontextmanager
    async def channel(self) -> AsyncIterator[grpc.aio.Channel]:
        options = [("grpc.use_local_subchannel_pool", 1)]
        if self.chain is None:
            made = grpc.aio.insecure_channel(self.rpc, options)
        else:
            credentials = grpc.ssl_channel_credentials(self.chain.read_bytes())
            made = grpc.aio.secure_channel(self.rpc, credentials, options)
        async with made as channel:
            yield channel


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return serving.certificate(tmp_path_factory.mktemp("tls"))


def served(main: Callable, tls: tuple[Path | None, Path | None]) -> None:
    async def inside() -> None:
        with anyio.fail_after(60):
            pool = serving.pool(["x"], ["y"], "server.grpc_port=0", *LIMITS)
            async with serving.both(pool, TOKEN, tls) as (http, rpc):
                await main(Wires(http, rpc, tls[0]))

    anyio.run(inside, backend="asyncio")


# ------------------------------------------------------------------------------------------- who is silent


async def opened(address: str, first: bytes = b"") -> asyncio.StreamWriter:
    host, _, port = address.rpartition("//")[2].rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    with contextlib.suppress(OSError):
        writer.write(first)
        await writer.drain()
    return writer


async def connections(wires: Wires, stack: contextlib.AsyncExitStack) -> None:
    """On both ports; half of them begin as HTTP/2 does, and go no further."""
    for number in range(CROWD):
        first = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" if number % 2 else b""
        for address in (wires.http, wires.rpc):
            stack.callback((await opened(address, b"" if address == wires.http else first)).transport.abort)


async def calls(wires: Wires, stack: contextlib.AsyncExitStack) -> None:
    """Of every method, with the token, on few connections."""
    for _ in range(2):
        channel = await stack.enter_async_context(wires.channel())
        for number in range(CROWD):
            name = ("Converse", "Generate", "Speak", "Transcribe")[number % 4]
            call = channel.stream_stream(f"/backchat.v1.Backchat/{name}")(metadata=list(BEARER.items()))
            stack.callback(call.cancel)
            await asyncio.sleep(0)


async def strangers_calls(wires: Wires, stack: contextlib.AsyncExitStack) -> None:
    """Of what is for whoever asks, and without a message."""
    for _ in range(2):
        channel = await stack.enter_async_context(wires.channel())
        for _ in range(CROWD):
            stack.callback(channel.stream_unary("/grpc.health.v1.Health/Check")().cancel)
            await asyncio.sleep(0)


async def watchers(wires: Wires, stack: contextlib.AsyncExitStack) -> None:
    """Of the service's health, with the token, which are told of every change for ever."""
    channel = await stack.enter_async_context(wires.channel())
    for _ in range(CROWD):
        watch = channel.unary_stream(
            "/grpc.health.v1.Health/Watch", health_pb2.HealthCheckRequest.SerializeToString
        )(health_pb2.HealthCheckRequest(), metadata=list(BEARER.items()))
        stack.callback(watch.cancel)
        await asyncio.sleep(0)


# ------------------------------------------------------------------------------------------- who is honest


async def over_http(wires: Wires) -> None:
    verify = wires.trusting or True
    async with httpx.AsyncClient(base_url=wires.http, headers=BEARER, verify=verify, timeout=SOON) as client:
        assert "event: end" in (await client.post("/generate", json={"prompt": "x"})).text


async def over_websocket(wires: Wires) -> None:
    url = f"ws{wires.http.removeprefix('http')}/v1/realtime"
    async with connect(url, additional_headers=BEARER, ssl=wires.trusting) as socket:
        assert json.loads(await socket.recv())["type"] == "session.created"


async def over_grpc(wires: Wires) -> None:
    async with wires.channel() as channel:
        ask = channel.unary_stream(
            "/backchat.v1.Backchat/Generate",
            pb.GenerateRequest.SerializeToString,
            pb.GenerateReply.FromString,
        )
        replies = ask(pb.GenerateRequest(prompt="x"), metadata=list(BEARER.items()))
        texts = [reply.text async for reply in replies]
        assert texts[0] == "y"


async def few_are_open(wires: Wires) -> None:
    """As many as there is room for, of both ports together, also before TLS has begun."""
    ports = {int(address.rpartition(":")[2]) for address in (wires.http, wires.rpc)}
    with anyio.fail_after(SOON):
        while (
            sum(
                each.laddr.port in ports and each.status == psutil.CONN_ESTABLISHED
                for each in psutil.Process().net_connections("tcp")
            )
            > ROOM
        ):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("crowd", [connections, calls, strangers_calls, watchers])
def test_who_comes_is_served_however_many_are_silent(
    crowd: Callable, tls: bool, certificate: tuple[Path, Path]
) -> None:
    async def main(wires: Wires) -> None:
        async with contextlib.AsyncExitStack() as stack:
            await crowd(wires, stack)
            await few_are_open(wires)
            for honest in (over_http, over_websocket, over_grpc):
                with anyio.fail_after(SOON):
                    await honest(wires)

    served(main, certificate if tls else (None, None))


def test_a_call_that_did_not_come_by_the_port_of_clients_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's own port, behind it, is no way around the count of connections."""
    inside, real = list[int](), service._opened

    def opened(*given: Any) -> int:
        inside.append(real(*given))
        return inside[0]

    monkeypatch.setattr(service, "_opened", opened)

    async def main(wires: Wires) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await over_grpc(Wires(wires.http, f"127.0.0.1:{inside[0]}", None))
        assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED

    served(main, (None, None))
