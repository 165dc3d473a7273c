"""What the server's log says of sessions and of who is refused. No word of a conversation, and no token."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent import events as ev
from agent.errors import RequestError, leaves
from agent.server.admission.forwarded import subscriber

log = logging.getLogger("backchat")

GONE = 499
"""The status of who has gone before there was an answer."""
MINUTE = 60.0
ADDRESSES = 10_000
"""Addresses of which it is known when they were last told; beyond that the oldest is forgotten."""


Ending: TypeAlias = Literal["client_left", "answered", "server_stops", "timeout", "failed"]
"""How a session ended that was not refused."""


@dataclass
class Entry:
    """One session: its `name`, which a client may know, `turns` that ended, `why` it ended.

    why: an `Ending`, or the code of the error with which it was refused.
    """

    name: str
    turns: int = 0
    why: Ending | str = "client_left"

    def watch(self, event: ev.Event) -> None:
        """Count the replies."""
        self.turns += isinstance(event, ev.TurnEnded)


@contextmanager
def session(wire: str, address: str) -> Generator[Entry]:
    """One line when a session begins and one when it ends."""
    entry, began = Entry(f"sess_{secrets.token_hex(10)}"), time.monotonic()
    known = {"session": entry.name, "wire": wire}
    log.info("session begins", extra={"data": {**known, "address": address}})
    try:
        yield entry
    except Exception as error:
        refused = [leaf for leaf in leaves(error) if isinstance(leaf, RequestError)]
        if not (refused and refused[0].status == GONE):
            entry.why = refused[0].code if refused else "failed"
        raise
    finally:
        figures = {"seconds": round(time.monotonic() - began, 1), "turns": entry.turns, "why": entry.why}
        log.info("session ends", extra={"data": {**known, **figures}})


class Refusals:
    """Who was refused on any wire: at most one line a minute for each address and reason.

    Neither who has gone meanwhile, nor a fault of ours: that has a line of its own.
    """

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def note(self, address: str, error: RequestError, wire: str) -> None:
        """One more was refused; those of the last minute that got no line are counted."""
        if error.status in (GONE, 500):
            return
        key, now = (subscriber(address), error.code), time.monotonic()
        last, untold = self._told.pop(key, (-MINUTE, 0))
        if quiet := now - last >= MINUTE:
            data = {"address": address, "why": error.code, "wire": wire}
            log.info("refused", extra={"data": data | ({"before": untold} if untold else {})})
        self._told[key] = (now, 0) if quiet else (last, untold + 1)
        if len(self._told) > ADDRESSES:
            del self._told[next(iter(self._told))]
