"""Two runs of the same audio side by side: their latencies and their pictures. Knows no live session."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.errors import BackchatError
from agent.events import Event
from agent.reports.timeline import draw
from agent.reports.waits import cells, columns, turns
from audio.files import duration
from audio.private import replacing

DPI, TITLE = 100, 50
"""Pixels an inch, and the height in pixels of a title over a picture."""


def latencies(runs: Sequence[tuple[str, Sequence[Event]]]) -> str:
    """One row a run: how many replies were heard and cut, and the median of each part of the wait, in ms."""
    everything = [(title, turns(events)) for title, events in runs]
    names = columns(report for _, reports in everything for report in reports)
    head = ["", "replies", "cut", *names]
    rows = [head]
    for title, reports in everything:
        sounded = [r for r in reports if r.voice_to_voice is not None]
        waits = [cells(report, names) for report in sounded]
        medians = [f"{statistics.median(column) * 1000:.0f}" for column in zip(*waits, strict=True)]
        cut = sum(r.reason == "interrupted" for r in sounded)
        rows.append([title, str(len(sounded)), str(cut), *(medians or ["-"] * (len(head) - 3))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def draw_all(runs: Sequence[tuple[str, Sequence[Event], Path]], out: Path) -> None:
    """Draw the timelines of several runs below each other, on one scale, each under its title.

    runs: title, events, and the folder of the run's conversation.wav. out: the PNG file that is written.
    Raises MissingExtra without matplotlib, AudioFileError for a bad recording, BackchatError when `out`
    cannot be written.
    """
    recordings = [folder / "conversation.wav" for *_, folder in runs]
    longest = max(duration(recording) for recording in recordings)
    with tempfile.TemporaryDirectory(prefix="backchat-") as folder:
        pictures = [Path(folder) / f"{number}.png" for number in range(len(runs))]
        for (_, events, _), recording, picture in zip(runs, recordings, pictures, strict=True):
            draw(events, recording, picture, longest)
        _stack([(run[0], picture) for run, picture in zip(runs, pictures, strict=True)], out)


def _stack(pictures: Sequence[tuple[str, Path]], out: Path) -> None:
    """Put PNG files of one width below each other, a title over each."""
    from matplotlib import image
    from matplotlib.figure import Figure

    # matplotlib's own type hints leave much untyped, so nothing is lost by Any.
    images: list[tuple[str, Any]] = [(title, image.imread(path)) for title, path in pictures]
    width = max(pixels.shape[1] for _, pixels in images)
    height = sum(pixels.shape[0] + TITLE for _, pixels in images)
    figure: Any = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    top = height
    for title, pixels in images:
        y = (top - TITLE / 2) / height
        figure.text(0.0125, y, title, fontsize=20, weight="bold", va="center", parse_math=False)
        top -= TITLE + pixels.shape[0]
        figure.figimage(pixels, 0, top)
    try:
        with replacing(out) as file:
            figure.savefig(file, format="png")
    except OSError as error:
        raise BackchatError(f"{out}: cannot be written ({error.strerror}); choose another folder") from error
