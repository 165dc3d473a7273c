"""The command `talk`: a conversation by microphone and speaker. Knows only options."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import AsyncIterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.commands import configured, settings

if TYPE_CHECKING:
    from agent.cli.parts.live_recorder import LiveRecorder
    from agent.cli.parts.view import View
    from agent.cli.parts.visual_input import VisualInput
    from agent.protocols import Engines
    from agent.settings import Config
    from agent.transports.local import LocalDevices
    from audio.frame import Frame


@click.command()
@click.option("--microphone", help="Microphone, by name or number from `backchat devices`.")
@click.option("--speaker", help="Speaker, by name or number.")
@click.option(
    "--record", type=click.Path(path_type=Path), metavar="DIR", help="Keep audio and events in DIR."
)
@click.option("--plain", is_flag=True, help="Print lines instead of the live view.")
@click.option(
    "--verbose",
    is_flag=True,
    help="Print each turn-taking decision and call of a tool in a line.",
)
@click.option("--wake", metavar="WORD", help="Listen only once this was said: hey_jarvis, okay_nabu, ...")
@click.option("--image", metavar="FILE", help="A PNG, JPEG or WebP to talk about.")
@click.option("--camera", metavar="NUMBER", help="Show what this camera sees; the first one is 0.")
@click.option("--screen", is_flag=True, help="Show this screen.")
@settings
def talk(
    microphone: str | None,
    speaker: str | None,
    record: Path | None,
    plain: bool,
    verbose: bool,
    wake: str | None,
    image: str | None,
    camera: str | None,
    screen: bool,
    **options: Any,
) -> None:
    """Talk and be answered. Speak at any time, also over the answer; `m` mutes, Ctrl-C ends.

    The agent's own voice is taken out of what the microphone hears; headphones do that best. Of a camera
    or the screen, what it shows when you have finished speaking goes with your words, and nothing else.
    """
    from agent.cli.parts.live_recorder import LiveRecorder
    from agent.cli.parts.loading import load_engines
    from agent.cli.parts.output_folder import Afterwards, check_new, write_all
    from agent.cli.parts.view import LiveView, PlainView
    from agent.cli.parts.visual_input import VisualInput
    from agent.runner import run_real
    from agent.transports.local import LocalDevices
    from audio.devices.portaudio import check_devices, quiet

    if wake is not None:
        options["pairs"] = (*options["pairs"], f"wake.model={json.dumps(wake)}")
    config = configured(**options)
    if record is not None:
        check_new("--record", record)
    check_devices(microphone, speaker)
    shown = VisualInput(image, camera, screen)
    plain = plain or not sys.stdout.isatty()
    view = PlainView(verbose=verbose) if plain else LiveView(verbose=verbose)
    devices = LocalDevices(config.echo, microphone, speaker)
    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet())
        stack.enter_context(devices.awake())
        loaded = load_engines(config)
        afterwards = stack.enter_context(contextlib.ExitStack())  # left when the view has been
        recorder = None
        if record is not None:
            stack.enter_context(Afterwards(lambda: write_all(record, recorder.seen) if recorder else None))
            recorder = stack.enter_context(LiveRecorder(record, view.watch))
        stack.enter_context(view)
        stack.enter_context(shown)
        run_real(_talk, loaded, config, devices, view, recorder, shown, afterwards)


async def _talk(
    loaded: Engines,
    config: Config,
    devices: LocalDevices,
    view: View,
    recorder: LiveRecorder | None,
    shown: VisualInput,
    afterwards: contextlib.ExitStack,
) -> None:
    import anyio

    from agent.cli.parts.keyboard import Keys
    from agent.transports.local import LocalSession

    watchers = [view.watch, *([recorder.watch] if recorder else [])]
    local = LocalSession(loaded, config, watchers, devices, recorder.played if recorder else None)
    attention = local.session.controller.attention
    shown.show_to(local.session)
    # A line of its own: the terminal has just echoed ^C.
    afterwards.callback(lambda: click.echo(f"\n{local.sound.summary}", err=True) if local.sound else None)

    def through(frames: AsyncIterable[Frame]) -> AsyncIterable[Frame]:
        heard = view.listening(frames)
        return recorder.recording(heard, lambda: attention.since) if recorder else heard

    async def mute() -> None:
        with Keys() as keys:
            while key := await keys.pressed():
                if "m" in key.lower():
                    attention.mute(attention.state != "muted")

    async with anyio.create_task_group() as tasks:
        if Keys.usable():
            tasks.start_soon(mute)
        await local.run(through)
        tasks.cancel_scope.cancel()
