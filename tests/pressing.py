"""Ctrl-C at a given moment of a command at a terminal, for tests: how it ended, and what it left there."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SOON = 1.0
"""Seconds within which a command must be gone."""
LONGEST = 6.0
"""Seconds after which one that is not gone is killed."""
TORN = ("Traceback", "Exception ignored", "Fatal", "Error:")


@dataclass(frozen=True)
class Pressed:
    """What a Ctrl-C at `moment` s did. over: the command had ended by itself, `ended` s after its start.

    status: as a shell says it, None where it had to be killed. took: seconds from the press to the end.
    said: what was printed from the press on. restored: whether the terminal is as it was, with its cursor.
    """

    moment: float
    over: bool
    ended: float
    status: int | None
    took: float
    said: str
    restored: bool

    @property
    def fault(self) -> str:
        """What is not as it should be: gone within a second, 130, one line at most, the terminal restored."""
        if any(words in self.said for words in TORN):
            return "torn"
        if self.status is None:
            return "hangs"
        if self.status != 130:
            return f"status {self.status}"
        if self.took > SOON:
            return f"{self.took:.1f} s"
        lines = [line for line in _ESCAPES.sub("", self.said).replace("^C", "").split("\n") if line.strip()]
        if len(lines) > 1:
            return f"{len(lines)} lines"
        return "" if self.restored else "terminal not restored"


_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def press(command: Sequence[str], env: Mapping[str, str], moment: float) -> Pressed:
    """Start `command` at a terminal of its own, and press Ctrl-C there after `moment` seconds."""
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=dict(env), stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=_own_terminal
    )
    try:
        earlier = _read(ours, process, began + moment)
        over, ended = process.poll() is not None, time.monotonic() - began
        os.write(ours, b"\x03")
        pressed = time.monotonic()
        said = _read(ours, process, pressed + LONGEST)
        took, code = time.monotonic() - pressed, process.poll()
        hidden = (earlier + said).count("\x1b[?25l") > (earlier + said).count("\x1b[?25h")
        same = termios.tcgetattr(theirs)[3] == before[3]
        status = None if code is None else 128 - code if code < 0 else code
        return Pressed(moment, over, ended, status, took, said, same and not hidden)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def _own_terminal() -> None:
    os.setsid()
    import fcntl

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read(terminal: int, process: subprocess.Popen[bytes], until: float) -> str:
    """What it prints until then, or until it has ended."""
    said = b""
    while (left := until - time.monotonic()) > 0:
        ready, _, _ = select.select([terminal], [], [], min(left, 0.01))
        if ready:
            said += os.read(terminal, 65536)
        elif process.poll() is not None:
            break
    return said.decode(errors="replace")
