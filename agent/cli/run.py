"""The command `run`: a conversation from sound files, without a sound card. Knows only options."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from agent import signals
from agent.cli.commands import configured, settings


@click.command()
@click.argument("audio", nargs=-1, required=True, metavar="AUDIO[@WHEN]...")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default="out/run", show_default=True, metavar="DIR"
)
@click.option("--realtime", is_flag=True, help="Pace the conversation by the real clock.")
@click.option("--image", metavar="FILE", help="A PNG, JPEG or WebP that the user shows meanwhile.")
@settings
def run(audio: tuple[str, ...], out: Path, realtime: bool, image: str | None, **options: Any) -> None:
    """Hold a conversation in which the user's part is read from AUDIO files.

    WAV, FLAC, Ogg, MP3 and their kin; with the extra `media` what phones and browsers record; `-` is a pipe.

    Each file begins 0.6 s after the answer to the one before. To choose another moment, add to its name:

    \b
      @after:2     2 s after the answer has ended
      @over:2.5    when the answer has been audible for 2.5 s (talk over it)
      @at:12       12 s after the start

    Writes into DIR: conversation.wav (left the user, right the agent), transcript.md, events.jsonl and,
    with matplotlib installed, timeline.png. The clock is virtual: it takes as long as the models compute.
    """
    from agent import events as ev
    from agent.cli.parts.loading import load_engines
    from agent.cli.parts.output_folder import Afterwards, check_folder, write_all
    from agent.cli.parts.view import print_line
    from agent.images import open_image
    from agent.simulation.virtual import converse, read_line

    config = configured(**options)
    check_folder("--out", out)
    lines = [read_line(argument) for argument in audio]
    shown = None if image is None else open_image(image)
    loaded = load_engines(config)
    seen: list[ev.Event] = []
    recording = out / "conversation.wav"

    def write() -> None:
        if seen:  # also what Ctrl-C leaves; without an event there is no recording either
            write_all(out, seen, picture=signals.received() is None)

    with Afterwards(write):
        watchers = [seen.append, print_line]
        converse(loaded, config, lines, recording, realtime=realtime, watchers=watchers, image=shown)
    if any(isinstance(event, ev.Error) for event in seen):
        sys.exit(7)
