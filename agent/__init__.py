"""A voice agent for Python: `from agent import Session`. Words and turns: who speaks when, what is heard.

Nothing is loaded until it is asked for (PEP 562), so that `backchat --help` answers at once.
"""

from __future__ import annotations

TYPE_CHECKING = False  # neither `typing` nor `importlib` is loaded before signals are heeded: agent.cli
if TYPE_CHECKING:
    from agent import errors, events, testing
    from agent.config import load as load_config
    from agent.engines.registry import load
    from agent.errors import BackchatError, SessionError, ToolError
    from agent.events import Event
    from agent.messages import Message
    from agent.protocols import Engines
    from agent.session import Session
    from agent.settings import Config
    from agent.tools.tool import Tool, ToolContext, tool
    from audio.frame import Frame

__version__ = "0.1.0"

__all__ = [
    "BackchatError",
    "Config",
    "Engines",
    "Event",
    "Frame",
    "Message",
    "Session",
    "SessionError",
    "Tool",
    "ToolContext",
    "ToolError",
    "errors",
    "events",
    "load",
    "load_config",
    "testing",
    "tool",
]

_HOMES = {
    "BackchatError": "agent.errors",
    "Config": "agent.settings",
    "Engines": "agent.protocols",
    "Event": "agent.events",
    "Frame": "audio.frame",
    "Message": "agent.messages",
    "Session": "agent.session",
    "SessionError": "agent.errors",
    "Tool": "agent.tools.tool",
    "ToolContext": "agent.tools.tool",
    "ToolError": "agent.errors",
    "tool": "agent.tools.tool",
    "load": "agent.engines.registry",
    "load_config": "agent.config:load",
}
"""Where each name comes from, and what it is called there if not the same."""


def __getattr__(name: str) -> object:
    """A public name, imported when it is first asked for. ImportError where our `audio` is hidden."""
    import importlib

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if why := shadowed():
        raise ImportError(why)
    if name not in _HOMES:
        return importlib.import_module(f"agent.{name}")
    home, _, called = _HOMES[name].partition(":")
    value = globals()[name] = getattr(importlib.import_module(home), called or name)
    return value


def shadowed() -> str:
    """What hides our package `audio`, and what to do; "" where nothing does."""
    import os
    from importlib.util import find_spec

    spec, home = find_spec("audio"), os.path.dirname(os.path.dirname(__file__))
    where = spec.origin if spec is not None and spec.origin else ""
    if os.path.dirname(os.path.dirname(where)) == home:
        return ""
    if not where:
        return f"backchat's package `audio` is missing in {home}; install backchat again"
    return f"{where} hides backchat's package `audio`; rename it, or run where it is not on Python's path"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
