"""The command `models`: which weights there are, how large, whether they are here. Loads none."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from agent.cli.commands import configured, settings

if TYPE_CHECKING:
    from agent.engines.registry import Kind
    from agent.weights.catalogue import Progress


@click.group()
def models() -> None:
    """List, fetch and check model weights."""


@models.command("list")
def list_models() -> None:
    """Show every model that has a name: how large, which licence, and whether it is here."""
    from rich import filesize
    from rich.console import Console
    from rich.table import Table

    from agent.weights import catalogue as store

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "for", "size", "licence", "here", "about"):
        table.add_column(column, overflow="fold")
    for name, model in store.catalogue().items():
        here = "yes" if store.locate(name) else "no"
        table.add_row(name, model.kind, filesize.decimal(model.size), model.licence, here, model.about)
    Console().print(table)
    click.echo(f"\nkept in {store.cache_dir()} (set BACKCHAT_CACHE to move it)")


@models.command()
@click.argument("names", nargs=-1)
@settings
def pull(names: tuple[str, ...], **options: Any) -> None:
    """Fetch models by NAME; without one, all that the settings need, so that no later start fetches anything.

    What an engine gets its own way, as those on torch may, is fetched by loading that engine once.
    """
    from agent.engines import registry as engines
    from agent.weights import catalogue as store

    if names and any(options.values()):
        raise click.UsageError("give names or settings, not both")
    wanted = dict.fromkeys(names) if names else engines.needed(configured(**options))
    with store.progress_bar() as progress:
        found = {name: _fetched(name, kind, options, progress) for name, kind in wanted.items()}
    for name, path in found.items():
        click.echo(f"{name}: {path}")


def _fetched(name: str, kind: Kind | None, options: dict[str, Any], progress: Progress) -> str:
    """Where the weights lie, once they are there."""
    from agent.engines import registry as engines
    from agent.weights import catalogue as store

    if kind is None or name in store.catalogue():
        return str(store.fetch(name, progress))
    engines.load_one(kind, configured(**options), progress)
    return "here"


@models.command()
@click.argument("name")
def where(name: str) -> None:
    """Print the path of a model's file or folder."""
    from agent.errors import ModelError
    from agent.weights import catalogue as store

    if name not in store.catalogue():
        raise ModelError(f"no model is called {name!r}; `backchat models list` shows the names")
    path = store.locate(name)
    if path is None:
        raise ModelError(f"{name} is not here yet; type `backchat models pull {name}`")
    click.echo(path)


@models.command()
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Hash the files of models again, of all that are here when no NAME is given."""
    from agent.weights import catalogue as store

    bad = False
    for name in names or [name for name in store.catalogue() if store.locate(name)]:
        for file, state in store.verify(name).items():
            click.echo(f"{name}: {file}: {state}")
            bad = bad or state != "whole"
    if bad:
        click.echo("`backchat models pull NAME` fetches what is damaged or missing", err=True)
        sys.exit(5)


@models.command()
@click.argument("name")
def remove(name: str) -> None:
    """Delete a model's files from the cache."""
    from rich import filesize

    from agent.weights import catalogue as store

    click.echo(f"{name}: {filesize.decimal(store.remove(name))} freed")
