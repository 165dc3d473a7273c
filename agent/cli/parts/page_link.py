"""The page's address with the token in it, as a code that a telephone scans. Knows no server."""

from __future__ import annotations

import importlib
import io
import socket
from typing import Any
from urllib.parse import quote, urlsplit

from agent.errors import MissingExtra

WILDCARDS = ("0.0.0.0", "::")
"""Addresses to listen on that are nobody's address to go to."""
ELSEWHERE = ("192.0.2.1", 9)
"""An address of nobody (RFC 5737), to ask the system which of ours it would go from; nothing is sent."""


def link(address: str, name: str, token: str | None) -> str:
    """Where the page of the server at `address` is opened.

    name: what others call this machine; "": what it listens on, or else its address in the network. The token
    goes behind a #: browsers send that to nobody, and no log has it.
    """
    where = urlsplit(address)
    host = name or (where.hostname or "")
    if host in WILDCARDS:
        host = own_address()
    host = f"[{host}]" if ":" in host else host
    shown = f"#token={quote(token, safe='')}" if token else ""
    return f"{where.scheme}://{host}:{where.port}/{shown}"


def own_address() -> str:
    """This machine's address in its network; its name where it is in none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def check_drawing() -> None:
    """Raises MissingExtra where no code can be drawn."""
    _library()


def code(text: str) -> str:
    """`text` as a QR code for a terminal, lines of half blocks. Raises MissingExtra."""
    drawn = io.StringIO()
    _library().make(text, micro=False).terminal(drawn, compact=True)
    return drawn.getvalue()


def _library() -> Any:
    try:
        return importlib.import_module("segno")
    except ImportError as error:
        raise MissingExtra("--qr needs segno, which draws the code", "server") from error
