"""How much of requests' bodies the server holds at once. Knows no wire."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from agent.errors import RequestError

SMALL = 65_536
"""Bytes of each body that find room however much is held, so that large ones do not keep small ones out.
How many bodies there are is limited by the connections."""
AGAIN = 5
"""Seconds after which there may be room again."""


class Bodies:
    """At most `most` bytes of bodies at once, from their arrival to the end of their request."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.held = 0
        """Bytes that are held, the small beginnings left out."""

    @contextmanager
    def holding(self) -> Generator[Callable[[int], None]]:
        """One body, while its request lasts: call what is yielded with the bytes of each part that came.

        That raises RequestError where there is no room for more.
        """
        body = 0

        def hold(count: int) -> None:
            nonlocal body
            self.check(body + count, body)
            self.held += _large(body + count) - _large(body)
            body += count

        try:
            yield hold
        finally:
            self.held -= _large(body)

    def check(self, size: int, held: int = 0) -> None:
        """Raise RequestError where there is no room for a body of so many bytes, `held` of them here."""
        if (more := _large(size) - _large(held)) and self.held + more > self._most:
            raise RequestError(
                f"the server holds as much of other requests as it may, {self._most} bytes (server.bodies); "
                "try again in a few seconds",
                503,
                "busy",
                retry_after=AGAIN,
            )


def _large(size: int) -> int:
    return max(0, size - SMALL)
