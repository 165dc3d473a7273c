"""The command `config`: the settings in force. Knows only options."""

from __future__ import annotations

from typing import Any

import click

from agent.cli.commands import configured, settings


@click.command()
@settings
def config(**options: Any) -> None:
    """Print the settings in force, as TOML that --config takes."""
    import json

    chosen = configured(**options).model_dump()
    for section, values in chosen.items():
        click.echo(f"[{section}]")
        for key, value in values.items():
            shown = "random" if value is None else value  # only a seed may be None
            # JSON's strings are TOML's, but for the one control character that JSON leaves as it is
            text = json.dumps(shown, ensure_ascii=False).replace("\x7f", "\\u007f")
            click.echo(f"{key} = {text}")
        click.echo()
