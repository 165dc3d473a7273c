"""The command `config`: the settings in force. Knows only options."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

import click

from agent.cli.commands import configured, settings


@click.command()
@settings
def config(**options: Any) -> None:
    """Print the settings in force, as TOML that --config takes."""
    chosen = configured(**options).model_dump()
    for section, values in chosen.items():
        click.echo(f"[{section}]")
        for key, value in values.items():
            click.echo(f"{key} = {_toml('random' if value is None else value)}")  # only a seed may be None
        click.echo()


def _toml(value: Any) -> str:
    """A value in one line of TOML."""
    import json

    if isinstance(value, dict):
        given = cast(dict[str, Any], value).items()
        return "{" + ", ".join(f"{_key(key)} = {_toml(each)}" for key, each in given) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, cast(Sequence[Any], value)))}]"
    # JSON's strings are TOML's, but for the one control character that JSON leaves as it is
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)
