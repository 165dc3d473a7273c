"""The command `engines`: which there are and what to type for each. Holds no conversation, loads none."""

from __future__ import annotations

from typing import Any

import click

from agent.cli.commands import configured, settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@settings
def engines(as_json: bool, **options: Any) -> None:
    """List the engines, what state they are in, and what to type; * marks those that the settings choose."""
    import json
    from dataclasses import asdict

    from agent.engines.status import listing

    found = listing(configured(**options))
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in found], indent=2))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "for", "name", "state", "licence", "about"):
        table.add_column(column, overflow="fold")
    for entry in found:
        state = f"{entry.state}: {entry.cure}" if entry.cure else entry.state
        about = entry.about if entry.source == "backchat" else f"{entry.about} ({entry.source})".strip()
        cells = ("*" if entry.chosen else "", entry.kind, entry.name, state, entry.licence, about)
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)
    click.echo('\nchoose one: --set llm.engine=NAME, or [llm] engine = "NAME" in a TOML file')
