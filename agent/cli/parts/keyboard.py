"""Lines typed at a terminal, which stay on the screen whatever is printed meanwhile. Knows no conversation.

A terminal's own line editing keeps the letters to itself until Enter, so nobody could write them again
below what came between. Here they come one by one, and are edited as the terminal would: what is typed
goes to the end of the line, and is erased there by Backspace, Ctrl-W (a word) and Ctrl-U (all of it).
"""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import shutil
import signal
import sys
import unicodedata
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Self

import anyio
import click
from rich.cells import cell_len

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^[O])", re.DOTALL)
"""What an arrow or another key without a letter sends (ECMA-48), or a letter with Alt."""
_BEGUN = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?\Z")
ENTER, END, ERASE, WORD, ALL, SUSPEND = "\r\n", "\x04", "\x7f\b", "\x17", "\x15", b"\x1a"


class Typed:
    """The line being typed. text: its letters so far. Takes bytes as a terminal sends them, in any pieces."""

    def __init__(self) -> None:
        self.text = ""
        self._keys = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def press(self, keys: bytes) -> None:
        """More keys, which wait until `entered` takes them in."""
        self._keys += self._decoder.decode(keys)

    def entered(self) -> str | None:
        """The next finished line, None where there is none yet; "" for an empty one and for Ctrl-D."""
        while self._keys:
            if _BEGUN.match(self._keys):
                return None
            if sequence := _SEQUENCE.match(self._keys):
                self._keys = self._keys[sequence.end() :]
                continue
            key, self._keys = self._keys[0], self._keys[1:]
            if key in ENTER or (key == END and not self.text):
                line, self.text = self.text, ""
                return line
            self._edit(key)
        return None

    def _edit(self, key: str) -> None:
        if key in ERASE:
            while self.text and not cell_len(self.text[-1]):  # a mark above a letter goes with it
                self.text = self.text[:-1]
            self.text = self.text[:-1]
        elif key == WORD:
            self.text = re.sub(r"\S*\s*\Z", "", self.text)
        elif key == ALL:
            self.text = ""
        elif key == "\t":
            self.text += " "
        elif unicodedata.category(key) != "Cc":
            self.text += key


def rows(text: str, width: int) -> int:
    """How many rows below its first one `text` ends at a terminal of so many columns."""
    row = column = 0
    for letter in text:
        if column + cell_len(letter) > width:
            row, column = row + 1, 0
        column += cell_len(letter)
    return row


class Keyboard:
    """The terminal of this process, within `with`: letters come one by one, and are shown by us.

    mark: what stands before the line being typed.
    """

    def __init__(self) -> None:
        self.mark = ""
        self._typed = Typed()

    @staticmethod
    def usable() -> bool:
        """Whether a user types here, and reads here what is typed; not on Windows, which has no termios."""
        return sys.platform != "win32" and sys.stdin.isatty() and sys.stdout.isatty()

    def __enter__(self) -> Self:
        import termios

        self._before: list[Any] = termios.tcgetattr(0)
        self._letter_by_letter()
        return self

    def __exit__(self, *_: object) -> None:
        self._as_before()

    async def line(self) -> str:
        """The next line, once it is entered; "" at the end."""
        while (line := self._next()) is None:
            await anyio.wait_readable(0)
            self._read()
        return line

    def ask(self, mark: str) -> None:
        """Put `mark` before what is typed."""
        with self.overlap():
            self.mark = mark

    @contextmanager
    def overlap(self) -> Generator[None]:
        """Within, print whole lines: what is typed stands below them afterwards."""
        up = rows(self.mark + self._typed.text, shutil.get_terminal_size().columns)
        click.echo(f"\r\x1b[{up}A\x1b[J" if up else "\r\x1b[J", nl=False)
        yield
        click.echo(self.mark + self._typed.text, nl=False)

    def _next(self) -> str | None:
        with self.overlap():
            line = self._typed.entered()
            if line is not None:
                click.echo(self.mark + line)
                self.mark = ""
        return line

    def _read(self) -> None:
        try:
            keys = os.read(0, 4096)
        except OSError:  # the terminal has gone
            keys = b""
        if SUSPEND in keys:
            self._suspend()
        self._typed.press(keys.replace(SUSPEND, b"") or (b"" if keys else b"\x15\x04"))

    def _suspend(self) -> None:
        """Stop, as Ctrl-Z does, with the terminal as the shell wants it meanwhile."""
        with self.overlap():
            self._as_before()
            os.kill(0, signal.SIGTSTP)
            self._letter_by_letter()

    def _letter_by_letter(self) -> None:
        import termios

        modes: list[Any] = [*self._before[:6], list(self._before[6])]
        modes[3] &= ~(termios.ICANON | termios.ECHO)
        modes[6][termios.VMIN], modes[6][termios.VTIME], modes[6][termios.VSUSP] = 1, 0, b"\0"
        termios.tcsetattr(0, termios.TCSANOW, modes)

    def _as_before(self) -> None:
        import termios

        with contextlib.suppress(termios.error):  # it may have gone
            termios.tcsetattr(0, termios.TCSANOW, self._before)


class Keys:
    """Single keys of this process's terminal, within `with`; none of them is shown."""

    usable = staticmethod(Keyboard.usable)

    def __enter__(self) -> Self:
        import termios

        self._before: list[Any] = termios.tcgetattr(0)
        modes: list[Any] = [*self._before[:6], list(self._before[6])]
        modes[3] &= ~(termios.ICANON | termios.ECHO)
        modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
        termios.tcsetattr(0, termios.TCSANOW, modes)
        return self

    def __exit__(self, *_: object) -> None:
        import termios

        with contextlib.suppress(termios.error):  # it may have gone
            termios.tcsetattr(0, termios.TCSANOW, self._before)

    async def pressed(self) -> str:
        """The keys that are pressed next; "" once the terminal has gone."""
        await anyio.wait_readable(0)
        try:
            return os.read(0, 64).decode(errors="replace")
        except OSError:
            return ""
