"""A wire on a WebSocket: whoever comes is received as on any other, or refused before the handshake."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from agent.errors import RequestError
from agent.server.admission.guard import CONNECTION, address, refuse
from agent.server.reception import Reception, Visit

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

Talk: TypeAlias = Callable[["WebSocket", Visit, type[Exception]], Awaitable[None]]
"""Speaks a protocol with whoever was received, to the end; it is told what the socket raises when the client
has gone. What it raises as RequestError counts as refused."""


def websocket(
    reception: Reception, wire: str, talk: Talk, protocol: str | None = None
) -> Callable[[WebSocket], Awaitable[None]]:
    """The endpoint of a route. wire: its name in the log. protocol: the subprotocol that it agrees to."""
    from starlette.websockets import WebSocketDisconnect

    async def received(socket: WebSocket) -> None:
        where, accepted = address(socket.scope), False
        try:
            async with reception.visit(wire, where) as visit:
                await socket.accept(protocol if protocol in socket.scope.get("subprotocols", []) else None)
                accepted = True
                if (connection := socket.scope.get("state", {}).get(CONNECTION)) is not None:
                    connection.lost = lambda: visit.lost()
                await talk(socket, visit, WebSocketDisconnect)
        except WebSocketDisconnect:
            return  # it has gone before the session began
        except RequestError as error:
            reception.refused("websocket", where, error)
            if not accepted:
                await refuse(error, socket.scope, socket.receive, socket.send)

    return received
