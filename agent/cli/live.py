"""Commands that talk with a user who is here: `talk` by voice, `chat` by keyboard. Know only options."""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from agent.cli.commands import configured, settings
from agent.errors import BackchatError

if TYPE_CHECKING:
    from agent.cli.shows import Shows
    from agent.cli.view import View
    from agent.events import Event, Watcher
    from agent.protocols import Engines
    from agent.settings import Config
    from audio.frame import Frame


@click.command()
@click.option("--microphone", help="Microphone, by name or number from `backchat devices`.")
@click.option("--speaker", help="Speaker, by name or number.")
@click.option(
    "--record", type=click.Path(path_type=Path), metavar="DIR", help="Keep audio and events in DIR."
)
@click.option("--plain", is_flag=True, help="Print lines instead of the live view.")
@click.option("--verbose", is_flag=True, help="Print each turn-taking decision and its cause in one line.")
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
    image: str | None,
    camera: str | None,
    screen: bool,
    **options: Any,
) -> None:
    """Talk and be answered. Speak at any time, also over the answer; Ctrl-C ends.

    The agent's own voice is taken out of what the microphone hears; headphones do that best. Of a camera
    or the screen, what it shows when you have finished speaking goes with your words, and nothing else.
    """
    from agent.cli.loading import loading
    from agent.cli.outputs import Afterwards, check_new, write_all
    from agent.cli.shows import Shows
    from agent.cli.view import LiveView, PlainView
    from agent.engines import registry as engines
    from agent.runner import run_real
    from audio.devices.portaudio import check_devices, quiet

    config = configured(**options)
    if record is not None:
        check_new("--record", record)
    check_devices(microphone, speaker)
    shows = Shows(image, camera, screen)
    with loading() as (progress, tell):
        loaded = engines.load(config, progress, tell)
    plain = plain or not sys.stdout.isatty()
    view = PlainView(verbose=verbose) if plain else LiveView(verbose=verbose)
    with contextlib.ExitStack() as stack:
        afterwards = stack.enter_context(contextlib.ExitStack())  # left when the view has been
        tape = None
        if record is not None:
            stack.enter_context(Afterwards(lambda: write_all(record, tape.seen) if tape else None))
            tape = stack.enter_context(LiveRecorder(record, view.watch))
        stack.enter_context(quiet())
        stack.enter_context(view)
        stack.enter_context(shows)
        run_real(_talk, loaded, config, microphone, speaker, view, tape, shows, afterwards)


async def _talk(
    loaded: Engines,
    config: Config,
    microphone: str | None,
    speaker: str | None,
    view: View,
    tape: LiveRecorder | None,
    shows: Shows,
    afterwards: contextlib.ExitStack,
) -> None:
    from agent.transports.local import LocalSession

    watchers = [view.watch, *([tape.watch] if tape else [])]
    local = LocalSession(loaded, config, watchers, tape.played if tape else None)
    shows.to(local.session)
    # A line of its own: the terminal has just echoed ^C.
    afterwards.callback(lambda: click.echo(f"\n{local.sound.summary}", err=True) if local.sound else None)

    def through(frames: AsyncIterable[Frame]) -> AsyncIterable[Frame]:
        heard = view.listening(frames)
        return tape.recording(heard) if tape else heard

    await local.run(microphone, speaker, through)


class LiveRecorder:
    """Keeps a live conversation while it goes on: both voices in one file, and the events in another.

    Within `with`. A disk that gets full ends the recording and not the talk: an Error event says so, once;
    what was kept before is whole. tell: the watcher that shows it. seen: all events, kept or not. Raises
    BackchatError on creation.
    """

    def __init__(self, folder: Path, tell: Watcher) -> None:
        from agent.reports.event_log import Journal
        from audio.files import Recorder

        self.seen: list[Event] = []
        self._failed = False
        self._played: deque[Frame] = deque()
        self._tell = tell
        self._recorder = Recorder(folder / "conversation.wav")
        self._journal = Journal(folder / "events.jsonl")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with self._journal:
                self._recorder.close()
        except BackchatError as fault:
            if not self._failed:  # the view has been left
                click.echo(f"backchat: {fault}", err=True)

    def watch(self, event: Event) -> None:
        """Keep an event."""
        self.seen.append(event)
        self._keep(lambda: self._journal.watch(event), event.time)

    def played(self, frame: Frame) -> None:
        """What the speaker was given; from the sound card's thread."""
        self._played.append(frame)

    async def recording(self, frames: AsyncIterable[Frame]) -> AsyncIterator[Frame]:
        """`frames` as they are, while they and what was played meanwhile are written down."""
        async for frame in frames:
            self._keep(partial(self._recorder.user, frame), frame.end)
            while self._played:
                self._keep(partial(self._recorder.agent, self._played.popleft()), frame.end)
            yield frame

    def _keep(self, write: Callable[[], None], now: float) -> None:
        """Write something down, unless that has failed before."""
        from agent.events import Error

        if self._failed:
            return
        try:
            write()
        except BackchatError as fault:
            self._failed = True
            error = Error(now, "recording", f"not recorded from here on: {fault}")
            self.seen.append(error)
            self._tell(error)


@click.command()
@click.option("--aloud", is_flag=True, help="Speak the answers too.")
@click.option("--speaker", help="Speaker, by name or number, for --aloud.")
@click.option("--image", metavar="FILE", help="A PNG, JPEG or WebP to talk about.")
@settings
def chat(aloud: bool, speaker: str | None, image: str | None, **options: Any) -> None:
    """Type and be answered; Ctrl-C stops an answer, an empty line or Ctrl-D ends.

    Lines that are piped in are answered one after the other.
    """
    from agent.cli.loading import loading
    from agent.cli.typed import chat_aloud, chat_in_print
    from agent.engines import registry as engines
    from agent.images import open_image
    from audio.devices.portaudio import check_devices, quiet

    config = configured(**options)
    shown = None if image is None else open_image(image)
    if aloud:
        check_devices(microphone=None, speaker=speaker, listening=False)
    if aloud:
        with loading(lines=False) as (progress, tell):
            loaded = engines.load(config, progress, tell)
        with quiet():
            chat_aloud(config, loaded, speaker, shown)
    else:
        with loading(lines=False) as (progress, tell):
            llm = engines.load_llm(config, progress, tell)
        chat_in_print(config, llm, shown)
