"""The command `speakers`: whose voices are known. Knows only options and what to say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.commands import configured, settings

if TYPE_CHECKING:
    from agent.settings import Config
    from audio.frame import Frame

WANTED, PATIENCE = 10.0, 60.0
"""Seconds of speech that an enrolment takes, and how long it waits for them."""


@click.group()
def speakers() -> None:
    """List, enroll and forget whose voices are known.

    What is kept of a voice lies in one folder (`speakers.folder`), in files that only their owner may read,
    and is never sent. With `--set speakers.only='["NAME"]'`, or "*" for all, only they are answered and may
    interrupt.
    """


@speakers.command("list")
@settings
def list_speakers(**options: Any) -> None:
    """Show who is enrolled."""
    store = _store(configured(**options))
    for name in store.names():
        click.echo(name)
    click.echo(f"kept in {store.folder}", err=True)


@speakers.command()
@click.argument("name")
@settings
def forget(name: str, **options: Any) -> None:
    """Delete what is kept of NAME's voice."""
    _store(configured(**options)).forget(name)
    click.echo(f"{name} is forgotten")


@speakers.command()
@click.argument("name")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--microphone", help="Microphone, by name or number from `backchat devices`.")
@settings
def enroll(name: str, files: tuple[Path, ...], microphone: str | None, **options: Any) -> None:
    """Know NAME by their voice: ten seconds of it, from the microphone or from audio FILES.

    Speak as to the agent, where you will talk to it and into the microphone that you will use.
    """
    from agent.engines.registry import load_one
    from agent.errors import ConfigError
    from agent.speakers import EVERYBODY, NAME, enrolment
    from audio.files import read_audio
    from audio.frame import HEARING_RATE

    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r}: a speaker's name has letters, digits, blanks and hyphens, at most 32")
    config = configured(**options)
    used = config.speakers.model_copy(update={"only": (EVERYBODY,)})
    embedding = load_one("speakers", config.model_copy(update={"speakers": used}))
    said = [read_audio(file).at_rate(HEARING_RATE) for file in files] or [_recorded(microphone, config)]
    kept = _store(config).enroll(name, enrolment(embedding, said), embedding.model)
    click.echo(f"{name} is known by their voice, kept in {kept}")


def _store(config: Config) -> Any:
    from agent.speakers import SpeakerStore

    return SpeakerStore(Path(config.speakers.folder).expanduser())


def _recorded(microphone: str | None, config: Config) -> Frame:
    """What is said into the microphone, until that is enough. Raises DeviceError, ConfigError."""
    from agent.runner import run_real
    from audio.devices.portaudio import check_devices, quiet

    check_devices(microphone, None)
    click.echo(f"speak for {WANTED:g} seconds, as you would to the agent; Ctrl-C gives up")
    with quiet():
        return run_real(_listen, microphone, config)


async def _listen(microphone: str | None, config: Config) -> Frame:
    from agent.engines.registry import vad
    from agent.errors import ConfigError
    from agent.runner import Runner
    from audio.devices.live import Microphone
    from audio.frame import Frame

    detector, spoken, kept = vad(config.vad), 0.0, list[Frame]()
    async with Microphone(microphone, Runner().now) as frames:
        async for frame in frames:
            sure = [evidence for evidence in detector.feed(frame) if evidence.confirmed]
            speech = sum(evidence.length for evidence in sure if evidence.probability >= config.vad.start)
            spoken += speech
            kept.append(frame)
            if sys.stderr.isatty() and speech:
                click.echo(f"\r{min(spoken, WANTED):4.1f} s", nl=False, err=True)
            if spoken >= WANTED:
                click.echo("", err=True)
                return Frame.join(kept)
            if frame.end - kept[0].time > PATIENCE:
                break
    raise ConfigError(f"only {spoken:.1f} s of speech were heard; speak louder, or try another --microphone")
