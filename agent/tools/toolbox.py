"""Tools that may come, change and go while a conversation goes on, as those of another program do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from agent.errors import ToolError
from agent.tools.tool import Tool, ToolContext


class OpenToolbox(Protocol):
    """A toolbox as one conversation has it open."""

    @property
    def tools(self) -> Sequence[Tool]:
        """What is in it now."""
        ...

    async def run(self, changed: Callable[[], None], failed: Callable[[ToolError], None]) -> None:
        """Keep it open, until it is cancelled. changed: is told that `tools` are others now; failed: why they
        cannot be used for the time being, once each time."""
        ...


class Toolbox(Protocol):
    """Where such tools come from; several conversations may have it open, each for itself."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def open(self, context: ToolContext) -> OpenToolbox:
        """The same for the conversation that `context` stands for."""
        ...


def by_name(given: Iterable[Tool], boxes: Iterable[tuple[str, OpenToolbox]]) -> dict[str, Tool]:
    """All tools, each by the name that a model calls it: those of a box give way where it is taken."""
    named = {tool.name: tool for tool in given}
    for box, opened in boxes:
        for tool in opened.tools:
            name = tool.name if tool.name not in named else f"{box}_{tool.name}"[:64]
            if name not in named:
                named[name] = replace(tool, schema=replace(tool.schema, name=name))
    return named
