"""Calls of a server's tools, held as a conversation holds them, without one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import anyio

from agent import events as ev
from agent.runner import Runner
from agent.settings import ToolsConfig
from agent.testing import call
from agent.tools.execution import Execution, Running
from agent.tools.mcp.connection import MCPServer
from agent.tools.nowhere import Nowhere

Done = Callable[..., Awaitable[Running]]
"""Has a tool called with these arguments, and waits for what comes of it."""


def held(
    server: MCPServer, talk: Callable[[Done, Execution], Awaitable[Any]], backend: str = "trio"
) -> list[ev.Event]:
    """The events of a conversation with this server, which calls what `talk` has called."""
    seen: list[ev.Event] = []

    async def main() -> None:
        over = anyio.Event()
        over.set()
        execution = Execution([], ToolsConfig(), Runner(), seen.append, Nowhere(), lambda _: None, [server])

        async def done(name: str, **arguments: Any) -> Running:
            running = execution.begin(replace(call(name, **arguments), id="1"), 1, over)
            await running.done.wait()
            return running

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                execution.enter(tasks)
                await talk(done, execution)
                execution.leave()

    anyio.run(main, backend=backend)
    return seen
