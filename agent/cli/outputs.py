"""What a recorded conversation leaves in its folder. Knows no more of words and pictures than their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from agent import eventlog, report
from agent.errors import AudioFileError, MissingExtra
from agent.events import Event
from agent.timeline import draw
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


def write_all(folder: Path, seen: Sequence[Event], *, picture: bool = True) -> None:
    """Write events, transcript and picture beside `conversation.wav`, and print where the time went."""
    written = write_files(folder, seen, picture=picture)
    click.echo(f"\n{report.latency_table(sorted(seen, key=lambda event: event.time))}\n")
    click.echo(f"written to {folder}: {', '.join(written)}")


def write_files(folder: Path, seen: Sequence[Event], *, picture: bool = True) -> list[str]:
    """Write events, transcript and picture beside `conversation.wav`; the names of all that is there.

    picture: may be left out, since it takes a second or two.
    """
    events = sorted(seen, key=lambda event: event.time)
    written = ["conversation.wav", "transcript.md", "events.jsonl"]
    eventlog.write_events(folder / "events.jsonl", events)
    eventlog.write_text(folder / "transcript.md", report.transcript_markdown(events))
    if not picture:
        return written
    try:
        draw(events, folder / "conversation.wav", folder / "timeline.png")
        written.append("timeline.png")
    except MissingExtra as missing:
        click.echo(f"no timeline: {missing}", err=True)
    return written
