"""What is told while engines load: what is being loaded, and a bar for what is fetched. Knows no engine.

Nothing else may be printed meanwhile: load within, talk outside.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

import click

from agent.weights import catalogue as models

CLEAR_LINE = "\r\x1b[K"


@contextmanager
def loading(*, lines: bool = True) -> Generator[tuple[models.Progress, Callable[[str], None]]]:
    """What to call with the bytes that have come, and with the name of each part before it is loaded.

    On a terminal the part's name stands there until the next one; its cursor stays, since a signal may end
    the program here at any moment. Elsewhere each is a line of standard output, or none without `lines`:
    for commands whose output is all that a script wants.
    """
    terminal = sys.stderr.isatty()

    def tell(part: str) -> None:
        if terminal:
            click.echo(f"{CLEAR_LINE}loading {part} ...", err=True, nl=False)
        elif lines:
            click.echo(f"loading {part}")

    def clear() -> None:
        if terminal:
            click.echo(CLEAR_LINE, err=True, nl=False)

    with models.progress_bar() as bar:

        def progress(label: str, done: int, total: int) -> None:
            clear()
            bar(label, done, total)

        try:
            yield progress, tell
        finally:
            clear()
