"""How many bytes a session keeps of what its client gave, and may. Knows no wire."""

from __future__ import annotations

import sys
from typing import Any, cast

from agent.errors import RequestError
from agent.messages import Message
from agent.settings import ServerConfig


def room(kept: int, more: int, limits: ServerConfig) -> None:
    """Refuse what a session that keeps so many bytes cannot keep too. Raises RequestError."""
    if kept + more > limits.memory:
        raise RequestError(
            f"the session would keep {kept + more} bytes, more than {limits.memory} (server.memory); commit "
            "or clear its audio, or wait for an answer",
            413,
            "session_full",
        )


def weight(value: Any) -> int:
    """Bytes of memory of the texts in an item."""
    if isinstance(value, str):
        return sys.getsizeof(value)
    if isinstance(value, Message):
        return weight(value.content) + sum(picture.pixels.nbytes for picture in value.images)
    if isinstance(value, dict):
        return sum(map(weight, cast(dict[str, Any], value).values()))
    return sum(map(weight, cast(list[Any], value))) if isinstance(value, list) else 0
