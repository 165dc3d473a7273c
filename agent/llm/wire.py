"""One HTTP/1.1 connection that can be waited on in short steps, and the events that come over it. Knows bytes
and time-outs, no meaning.

The usual clients block until something comes or throw the connection away. A reply that is given up while
the server still thinks must let go at once, so here a wait without result is an ordinary answer. h11 does
the protocol (it is what httpx stands on), httpx the choice of trusted certificates.
"""

from __future__ import annotations

import re
import socket
import ssl
from functools import cache
from typing import Any
from urllib.parse import urlsplit

LONGEST = 1 << 20
"""Bytes of one event beyond which it is no chat stream, but something that never ends."""

_LINE_END = re.compile(rb"\r\n|\n|\r")


class WireError(Exception):
    """The connection could not be made, broke, or what came is no HTTP. The text says which."""


@cache
def _trust() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()  # certifi's roots, or those of SSL_CERT_FILE and SSL_CERT_DIR


class Wire:
    """A connection to the server of `url`, used for one request after another.

    connect: most seconds for TCP and TLS. Raises WireError when there is nobody.
    """

    def __init__(self, url: str, connect: float) -> None:
        import h11

        parts = urlsplit(url)
        secure = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        self._h11: Any = h11
        self._host = parts.netloc.rpartition("@")[2]
        self._state: Any = h11.Connection(h11.CLIENT)
        try:
            self._socket: socket.socket = socket.create_connection((host, port), connect)
            # A request is one small packet that nothing follows: do not wait for more.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if secure:
                self._socket = _trust().wrap_socket(self._socket, server_hostname=host)
        except OSError as error:  # ssl.SSLError is one
            raise WireError(reason(error)) from error

    @property
    def fresh(self) -> bool:
        """Whether the server has left the connection open and silent since its last answer."""
        try:
            self._socket.settimeout(0.0)
            self._socket.recv(1, 0 if isinstance(self._socket, ssl.SSLSocket) else socket.MSG_PEEK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def send(self, path: str, headers: list[tuple[str, str]], body: bytes, wait: float) -> None:
        """Send a POST request, taking at most `wait` seconds. Raises WireError."""
        lines = [("Host", self._host), ("Content-Length", str(len(body))), *headers]
        request = self._h11.Request(method="POST", target=path, headers=lines)
        parts = (request, self._h11.Data(data=body), self._h11.EndOfMessage())
        try:
            self._socket.settimeout(wait)
            self._socket.sendall(b"".join(self._state.send(part) or b"" for part in parts))
        except OSError as error:
            raise WireError(reason(error)) from error

    def receive(self, wait: float) -> Any:
        """The next h11 event of the answer: Response, Data, EndOfMessage; None when `wait` seconds gave none.

        Raises WireError when the connection breaks or what comes is no HTTP.
        """
        while True:
            try:
                event = self._state.next_event()
                if event is self._h11.NEED_DATA:
                    self._socket.settimeout(wait)
                    self._state.receive_data(self._socket.recv(65536))
                    continue
            except TimeoutError:
                return None
            except OSError as error:
                raise WireError(reason(error)) from error
            except self._h11.RemoteProtocolError as error:
                raise WireError(f"what came is no whole HTTP answer: {error}") from error
            if isinstance(event, self._h11.ConnectionClosed):
                raise WireError("the server closed the connection")
            if not isinstance(event, self._h11.InformationalResponse):
                return event

    def reusable(self) -> bool:
        """Whether the answer was read to its end and the connection can take another request."""
        if not self._state.our_state is self._state.their_state is self._h11.DONE:
            return False
        self._state.start_next_cycle()
        return True

    def close(self) -> None:
        """Drop the connection; the server sees it at once."""
        self._socket.close()


def reason(error: OSError) -> str:
    """What went wrong, in a few words."""
    if isinstance(error, TimeoutError):
        return "timed out"
    return (error.strerror or str(error) or type(error).__name__).strip()


class Events:
    """Collects bytes and gives the data of each event that they complete.

    After WHATWG HTML 9.2.6: lines end in CR, LF or both, `data:` lines of one event are joined by line feeds,
    comments and other fields are passed over, a blank line ends the event.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[str]:
        """The data of the events that end in `piece`. Raises ValueError when one grows without end."""
        # Only whole lines are decoded: a character that is split between two pieces is never seen in halves.
        if b"\n" in piece or b"\r" in piece or self._rest.endswith(b"\r"):
            *lines, self._rest = self._lines(self._rest + piece)
        else:
            lines, self._rest = [], self._rest + piece
        found = [data for line in lines if (data := self._line(line)) is not None]
        if len(self._rest) + self._size > LONGEST:
            raise ValueError(f"an event of more than {LONGEST} bytes")
        return found

    def end(self) -> list[str]:
        """The event that the end of the stream left without its blank line; none for a half-written line."""
        last = self._line(b"")
        return [last] if last is not None else []

    @staticmethod
    def _lines(text: bytes) -> list[bytes]:
        # A CR that ends the piece may be the first half of a CR LF: it waits for what follows.
        if text.endswith(b"\r"):
            *lines, last = _LINE_END.split(text[:-1])
            return [*lines, last + b"\r"]
        return _LINE_END.split(text)

    def _line(self, line: bytes) -> str | None:
        if not line:
            data, self._data, self._size = self._data, [], 0
            return "\n".join(data) if data else None
        field, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
            self._size += len(value)
        return None
