"""HTTP's and WebSockets' connections as uvicorn has them: each is counted, has a share, and is told its end.

Knows no request. uvicorn itself waits for ever for the first request of a connection, and for its end.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from agent.server.admission.connections import Connection, Connections
from agent.server.admission.guard import CONNECTION
from agent.server.http.share import RoundRobin, Share
from agent.settings import ServerConfig

TOO_BIG, TOO_MANY, UNANSWERED = 1009, 1008, 1011
"""Close codes of RFC 6455: for a message that is too long, or in too many parts; for an unanswered ping."""
AHEAD = 16_384
"""Bytes that wait in a connection for a network that is slower than what is sent: a quarter of a second of
speech, once in the kernel and once on a WebSocket of ours."""
PARTS = 1000
"""Frames that one message may come in."""


class Arrivals:
    """Connections from the moment that they are taken: before TLS, and before they have said anything."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._new: dict[int, Connection] = {}

    def listening(self, bound: socket.socket) -> socket.socket:
        """The same listening socket, which tells of each connection that is taken from it."""
        return _Listening(self, bound)

    def taken(self, client: _Taken, address: str) -> None:
        """One more, of which nothing is known but this."""

        def end() -> None:  # asyncio reads that it has ended, and closes it
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

        number = client.fileno()
        new = self._new[number] = self._connections.opened(address, end)

        def closed() -> None:
            if self._new.get(number) is new:
                del self._new[number]
            self._connections.closed(new)

        client.closed = closed

    def made(self, transport: Any, address: str) -> Connection:
        """It is one of HTTP's now."""
        known = self._new.pop(transport.get_extra_info("socket").fileno(), None)
        if known is None:  # an event loop that takes them by itself, as that of Windows does
            return self._connections.opened(address, transport.abort)
        known.abort = transport.abort
        return known

    def closed(self, connection: Connection) -> None:
        """It is over."""
        self._connections.closed(connection)


class _Listening(socket.socket):
    """A listening socket; what is taken from it is counted."""

    def __init__(self, arrivals: Arrivals, bound: socket.socket) -> None:
        super().__init__(fileno=bound.detach())
        self._arrivals = arrivals

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection, and the address of its other end."""
        taken, address = super().accept()
        client = _Taken(fileno=taken.detach())
        self._arrivals.taken(client, str(address[0]))
        return client, address


class _Taken(socket.socket):
    """A connection's socket, which says when it is closed."""

    closed: Callable[[], None] = staticmethod(lambda: None)

    def close(self) -> None:
        """Close it."""
        super().close()
        self.closed()


_Base: Any = object


class _Counted(_Base):
    """A connection as uvicorn has it, which is counted to its end, and of which a part is read at a time."""

    arrivals: Arrivals
    round_robin: RoundRobin
    limits: ServerConfig
    app_state: dict[str, Any]

    def data_received(self, data: bytes) -> None:
        self.share.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.arrivals.closed(self.app_state[CONNECTION])
        self.share.end()
        above: Any = super()
        above.connection_lost(exc)


class _HTTP(_Counted):
    """A connection from its beginning, until it ends or becomes a WebSocket's."""

    def connection_made(self, transport: Any) -> None:
        above: Any = super()
        above.connection_made(transport)
        opened = self.arrivals.made(transport, self.client[0] if self.client else "")
        self.app_state = {**self.app_state, CONNECTION: opened}
        self.share = Share(self.round_robin, transport, self._handle, lambda: not self.flow.read_paused)

    def _handle(self, data: bytes) -> None:
        if self.transport.get_protocol() is self:  # no WebSocket's by now
            uvicorns: Any = super(_Counted, self)
            uvicorns.data_received(data)

    def send_400_response(self, msg: str) -> None:
        if self.cycle is None:
            above: Any = super()
            above.send_400_response(msg)
        else:  # what was asked before is answered, or was: h11 takes a second answer for a fault of ours
            self.transport.close()


class _WebSocket(_Counted):
    """The same connection from its upgrade on."""

    def __init__(self, *given: Any, **named: Any) -> None:
        above: Any = super()
        above.__init__(*given, **named)
        self.heard = False
        fail = self.conn.fail

        def by_setting(code: int, reason: str = "") -> None:
            limit = f"a message of more than {self.limits.message} bytes (server.message)"
            fail(code, limit if code == TOO_BIG else reason)

        self.conn.fail = by_setting

    def connection_made(self, transport: Any) -> None:
        above: Any = super()
        above.connection_made(transport)
        transport.set_write_buffer_limits(AHEAD)
        self.share = Share(self.round_robin, transport, self._handle, lambda: not self.read_paused)

    def data_received(self, data: bytes) -> None:
        self.heard = True
        super().data_received(data)

    def _handle(self, data: bytes) -> None:
        if not self.transport.is_closing():  # once it has only sent that it closes, the answer is awaited
            uvicorns: Any = super(_Counted, self)
            uvicorns.data_received(data)

    def send_keepalive_ping(self) -> None:
        self.heard = False
        above: Any = super()
        above.send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        self.pong_timer = self.pending_ping_payload = None
        # Its answer is behind what it has sent, and that is not read while too much of it waits.
        if self.heard or self.read_paused:
            self.schedule_ping()
        else:
            seconds = f"{self.limits.client_timeout:g} s (server.client_timeout)"
            self._end(UNANSWERED, f"a ping was not answered for {seconds}")

    def handle_cont(self, event: Any) -> None:
        above: Any = super()
        above.handle_cont(event)
        if len(self.frames) > PARTS:
            self._end(TOO_MANY, f"a message in more than {PARTS} frames; send larger ones")

    def _end(self, code: int, reason: str) -> None:
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.fail(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()


def protocols(arrivals: Arrivals, limits: ServerConfig) -> tuple[Any, Any]:
    """uvicorn's HTTP and WebSocket, counted, of which none takes more than its share of the event loop."""
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

    http: Any = H11Protocol
    websocket: Any = AutoWebSocketsProtocol
    common = {"arrivals": arrivals, "round_robin": RoundRobin(), "limits": limits}
    return type("HTTP", (_HTTP, http), common), type("WebSocket", (_WebSocket, websocket), common)
