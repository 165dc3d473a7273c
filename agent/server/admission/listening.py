"""Opens ports, and takes as many connections as there is room for. Knows no protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias, cast

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream
from anyio.streams.stapled import MultiListener

from agent.errors import ConfigError, RequestError
from agent.server.admission.connections import Connection, Connections

PAUSE = 0.1
"""Seconds after which it tries again, where the system gives no connection."""

Serve: TypeAlias = Callable[[SocketStream, Connection], Awaitable[None]]
"""Does what a client wants on its connection, which is closed afterwards."""


async def listening(host: str, port: int, setting: str, option: str) -> MultiListener[SocketStream]:
    """A port that clients see. setting, option: what names it. Raises ConfigError if it cannot be opened."""
    try:
        return await anyio.create_tcp_listener(local_host=host, local_port=port, reuse_port=False)
    except OSError as error:
        raise ConfigError(
            f"{setting}: {host}:{port} cannot be opened ({error.strerror}); take another {option}"
        ) from error


async def take(listeners: MultiListener[SocketStream], connections: Connections, serve: Serve) -> None:
    """Serve whoever connects, for ever. Either side goes when it likes: that ends its connection alone."""
    async with anyio.create_task_group() as tasks:

        async def accepting(listener: SocketListener) -> None:
            while True:
                try:
                    client = await listener.accept()
                except OSError:  # there are no more files for now, or it has gone already
                    await anyio.sleep(PAUSE)
                else:
                    tasks.start_soon(served, client)

        async def served(client: SocketStream) -> None:
            with suppress(OSError, RequestError):
                async with client:
                    address = str(client.extra(SocketAttribute.remote_address)[0])
                    with connections.holding(address) as connection:
                        await serve(client, connection)

        for each in listeners.listeners:
            tasks.start_soon(accepting, cast(SocketListener, each))
