"""A conversation by keyboard: lines in, answers out in print or aloud. Knows nothing of listening."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager, nullcontext

import anyio
import click

from agent import events as ev
from agent.cli.parts.keyboard import Keyboard
from agent.conversation.history import History
from agent.conversation.session import Session
from agent.engines.registry import load_vision
from agent.errors import BackchatError
from agent.images import Picture
from agent.llm.context import ContextWindow, Prompt
from agent.llm.deltas import deltas
from agent.protocols import Engines, LanguageModel
from agent.runner import Runner, run_real, stoppable
from agent.settings import Config, LimitsConfig
from agent.text.cleaning import cleaned
from agent.transports.sound_watch import SoundWatch
from audio.frame import Frame
from audio.playback import Playback

MARK = "you> "
"""What asks for a line."""


def chat_in_print(config: Config, llm: LanguageModel, image: Picture | None = None) -> None:
    """Answer each line of standard input on standard output, token by token. image: what the lines are about.

    An engine that fails or hangs costs its answer, not the conversation.
    """
    run_real(_in_print, config, llm, image)


async def _in_print(config: Config, llm: LanguageModel, image: Picture | None) -> None:
    history, runner = History(config.session.system), Runner()
    window = ContextWindow(llm, config.llm.context, config.llm.max_tokens)
    description, told = None, False
    if image is not None:
        vision = load_vision(config, llm)
        description = await runner.call("vision", lambda: vision.look(image), config.limits.vision)
    with _keyboard() as keyboard:
        while line := await _asked(keyboard, runner):
            asked = history.said(line if description is None else description.asked(line))
            prompt = window.prompt(history.system, asked)
            history.user(line if description is None or told else description.kept(line, config.vision.keep))
            told = True
            said = await _answered(prompt, runner, config.limits)
            history.keep(prompt.said, prompt.fitted)
            history.agent(said, "")


async def _answered(prompt: Prompt, runner: Runner, limits: LimitsConfig) -> str:
    """Print the answer while it is written, and what went wrong with it; all of it that was printed."""
    said, thoughts = "", _Thoughts()
    try:
        with stoppable() as pressed:  # Ctrl-C stops the answer, as talking over it does
            written = runner.stream("llm", lambda: deltas(prompt.stream()), limits.first_token, limits.token)
            async with written as stream:
                async for delta in stream:
                    said = "" if delta.anew else said + delta.text
                    thoughts.show(delta.thought)
                    if delta.text:
                        thoughts.end()
                        click.echo(delta.text, nl=False)
        click.echo(" [stopped]" if pressed.cancelled_caught else "")
    except BackchatError as error:
        click.echo(f"backchat: {cleaned(str(error))}", err=True)
        click.echo()
    if prompt.refused is not None:
        click.echo(f"backchat: {prompt.refused}", err=True)
    return said


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
