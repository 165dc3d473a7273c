"""Tools that a scenario scripts: each takes its time on the conversation's clock, and gives its words."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

import anyio

from agent.errors import ToolError
from agent.messages import ToolSchema
from agent.simulation.scenario import ScriptedTool
from agent.tools.tool import Tool, ToolContext

KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}
"""What an argument of each kind is in Python."""


def scripted(script: ScriptedTool) -> Tool:
    """The tool of a script. Raises ToolError for a name that is none."""

    async def work() -> str:
        await anyio.sleep(script.takes)
        if script.fails:
            raise ToolError(script.gives)
        return script.gives

    def begin(arguments: Mapping[str, Any], context: ToolContext) -> Awaitable[str]:
        if arguments.keys() != script.parameters.keys():
            raise ToolError(f"the arguments are {', '.join(script.parameters) or 'none'}")
        for name, kind in script.parameters.items():
            if not isinstance(arguments[name], KINDS[kind]):
                raise ToolError(f"{name}: is no {kind}")
        return work()

    properties = {name: {"type": kind} for name, kind in script.parameters.items()}
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    cancels = "cancel" if script.effect == "reads" else "finish"
    return Tool(
        ToolSchema(script.name, script.about, schema),
        script.effect,
        begin,
        interrupted=cancels,
        timeout=script.takes + 60.0,
        source="scenario",
    )
