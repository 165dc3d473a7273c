"""Events as a file: one JSON object a line, written whole and read with care. Knows not what they mean."""

from __future__ import annotations

import functools
import json
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import TypeAdapter, ValidationError

from agent import events as ev
from agent.errors import BackchatError, ScriptError
from agent.events import Event
from agent.text.cleaning import cleaned_data, json_text
from audio.private import create, replacing, write_whole


def write_text(path: Path, text: str) -> None:
    """Write a text file that appears whole or not at all, and is its owner's alone.

    Raises BackchatError when it cannot be written.
    """
    with _writing(path), replacing(path) as file:
        file.write(text.encode("utf-8", errors="backslashreplace"))


def write_events(path: Path, events: Iterable[Event]) -> None:
    """Write one JSON object a line, as `agent.events.as_dict` gives it. Raises as `write_text` does."""
    write_text(path, "".join(map(_line, events)))


class Journal:
    """A file that gets each event as it happens, in the form of `write_events`; a watcher, and a context.

    Each line is in the system's hands at once, whatever becomes of this process, and whole: what a full disk
    takes of one is taken back. The file is its owner's alone. Raises BackchatError when it cannot be written,
    on creation or later.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _writing(path):
            self._file = create(path)

    def watch(self, event: Event) -> None:
        """Write it down."""
        end = self._file.tell()
        with _writing(self._path):
            try:
                write_whole(self._file, _line(event).encode())
            except OSError:
                self._file.truncate(end)
                self._file.seek(end)
                raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _line(event: Event) -> str:
    return json_text(ev.as_dict(event)) + "\n"


@contextmanager
def _writing(path: Path) -> Generator[None]:
    """Turns what the disk refuses into one line."""
    try:
        yield
    except OSError as error:
        raise BackchatError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error


# An event's name comes from its type alone, so an instance without fields will do.
_KINDS: dict[str, type[Any]] = {ev.name(object.__new__(kind)): kind for kind in get_args(Event)}
_checker = functools.cache(TypeAdapter[Any])


def read_events(path: Path) -> list[Event]:
    """The events of a file that `write_events` wrote. Raises ScriptError naming the first bad line."""
    try:
        # Not splitlines(): a user's words may hold other marks that it takes for line ends.
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ScriptError(f"{path}: cannot be read ({reason}); give an events.jsonl") from error
    return [_event(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _event(line: str, where: str) -> Event:
    try:
        loaded: Any = cleaned_data(json.loads(line))
    except json.JSONDecodeError as error:
        raise ScriptError(f"{where}: not JSON ({error.msg}); the file must be an events.jsonl") from error
    data = cast(dict[str, Any], loaded) if isinstance(loaded, dict) else {}
    if (kind := _KINDS.get(str(data.pop("event", "")))) is None:
        raise ScriptError(f"{where}: no event that backchat knows; the file must be an events.jsonl")
    if unknown := sorted(set(data) - {field.name for field in fields(kind)}):
        raise ScriptError(f"{where}: {kind.__name__} has no {unknown[0]!r}")
    try:
        return _checker(kind).validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise ScriptError(f"{where}: {kind.__name__}: {first['loc'][-1]}: {first['msg']}") from error
