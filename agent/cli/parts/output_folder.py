"""What a recorded conversation leaves in its folder. Knows no more of words and pictures than their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import click

from agent.errors import AudioFileError, BackchatError, MissingExtra
from agent.events import Event
from agent.reports import event_log as eventlog
from agent.reports import waits as report
from agent.reports.timeline import draw
from audio.encode import ENDINGS


def check_folder(option: str, folder: Path) -> None:
    """Refuse, before anything is loaded, a folder that is named as a sound file is. Raises AudioFileError."""
    ending = folder.suffix
    if ending.lower() in ENDINGS and not folder.is_dir():
        raise AudioFileError(f"{folder}: {option} names a folder for conversation.wav; leave {ending} out")


def check_new(option: str, folder: Path) -> None:
    """As `check_folder`, and refuse a folder with a recording: a live conversation cannot be repeated."""
    check_folder(option, folder)
    for name in ("conversation.wav", "events.jsonl"):
        if (folder / name).exists():
            raise AudioFileError(
                f"{folder}: holds a recording ({name}); name another folder, or move it away"
            )


class Afterwards:
    """A block after which `write` is called, whatever ended it. Of two faults the first is told."""

    def __init__(self, write: Callable[[], object]) -> None:
        self._write = write

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._write()
        except BackchatError as fault:
            if error is None:
                raise
            if not isinstance(error, Exception):  # told to end, which tells nothing of the disk
                click.echo(f"backchat: {fault}", err=True)


def write_all(folder: Path, seen: Sequence[Event], *, picture: bool = True) -> None:
    """Write events, transcript and picture beside `conversation.wav`, and print where the time went."""
    written = write_files(folder, seen, picture=picture)
    click.echo(f"\n{report.latency_table(sorted(seen, key=lambda event: event.time))}\n")
    click.echo(f"written to {folder}: {', '.join(written)}")


def write_files(folder: Path, seen: Sequence[Event], *, picture: bool = True) -> list[str]:
    """Write events, transcript and picture beside `conversation.wav`; the names of all that is there.

    picture: may be left out, since it takes a second or two. One that cannot be written costs no other;
    then the first one's BackchatError is raised at the end.
    """
    events = sorted(seen, key=lambda event: event.time)
    ways: dict[str, Callable[[Path], None]] = {
        "transcript.md": lambda path: eventlog.write_text(path, report.transcript_markdown(events)),
        "events.jsonl": lambda path: eventlog.write_events(path, events),
    }
    if picture:
        ways["timeline.png"] = lambda path: draw(events, folder / "conversation.wav", path)
    written, faults = ["conversation.wav"], list[BackchatError]()
    for name, write in ways.items():
        try:
            write(folder / name)
            written.append(name)
        except MissingExtra as missing:
            click.echo(f"no timeline: {missing}", err=True)
        except BackchatError as fault:
            faults.append(fault)
    if faults:
        raise faults[0]
    return written
