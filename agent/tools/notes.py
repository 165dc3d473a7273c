"""What the user wants remembered: one readable file of theirs, a note a line. Knows no conversation."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

from agent.errors import ToolError
from agent.settings import ToolsConfig
from agent.text.cleaning import cleaned
from agent.tools.tool import Tool, tool
from audio.private import replacing

FILE = "notes.md"
LONGEST, MOST = 500, 500
"""Characters of a note, and notes."""
_COMMON = frozenset(
    re.findall(
        r"\S+",
        "a about am an and any are be can can't did do does for forget has have i i'm in is it know me my "
        "of on or remember so tell that the this to user was what when where which who you your",
    )
)
"""Words that tell nothing about which note is meant."""


class Notes:
    """The notes, in a file that only its owner reads. Raises ToolError where it cannot be read or written."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def all(self) -> list[str]:
        """Each note, the oldest first. A line of the file that is no list item is none, and stays there."""
        return [line[2:].strip() for line in self._lines() if line.startswith("- ")]

    def add(self, note: str) -> None:
        """One more."""
        if len(self.all()) >= MOST:
            raise ToolError(f"There are {MOST} notes already; forget one first.")
        self._write([*self._lines(), f"- {note}"])

    def drop(self, notes: list[str]) -> None:
        """Take these out."""
        self._write(
            [line for line in self._lines() if not (line.startswith("- ") and line[2:].strip() in notes)]
        )

    def about(self, what: str) -> list[str]:
        """The notes that share words with `what`, the best first; all of them where it says nothing."""
        wanted = _stems(what)
        if not wanted:
            return self.all()
        shared = [(len(wanted & _stems(note)), note) for note in self.all()]
        return [note for score, note in sorted(shared, key=lambda each: -each[0]) if score]

    def _lines(self) -> list[str]:
        try:
            return self._file.read_text(encoding="utf-8-sig").splitlines()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise ToolError(f"{self._file} cannot be read; mend it, or delete it to begin anew") from error

    def _write(self, lines: list[str]) -> None:
        try:
            with replacing(self._file) as file:
                file.write("".join(f"{line}\n" for line in lines).encode())
        except OSError as error:
            raise ToolError(f"{self._file} cannot be written ({error.strerror})") from error


def notes(config: ToolsConfig) -> list[Tool]:
    """The set, on the file in the folder of the settings."""
    store = Notes(Path(config.folder).expanduser() / FILE)
    return [
        tool(_remember(store), effect="changes", name="remember"),
        tool(_recall(store), effect="reads", name="recall"),
        tool(_forget(store), effect="changes", name="forget"),
    ]


def _remember(store: Notes) -> Callable[..., str]:
    def remember(note: str) -> str:
        """Remember something for later conversations. Only when the user asks for it.

        note: what the user wants remembered, in one sentence about them.
        """
        line = " ".join(cleaned(note).split())
        if not line or len(line) > LONGEST:
            raise ToolError(f"A note has 1 to {LONGEST} characters.")
        store.add(f"{line} ({date.today().isoformat()})")
        return f"Remembered: {line}"

    return remember


def _recall(store: Notes) -> Callable[..., str]:
    def recall(about: str = "") -> str:
        """What the user has asked to be remembered: about them, what they like or must not eat, plans.

        about: words of what is looked for; empty for everything.
        """
        found = store.about(about) or store.all()
        return "\n".join(found[:20]) or "Nothing has been remembered."

    return recall


def _forget(store: Notes) -> Callable[..., str]:
    def forget(about: str) -> str:
        """Forget something that was remembered, for good.

        about: words of it, or "everything".
        """
        found = store.all() if about.strip().lower() in ("everything", "all") else store.about(about)
        if not found or not about.strip():
            raise ToolError(f"No note has that. There are: {'; '.join(store.all()) or 'none'}.")
        dropped = found if about.strip().lower() in ("everything", "all") else found[:1]
        store.drop(dropped)
        return f"Forgotten: {len(dropped)} note{'s' if len(dropped) != 1 else ''}."

    return forget


def _stems(text: str) -> frozenset[str]:
    """The words that tell what a text is about, without their common endings."""
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("’", "'"))
    return frozenset(re.sub(r"(?:ies|es|s|ing|ed|y)$", "", word) for word in words if word not in _COMMON)
