"""What nobody foresaw, caught in one place: logged with its traceback, told in one line. Knows no wire."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

from agent.errors import BackchatError, RequestError, leaves

log = logging.getLogger("backchat")


@contextmanager
def told(what: str, *passing: type[BaseException]) -> Generator[None]:
    """Let a fault of our own in this block be an error that the client is told of, and not a bare end.

    what: what was being done, for the log. Our own errors and `passing` go on as they are, alone also where
    a task group has wrapped them. Raises RequestError (500, `internal_error`) for anything else.
    """
    try:
        yield
    except Exception as error:
        known = [leaf for leaf in leaves(error) if isinstance(leaf, (BackchatError, *passing))]
        if known:
            raise known[0] from None
        log.exception("unforeseen", extra={"data": {"in": what}})
        text = f"{what}: a fault of the server's own, noted in its log; what was asked is not done"
        raise RequestError(text, 500, "internal_error") from error
