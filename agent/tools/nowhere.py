"""What a tool is given where there is no conversation, as when it is tried by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from agent.errors import ToolError
from agent.tools.tool import Voice


class Nowhere:
    """See `agent.tools.tool.ToolContext`. Nothing is said and nothing ends; `tell` is told of it."""

    last_said = ""
    user_said: Sequence[str] | None = None

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        self._tell = tell

    @property
    def voice(self) -> Voice:
        """Raises ToolError."""
        raise ToolError("Nobody speaks here.")

    def say(self, text: str, *, soon: bool = False) -> None:
        """It is told."""
        self._tell(f"says: {text}")

    def forget(self, about: Callable[[str], bool]) -> None:
        """Nothing was said."""

    def end(self) -> None:
        """It is told."""
        self._tell("ends the conversation")

    def time(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def outside(self) -> AbstractContextManager[None]:
        """The clock is the real one."""
        return nullcontext()
