"""A whole conversation without a sound card: a scripted person, the real session, a recorder.

On a virtual clock it runs as fast as the engines do; on the real one it takes the time it takes.
Knows no device and nothing of how a session works inside.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio

from agent import events as ev
from agent.bridge import Bridge, VirtualBridge
from agent.config import Config
from agent.engines import Engines
from agent.errors import ScriptError
from agent.session import Session
from audio.files import Recorder, read_audio
from audio.frame import HEARING_RATE, Frame, Samples, silence
from audio.playback import Playback

BLOCK = 0.02
"""Seconds of one microphone frame."""
SPEAKER_BLOCK = 0.01
"""Seconds that the simulated speaker pulls at a time."""
PATIENCE = 60.0
"""Seconds after which the scripted person stops waiting for an answer."""
LINGER = 1.0
"""Seconds of silence recorded after the last reply."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One thing the scripted person says, and when it begins.

    at: that many seconds after the start. after: seconds after the reply to the line before ended
    (for the first line: after the start). over: when that reply has been audible for so many seconds.
    """

    audio: Frame
    when: Literal["at", "after", "over"] = "after"
    seconds: float = 0.6


def read_line(argument: str) -> Line:
    """A line from `FILE`, `FILE@after:0.6`, `FILE@over:2.5` or `FILE@at:12`. Raises AudioFileError."""
    match = re.fullmatch(r"(.+)@(at|after|over):(\d+(?:\.\d+)?)", argument)
    name = match[1] if match else argument
    if not match and re.search(r"@\w*:[^/]*$", argument) and not Path(argument).exists():
        raise ScriptError(f"{argument}: write the time as @after:SECONDS, @over:SECONDS or @at:SECONDS")
    audio = read_audio(Path(name)).at_rate(HEARING_RATE)
    if match is None:
        return Line(audio)
    kind: Literal["at", "after", "over"] = match[2]  # pyright: ignore[reportAssignmentType]
    return Line(audio, kind, float(match[3]))


class Person:
    """Says its lines at their times; the microphone and a watcher of the session at once."""

    def __init__(self, lines: Sequence[Line], bridge: Bridge, recorder: Recorder) -> None:
        self._lines = list(lines)
        self._bridge = bridge
        self._recorder = recorder
        self._began = self._said = 0.0
        self._turn = 0
        self._audible: float | None = None
        self._over: float | None = 0.0

    def watch(self, event: ev.Event) -> None:
        """Note when the agent is heard and when it is done."""
        match event:
            case ev.TurnOpened() if event.speech_end > self._began:
                self._turn = event.turn
            case ev.AudioStarted(turn=turn) if turn == self._turn:
                self._audible = event.time
            case ev.TurnEnded(turn=turn) if turn == self._turn:
                self._over = event.time
            case ev.TurnDropped(turn=turn, why="nothing intelligible was said" | "it failed") if (
                turn == self._turn
            ):
                self._over = event.time
            case _:
                pass

    async def frames(self) -> AsyncIterator[Frame]:
        """16 kHz frames of `BLOCK` seconds, each as soon as it has sounded."""
        size = round(BLOCK * HEARING_RATE)
        saying: Samples = silence(0, HEARING_RATE)
        count = 0
        while len(saying) or not self._done(count * BLOCK):
            time = count * BLOCK
            if len(saying) == 0 and self._lines and self._begins(self._lines[0], time):
                saying = self._lines.pop(0).audio.samples
                self._began, self._turn = time, 0
                self._said = time + len(saying) / HEARING_RATE
                self._audible = self._over = None
            block = padded(saying[:size], size)
            saying = saying[size:]
            count += 1
            await self._bridge.sleep_until(count * BLOCK)
            frame = Frame(block, HEARING_RATE, time)
            self._recorder.person(frame)
            yield frame

    def _begins(self, line: Line, time: float) -> bool:
        if line.when == "at":
            return time >= line.seconds
        if line.when == "over" and self._audible is not None and self._over is None:
            return time >= self._audible + line.seconds
        wait = line.seconds if line.when == "after" else 0.0
        return self._answered(time, wait)

    def _done(self, time: float) -> bool:
        return not self._lines and self._answered(time, LINGER)

    def _answered(self, time: float, wait: float) -> bool:
        if self._over is not None:
            return time >= max(self._over, self._said) + wait
        return self._audible is None and time >= self._said + PATIENCE


def padded(samples: Samples, size: int) -> Samples:
    """`samples`, with silence after them up to `size`."""
    block = silence(size / HEARING_RATE, HEARING_RATE)
    block[: len(samples)] = samples
    return block


async def _speaker(playback: Playback, bridge: Bridge, recorder: Recorder) -> None:
    """Pull what is played, as a sound card would, into the recording."""
    size, count = round(SPEAKER_BLOCK * playback.rate), 0
    while True:
        at = count * SPEAKER_BLOCK
        await bridge.sleep_until(at)
        recorder.agent(Frame(playback.read(size, at), playback.rate, at))
        count += 1


async def _converse(
    engines: Engines,
    config: Config,
    lines: Sequence[Line],
    bridge: Bridge,
    recorder: Recorder,
    watchers: Sequence[ev.Watcher],
) -> None:
    bridge.now()
    playback = Playback()
    person = Person(lines, bridge, recorder)
    session = Session(engines, config, bridge, playback, [*watchers, person.watch])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_speaker, playback, bridge, recorder)
        await session.run(person.frames())
        tasks.cancel_scope.cancel()


def converse(
    engines: Engines,
    config: Config,
    lines: Sequence[Line],
    recording: Path,
    *,
    realtime: bool = False,
    watchers: Sequence[ev.Watcher] = (),
) -> None:
    """Hold the conversation that `lines` script and write it to `recording` (stereo WAV, 24 kHz).

    realtime: on the real clock, engines in threads; otherwise on a virtual clock, which is charged
    what `config.costs` says. Raises AudioFileError when the recording cannot be written.
    """
    with Recorder(recording) as recorder:
        if realtime:
            anyio.run(_converse, engines, config, lines, Bridge(), recorder, watchers, backend="trio")
        else:
            run_virtual(
                config, _converse, engines, config, lines, VirtualBridge(config.costs), recorder, watchers
            )


def run_virtual(config: Config, main: object, *args: object) -> None:
    """Run an async function on trio's virtual clock, which jumps to the next thing to do.

    With declared costs tasks also wake in a fixed order, so that a run repeats exactly.
    """
    import trio
    import trio.testing

    if config.costs.mode == "declared":
        # trio shuffles tasks that wake together, to keep programs from relying on it; its documented
        # switch for reproducible tests is this pair of private names (hypothesis uses the same ones).
        from trio._core import _run  # pyright: ignore[reportPrivateUsage]

        _run._ALLOW_DETERMINISTIC_SCHEDULING = True  # pyright: ignore
        _run._r.seed(0)  # pyright: ignore
    trio.run(main, *args, clock=trio.testing.MockClock(autojump_threshold=0))  # pyright: ignore
