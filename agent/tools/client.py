"""Tools that a client runs: it is told of each call, and gives back what came of it. Knows no wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from agent.errors import ToolError
from agent.messages import ToolCall, ToolSchema
from agent.tools.schemas import misfit
from agent.tools.tool import Tool, ToolContext, Work


class ClientTools:
    """Those of one conversation. A call waits for its output as long as the conversation goes on."""

    def __init__(self) -> None:
        self._outputs: dict[str, str] = {}
        self._waiting: dict[str, anyio.Event] = {}

    def tool(self, schema: ToolSchema) -> Tool:
        """A tool that the client has declared. What its calls do is not known: each is made once its turn is
        over, and never for one that was withdrawn."""

        def begin(arguments: Mapping[str, Any], context: ToolContext) -> Work:
            if wrong := misfit(schema.parameters, arguments):
                raise ToolError(wrong)
            return _not_here

        return Tool(schema, "changes", begin, source="client", by_client=self._given_back)

    def returned(self, call: str, output: str) -> bool:
        """The client gives back what came of a call, by its id; False where none waits for that."""
        if (waiting := self._waiting.pop(call, None)) is None:
            return False
        self._outputs[call] = output
        waiting.set()
        return True

    async def _given_back(self, call: ToolCall) -> str:
        self._waiting[call.id] = waiting = anyio.Event()
        try:
            await waiting.wait()
        finally:
            self._waiting.pop(call.id, None)
        return self._outputs.pop(call.id)


def _not_here() -> Any:
    raise ToolError("the client runs it")
