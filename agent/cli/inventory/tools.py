"""The command `tools`: which there are, what each does, and a try of one. Holds no conversation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from agent.cli.commands import configured, settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.settings import Config, ToolsConfig
    from agent.tools.execution import Result
    from agent.tools.mcp.connection import MCPServer
    from agent.tools.tool import Tool


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs, with the whole schemas.")
@settings
@click.pass_context
def tools(context: click.Context, as_json: bool, **options: Any) -> None:
    """List the tools, what each does to the world, and whether it is on; `tools call` tries one.

    Each is off until its set is named: --set 'tools.use=["clock", "timers"]'. Servers of tools.mcp are asked
    what they offer; of one that does not answer, a line says why.
    """
    config = context.obj = configured(**options)
    if context.invoked_subcommand is not None:
        return
    servers = _servers(config.tools)
    found = list(_listed(config.tools, servers))
    if as_json:
        import json

        click.echo(json.dumps([_entry(*each) for each in found], indent=2, ensure_ascii=False))
        return
    _print(found)


@tools.command()
@click.argument("name")
@click.argument("arguments", default="{}")
@click.pass_obj
def call(config: Config, name: str, arguments: str) -> None:
    """Run the tool NAME once with ARGUMENTS, a JSON object, and print what a language model would be told.

    It need not be on.
    """
    from agent.errors import ConfigError

    servers = _servers(config.tools)
    listed = list(_listed(config.tools, servers))
    found = {tool.name: (group, tool) for group, _, tool in listed}
    if name not in found:
        raise ConfigError(f"no tool is called {name!r}; known: {', '.join(found)}")
    group, tool = found[name]
    if tool.confirm and not click.confirm(f"{name} asks first: run it?", err=True):
        return
    boxes = [server for server in servers if server.name == group]
    others = [each for other, on, each in listed if on and other != group]
    result = _called(name, arguments, config, others if boxes else [tool], boxes)
    click.echo(result.text)
    if result.outcome != "done":
        raise SystemExit(1)


def _servers(config: ToolsConfig) -> tuple[MCPServer, ...]:
    """The servers of the settings, each asked; what is wrong with one is said."""
    from agent.tools.nowhere import Nowhere
    from agent.tools.registry import servers

    asked = servers(config)
    for server in asked:
        for why in filter(None, (server.failed, *server.open(Nowhere()).left_out)):
            click.echo(f"tools.mcp: {server.name}: {why}", err=True)
    return asked


def _listed(config: ToolsConfig, servers: Iterable[MCPServer]) -> Iterator[tuple[str, bool, Tool]]:
    """Each tool with the name of its set or server, and whether that is on. Raises ConfigError."""
    from agent.tools.nowhere import Nowhere
    from agent.tools.registry import known, named
    from agent.tools.toolbox import by_name

    taken: list[Tool] = []
    for name in config.use:
        for tool in named(name, config):
            taken.append(tool)
            yield name, True, tool
    for server in servers:
        names = {tool.name for tool in taken}
        for tool in by_name(taken, [(server.name, server.open(Nowhere()))]).values():
            if tool.name not in names:
                taken.append(tool)
                yield server.name, True, tool
    for name in known():
        if name not in config.use:
            yield from ((name, False, tool) for tool in named(name, config))


def _entry(name: str, on: bool, tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "set": name,
        "on": on,
        "effect": tool.effect,
        "confirm": bool(tool.confirm),
        "interrupted": tool.interrupted,
        "source": tool.source,
        "description": tool.schema.description,
        "parameters": tool.schema.parameters,
    }


def _print(found: list[tuple[str, bool, Tool]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "set", "tool", "effect", "from", "about"):
        table.add_column(column, overflow="fold")
    for name, on, tool in found:
        arguments = ", ".join(tool.schema.parameters["properties"])
        about = tool.schema.description.partition("\n")[0]
        effect = f"{tool.effect}, asks first" if tool.confirm else tool.effect
        cells = ("*" if on else "", name, f"{tool.name}({arguments})", effect, tool.source, about)
        table.add_row(*map(Text, cells))
    Console().print(table)
    click.echo('\n* are on; switch sets on: --set \'tools.use=["NAME"]\', or use = ["NAME"] below [tools]')


def _called(name: str, arguments: str, config: Config, given: list[Tool], boxes: list[MCPServer]) -> Result:
    """What comes of one call, on the real clock."""
    import anyio

    from agent.messages import ToolCall
    from agent.runner import Runner, run_real
    from agent.tools.execution import Execution
    from agent.tools.nowhere import Nowhere

    def told(line: str) -> None:
        click.echo(line, err=True)

    async def main() -> Result:
        over = anyio.Event()
        over.set()
        quiet = [replace(tool, lives=None) for tool in given]
        execution = Execution(
            quiet, config.tools, Runner(), lambda _: None, Nowhere(told), lambda _: None, boxes
        )
        results: list[Result] = []
        async with anyio.create_task_group() as tasks:
            execution.enter(tasks)
            running = execution.begin(ToolCall("call", name, arguments), 1, over)
            await running.done.wait()
            assert running.result is not None
            results.append(running.result)
            execution.leave()
        return results[0]

    return run_real(main)
