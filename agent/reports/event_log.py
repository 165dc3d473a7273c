"""Events as a file: one JSON object a line, written whole and read with care. Knows not what they mean.

The first line tells the version of all that follow; docs/events.md describes them.
"""

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
from agent.causes import Cause
from agent.errors import BackchatError, ScriptError
from agent.events import Event
from agent.reports.old_logs import renewed
from agent.text.cleaning import cleaned_data, json_text
from audio.private import create, replacing, write_whole

VERSION = 3
"""Of the log. 1 had no line that says so, and no causes; 2 had other names for some events."""
HEADER = "event_log"
"""What the first line's `event` is."""
_FIRST = json_text({"event": HEADER, "version": VERSION}) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a text file that appears whole or not at all, and is its owner's alone.

    Raises BackchatError when it cannot be written.
    """
    with _writing(path), replacing(path) as file:
        file.write(text.encode("utf-8", errors="backslashreplace"))


def write_events(path: Path, events: Iterable[Event]) -> None:
    """Write the version, then an object a line as `agent.events.as_dict` gives it. Raises as `write_text`."""
    write_text(path, "".join([_FIRST, *map(_line, events)]))


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
            write_whole(self._file, _FIRST.encode())

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


_KINDS: dict[str, type[Any]] = {kind.type: kind for kind in get_args(Event)}
_EVIDENCE = {field.name for field in fields(Cause)}
_checker = functools.cache(TypeAdapter[Any])


def read_events(path: Path) -> list[Event]:
    """The events of a file of this version of the log or an earlier one; ScriptError for a bad line."""
    try:
        # Not splitlines(): a user's words may hold other marks that it takes for line ends.
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ScriptError(f"{path}: cannot be read ({reason}); give an events.jsonl") from error
    told = [
        (at, _object(line, at))
        for number, line in enumerate(lines, 1)
        if line.strip()
        for at in [f"{path}, line {number}"]
    ]
    version: Any = 1
    if told and told[0][1].get("event") == HEADER:
        version = told.pop(0)[1].get("version")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise ScriptError(
            f"{path}: an event log of version {version!r}; this backchat reads 1 to {VERSION}: update it"
        )
    return [_event(data if version == VERSION else renewed(data), at) for at, data in told]


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        loaded: Any = cleaned_data(json.loads(line))
    except json.JSONDecodeError as error:
        raise ScriptError(f"{where}: not JSON ({error.msg}); the file must be an events.jsonl") from error
    return cast(dict[str, Any], loaded) if isinstance(loaded, dict) else {}


def _event(data: dict[str, Any], where: str) -> Event:
    data = dict(data)
    if (kind := _KINDS.get(str(data.pop("event", "")))) is None:
        raise ScriptError(f"{where}: no event that backchat knows; the file must be an events.jsonl")
    if unknown := sorted(set(data) - {field.name for field in fields(kind)}):
        raise ScriptError(f"{where}: {kind.__name__} has no {unknown[0]!r}")
    cause: Any = data.get("cause")
    if isinstance(cause, dict) and (more := sorted(set(cast(dict[str, Any], cause)) - _EVIDENCE)):
        raise ScriptError(f"{where}: {kind.__name__}: cause has no {more[0]!r}")
    try:
        return _checker(kind).validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise ScriptError(f"{where}: {kind.__name__}: {first['loc'][-1]}: {first['msg']}") from error
