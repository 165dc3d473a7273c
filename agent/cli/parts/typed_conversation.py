"""A conversation by keyboard: lines in, answers out in print or aloud. Knows nothing of listening."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

import anyio
import click

from agent import events as ev
from agent.cli.parts.keyboard import Keyboard
from agent.cli.parts.tool_lines import call_line
from agent.conversation.session import Session
from agent.engines.registry import Given
from agent.images import Picture
from agent.protocols import Engines, LanguageModel
from agent.runner import Runner, run_real, stoppable
from agent.settings import Config
from agent.text.cleaning import cleaned
from agent.transports.sound_watch import SoundWatch
from audio.frame import Frame
from audio.playback import Playback
from audio.stt import Transcript
from audio.tts import Speech
from audio.vad import Evidence

MARK = "you> "
"""What asks for a line."""


class Unheard:
    """Ears and voice of a conversation in print: nothing is heard there, and what is said is read."""

    rate, language = 8000, "en"

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        """Nothing."""
        return Transcript("")

    def complete(self, audio: Frame) -> float:
        """Nobody speaks, so nobody goes on."""
        return 1.0

    def feed(self, frame: Frame) -> list[Evidence]:
        """No speech."""
        return []

    def stream(self, text: str) -> Iterator[Speech]:
        """No sound."""
        return iter(())


def for_print(llm: LanguageModel | None = None) -> Given:
    """What need not be loaded for a conversation in print. llm: nor the language model, where it is there."""
    nothing = Unheard()
    return Given(stt=nothing, llm=llm, tts=nothing, vad=nothing, endpointing=nothing)


def chat_in_print(config: Config, engines: Engines, image: Picture | None = None) -> None:
    """Answer each line of standard input on standard output, token by token. image: what the lines are about.

    What is called meanwhile is told on standard error. An engine that fails or hangs costs its answer, not
    the conversation.
    """
    run_real(_in_print, config, engines, image)


async def _in_print(config: Config, engines: Engines, image: Picture | None) -> None:
    runner = Runner()
    with _keyboard() as keyboard:
        page = _Page(keyboard)
        session = Session(engines, config, runner, Playback(), [page.watch])
        session.controller.voice.muted = True
        session.show(image)

        async def written() -> None:
            """Every reply that was open is over; Ctrl-C stops it, as talking over it does."""
            while not (complete := page.complete).is_set():
                with stoppable(session.cancel):
                    await complete.wait()
                await complete.wait()  # pressed once more it ends the chat

        async def lines() -> AsyncIterator[Frame]:
            """No frame ever: what is typed goes to the session as words, a line at a time."""
            while not session.controller.over and (line := await page.typed(runner)):
                await written()  # what is said unasked stands there whole
                page.answers(partial(session.send_text, line))
                await written()
            for frame in tuple[Frame, ...]():
                yield frame

        await session.run(lines())


class _Page:
    """What stands on the page of a conversation in print: an answer as it is written, calls a line each.

    complete: set while no reply is open, asked for or not. What is said unasked stands there whole.
    """

    def __init__(self, keyboard: Keyboard | None) -> None:
        self.complete = anyio.Event()
        self.complete.set()
        self._open: set[int] = set()
        self._keyboard = keyboard
        self._typing = False
        self._asking, self._turn = False, 0
        self._thoughts = _Thoughts()
        self._begun = False
        """Whether words stand on the last line."""
        self._wordless = True
        """Whether the answer has no words yet."""

    async def typed(self, runner: Runner) -> str | None:
        """The next line, after asking for it; see `_line`."""
        self._typing = True
        try:
            return await _asked(self._keyboard, runner)
        finally:
            self._typing = False

    def answers(self, ask: Callable[[], None]) -> None:
        """The reply that `ask` opens is an answer, and is shown while it is written."""
        self._asking, self._wordless = True, True
        ask()
        self._asking = False

    def watch(self, event: ev.Event) -> None:
        """Print what a reader would want to read, then know whether more is to come."""
        self._show(event)
        match event:
            case ev.TurnOpened(turn=turn):
                if not self._open:
                    self.complete = anyio.Event()
                self._open.add(turn)
            case ev.TurnEnded(turn=turn) | ev.TurnDiscarded(turn=turn):
                self._open.discard(turn)
                if not self._open:
                    self.complete.set()
            case _:
                pass

    def _show(self, event: ev.Event) -> None:
        match event:
            case ev.TurnOpened(turn=turn) if self._asking:
                self._turn = turn
            case ev.Thought(turn=turn, text=text) if turn == self._turn:
                self._thoughts.show(text)
            case ev.Token(turn=turn, text=text) if turn == self._turn:
                self._thoughts.end()
                words = text if self._begun else text.lstrip()
                if words:
                    self._begun, self._wordless = True, False
                click.echo(words, nl=False)
            case ev.ToolCalled() | ev.ToolReturned():
                self._line(f"  {call_line(event)}", err=True, dim=True)
            case ev.TurnEnded(turn=turn) if turn != self._turn:
                if said := event.heard.strip():
                    self._line(said)
            case ev.TurnEnded(reason=reason):
                self._end(" [stopped]" if reason == "interrupted" else "")
            case ev.TurnDiscarded(turn=turn) if turn == self._turn:
                self._end("")
            case ev.Error():
                self._line(f"backchat: {event.message}", err=True)
            case _:
                pass

    def _end(self, how: str) -> None:
        """The answer is over: its line as well, unless that was ended by what had to be told below it."""
        self._thoughts.end()
        if how or self._begun or self._wordless:
            click.echo(how)
        self._begun = False

    def _line(self, line: str, *, err: bool = False, dim: bool = False) -> None:
        """A line of its own, above what is being typed."""
        self._thoughts.end()
        if self._begun:
            click.echo()
        self._begun = False
        with self._keyboard.overlap() if self._keyboard is not None and self._typing else nullcontext():
            click.secho(line, err=err, dim=dim)


def chat_aloud(config: Config, engines: Engines, speaker: str | None, image: Picture | None = None) -> None:
    """Answer each line through a speaker; a line that is typed over an answer interrupts it."""
    run_real(_aloud, config, engines, speaker, image)


async def _aloud(config: Config, engines: Engines, speaker: str | None, image: Picture | None) -> None:
    from audio.devices.live import Speaker

    runner, playback = Runner(), Playback()
    with _keyboard() as keyboard:
        screen = _Screen(keyboard)
        session = Session(engines, config, runner, playback, [screen.watch])
        session.show(image)

        async def words() -> AsyncIterator[Frame]:
            """No frame ever: what is typed goes to the session as words."""
            screen.ask()
            while line := await _line(keyboard, runner):
                session.send_text(line)
            screen.over = True
            for frame in tuple[Frame, ...]():
                yield frame

        async with (
            Speaker(speaker, playback.read, playback.rate, runner.now) as speaking,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(SoundWatch(None, speaking, [screen.watch]).watching, runner.now)
            await session.run(words())
            tasks.cancel_scope.cancel()


class _Screen:
    """What stands on the screen of a conversation aloud: a line asked, what was heard of its answer.

    A line is asked for when no answer is being said, and may be typed at any moment. over: no more is asked.
    """

    def __init__(self, keyboard: Keyboard | None) -> None:
        self.over = False
        self._keyboard = keyboard
        self._open: set[int] = set()
        self._thought = ""

    def ask(self) -> None:
        """Ask for a line, if somebody types."""
        if self._keyboard is not None:
            self._keyboard.ask(MARK)

    def watch(self, event: ev.Event) -> None:
        """Print what a reader would want to read."""
        match event:
            case ev.TurnOpened(turn=turn):
                self._open.add(turn)
            case ev.Thought(text=text):
                self._think(text)
            case ev.Token() | ev.TurnDiscarded():
                self._think("\n" if self._thought else "")
            case ev.ToolCalled() | ev.ToolReturned():
                self._print(click.style(f"  {call_line(event)}", dim=True), err=True)
            case ev.TurnEnded(turn=turn):
                self._think("\n" if self._thought else "")
                self._open.discard(turn)
                from agent.cli.parts.view import broken_off

                self._print(f"{event.heard.strip()}{broken_off(event)}")
                if not self._open and not self.over:
                    self.ask()
            case ev.Error():
                self._print(f"backchat: {event.message}", err=True)
            case ev.SoundLost():
                from agent.cli.parts.view import lost

                self._print(f"backchat: {lost(event.device, event.gaps)}", err=True)
            case _:
                pass

    def _print(self, line: str, *, err: bool = False) -> None:
        with nullcontext() if self._keyboard is None else self._keyboard.overlap():
            click.echo(line, err=err)

    def _think(self, thought: str) -> None:
        """Show a thought in whole lines: what is typed stands below them."""
        *lines, self._thought = (self._thought + thought).split("\n")
        for line in lines if sys.stdout.isatty() else []:
            self._print(click.style(line, dim=True))


class _Thoughts:
    """What the model thinks before it answers, dimmed, on lines of its own; at a terminal only."""

    def __init__(self) -> None:
        self._at_terminal = sys.stdout.isatty()
        self._open = False

    def show(self, thought: str) -> None:
        """Show a bit of it."""
        if thought and self._at_terminal:
            self._open = True
            click.secho(thought, dim=True, nl=False)

    def end(self) -> None:
        """What comes next is no thought."""
        if self._open:
            click.echo()
        self._open = False


@contextmanager
def _keyboard() -> Generator[Keyboard | None]:
    """The keyboard, with a word of greeting; None where nobody types at a terminal that is ours."""
    if sys.stdin.isatty():
        click.echo("Type and press Enter; an empty line ends.", err=True)
    if Keyboard.usable():
        with Keyboard() as keyboard:
            yield keyboard
    else:
        yield None


async def _asked(keyboard: Keyboard | None, runner: Runner) -> str | None:
    """As `_line`, after asking for it."""
    if keyboard is not None:
        keyboard.ask(MARK)
    return await _line(keyboard, runner)


async def _line(keyboard: Keyboard | None, runner: Runner) -> str | None:
    """The next line that says something; nothing at the end of the input, or at an empty one by hand."""
    return await runner.wait_for(_piped) if keyboard is None else _said(await keyboard.line())


def _piped() -> str | None:
    """The next line of standard input that says something; None at its end, or an empty one typed by hand."""
    by_hand = sys.stdin.isatty()
    while True:
        try:
            line = _said(input(MARK if by_hand else ""))
        except EOFError:
            return None
        if line or by_hand:
            return line or None


def _said(line: str) -> str:
    return cleaned(line).strip()
