"""The command `chat`: a conversation by keyboard, answered in print or aloud. Knows only options."""

from __future__ import annotations

from typing import Any

import click

from agent.cli.commands import configured, settings


@click.command()
@click.option("--aloud", is_flag=True, help="Speak the answers too.")
@click.option("--speaker", help="Speaker, by name or number, for --aloud.")
@click.option("--image", metavar="FILE", help="A PNG, JPEG or WebP to talk about.")
@settings
def chat(aloud: bool, speaker: str | None, image: str | None, **options: Any) -> None:
    """Type and be answered; Ctrl-C stops an answer, an empty line or Ctrl-D ends.

    Lines that are piped in are answered one after the other.
    """
    from agent.cli.parts.loading import load_engines, loading
    from agent.cli.parts.typed_conversation import chat_aloud, chat_in_print, for_print
    from agent.engines import registry as engines
    from agent.images import open_image
    from audio.devices.portaudio import check_devices, quiet

    config = configured(**options)
    shown = None if image is None else open_image(image)
    if aloud:
        check_devices(microphone=None, speaker=speaker, listening=False)
        loaded = load_engines(config, lines=False)
        with quiet():
            chat_aloud(config, loaded, speaker, shown)
    else:
        with loading(lines=False) as (progress, tell):
            loaded = engines.load(config, progress, tell, for_print())
        chat_in_print(config, loaded, shown)
