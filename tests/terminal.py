"""A command at a terminal, for tests: what stands on the screen, what was typed, how it ended.

The screen is tmux's (ISC licence), a terminal that people really use: a test reads what they would see.
Each has a server of its own, with no configuration.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE = 60.0
"""Seconds within which something must stand on the screen: a busy machine may be slow, but not silent."""


class Terminal:
    """A terminal of `width` x `height` in which one command runs, started by a shell, as people start one."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-f", os.devnull, "-S", str(self._socket), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout

    def screen(self) -> list[str]:
        """What stands there, also what has scrolled away above; empty lines are left out."""
        shown = self._tmux("capture-pane", "-p", "-J", "-S", "-")
        return [line.rstrip() for line in shown.splitlines() if line.strip()]

    def type(self, text: str) -> None:
        """Press these keys; "\\n" is Enter."""
        for number, line in enumerate(text.split("\n")):
            if number:
                self.press("Enter")
            if line:
                self._tmux("send-keys", "-l", "--", line)

    def press(self, key: str) -> None:
        """Press a key by tmux's name for it: "C-c", "Enter"."""
        self._tmux("send-keys", key)

    def wait(self, seen: Callable[[list[str]], bool], client_timeout: float = PATIENCE) -> list[str]:
        """The screen once `seen` holds of it."""
        deadline = time.monotonic() + client_timeout
        while not seen(lines := self.screen()):
            assert time.monotonic() < deadline, "the screen is\n" + "\n".join(lines)
            time.sleep(0.05)
        return lines

    def wait_for(self, words: str, client_timeout: float = PATIENCE) -> list[str]:
        """The screen once `words` stand in a line of it."""
        return self.wait(lambda lines: any(words in line for line in lines), client_timeout)

    @property
    def cursor_shown(self) -> bool:
        """Whether the cursor is seen."""
        return self._tmux("display-message", "-p", "#{cursor_flag}").strip() == "1"

    @property
    def echoes(self) -> bool:
        """Whether the terminal is as a shell wants it: it echoes, and gathers lines."""
        tty = self._tmux("display-message", "-p", "#{pane_tty}").strip()
        settings = subprocess.run(
            ["stty", "-a", "-F", tty], check=True, capture_output=True, text=True
        ).stdout
        return {"echo", "icanon", "isig"} <= set(settings.replace(";", " ").split())


@contextmanager
def terminal(
    command: Sequence[object],
    env: Mapping[str, str],
    folder: Path,
    *,
    width: int = 80,
    height: int = 24,
) -> Iterator[Terminal]:
    """`command` in a new terminal; once it has ended, "ended STATUS" stands below what it printed."""
    if shutil.which("tmux") is None:
        pytest.skip("no tmux: run `scripts/setup dev --sound`")
    words = shlex.join(map(str, command))
    variables = shlex.join(f"{name}={value}" for name, value in env.items())
    # Ctrl-C reaches this shell too: with no trap it would die of it, as no shell of a user does.
    # Python's readline, which pytest loads, has put the size of another terminal into the environment.
    begun = f"cd {shlex.quote(str(folder))} && env -u COLUMNS -u LINES {variables} {words}"
    script = f"trap : INT; {begun}; echo ended $?; read -r _"
    with tempfile.TemporaryDirectory(prefix="backchat-terminal-") as home:
        screen = Terminal(Path(home) / "socket")
        size = ("-x", str(width), "-y", str(height))
        screen._tmux("new-session", "-d", *size, "sh", "-c", script)
        try:
            yield screen
        finally:
            screen._tmux("kill-server")
