"""Server-sent events out of bytes that come in any pieces. Knows no network and no meaning of an event."""

from __future__ import annotations

import re

LONGEST = 1 << 20
"""Bytes of one event beyond which it is no chat stream, but something that never ends."""

_LINE_END = re.compile(rb"\r\n|\n|\r")


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
