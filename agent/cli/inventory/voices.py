"""The command `voices`: which there are, and what they sound like. Holds no conversation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.engines.voices import Voice


@click.command()
@click.argument("names", nargs=-1)
@click.option("--language", metavar="CODE", help="Only voices of this language: es, en-gb.")
@click.option(
    "--samples",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Have each say a sentence into a file of DIR, with a page to compare them by ear.",
)
def voices(names: tuple[str, ...], language: str | None, samples: Path | None) -> None:
    """List the voices that are here, by language; only those of NAMES where any is given.

    `backchat say --set tts.engine=ENGINE --voice NAME TEXT` plays one.
    """
    from rich.console import Console
    from rich.table import Table

    from agent.engines.voices import chosen

    found, missing = chosen(names, language)
    found.sort(key=lambda voice: (voice.language, voice.engine))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("language", "engine", "voice"):
        table.add_column(column)
    for voice in found:
        table.add_row(voice.language, voice.engine, voice.name)
    Console().print(table)
    for engine in missing:
        click.echo(f"{engine.engine}: {engine.cure}", err=True)
    if samples is not None:
        _write_samples(samples, found)


def _write_samples(folder: Path, found: Sequence[Voice]) -> None:
    """One file a voice and a page with all of them; a voice that cannot be loaded is said and left out."""
    import html

    from agent.cli.parts.loading import loading
    from agent.cli.parts.output_folder import check_folder
    from agent.config import load, of_language
    from agent.conversation.speak import render_in_time
    from agent.engines.registry import load_one
    from agent.errors import BackchatError
    from agent.languages import code, folders
    from audio.files import write_sound
    from audio.private import make_folder, replacing

    check_folder("--samples", folder)
    make_folder(folder)
    rows: list[str] = []
    for voice in found:
        spoken = code(voice.language)
        text = of_language(spoken if spoken in folders() else "en").sample
        config = load(None, [f'tts.engine="{voice.engine}"', f'tts.voice="{voice.name}"'])
        path = folder / f"{voice.language}-{voice.engine}-{voice.name}.wav"
        try:
            with loading(lines=False) as (progress, tell):
                engine = load_one("tts", config, progress, tell)
        except BackchatError as error:
            click.echo(f"{voice.name}: {error}", err=True)
            continue
        write_sound(path, render_in_time(text, engine, config), engine.rate)
        click.echo(path)
        rows.append(
            f"<p>{html.escape(f'{voice.language} {voice.engine} {voice.name}')}<br>"
            f'<audio controls preload="none" src="{html.escape(path.name)}"></audio></p>'
        )
    page = folder / "index.html"
    with replacing(page) as file:
        file.write(f'<!doctype html><meta charset="utf-8"><title>Voices</title>{"".join(rows)}\n'.encode())
    click.echo(page)
