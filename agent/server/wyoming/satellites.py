"""Satellites that wait to be called, as those of Home Assistant do. Knows nothing of what they want then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import SocketStream

from agent.server.admission.exposure import host_and_port
from agent.server.telemetry.log import log
from agent.server.wyoming.caller import Caller
from agent.server.wyoming.library import domain

AGAIN = 5.0
"""Seconds after which one is called again that was not there, or has gone."""
ALIVE = 4
"""How often one is asked whether it is there, in the time that it may take to answer."""


async def attend(address: str, speak: Callable[[SocketStream], Awaitable[None]]) -> None:
    """Call a satellite and speak with it, for ever. It is told in the log when it is there, and when not."""
    host, port = host_and_port(address)
    there: bool | None = None
    while True:
        try:
            stream = await anyio.connect_tcp(host, port)
        except OSError:
            there = _told(address, there, False)
        else:
            there = _told(address, there, True)
            async with stream:
                await speak(stream)
        await anyio.sleep(AGAIN)


async def keep_alive(caller: Caller, client_timeout: float) -> None:
    """Ask a satellite again and again whether it is there: one that waits for its wake word sends nothing."""
    while True:
        await anyio.sleep(client_timeout / ALIVE)
        await caller.send(domain("ping").Ping())


def _told(address: str, before: bool | None, now: bool) -> bool:
    if before is not now:
        log.info("satellite", extra={"data": {"address": address, "there": now}})
    return now
