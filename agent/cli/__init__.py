"""The `backchat` command. Knows how the program begins and ends; `agent.cli.commands` has the rest."""

from __future__ import annotations

import contextlib
import io
import os
import sys

from agent import signals

OUT = "backslashreplace"
"""What becomes of characters that the output's encoding lacks."""


def main() -> None:
    """Run the command of `sys.argv` and end with its exit code; a signal ends it at any moment before."""
    with signals.heeded():  # before anything is imported that takes its time
        # What somebody pipes in need not be UTF-8, nor the terminal know every character: neither ends us.
        for stream, errors in ((sys.stdin, "replace"), (sys.stdout, OUT), (sys.stderr, OUT)):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors=errors)
        from agent.cli.commands import run

        try:
            run()
        finally:
            if (status := signals.received()) is not None:
                _leave(status)


def _leave(status: int) -> None:
    """End now: all is saved, and the interpreter's own end would wait for engines that still compute."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # who read it has gone
            stream.flush()
    os._exit(status)


def __getattr__(name: str) -> object:
    """The group of all commands and their table, which load click."""
    if name in ("backchat", "COMMANDS"):
        from agent.cli import commands

        return getattr(commands, name)
    raise AttributeError(name)
