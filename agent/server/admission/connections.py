"""Connections and calls that are open, and which one goes when there is no room. Knows no protocol."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from agent.errors import RequestError
from agent.server.admission.forwarded import subscriber

AGAIN = 5
"""Seconds after which there may be room again."""


@dataclass(eq=False)
class Connection:
    """One client's connection. address: its other end. abort: ends it at once, unsent bytes or not."""

    address: str = ""
    abort: Callable[[], None] = lambda: None
    since: float = field(default_factory=time.monotonic)
    """When it began to wait for its client, as the monotonic clock has it."""
    lost: Callable[[], None] = lambda: None
    """Is called when it is over, by whoever works for it and would read of that only after all that came."""
    _requests: int = 0
    _whole: int = 0

    @property
    def served(self) -> bool:
        """Whether it has a request that is whole, so that it's the server that is to go on."""
        return self._whole > 0

    @property
    def waits(self) -> bool:
        """Whether nothing was let in on it, so that its client is to go on, which has no other deadline."""
        return not self._requests

    def asked(self) -> None:
        """A request has come whole but for its body; from here on its client has time again."""
        self.since = time.monotonic()

    @contextmanager
    def request(self, *, body: bool) -> Generator[Callable[[], None]]:
        """While a request is in work that was let in; there may be several.

        body: whether it has one, yet to come, which has a deadline of its own. What is yielded is called when
        that has come to its end.
        """
        coming = True

        def whole() -> None:
            nonlocal coming
            self._whole += coming
            coming = False

        self._requests += 1
        if not body:
            whole()
        try:
            yield whole
        finally:
            whole()
            self._whole -= 1
            self._requests -= 1
            self.since = time.monotonic()


class Connections:
    """At most `most` connections, of which none waits for a request longer than `client_timeout` seconds.

    There is always room for one more: the one that has waited longest for its client goes, of the address
    that has most of them. So whoever holds many makes room for others, and nobody is cut in mid-answer.
    """

    def __init__(self, most: int, client_timeout: float) -> None:
        self._most, self._client_timeout = most, client_timeout
        self._open: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, address: str, abort: Callable[[], None]) -> Connection:
        """One more; another goes if there is no room, and this one if all the others are served."""
        new = Connection(address, abort)
        self._open[new] = None
        if len(self._open) > self._most:
            waiting = [each for each in self._open if not each.served]
            crowds = Counter(subscriber(each.address) for each in waiting)
            self._end(min(waiting, key=lambda each: (-crowds[subscriber(each.address)], each.since)))
        return new

    @contextmanager
    def holding(self, address: str) -> Generator[Connection]:
        """One more, which lasts as long as the block; where it must go, the block is cancelled.

        Raises RequestError then.
        """
        with anyio.CancelScope() as scope:
            connection = self.opened(address, scope.cancel)
            try:
                yield connection
            finally:
                self.closed(connection)
        if scope.cancelled_caught:
            text = f"there is room for {self._most} at once (server.connections), and this one waited longest"
            raise RequestError(text, 503, "busy", retry_after=AGAIN)

    def closed(self, connection: Connection) -> None:
        """It is over."""
        if self._open.pop(connection, self) is None:
            connection.lost()

    async def watch(self) -> None:
        """End those on which no request comes, for ever."""
        while True:
            await anyio.sleep(self._client_timeout / 4)
            latest = time.monotonic() - self._client_timeout
            for each in list(self._open):
                if each.waits and each.since < latest:
                    self._end(each)

    def _end(self, connection: Connection) -> None:
        self.closed(connection)
        connection.abort()
