"""What the terminal shows of a live conversation: state, level, words. A watcher; knows no session."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from types import TracebackType
from typing import Any, Protocol, Self

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from agent import events as ev
from agent.reports.causes import decision_line
from agent.reports.waits import shorten
from audio.frame import Frame, level_dbfs

STATES = {
    "starting": ("◌", "dim"),
    "listening": ("●", "green"),
    "hearing you": ("●", "bright_green"),
    "thinking": ("◌", "yellow"),
    "speaking": ("▶", "cyan"),
    "interrupted": ("■", "magenta"),
    "asleep": ("◌", "dim"),
    "muted": ("×", "red"),
}


THOUGHT_LINES = 4
"""Lines of a thought that are shown while it goes on: its end."""
CALL = 100
"""Most characters of a call's arguments, or of its result, in a line."""
NO_MORE = "out of tokens: llm.max_tokens"
"""What is told of an answer that was not allowed to go on."""
LEAK = "the microphone hears the speaker: use headphones, or lower the volume"
GONE = "the microphone does not hear the speaker any more"


def lost(device: ev.Lossy, gaps: int) -> str:
    """The news of sound that was lost, so often, and what helps."""
    times = "once" if gaps == 1 else f"{gaps} times"
    return f"the {device} lost sound {times}: this machine is too busy; close other programs"


class Conversation:
    """The words and the state, followed from events; both views draw from it."""

    def __init__(self) -> None:
        self._hears = self._speaking = self._held = False
        self._open: set[int] = set()
        self._audible: int | None = None
        self._cut: int | None = None
        self.lines: list[tuple[str, str, str]] = []
        """Who, what was heard, what was not."""
        self.partial, self.stable = "", 0
        self.heard_to = 0
        self.reply = self.thought = ""
        self.error = self.unrecorded = ""
        self.leaks = False
        self._attention: ev.AttentionState = "awake"

    @property
    def state(self) -> str:
        """What is shown of it: derived from what goes on, so that nothing stays when that is over."""
        if self._speaking:
            return "hearing you"
        if self._cut in self._open:
            return "interrupted"
        if self._audible in self._open and not self._held:
            return "speaking"
        if self._open:
            return "thinking"
        if not self._hears:
            return "starting"
        return "listening" if self._attention == "awake" else self._attention

    def hears(self) -> None:
        """The microphone gives sound: from the first frame on, and not before, it is listening."""
        self._hears = True

    def note(self, event: ev.Event) -> None:
        """Take in one event."""
        match event:
            case ev.SpeechStarted() | ev.SpeechResumed():
                self._speaking, self.partial = True, ""
            case ev.SpeechPaused():
                self._speaking = False
            case ev.InterimTranscript(text=text, stable=stable):
                self.partial, self.stable = text, stable
            case ev.TurnOpened(turn=turn):
                self._open.add(turn)
                self.reply, self.thought, self.heard_to = "", "", 0
            case ev.Thought(text=text):
                self.thought += text
            case ev.Token(text=text):
                self.reply += text
            case ev.TurnCommitted(text=text, speaker=speaker):
                self.partial = ""
                self.lines.append((speaker or "you", text, ""))
            case ev.OverheardSpeech(text=text, speaker=speaker):
                self.lines.append((f"({speaker})", text, ""))
            case ev.AudioStarted(turn=turn):
                self._audible, self._held = turn, False
            case ev.AudioPaused() | ev.AudioResumed():
                self._held = isinstance(event, ev.AudioPaused)
            case ev.WordHeard(end=end):
                self.heard_to = max(self.heard_to, end)
            case ev.Interrupted(turn=turn):
                self._cut = turn
            case ev.TurnEnded(turn=turn, heard=heard, unheard=unheard):
                self._open.discard(turn)
                self.lines.append(("agent", f"{heard}{broken_off(event)}", unheard))
                self.reply = ""
                self.error = "" if event.reason == "finished" else self.error
            case ev.TurnDiscarded(turn=turn):
                self._open.discard(turn)
                self.reply = ""
            case ev.AttentionChanged(state=state):
                self._attention = state
                self._speaking = self._speaking and state == "awake"
            case ev.EchoHeard() | ev.EchoGone():
                self.leaks = isinstance(event, ev.EchoHeard)
            case ev.SoundLost():
                self.error = lost(event.device, event.gaps)
            case ev.Error(where="recording", message=message):
                self.unrecorded = message
            case ev.Error(message=message):
                self.error = message
            case _:
                pass


