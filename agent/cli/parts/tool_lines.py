"""A call of a tool, and what came of it, in a line each for whoever reads along. Prints nothing."""

from __future__ import annotations

import json
from typing import Any, cast

from agent.events import ToolCalled, ToolReturned
from agent.reports.waits import shorten

LONGEST = 100
"""Most characters of the arguments, or of the result."""
HIDDEN = "…"
"""What stands for what is private."""


def call_line(event: ToolCalled | ToolReturned) -> str:
    """As "set_timer(minutes=2)", and "set_timer: done after 0.2 s: The timer is set."."""
    if isinstance(event, ToolCalled):
        return f"{event.name}({_arguments(event.arguments)})"
    how = event.outcome.replace("_", " ")
    told = f": {shorten(' '.join(event.result.split()), LONGEST)}" if event.result else ""
    return f"{event.name}: {how} after {event.took:.1f} s{told}"


def _arguments(text: str) -> str:
    """By name, as Python would write them; as they are, where they are no JSON object."""
    if not text:
        return HIDDEN
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        return shorten(" ".join(text.split()), LONGEST)
    given = cast(dict[str, Any], data)
    told = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in given.items())
    return shorten(" ".join(told.split()), LONGEST)
