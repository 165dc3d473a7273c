"""The command line of `scripts/bench`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import click

import benchmarks

NAMES = sorted(
    module.name
    for module in pkgutil.iter_modules(benchmarks.__path__)
    if module.name not in ("__main__", "results", "measure", "voices")
)


@click.command()
@click.argument("name", type=click.Choice(NAMES))
@click.option("--json", "file", type=click.Path(path_type=Path), help="Keep the figures in a file.")
def bench(name: str, file: Path | None) -> None:
    """Run the benchmark NAME, print its table, and fail when a target is missed."""
    results = importlib.import_module(f"benchmarks.{name}").run()
    click.echo(results.table())
    click.echo()
    for target in results.targets:
        click.echo(target.line())
    if file is not None:
        results.save(file)
    sys.exit(0 if all(target.met for target in results.targets) else 1)


bench()