class View(Protocol):
    """Shows a conversation while it goes on; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def watch(self, event: ev.Event) -> None:
        """Take in one event."""
        ...

    def listening(self, frames: AsyncIterable[Frame]) -> AsyncIterator[Frame]:
        """`frames` as they are, while the view follows them."""
        ...


BARS = 24
"""Blocks of the level meter, over 60 dB."""


class _Live(Live):
    """Redraws only what is not what was drawn last: drawing costs more than listening does.

    what: all that the picture depends on.
    """

    def __init__(self, what: Callable[[], object], **options: Any) -> None:
        self._what = what
        self._drawn: object = None
        super().__init__(**options)

    def refresh(self) -> None:
        """Draw what is new; and once more at the end, for good."""
        now = self._what()
        if now != self._drawn or not self.is_started:
            self._drawn = now
            super().refresh()


class LiveView:
    """A live view that is redrawn as often as anything in it changes, but a few times a second at most."""

    def __init__(self, console: Console | None = None, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._talk = Conversation()
        self._level = -120.0
        self._bars = self._events = 0
        self._console = console or Console()
        self._live = _Live(
            self._picture, console=self._console, refresh_per_second=12, get_renderable=self._draw
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def watch(self, event: ev.Event) -> None:
        """Take in one event; it shows at the next redraw, a decision at once and above, if that is wanted."""
        self._talk.note(event)
        self._events += 1
        if self._verbose and (line := verbose_line(event)):
            self._console.print(Text(line, "dim"))

    async def listening(self, frames: AsyncIterable[Frame]) -> AsyncIterator[Frame]:
        """`frames` as they are, while the level meter follows them."""
        async for frame in frames:
            self._talk.hears()
            self._level = max(level_dbfs(frame.samples), self._level - 1.5)
            bars = max(0.0, min(1.0, (self._level + 60) / 60)) * BARS
            if abs(bars - self._bars) >= 1.0:  # noise at the edge between two would never be still
                self._bars = round(bars)
            yield frame

    def _picture(self) -> object:
        """What the picture depends on; the words change with events only."""
        return self._events, self._bars, self._talk.state, self._console.size

    def _draw(self) -> RenderableType:
        talk = self._talk
        mark, colour = STATES[talk.state]
        bars = self._bars
        head = Text.assemble(
            (f"{mark} {talk.state:12}", f"bold {colour}"),
            ("▇" * bars, "green" if bars < 20 else "red"),
            ("·" * (BARS - bars), "dim"),
            ("   m mutes, Ctrl-C ends", "dim"),
        )
        rows: list[Text] = []
        for who, heard, unheard in talk.lines[-20:]:
            style = "bold" if who == "you" else "cyan"
            rows += self._said(who, Text.assemble((heard.strip(), style), (unheard.rstrip(), "dim strike")))
        if talk.thought and talk.state == "thinking":
            rows += self._said("thinks", Text(talk.thought, "dim italic"))[-THOUGHT_LINES:]
        if talk.reply:
            heard, rest = talk.reply[: talk.heard_to], talk.reply[talk.heard_to :]
            rows += self._said("agent", Text.assemble((heard, "bold cyan"), (rest, "dim cyan")))
        if talk.partial:
            sure, rest = talk.partial[: talk.stable], talk.partial[talk.stable :]
            rows += self._said("you", Text.assemble((sure, "italic"), (f"{rest} …", "italic dim")))
        for trouble in filter(None, (LEAK if talk.leaks else "", talk.unrecorded, talk.error)):
            rows += self._said("error", Text(trouble, "red"))
        room = max(1, self._console.height - 5)  # more would be cut off below, where the newest is
        width = self._console.width - 2  # room for the ^C that a terminal prints: it must not begin a line
        return Panel(Group(head, Text(), *rows[-room:]), title="backchat", border_style="dim", width=width)

    def _said(self, who: str, words: Text) -> list[Text]:
        """Lines that fit the terminal, the first with who says it, the others indented below it."""
        words = Text(" ").join(words.split())
        wrapped = words.wrap(self._console, max(20, self._console.width - 14))
        return [Text.assemble((f"{'' if i else who:>6}  ", "dim"), line) for i, line in enumerate(wrapped)]


class PlainView:
    """The same as lines of text, for a pipe or a screen reader."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose

    def __enter__(self) -> Self:
        click.echo("opening speaker and microphone")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def watch(self, event: ev.Event) -> None:
        """Print what a listener would want to read, and if that is wanted, each decision and its cause."""
        print_line(event)
        if self._verbose and (line := verbose_line(event)):
            click.echo(line)

    async def listening(self, frames: AsyncIterable[Frame]) -> AsyncIterator[Frame]:
        """`frames` as they are; says so when the first has come, and not before."""
        told = False
        async for frame in frames:
            if not told:
                click.echo("listening; Ctrl-C ends")
            told = True
            yield frame


def verbose_line(event: ev.Event) -> str:
    """What --verbose tells of an event: a decision and its cause, a call and what comes of it; else ""."""
    match event:
        case ev.Decision():
            return decision_line(event)
        case ev.ToolCalled():
            effect = f" ({event.effect})" if event.effect else ""
            return f"{event.time:7.2f} s  tool    {event.name}{effect} {shorten(event.arguments, CALL)}"
        case ev.ToolReturned():
            told = f"{event.name} {event.outcome.replace('_', ' ')} after {event.took:.2f} s"
            return f"{event.time:7.2f} s  tool    {told}: {shorten(event.result, CALL)}"
        case ev.GenerationEnded(reason="length"):
            return f"{event.time:7.2f} s  model   {NO_MORE} after {event.tokens}"
        case _:
            return ""


def broken_off(event: ev.TurnEnded) -> str:
    """What stands behind what was heard of a reply that is not all of it; "" for a whole one."""
    return " [cut]" if event.reason == "interrupted" else f" [{NO_MORE}]" if event.limited else ""


def print_line(event: ev.Event) -> None:
    """Print the events that a listener would want to read, one line each."""
    match event:
        case ev.TurnCommitted():
            click.echo(f"{event.time:7.2f} s  {event.speaker or 'user'}  {event.text}")
        case ev.OverheardSpeech():
            click.echo(f"{event.time:7.2f} s  ({event.speaker})  {event.text}")
        case ev.TurnEnded():
            heard = event.heard.strip() or "(nothing heard)"
            click.echo(f"{event.time:7.2f} s  agent   {heard}{broken_off(event)}")
        case ev.AttentionChanged():
            click.echo(f"{event.time:7.2f} s  {event.state}")
        case ev.EchoGone():
            click.echo(f"{event.time:7.2f} s  {GONE}", err=True)
        case ev.EchoHeard():
            click.echo(f"{event.time:7.2f} s  {LEAK}", err=True)
        case ev.SoundLost():
            click.echo(f"{event.time:7.2f} s  {lost(event.device, event.gaps)}", err=True)
        case ev.Error():
            click.echo(f"{event.time:7.2f} s  error   {event.message}", err=True)
        case _:
            pass
