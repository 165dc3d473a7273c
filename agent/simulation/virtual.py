"""A whole conversation without a sound card: a scripted user, the real session, a recorder.

On a virtual clock it runs as fast as the engines do; on the real one it takes the time it takes.
Knows no device and nothing of how a session works inside.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import anyio

from agent import events as ev
from agent.causes import Cause
from agent.conversation.session import Session
from agent.errors import ScriptError
from agent.images import Source
from agent.protocols import Engines
from agent.runner import Runner, VirtualRunner, run_real, until_told
from agent.settings import Config
from audio.echo.front_end import FrontEnd
from audio.files import Recorder, read_audio
from audio.frame import HEARING_RATE, Frame, Samples, silence
from audio.playback import Playback

T = TypeVar("T")

BLOCK = 0.02
"""Seconds of one microphone frame."""
SPEAKER_BLOCK = 0.01
"""Seconds that the simulated speaker pulls at a time."""
PATIENCE = 60.0
"""Seconds after which the scripted user stops waiting for an answer that is being made."""
QUIET = 1.5
"""Seconds after which they stop waiting when no answer is being made; when the reply that they talked
over still goes on, they wait for its end instead."""
LINGER = 1.0
"""Seconds of silence recorded after the last reply."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One thing the scripted user says, and when it begins.

    at: that many seconds after the start. after: seconds after the reply to the line before ended
    (for the first line: after the start). over: when that reply has been audible for so many seconds.
    pause: seconds after the user's own line before, whatever the agent does. unasked: when something that the
    agent says by itself, as a timer that is due, has been audible for so many seconds.
    """

    audio: Frame
    when: Literal["at", "after", "over", "pause", "unasked"] = "after"
    seconds: float = 0.6


class Air(Protocol):
    """What is between the speaker, the user and the microphone; `audio.echo.room.Room` is one."""

    def played(self, frame: Frame) -> None:
        """Take in what the speaker plays, at any rate."""
        ...

    def microphone(self, frame: Frame) -> Frame:
        """What the microphone hears while the user says `frame` (16 kHz)."""
        ...


class Cleaned:
    """A room, heard through the echo canceller."""

    def __init__(self, air: Air, front_end: FrontEnd) -> None:
        self._air = air
        self._front_end = front_end

    def played(self, frame: Frame) -> None:
        """What the speaker plays, to the room and the canceller."""
        self._air.played(frame)
        self._front_end.played(frame)

    def microphone(self, frame: Frame) -> Frame:
        """What is left of what the microphone hears."""
        return self._front_end.cleaned(self._air.microphone(frame))


def read_line(argument: str) -> Line:
    """A line from `FILE`, `FILE@after:0.6`, `FILE@over:2.5` or `FILE@at:12`; `-` is what is piped in.

    Raises AudioFileError, ScriptError.
    """
    match = re.fullmatch(r"(.+)@(at|after|over):(\d+(?:\.\d+)?)", argument)
    name = match[1] if match else argument
    if not match and re.search(r"@\w*:[^/]*$", argument) and not Path(argument).exists():
        raise ScriptError(f"{argument}: write the time as @after:SECONDS, @over:SECONDS or @at:SECONDS")
    audio = read_audio(Path("/dev/stdin" if name == "-" else name)).at_rate(HEARING_RATE)
    if match is None:
        return Line(audio)
    kind: Literal["at", "after", "over"] = match[2]  # pyright: ignore[reportAssignmentType]
    return Line(audio, kind, float(match[3]))


class User:
    """Says its lines at their times; the microphone and a watcher of the session at once.

    spoken: when each line began and ended (s), in order.
    """

    def __init__(self, lines: Sequence[Line], runner: Runner, recorder: Recorder, air: Air | None) -> None:
        self._lines = list(lines)
        self._air = air
        self._runner = runner
        self._recorder = recorder
        self.spoken: list[tuple[float, float]] = []
        self._began = self._said = self._closed = 0.0
        self._open: set[int] = set()
        self._turn = self._former = 0
        self._audible: float | None = None
        self._over: float | None = 0.0
        self._former_audible: float | None = None
        self._unasked, self._unasked_audible = 0, math.inf

    def watch(self, event: ev.Event) -> None:
        """Note when the agent is heard and when it is done."""
        match event:
            case ev.TurnOpened(turn=turn):
                self._open.add(turn)
                if event.speech_end > self._began:
                    self._turn, self._audible, self._over = turn, None, None
            case ev.TurnCommitted(turn=turn, text="", cause=Cause(reason="asked")):
                self._unasked = turn
            case ev.AudioStarted(turn=turn):
                self._audible = event.time if turn == self._turn else self._audible
                self._unasked_audible = event.time if turn == self._unasked else math.inf
            case ev.TurnEnded(turn=turn) | ev.TurnDiscarded(turn=turn):
                self._open.discard(turn)
                self._closed = event.time
                self._close(event)
            case _:
                pass

    def _close(self, event: ev.TurnEnded | ev.TurnDiscarded) -> None:
        ended = isinstance(event, ev.TurnEnded)
        if event.turn == self._former and ended and event.reason == "interrupted":
            self._former = 0
        elif event.turn == self._turn:
            if ended or not (event.cause.reason == "went_on" or self._former):
                self._over = event.time
            else:  # another turn will be opened for the line, or the reply before it goes on
                self._turn = 0

    async def frames(self) -> AsyncIterator[Frame]:
        """16 kHz frames of `BLOCK` seconds, each as soon as it has sounded."""
        size = round(BLOCK * HEARING_RATE)
        saying: Samples = silence(0, HEARING_RATE)
        count = 0
        while len(saying) or not self._done(count * BLOCK):
            time = count * BLOCK
            if len(saying) == 0 and self._lines and self._begins(self._lines[0], time):
                saying = self._lines.pop(0).audio.samples
                self._begin(time, len(saying) / HEARING_RATE)
            self._settle(time)
            block = padded(saying[:size], size)
            saying = saying[size:]
            count += 1
            await self._runner.sleep_until(count * BLOCK)
            frame = Frame(block, HEARING_RATE, time)
            self._recorder.user(frame)
            yield frame if self._air is None else self._air.microphone(frame)

    def _begin(self, time: float, seconds: float) -> None:
        """A line begins; a reply that sounds now is cut by it, or goes on."""
        if self._turn in self._open and self._audible is not None:
            self._former, self._former_audible = self._turn, self._audible
        elif self._former not in self._open:
            self._former = 0
        self._began, self._said, self._turn = time, time + seconds, 0
        self._audible = self._over = None
        self.spoken.append((time, self._said))

    def _settle(self, time: float) -> None:
        """A reply that the line did not stop is what the user waits for again."""
        if self._former and self._turn == 0 and time >= self._said + QUIET:
            self._turn, self._audible = self._former, self._former_audible
            self._over = None if self._former in self._open else self._closed
            self._former = 0

    def _begins(self, line: Line, time: float) -> bool:
        if line.when in ("at", "pause"):
            return time >= line.seconds + (self._said if line.when == "pause" else 0.0)
        if line.when == "unasked" and not math.isinf(self._unasked_audible):
            return time >= self._unasked_audible + line.seconds
        if line.when == "over" and self._audible is not None and self._over is None:
            return time >= self._audible + line.seconds
        wait = line.seconds if line.when == "after" else 0.0
        return self._answered(time, wait)

    def _done(self, time: float) -> bool:
        return not self._lines and self._answered(time, LINGER)

    def _answered(self, time: float, wait: float) -> bool:
        if self._over is not None:
            return time >= max(self._over, self._said) + wait
        client_timeout = PATIENCE if self._open else max(QUIET, wait)
        return self._audible is None and time >= max(self._said, self._closed) + client_timeout


def padded(samples: Samples, size: int) -> Samples:
    """`samples`, with silence after them up to `size`."""
    block = silence(size / HEARING_RATE, HEARING_RATE)
    block[: len(samples)] = samples
    return block


async def _speaker(playback: Playback, runner: Runner, recorder: Recorder, air: Air | None) -> None:
    """Pull what is played, as a sound card would, into the recording and the room."""
    size, count = round(SPEAKER_BLOCK * playback.rate), 0
    while True:
        at = count * SPEAKER_BLOCK
        await runner.sleep_until(at)
        frame = Frame(playback.read(size, at), playback.rate, at)
        recorder.agent(frame)
        if air is not None:
            air.played(frame)
        count += 1


async def _converse(
    engines: Engines,
    config: Config,
    lines: Sequence[Line],
    runner: Runner,
    recorder: Recorder,
    watchers: Sequence[ev.Watcher],
    air: Air | None,
    image: Source | None,
) -> list[tuple[float, float]]:
    runner.now()
    if air is not None and config.echo.cancel:
        air = Cleaned(air, FrontEnd(noise_suppression=config.echo.noise_suppression))
    playback = Playback()
    user = User(lines, runner, recorder, air)
    session = Session(engines, config, runner, playback, [*watchers, user.watch])
    session.show(image)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_speaker, playback, runner, recorder, air)
        await session.run(user.frames())
        tasks.cancel_scope.cancel()
    return user.spoken


def converse(
    engines: Engines,
    config: Config,
    lines: Sequence[Line],
    recording: Path,
    *,
    realtime: bool = False,
    watchers: Sequence[ev.Watcher] = (),
    air: Air | None = None,
    image: Source | None = None,
) -> list[tuple[float, float]]:
    """Hold the conversation that `lines` script and write it to `recording` (stereo WAV, 24 kHz).

    realtime: on the real clock, engines in threads; otherwise on a virtual clock, which is charged
    what `config.costs` says. air: the room between speaker, user and microphone; without one the
    microphone hears the user alone. image: what the user shows all the while. The recording keeps
    the user as they spoke, not as they were heard.
    Returns when each line began and ended (s). Raises AudioFileError when the recording cannot be written.
    """
    with Recorder(recording) as recorder:
        runner = Runner() if realtime else VirtualRunner(config.costs)
        script = (_converse, engines, config, lines, runner, recorder, watchers, air, image)
        return run_real(*script) if realtime else run_virtual(config, *script)


def run_virtual(config: Config, main: Callable[..., Awaitable[T]], *args: object) -> T:
    """The result of an async function on trio's virtual clock, which jumps to the next thing to do.

    With declared costs tasks also wake in a fixed order, so that a run repeats exactly.
    A signal ends it as it ends `run_real`.
    """
    import trio
    import trio.testing

    if config.costs.mode == "declared":
        # trio shuffles tasks that wake together, to keep programs from relying on it; its documented
        # switch for reproducible tests is this pair of private names (hypothesis uses the same ones).
        from trio._core import _run  # pyright: ignore[reportPrivateUsage]

        _run._ALLOW_DETERMINISTIC_SCHEDULING = True  # pyright: ignore
        _run._r.seed(0)  # pyright: ignore
    clock = trio.testing.MockClock(autojump_threshold=0)
    return trio.run(until_told, main, *args, clock=clock, restrict_keyboard_interrupt_to_checkpoints=True)
