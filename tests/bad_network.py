"""A bad network in user space, for tests and benchmarks: relays that lose, delay and jumble what they carry.

It does what `tc netem` does, where a kernel has that. A datagram that is lost is gone. A segment of TCP that
is lost comes one retransmission timeout later, and all that is behind it waits for it: that is worse than a
real TCP, which often needs but one round trip, and better, since nobody sends less for it.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, SocketAttribute, SocketStream

SEGMENT = 1448
"""Bytes of a segment of TCP."""
HEADERS = 40
"""Bytes of each packet besides."""
QUEUE = 1.0
"""Seconds that wait before a narrow place; beyond that datagrams are dropped, and TCP is held back."""
WINDOW = 64
"""Segments of TCP that may be on their way."""
SMALL = 16_384
"""Bytes that a relay's own sockets hold, so that who sends feels what it feels."""


@dataclass
class Link:
    """One direction. loss: share of the packets. Each takes `delay` +- `jitter` seconds, evenly spread.

    rate: bits a second that go through, None for any number; it may be changed at any time.
    """

    loss: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    rate: float | None = None
    draw: random.Random = field(default_factory=lambda: random.Random(1))
    free: float = 0.0
    """When the narrow place has let through all that came (s)."""
    _last: float = 0.0

    @property
    def timeout(self) -> float:
        """After which TCP sends anew what was lost: the round trip and 0.2 s, as Linux has it at least."""
        return 2 * self.delay + 0.2

    def datagram(self, now: float, size: int) -> float | None:
        """When one that is sent now arrives; None where it never does."""
        lost = self.draw.random() < self.loss
        if self.free - now > QUEUE:
            return None
        at = self._through(now, size)
        return None if lost else at

    def segment(self, now: float, size: int) -> float:
        """The same of a part of a stream: in order, and all of them."""
        late = self.timeout if self.draw.random() < self.loss else 0.0
        self._last = max(self._last, self._through(now, size) + late)
        return self._last

    def _through(self, now: float, size: int) -> float:
        self.free = max(now, self.free)
        if self.rate is not None:
            self.free += 8 * (size + HEADERS) / self.rate
        return self.free + self.delay + self.draw.uniform(-self.jitter, self.jitter)


@dataclass
class Network:
    """Both directions. up: from the client to the server."""

    up: Link
    down: Link

    @classmethod
    def like(cls, loss: float = 0.0, delay: float = 0.0, jitter: float = 0.0) -> Network:
        """The same both ways."""
        return cls(*(Link(loss, delay, jitter, draw=random.Random(seed)) for seed in (1, 2)))

    @property
    def links(self) -> tuple[Link, Link]:
        return self.up, self.down


@asynccontextmanager
async def tcp(network: Network, port: int) -> AsyncIterator[int]:
    """The port by which a server on this machine is reached over that network."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    (inner,) = listener.listeners
    inner.extra(SocketAttribute.raw_socket).setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)

    async def carried(near: SocketStream) -> None:
        async with near, await anyio.connect_tcp("127.0.0.1", port) as far:
            far.extra(SocketAttribute.raw_socket).setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
            async with anyio.create_task_group() as tasks:

                async def one(source: SocketStream, sink: SocketStream, link: Link) -> None:
                    await _carried(source, sink, link)
                    tasks.cancel_scope.cancel()

                tasks.start_soon(one, near, far, network.up)
                tasks.start_soon(one, far, near, network.down)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, carried)
        yield inner.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


async def _carried(source: ByteReceiveStream, sink: ByteSendStream, link: Link) -> None:
    """All that comes, when it arrives; until either side has gone."""
    put, waiting = anyio.create_memory_object_stream[tuple[float, bytes]](WINDOW)

    async def read() -> None:
        async with put:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    data = await source.receive(SEGMENT)
                    now = anyio.current_time()
                    await put.send((link.segment(now, len(data)), data))
                    await anyio.sleep(max(0.0, link.free - now - QUEUE))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        with suppress(anyio.BrokenResourceError):
            async for at, data in waiting:
                await anyio.sleep_until(at)
                await sink.send(data)
        tasks.cancel_scope.cancel()


CANDIDATE = re.compile(r"(a=candidate:\S+ \d+ udp \d+ )([\d.]+) (\d+)( .*)", re.IGNORECASE)


class Detour:
    """A way for WebRTC's packets: each side takes it for the other one."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int] | None = None
        self._near: asyncio.DatagramTransport | None = None
        self._far: asyncio.DatagramTransport | None = None

    async def offer(self, sdp: str) -> str:
        """A client's offer, as the server is to see it."""
        host, port = _first(sdp)
        loop = asyncio.get_running_loop()
        self.client = host, port
        self._near, _ = await loop.create_datagram_endpoint(lambda: _Taken(self._up), (host, 0))
        self._far, _ = await loop.create_datagram_endpoint(lambda: _Taken(self._down), (host, 0))
        return _redirected(sdp, self._far)

    def answer(self, sdp: str) -> str:
        """The server's answer, as the client is to see it."""
        self.server = _first(sdp)
        return _redirected(sdp, self._near)

    def close(self) -> None:
        for transport in (self._near, self._far):
            if transport is not None:
                transport.close()

    def _up(self, data: bytes, source: tuple[str, int]) -> None:
        self.client = source
        self._send(self._network.up, data, lambda: _sent(self._far, data, self.server))

    def _down(self, data: bytes, source: tuple[str, int]) -> None:
        self.server = source
        self._send(self._network.down, data, lambda: _sent(self._near, data, self.client))

    def _send(self, link: Link, data: bytes, send: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        at = link.datagram(loop.time(), len(data))
        if at is not None:
            loop.call_at(at, send)


def _sent(transport: asyncio.DatagramTransport | None, data: bytes, target: tuple[str, int] | None) -> None:
    """What is still on its way at the end goes nowhere."""
    if transport is not None and not transport.is_closing():
        transport.sendto(data, target)


class _Taken(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._take(data, addr)


def _first(sdp: str) -> tuple[str, int]:
    """The first address of a side."""
    found = CANDIDATE.search(sdp)
    assert found is not None, sdp
    return found[2], int(found[3])


def _redirected(sdp: str, transport: asyncio.DatagramTransport) -> str:
    """The same with one address in each of its parts, which is the relay's."""
    host, port = transport.get_extra_info("sockname")[:2]
    lines, known = list[str](), False
    for line in sdp.splitlines():
        known = known and not line.startswith("m=")
        if not line.startswith("a=candidate:"):
            lines.append(line)
        elif not known and (found := CANDIDATE.match(line)):
            known = True
            lines.append(f"{found[1]}{host} {port}{found[4]}")
    return "\r\n".join([*lines, ""])
