"""The command `tools`: which there are, what each does, and a try of one. Holds no conversation."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from agent.cli.commands import configured, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.settings import Config, ToolsConfig
    from agent.tools.execution import Result
    from agent.tools.tool import Tool


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs, with the whole schemas.")
@settings
@click.pass_context
def tools(context: click.Context, as_json: bool, **options: Any) -> None:
    """List the tools, what each does to the world, and whether it is on; `tools call` tries one.

    Each is off until its set is named: --set 'tools.use=["clock", "timers"]'.
    """
    config = context.obj = configured(**options)
    if context.invoked_subcommand is not None:
        return
    found = list(_listed(config.tools))
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

    found = {tool.name: tool for _, _, tool in _listed(config.tools)}
    if name not in found:
        raise ConfigError(f"no tool is called {name!r}; known: {', '.join(found)}")
    tool = found[name]
    if tool.confirm and not click.confirm(f"{name} asks first: run it?", err=True):
        return
    result = _called(tool, arguments, config)
    click.echo(result.text)
    if result.outcome != "done":
        raise SystemExit(1)


def _listed(config: ToolsConfig) -> Iterator[tuple[str, bool, Tool]]:
    """Each tool with the name of its set, and whether that is on. Raises ConfigError."""
    from agent.tools.registry import known, named

    for name in [*config.use, *(each for each in known() if each not in config.use)]:
        for tool in named(name, config):
            yield name, name in config.use, tool


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


class _Terminal:
    """What a tool may do to the one who tries it."""

    def say(self, text: str) -> None:
        """Print it."""
        click.echo(f"says: {text}", err=True)

    def end(self) -> None:
        """Nothing is there to end."""
        click.echo("ends the conversation", err=True)

    def time(self) -> float:
        """Seconds since 1970."""
        return time.time()


def _called(tool: Tool, arguments: str, config: Config) -> Result:
    """What comes of one call, on the real clock."""
    import anyio

    from agent.messages import ToolCall
    from agent.runner import Runner, run_real
    from agent.tools.execution import Execution, Running

    async def main() -> Result:
        over = anyio.Event()
        over.set()
        results: list[Running] = []
        execution = Execution([tool], config.tools, Runner(), lambda _: None, _Terminal(), results.append)
        async with anyio.create_task_group() as tasks:
            execution.enter(tasks)
            execution.leave()
            execution.begin(ToolCall("call", tool.name, arguments), 1, over)
        result = results[0].result
        assert result is not None
        return result

    return run_real(main)
