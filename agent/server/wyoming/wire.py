"""Wyoming's events on a connection: a line of JSON, more JSON behind it, bytes behind that. Knows no event.

The `wyoming` package's own reader takes an event of any size into memory, and ends without a word at one that
is damaged; so the bytes are read here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import anyio
from anyio.abc import ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream

from agent.errors import RequestError
from agent.server.admission import budget
from agent.server.telemetry.log import GONE
from agent.server.wyoming.library import domain
from agent.settings import ServerConfig
from agent.text.cleaning import json_text

LINGER = 2.0
"""Seconds for which a client that is sent away may still send: closed at once, it would not read why."""
OVER = (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError)
"""What anyio raises where the other side has gone."""


@dataclass(frozen=True, slots=True)
class Received:
    """An event as it came: its type, its data, and the bytes behind them."""

    type: str
    data: dict[str, Any]
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Header:
    """The first line of an event: what is in it, and how many bytes of data and of payload follow."""

    type: str
    data: dict[str, Any]
    more: int
    payload: int


class Wire:
    """One connection's events, both ways. Several tasks may send, one reads."""

    def __init__(self, stream: ByteStream, limits: ServerConfig) -> None:
        self._stream, self._limits = stream, limits
        self._incoming = BufferedByteReceiveStream(stream)
        self._sending = anyio.Lock()
        self._begun: _Header | None = None
        """The event that is being read."""

    async def read(self) -> Received | None:
        """The next event; None when there will be no more.

        Raises RequestError for what is none, or is too large: where the next one begins is not known then.
        """
        try:
            return await self._read()
        except OVER:
            return None

    async def _read(self) -> Received:
        """The next event. Where this is cancelled in the midst of one, the next call goes on with it."""
        if self._begun is None:
            try:
                line = await self._incoming.receive_until(b"\n", self._limits.message)
            except anyio.DelimiterNotFound as error:
                raise self._too_large() from error
            self._begun = self._header(line)
        begun = self._begun
        if begun.more:
            data = _object(await self._incoming.receive_exactly(begun.more), self._limits)
            self._begun = begun = replace(begun, data=begun.data | data, more=0)
            budget.check(begun.data, self._limits)
        payload = await self._incoming.receive_exactly(begun.payload) if begun.payload else b""
        self._begun = None
        return Received(begun.type, begun.data, payload)

    def _header(self, line: bytes) -> _Header:
        """What its first line says of an event. Raises RequestError."""
        header = _object(line, self._limits)
        more, payload = _length(header, "data_length"), _length(header, "payload_length")
        if len(line) + more + payload > self._limits.message:
            raise self._too_large()
        kind, data = header.get("type"), header.get("data")
        if not isinstance(kind, str):
            raise RequestError("type: what kind of event it is", param="type")
        if not isinstance(data, dict | None):
            raise RequestError("data: an object", param="data")
        return _Header(kind, cast(dict[str, Any], data or {}), more, payload)

    def _too_large(self) -> RequestError:
        text = f"an event has more than {self._limits.message} bytes (server.message)"
        return RequestError(text, 413, "too_large")

    async def send(self, *events: Any) -> None:
        """Send events of the package's types; waits while the client does not read.

        Raises RequestError after too long, or when it has gone.
        """
        data = b"".join(map(encoded, events))
        try:
            with anyio.fail_after(self._limits.client_timeout):
                async with self._sending:
                    await self._stream.send(data)
        except TimeoutError as error:
            text = "nothing was read for too long (server.client_timeout)"
            raise RequestError(text, 408, "timeout") from error
        except OVER as error:
            raise RequestError("the client has gone", GONE, "gone") from error

    async def part(self, error: RequestError) -> None:
        """Tell the client why it is sent away, as far as it still listens."""
        if error.status == GONE:
            return
        with anyio.move_on_after(LINGER):
            try:
                await self.send(domain("error").Error(str(error), error.code))
                await self._stream.send_eof()
                while True:
                    await self._stream.receive()
            except (*OVER, RequestError):
                return


def encoded(event: Any) -> bytes:
    """One of the package's events as bytes."""
    plain = event.event()
    data = json_text(plain.data).encode() if plain.data else b""
    lengths = {"data_length": len(data), "payload_length": len(plain.payload or b"")}
    header = {"type": plain.type, **{name: length for name, length in lengths.items() if length}}
    return b"".join((json_text(header).encode(), b"\n", data, plain.payload or b""))


def _object(raw: bytes, limits: ServerConfig) -> dict[str, Any]:
    try:
        found = budget.read(raw, limits)
    except (ValueError, RecursionError) as error:
        raise RequestError("this is no event of the Wyoming protocol", code="invalid_json") from error
    if not isinstance(found, dict):
        raise RequestError("an event is a JSON object with a type", code="invalid_json")
    return cast(dict[str, Any], found)


def _length(header: dict[str, Any], name: str) -> int:
    length = 0 if header.get(name) is None else header[name]
    if type(length) is not int or length < 0:
        raise RequestError(f"{name}: a number of bytes", param=name)
    return length
