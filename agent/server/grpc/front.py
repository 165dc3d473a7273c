"""The gRPC port that clients see: it counts their connections and passes their bytes on. Knows no call.

gRPC's own server takes so many connections and then no more, so that whoever holds them keeps others out;
and it lets nobody else end one. So it listens on a port of this machine's own, and this stands before it.
"""

from __future__ import annotations

from contextlib import suppress

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.stapled import MultiListener

from agent.server.admission.connections import Connection, Connections
from agent.server.admission.listening import take

HOST = "127.0.0.1"
"""Where the service itself listens."""


class Front:
    """Passes on what comes, and knows whose each of the connections is that the service gets from here."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._known: dict[int, Connection] = {}

    def connection(self, port: int) -> Connection | None:
        """The client's connection behind ours from that port; None where it is not from here, or is over."""
        return self._known.get(port)

    async def serve(self, listeners: MultiListener[SocketStream], port: int) -> None:
        """Pass on whoever comes to the service's port, for ever. Who must go isn't told: there is no call."""

        async def relay(client: SocketStream, connection: Connection) -> None:
            async with await anyio.connect_tcp(HOST, port) as service, anyio.create_task_group() as tasks:
                here = service.extra(SocketAttribute.local_port)
                self._known[here] = connection
                try:
                    tasks.start_soon(_copy, client, service, tasks.cancel_scope)
                    await _copy(service, client, tasks.cancel_scope)
                finally:
                    del self._known[here]

        await take(listeners, self._connections, relay)


async def _copy(source: SocketStream, target: SocketStream, over: anyio.CancelScope) -> None:
    """What comes from one side goes to the other; when one of them goes, it is over for both."""
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        async for data in source:
            await target.send(data)
    over.cancel()
