"""From names in the configuration to tools. Knows where tools are, not what they do.

A name is that of a built-in set, of an entry point in the group `backchat.tools`, or the path of a Python
file. What it leads to is a tool, several, or a function that is given the settings and makes them.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from agent.errors import BackchatError, ConfigError, in_one_line
from agent.settings import ToolsConfig
from agent.tools.mcp.connection import MCPServer, asked
from agent.tools.tool import Tool

BUILT_IN: dict[str, str] = {
    "clock": "agent.tools.clock:clock",
    "calculator": "agent.tools.calculator:calculator",
    "timers": "agent.tools.timers:timers",
    "notes": "agent.tools.memory.notes:notes",
    "goodbye": "agent.tools.goodbye:goodbye",
    "voice": "agent.tools.voice:voice",
}
"""Sets of tools that come with backchat, each off until it is named."""


def loaded(config: ToolsConfig) -> tuple[Tool, ...]:
    """The tools that `tools.use` names. Raises ConfigError for one that there is not, or does not load."""
    return distinct(tool for name in config.use for tool in named(name, config))


def weights(config: ToolsConfig) -> list[str]:
    """What the weights are called, in the catalogue, that these tools need."""
    return ["minilm"] if "notes" in config.use and config.recall == "meaning" else []


def servers(config: ToolsConfig) -> tuple[MCPServer, ...]:
    """The servers of `tools.mcp`, each asked what it offers. Raises ConfigError, MissingExtra; blocks."""
    return asked(config.mcp)


def known() -> list[str]:
    """The names that `tools.use` may have, besides files."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group="backchat.tools"))})


def named(name: str, config: ToolsConfig) -> Iterator[Tool]:
    """The tools behind one name. Raises ConfigError."""
    try:
        found, source = _found(name)
        for tool in _tools(found, config):
            yield replace(tool, source=source)
    except BackchatError as error:
        raise ConfigError(f"tools.use: {name}: {error}") from error
    except Exception as error:  # tools are other people's code: theirs is the fault, ours is to say so
        raise ConfigError(f"tools.use: {name} cannot be loaded: {in_one_line(error)}") from error


def distinct(tools: Iterable[Tool]) -> tuple[Tool, ...]:
    """These. Raises ConfigError where two have one name: a model could not tell them apart."""
    found: dict[str, Tool] = {}
    for tool in tools:
        if tool.name in found:
            sources = f"{found[tool.name].source} and {tool.source}"
            raise ConfigError(f"tools: two are called {tool.name!r}, from {sources}; leave one out")
        found[tool.name] = tool
    return tuple(found.values())


def _found(name: str) -> tuple[object, str]:
    """What a name leads to, and where that is from."""
    if name.endswith(".py"):
        return _module(Path(name).expanduser()), name
    if name in BUILT_IN:
        return _attribute(BUILT_IN[name]), "backchat"
    for point in entry_points(group="backchat.tools"):
        if point.name == name:
            found: Any = point.load()
            return found, point.dist.name if point.dist else name
    raise ConfigError(f"no tools are called so; known: {', '.join(known())}, or the path of a Python file")


def _attribute(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _module(path: Path) -> ModuleType:
    """A Python file, run. Raises ConfigError where there is none."""
    spec = importlib.util.spec_from_file_location(f"backchat_tools_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigError("there is no such file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _tools(found: Any, config: ToolsConfig) -> Iterator[Tool]:
    """The tools in what was found. Raises ConfigError where there are none."""
    if isinstance(found, ModuleType):  # one tool may have several names in it
        found = list({id(each): each for each in vars(found).values() if isinstance(each, Tool)}.values())
    elif callable(found) and not isinstance(found, Tool):
        found = found(config)
    tools = cast(list[Any], [found] if isinstance(found, Tool) else list(found))
    if not tools or not all(isinstance(tool, Tool) for tool in tools):
        raise ConfigError("has no tools; make one of a function with @tool(effect=...)")
    yield from tools
