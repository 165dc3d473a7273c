"""A voice agent for Python: `from agent import Session`. Words and turns: who speaks when, what is heard.

Nothing is loaded until it is asked for (PEP 562), so that `backchat --help` answers at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent import errors, events, testing
    from agent.config import load as load_config
    from agent.engines.registry import load
    from agent.errors import BackchatError, SessionError
    from agent.events import Event
    from agent.messages import Message
    from agent.protocols import Engines
    from agent.session import Session
    from agent.settings import Config
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
    "errors",
    "events",
    "load",
    "load_config",
    "testing",
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
    "load": "agent.engines.registry",
    "load_config": "agent.config:load",
}
"""Where each name comes from, and what it is called there if not the same."""


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _HOMES:
        return importlib.import_module(f"agent.{name}")
    home, _, called = _HOMES[name].partition(":")
    value = globals()[name] = getattr(importlib.import_module(home), called or name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
