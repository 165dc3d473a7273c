"""The connections that are open, and which one goes when there is no room. Knows no protocol."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from agent.server.admission.forwarded import subscriber


@dataclass(eq=False)
class Connection:
    """One client's connection. address: its other end. abort: ends it at once, unsent bytes or not."""

    address: str = ""
    abort: Callable[[], None] = lambda: None
    since: float = field(default_factory=time.monotonic)
    """When it began to wait for its client, as the monotonic clock has it."""
    served: bool = False
    """Whether it has a request whose body is whole, so that it's the server that is to go on."""
    sending: bool = False
    """Whether the body of a request that was let in is on its way, which has a deadline of its own."""
    lost: Callable[[], None] = lambda: None
    """Is called when it is over, by whoever works for it and would read of that only after all that came."""

    def asked(self) -> None:
        """A request has come whole but for its body; from here on its client has time again."""
        self.since = time.monotonic()

    @contextmanager
    def request(self, *, body: bool) -> Generator[None]:
        """While a request is in work that was let in. body: whether it has one, yet to come."""
        self.sending, self.served = body, not body
        try:
            yield
        finally:
            self.sending = self.served = False
            self.since = time.monotonic()

    def whole(self) -> None:
        """The body has come to its end."""
        self.sending, self.served = False, True


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
                if not each.served and not each.sending and each.since < latest:
                    self._end(each)

    def _end(self, connection: Connection) -> None:
        self.closed(connection)
        connection.abort()
