"""The gRPC port that clients see: it counts their connections and passes their bytes on. Knows no call.

gRPC's own server takes so many connections and then no more, so that whoever holds them keeps others out;
and it lets nobody else end one. So it listens on a port of this machine's own, and this stands before it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import cast

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream
from anyio.streams.stapled import MultiListener

from agent.errors import RequestError
from agent.server.admission.connections import Connection, Connections

HOST = "127.0.0.1"
"""Where the service itself listens."""
PAUSE = 0.1
"""Seconds after which it tries again, where the system gives no connection."""


class Front:
    """Passes on what comes, and knows whose each of the connections is that the service gets from here."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._known: dict[int, Connection] = {}

    def connection(self, port: int) -> Connection | None:
        """The client's connection behind ours from that port; None where it is not from here, or is over."""
        return self._known.get(port)

    async def serve(self, listeners: MultiListener[SocketStream], port: int) -> None:
        """Pass on whoever comes to the service's port, for ever."""
        async with anyio.create_task_group() as tasks:

            async def accepting(listener: SocketListener) -> None:
                while True:
                    try:
                        client = await listener.accept()
                    except OSError:  # there are no more files for now, or it has gone already
                        await anyio.sleep(PAUSE)
                    else:
                        tasks.start_soon(relay, client)

            async def relay(client: SocketStream) -> None:
                # Either side goes whenever it likes, and who must go is not told: there is no call to answer.
                with suppress(OSError, RequestError):
                    async with client:
                        await self._relay(client, port)

            for each in listeners.listeners:
                tasks.start_soon(accepting, cast(SocketListener, each))

    async def _relay(self, client: SocketStream, port: int) -> None:
        address = str(client.extra(SocketAttribute.remote_address)[0])
        with self._connections.holding(address) as connection:
            async with await anyio.connect_tcp(HOST, port) as service, anyio.create_task_group() as tasks:
                here = service.extra(SocketAttribute.local_port)
                self._known[here] = connection
                try:
                    tasks.start_soon(_copy, client, service, tasks.cancel_scope)
                    await _copy(service, client, tasks.cancel_scope)
                finally:
                    del self._known[here]


async def _copy(source: SocketStream, target: SocketStream, over: anyio.CancelScope) -> None:
    """What comes from one side goes to the other; when one of them goes, it is over for both."""
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        async for data in source:
            await target.send(data)
    over.cancel()
