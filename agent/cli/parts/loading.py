"""What is told while engines load: which one comes, and a bar for what is fetched. Knows none by name.

Nothing else may be printed meanwhile: load within, talk outside.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

import click

from agent.config import cautions
from agent.engines import registry
from agent.protocols import Engines
from agent.settings import Config
from agent.weights import catalogue as models

CLEAR_LINE = "\r\x1b[K"


@contextmanager
def loading(*, lines: bool = True) -> Generator[tuple[models.Progress, Callable[[str], None]]]:
    """What to call with the bytes that have come, and with the name of each part before it is loaded.

    On a terminal the part's name stands there until the next one, cut to one line of it; its cursor stays,
    since a signal may end the program here at any moment. Elsewhere each is a line of standard output, or
    none without `lines`: for commands whose output is all that a script wants.
    """
    terminal = sys.stderr.isatty()

    def tell(part: str) -> None:
        if terminal:
            click.echo(f"{CLEAR_LINE}{_in_one_row(f'loading {part} ...')}", err=True, nl=False)
        elif lines:
            click.echo(f"loading {part}")

    def clear() -> None:
        if terminal:
            click.echo(CLEAR_LINE, err=True, nl=False)

    with models.progress_bar() as bar, _kept():

        def progress(label: str, done: int, total: int) -> None:
            clear()
            bar(label, done, total)

        try:
            yield progress, tell
        finally:
            clear()


@contextmanager
def _kept() -> Generator[None]:
    """Within, nothing is looked for that could be thrown away: what engines and libraries make stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def load_engines(config: Config, *, lines: bool = True) -> Engines:
    """All engines that a conversation needs, told of as `loading` does. Raises as `registry.load` does."""
    if lines:
        warn(config)
    with loading(lines=lines) as (progress, tell):
        return registry.load(config, progress, tell)


def warn(config: Config) -> None:
    """Tell what is to be known of the languages that are heard."""
    for caution in cautions(config):
        click.echo(f"backchat: {caution}", err=True)


def _in_one_row(words: str) -> str:
    """As much of it as can be cleared again, with room for the ^C that a terminal prints."""
    from rich.text import Text

    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except OSError:
        columns = 0
    shown = Text(words)
    shown.truncate(max(1, (columns or 80) - 3), overflow="ellipsis")
    return shown.plain
