"""Commands that talk with a person who is here: `talk` by voice, `chat` by keyboard. Know only options."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anyio
import click

from agent.cli import configured, settings


@click.command()
@click.option("--microphone", help="Microphone, by name or number from `backchat devices`.")
@click.option("--speaker", help="Speaker, by name or number.")
@click.option(
    "--record", type=click.Path(path_type=Path), metavar="DIR", help="Keep audio and events in DIR."
)
@click.option("--plain", is_flag=True, help="Print lines instead of the live view.")
@settings
def talk(
    microphone: str | None, speaker: str | None, record: Path | None, plain: bool, **options: Any
) -> None:
    """Talk and be answered. Speak at any time, also over the answer; Ctrl-C ends.

    Headphones keep the agent from hearing itself.
    """
    from agent import engines, models
    from agent.cli.view import PlainView, View
    from audio.devices import check_devices

    config = configured(**options)
    check_devices(microphone, speaker)
    with models.progress_bar() as progress:
        loaded = engines.load(config, progress)
    view = PlainView() if plain or not sys.stdout.isatty() else View()
    with view:
        anyio.run(_talk, loaded, config, microphone, speaker, record, view, backend="trio")


async def _talk(
    loaded: Any, config: Any, microphone: str | None, speaker: str | None, record: Path | None, view: Any
) -> None:
    from agent.bridge import Bridge
    from agent.session import Session
    from audio.devices import Microphone, Speaker
    from audio.playback import Playback

    bridge, playback = Bridge(), Playback()
    session = Session(loaded, config, bridge, playback, [view.watch])
    async with (
        Speaker(speaker, playback.read, playback.rate, bridge.now),
        Microphone(microphone, bridge.now) as frames,
    ):
        await session.run(view.listening(frames))


@click.command()
@click.option("--aloud", is_flag=True, help="Speak the answers too.")
@click.option("--speaker", help="Speaker, by name or number, for --aloud.")
@settings
def chat(aloud: bool, speaker: str | None, **options: Any) -> None:
    """Type and be answered; Ctrl-C stops an answer, an empty line or Ctrl-D ends.

    Lines that are piped in are answered one after the other.
    """
    from agent import engines, models
    from agent.cli.typed import chat_aloud, chat_in_print
    from audio.devices import check_devices

    config = configured(**options)
    if aloud:
        check_devices(microphone=None, speaker=speaker, listening=False)
    with models.progress_bar() as progress:
        if aloud:
            chat_aloud(config, engines.load(config, progress), speaker)
        else:
            chat_in_print(config, engines.load_one("llm", config, progress))
