"""Commands that need no sound card: `run` a scripted conversation, `say` a text. Knows only their options."""

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
    from agent.cli.loading import loading
    from agent.cli.outputs import Afterwards, check_folder, write_all
    from agent.cli.view import print_line
    from agent.engines import registry as engines
    from agent.images import open_image
    from agent.simulation.virtual import converse, read_line

    config = configured(**options)
    check_folder("--out", out)
    lines = [read_line(argument) for argument in audio]
    shown = None if image is None else open_image(image)
    with loading() as (progress, tell):
        loaded = engines.load(config, progress, tell)
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


@click.command()
@click.argument("text", required=False)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Write a file instead of playing: .wav, .flac, .mp3, .ogg, .opus.",
)
@click.option("--device", help="Speaker, by name or number from `backchat devices`.")
@settings
def say(text: str | None, out: Path | None, device: str | None, **options: Any) -> None:
    """Say TEXT aloud, or what comes on standard input when TEXT is missing or `-`."""
    from agent.cli.loading import loading
    from agent.engines import registry as engines

    config = configured(**options)
    if out is not None:
        from audio.files import check_ending

        check_ending(out)
    words = sys.stdin.read() if text in (None, "-") else text
    if not words or not words.strip():
        raise click.UsageError("there is nothing to say: give a text, or pipe one in")
    with loading(lines=False) as (progress, tell):
        voice = engines.load_one("tts", config, progress, tell)
    if out is not None:
        from agent.conversation.speak import render_in_time
        from audio.files import write_sound

        samples = render_in_time(words, voice, config)
        write_sound(out, samples, voice.rate)
        click.echo(f"{out}: {len(samples) / voice.rate:.1f} s")
        return
    from agent.conversation.speak import play
    from audio.devices.portaudio import quiet

    with quiet():
        gaps = play(words, voice, config, device)
    if gaps:
        from agent.cli.view import lost

        click.echo(f"backchat: {lost('speaker', gaps)}", err=True)
