"""The `backchat` command. Knows how the program begins and ends; `agent.cli.commands` has the rest."""

from __future__ import annotations

import contextlib
import io
import os
import sys

import agent
from agent import signals

TYPE_CHECKING = False  # `typing` would have to be loaded, and until signals are heeded, Ctrl-C is Python's
if TYPE_CHECKING:
    from collections.abc import Generator

OUT = "backslashreplace"
"""What becomes of characters that the output's encoding lacks."""


def main() -> None:
    """Run the command of `sys.argv` and end with its exit code; a signal ends it at any moment before."""
    # Before anything is imported that takes its time.
    with _stderr_of_our_own() as number, signals.heeded((0, 1, 2, number)):
        # What somebody pipes in need not be UTF-8, nor the terminal know every character: neither ends us.
        for stream, errors in ((sys.stdin, "replace"), (sys.stdout, OUT)):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors=errors)
        if why := agent.shadowed():
            sys.exit(f"backchat: {why}")
        from agent.cli.commands import run

        try:
            run()
        finally:
            if (status := signals.received()) is not None:
                signals.leave(status)


@contextlib.contextmanager
def _stderr_of_our_own() -> Generator[int]:
    """The number of the file that Python's standard error is within: not 2, which C libraries write to.

    So what they say can be kept apart, which `audio.devices.portaudio.quiet` does, and what we say is not.
    Where standard error is closed (`2>&-`), it is nowhere; where it is not the process's, as in tests, it
    stays.
    """
    ours = sys.stderr
    if ours is not sys.__stderr__:
        yield 2
        return
    if ours is None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    number = os.dup(2)
    encoding = None if ours is None else ours.encoding
    sys.stderr = os.fdopen(number, "w", 1, encoding, OUT, closefd=False)  # 1: each line goes out at once
    try:
        yield number
    finally:
        sys.stderr = ours


def __getattr__(name: str) -> object:
    """The group of all commands and their table, which load click."""
    if name in ("backchat", "COMMANDS"):
        from agent.cli import commands

        return getattr(commands, name)
    raise AttributeError(name)
