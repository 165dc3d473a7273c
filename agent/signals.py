"""What ends the program from outside: Ctrl-C, SIGTERM, SIGHUP. Sets every signal handler; knows no command.

A handler in Python runs only between two bytecodes of the main thread, and what it raises comes out just
there: in half an `import`, in a finalizer that swallows it, or seconds late, since llama.cpp keeps the
interpreter while it loads, and then waits for threads of its own. So there are two ways to end:

- At once, by the operating system, with nothing of Python involved. This is the usual way: a program
  that imports, loads or computes holds nothing that the system does not clear away.
- In order, within `orderly`: where a recording, a download or an answer has to be finished.

Only a program within `heeded` ends so; in any other, signals are left as they are.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, NoReturn

    Stop = Callable[[], object]

ENDING = tuple(signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

PATIENCE = 3.0
"""Seconds after a signal within which `orderly` must be left. It is left at once but for a busy machine, or
where the exception that should leave it is swallowed."""

AGAIN = 1.0
"""Seconds after which a further signal ends the program at once. Before, it is taken for the same one."""

SHOW_CURSOR = "\x1b[?25h"


class _State:
    """heeded: the signals that end this program. open: each open `orderly`, the innermost last.

    received: the signal that the program obeys in order, and `when` it came, on the monotonic clock.
    terminal: which of its files were a terminal at the start, and the `modes` of the first one then.
    """

    def __init__(self) -> None:
        self.heeded: tuple[signal.Signals, ...] = ()
        self.open: list[tuple[Stop, bool]] = []
        self.received: signal.Signals | None = None
        self.when = 0.0
        self.terminal: tuple[int, ...] = ()
        self.modes: list[Any] | None = None


_now = _State()


@contextmanager
def heeded(files: tuple[int, ...] = (0, 1, 2)) -> Generator[None]:
    """Within, signals end the program as is said above; afterwards at once, until the interpreter has ended.

    One that is ignored stays so: `nohup`, or a shell's `&` in a script, has asked for that. files: by which
    numbers the program has its terminal, where it has one.
    """
    found = tuple(each for each in ENDING if signal.getsignal(each) is not signal.SIG_IGN)
    _now.heeded, _now.received = found, None
    at_once()
    _now.terminal = tuple(number for number in files if os.isatty(number))
    _now.modes = _modes()
    try:
        yield
    finally:
        at_once()
        _now.heeded, _now.received = (), None


def received() -> int | None:
    """The exit status for the signal that has come and is obeyed in order; None when none has come."""
    return None if _now.received is None else 128 + _now.received


def obey() -> None:
    """Raise what the signal that has come means: KeyboardInterrupt, or SystemExit with its status."""
    if _now.received == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(received())


@contextmanager
def orderly(stop: Stop = obey, *, ends: bool = True) -> Generator[None]:
    """Within, the first signal calls `stop` in the main thread; without one it raises, as `obey` does.

    What follows it within a second is taken for the same; a later one ends the program at once. ends:
    whether Ctrl-C means the program. If not it means the block alone: it calls `stop`, however often, and all
    other signals what is around it.
    """
    if not _now.heeded or not _python_told():
        yield
        return
    _now.open.append((stop, ends))
    try:
        yield
    finally:
        _now.open.pop()
        if not _now.open:
            _deadline(0.0)
            if _now.received is None:
                at_once()


def _python_told() -> bool:
    """Let `_told` be called for every signal; False in a thread, where no signal arrives."""
    try:
        for each in _now.heeded:
            signal.signal(each, _told)
    except ValueError:
        return False
    return True


def _told(number: int, _: object) -> None:
    stop, ends = _now.open[-1] if _now.open else (obey, True)
    if number == signal.SIGINT and not ends and _now.received is None:
        stop()
    elif _now.received is None:
        _now.received, _now.when = signal.Signals(number), time.monotonic()
        if number == getattr(signal, "SIGHUP", None):
            _without_terminal()
        else:
            _give_back()
        _deadline(PATIENCE)
        next((stop for stop, ends in reversed(_now.open) if ends), obey)()
    elif time.monotonic() - _now.when > AGAIN:
        os._exit(128 + _now.received)


def _modes() -> list[Any] | None:
    """The modes of the terminal; None where there is none, or it is in the hands of another program."""
    if not _now.terminal or not hasattr(os, "tcgetpgrp"):
        return None
    import termios

    try:
        ours = os.tcgetpgrp(_now.terminal[0]) == os.getpgrp()
        return termios.tcgetattr(_now.terminal[0]) if ours else None
    except (OSError, termios.error):  # it has gone
        return None


def _give_back() -> None:
    """Let the terminal be as it was: with a cursor, an echo. Now, since the end may leave no time for it."""
    if 1 in _now.terminal:
        os.write(1, SHOW_CURSOR.encode())
    if _now.modes is not None and _modes() not in (None, _now.modes):
        import termios

        termios.tcsetattr(_now.terminal[0], termios.TCSANOW, _now.modes)


def _without_terminal() -> None:
    """Let what is printed from now on go nowhere, instead of failing while something is saved."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in _now.terminal:
        os.dup2(nowhere, number)


def leave(status: int) -> NoReturn:
    """End now, when all is saved: the interpreter's own end would wait for engines that still compute."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # who read it has gone
            stream.flush()
    os._exit(status)


def at_once() -> None:
    """From now on each signal ends the program by its own action, which needs no interpreter: 130 to a shell.

    Nothing where the program does not heed them.
    """
    for each in _now.heeded:
        signal.signal(each, signal.SIG_DFL)


def _deadline(seconds: float) -> None:
    """End the program so many seconds from now, whatever it does; 0: not any more."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
