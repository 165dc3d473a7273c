"""The command line of `scripts/bench`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

import benchmarks
from benchmarks.results import Results

NAMES = sorted(
    file.stem
    for file in Path(benchmarks.__path__[0]).glob("*.py")
    if "\ndef run(" in file.read_text(encoding="utf-8")
)


def report(run: Callable[..., Results], file: Path | None, **options: Any) -> None:
    """Run a benchmark, print its table, and fail when a target is missed."""
    results = run(**options)
    click.echo(results.table())
    click.echo()
    for target in results.targets:
        click.echo(target.line())
    if file is not None:
        results.save(file)
    sys.exit(0 if all(target.met for target in results.targets) else 1)


class Benchmarks(click.Group):
    """Each benchmark as a command; its module's OPTIONS, where it has some, are arguments of its `run`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return NAMES

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in NAMES:
            return None
        module = importlib.import_module(f"benchmarks.{cmd_name}")
        kept = click.Option(
            ["--json", "file"], type=click.Path(path_type=Path), help="Keep the figures in a file."
        )
        return click.Command(
            cmd_name,
            params=[*getattr(module, "OPTIONS", ()), kept],
            callback=partial(report, module.run),
            help=module.__doc__,
        )


Benchmarks(help="Run a benchmark, print its table, and fail when a target is missed.")()
