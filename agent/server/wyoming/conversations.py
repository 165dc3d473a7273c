"""What was said in conversations that go on from one connection to the next. Knows no wire and no event.

Home Assistant opens a connection for each sentence, and names the conversation that it belongs to. Between
two of them it has no place at the engines, only its history here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from agent.messages import Message
from agent.settings import ServerConfig
from agent.transports.memory import weight


@dataclass(eq=False)
class Conversation:
    """One of them. messages: what was said, without the instructions."""

    messages: list[Message] = field(default_factory=list[Message])
    used: float = 0.0
    """When it was last gone on with (s, the event loop's clock)."""
    lock: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def weight(self) -> int:
        """Bytes that it takes."""
        return sum(map(weight, self.messages))


class Conversations:
    """Those of the last `server.idle` seconds, together at most `server.memory` bytes; the oldest go."""

    def __init__(self, limits: ServerConfig) -> None:
        self._limits = limits
        self._known: dict[tuple[str, str], Conversation] = {}

    @asynccontextmanager
    async def going_on(self, client: str, name: str) -> AsyncGenerator[Conversation]:
        """The conversation of a client by that name, for one who goes on with it; others wait."""
        self._forget()
        found = self._known.setdefault((client, name), Conversation(used=anyio.current_time()))
        async with found.lock:
            try:
                yield found
            finally:
                found.used = anyio.current_time()
                self._known.pop((client, name), None)
                self._known[client, name] = found
                self._forget()

    def _forget(self) -> None:
        """Let go of what is too old, and of the oldest while there is too much."""
        latest = anyio.current_time() - self._limits.idle
        idle = {name: each for name, each in self._known.items() if not each.lock.statistics().locked}
        kept = sum(each.weight for each in self._known.values())
        for name, each in idle.items():
            if each.used < latest or kept > self._limits.memory:
                kept -= each.weight
                del self._known[name]
