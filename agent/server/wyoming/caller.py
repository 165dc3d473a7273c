"""The other side of one connection, and what of it is answered without an engine. Knows no service."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import anyio

from agent.errors import RequestError
from agent.server.reception import Reception
from agent.server.wyoming.conversations import Conversations
from agent.server.wyoming.library import domain
from agent.server.wyoming.wire import Received, Wire


class Caller:
    """Who calls, from `address`.

    info: the event that says what there is here. conversations: those that go on.
    """

    def __init__(
        self, wire: Wire, reception: Reception, address: str, info: Any, conversations: Conversations
    ) -> None:
        self._wire, self._info = wire, info
        self.reception, self.address, self.conversations = reception, address, conversations
        self.name = f"connection {secrets.token_hex(8)}"
        """What a conversation of its own is called that it gives no name."""
        self.whole: Callable[[], None] = lambda: None
        """Called once a request has come to its end: from then on it is the server that is to go on."""

    async def next(self, limit: float | None = None, setting: str = "client_timeout") -> Received | None:
        """The next event that asks for a service, or belongs to one; None when there will be no more.

        `ping` and `describe` are answered on the way. limit: seconds that it may take, by this setting.
        Raises RequestError after that, and for what is no event.
        """
        try:
            with anyio.fail_after(limit):
                return await self._next()
        except TimeoutError as error:
            text = f"nothing came for {limit:g} s (server.{setting})"
            code = "session_expired" if setting == "first_event" else "timeout"
            raise RequestError(text, 408, code) from error

    async def _next(self) -> Received | None:
        while (event := await self._wire.read()) is not None:
            match event.type:
                case "ping":
                    text = event.data.get("text")
                    await self.send(domain("ping").Pong(text if isinstance(text, str) else None))
                case "describe":
                    await self.send(self._info)
                case _:
                    return event
        return None

    async def send(self, *events: Any) -> None:
        """Send events of the package's types. Raises RequestError for who does not read, or has gone."""
        await self._wire.send(*events)

    async def part(self, error: RequestError) -> None:
        """Tell it why it is sent away."""
        await self._wire.part(error)
