"""The `backchat` command. Knows how the program begins and ends; `agent.cli.commands` has the rest.

Nothing is imported here but what the interpreter has loaded already: until `main` has let the system act on
Ctrl-C, it comes out as a traceback of whatever is being imported.
"""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal  # what `signal` wraps in enums, which take their time to be made

OUT = "backslashreplace"
"""What becomes of characters that the output's encoding lacks."""


def main() -> None:
    """Run the command of `sys.argv` and end with its exit code; a signal ends it at any moment before."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # nobody has asked for another
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    import agent
    from agent import signals

    ours = sys.stderr
    with signals.heeded((0, 1, 2, _stderr_of_our_own())):
        # What somebody pipes in need not be UTF-8, nor the terminal know every character: neither ends us.
        for stream, errors in ((sys.stdin, "replace"), (sys.stdout, OUT)):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors=errors)
        try:
            if why := agent.shadowed():
                sys.exit(f"backchat: {why}")
            from agent.cli.commands import run

            run()
        finally:
            if (status := signals.received()) is not None:
                signals.leave(status)
            sys.stderr = ours


def _stderr_of_our_own() -> int:
    """The number of the file that standard error is within from now on: not 2, which C libraries write to.

    So what they say can be kept apart, which `audio.devices.portaudio.quiet` does, and what we say is not.
    Where standard error is closed (`2>&-`), it is nowhere; where it is not the process's, as in tests, it
    stays, and is 2.
    """
    ours = sys.stderr
    if ours is not sys.__stderr__:
        return 2
    if ours is None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    number = os.dup(2)
    encoding = None if ours is None else ours.encoding
    sys.stderr = os.fdopen(number, "w", 1, encoding, OUT, closefd=False)  # 1: each line goes out at once
    return number


def __getattr__(name: str) -> object:
    """The group of all commands and their table, which load click."""
    if name in ("backchat", "COMMANDS"):
        from agent.cli import commands

        return getattr(commands, name)
    raise AttributeError(name)
