"""The command `say`: a text, spoken or into a file. Knows only options."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from agent.cli.commands import configured, settings


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
    from agent.cli.parts.loading import loading
    from agent.engines import registry as engines

    config = configured(**options)
    if out is not None:
        from audio.files import check_ending

        check_ending(out)
    words = sys.stdin.read() if text in (None, "-") else text
    if not words or not words.strip():
        raise click.UsageError("there is nothing to say: give a text, or pipe one in")
    with loading(lines=False) as (progress, tell):
        voice = engines.load_one("tts", config, progress, tell, warm=False)
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
        from agent.cli.parts.view import lost

        click.echo(f"backchat: {lost('speaker', gaps)}", err=True)
