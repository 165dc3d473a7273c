"""Whose is what a tool keeps: the user's of this machine, in a file of theirs, or of one conversation alone.

Who talks at this machine is its user, and finds again what was said yesterday, or in another window. Of who
comes to a server nobody knows who they are: what one conversation keeps no other may ring, list or forget.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from weakref import WeakKeyDictionary

from agent.errors import ToolError
from agent.settings import ToolsConfig
from agent.tools.tool import ToolContext
from audio.private import replacing


class Kept(Protocol):
    """A text that is kept for somebody."""

    until: str
    """How long, in words for a model, on a line of their own; "" for good."""

    def read(self) -> str:
        """All of it; "" where there is none. Raises ToolError."""
        ...

    def write(self, text: str) -> None:
        """This and nothing else. Raises ToolError."""
        ...

    @property
    def damaged(self) -> ToolError:
        """What to raise where its text is none that was kept."""
        ...


class InFile:
    """In a file that only its owner reads."""

    until = ""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> str:
        """See `Kept`."""
        try:
            return self._file.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise self.damaged from error

    def write(self, text: str) -> None:
        """See `Kept`."""
        try:
            with replacing(self._file) as file:
                file.write(text.encode())
        except OSError as error:
            raise ToolError(f"{self._file} cannot be written ({error.strerror})") from error

    @property
    def damaged(self) -> ToolError:
        """See `Kept`."""
        return ToolError(f"{self._file} cannot be read; mend it, or delete it to begin anew")


class Passing:
    """With one conversation, and in no file."""

    until = "\nIt is kept until this conversation ends."

    def __init__(self) -> None:
        self._text = ""

    def read(self) -> str:
        """See `Kept`."""
        return self._text

    def write(self, text: str) -> None:
        """See `Kept`."""
        self._text = text

    @property
    def damaged(self) -> ToolError:
        """See `Kept`; nobody else writes here."""
        return ToolError("What was kept cannot be read.")


class Keeping:
    """What is kept under this name for whom: in `tools.folder`, where there is one, in one file, which is
    the user's in all conversations; without it each conversation has its own.
    """

    def __init__(self, config: ToolsConfig, name: str) -> None:
        self._file = InFile(Path(config.folder).expanduser() / name) if config.folder else None
        self._passing = WeakKeyDictionary[ToolContext, Passing]()

    def of(self, conversation: ToolContext) -> Kept:
        """What is kept for whom this conversation is with."""
        return self._file or self._passing.setdefault(conversation, Passing())
