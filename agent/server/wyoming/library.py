"""The packages of the extra `wyoming`, loaded when they are used: the events that are sent, zeroconf.

What comes in is not read with the package's types: they take whatever is in it for what should be there.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from agent.errors import MissingExtra


@cache
def module(name: str) -> Any:
    """A module of these packages. Raises MissingExtra."""
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtra(f"{name} is missing", "wyoming") from error


def domain(name: str) -> Any:
    """The events of one domain, as `asr` or `tts`. Raises MissingExtra."""
    return module(f"wyoming.{name}")
