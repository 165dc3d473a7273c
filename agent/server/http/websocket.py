"""A wire on a WebSocket: whoever comes is received as on any other, or refused before the handshake."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import anyio

from agent.errors import RequestError
from agent.server.admission.guard import CONNECTION, address, refuse
from agent.server.reception import Reception, Visit
from agent.transports.disclosure import told

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

Talk: TypeAlias = Callable[["WebSocket", Visit, type[Exception]], Awaitable[None]]
"""Speaks a protocol with whoever was received, to the end; it is told what the socket raises when the client
has gone. What it raises closes the connection."""


def websocket(
    reception: Reception, wire: str, talk: Talk, protocol: str | None = None
) -> Callable[[WebSocket], Awaitable[None]]:
    """The endpoint of a route. wire: its name in the log. protocol: the subprotocol that it agrees to."""
    from starlette.websockets import WebSocketDisconnect, WebSocketState

    async def received(socket: WebSocket) -> None:
        where, limit = address(socket.scope), reception.pool.config.server.client_timeout
        state = socket.scope.get("state", {})

        async def close(code: int, reason: str = "") -> None:
            connected = (WebSocketState.CONNECTED,) * 2
            if (socket.application_state, socket.client_state) == connected:
                with anyio.move_on_after(limit), suppress(WebSocketDisconnect):
                    await socket.close(code, reason[:120])

        async def spoken(visit: Visit) -> None:
            try:
                with told("this session", TimeoutError, WebSocketDisconnect):
                    await talk(socket, visit, WebSocketDisconnect)
            except WebSocketDisconnect:
                pass
            except TimeoutError as error:
                text = "nothing was read for too long (server.client_timeout)"
                raise RequestError(text, 408, "timeout") from error

        try:
            async with reception.visit(wire, where) as visit:
                await socket.accept(protocol if protocol in socket.scope.get("subprotocols", []) else None)
                if (connection := state.get(CONNECTION)) is not None:
                    connection.lost = lambda: visit.lost()
                await spoken(visit)
            await close(1001 if reception.pool.closing else 1000)
        except WebSocketDisconnect:
            return  # it has gone before the session began
        except RequestError as error:
            reception.refused(wire, where, error)
            if socket.application_state is WebSocketState.CONNECTING:
                await refuse(error, socket.scope, socket.receive, socket.send)
            await close(1011 if error.status == 500 else 1008, str(error))

    return received
