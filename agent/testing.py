"""For tests of an agent of your own: engines that say what they are told, on a clock that jumps. No weights.

    from agent import events, testing

    async def talk():
        async with testing.session(hears=["What is the time?"], replies=["It is noon."]) as session:
            await session.push_audio(*testing.loud(1.0))
            session.close()
            return [event async for event in session.events()]

    def test_the_agent_answers():
        assert [e.heard for e in testing.run(talk) if isinstance(e, events.TurnEnded)] == ["It is noon."]

`docs/python.md` shows more. A run repeats exactly, and takes milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar

import numpy as np

from agent.messages import Message, ToolCall, ToolSchema
from agent.protocols import Delta, Engines
from agent.runner import VirtualRunner
from agent.session import Session
from agent.settings import Config, Costs, VADConfig, WakeConfig
from agent.simulation.virtual import Line, converse, run_virtual
from agent.speakers import Speaker
from agent.text.cleaning import json_text
from agent.tools.tool import Tool
from audio.frame import HEARING_RATE, Frame, Samples, silence
from audio.speaker import Bounds, DVector
from audio.stt import Transcript
from audio.tts import Speech, Word
from audio.vad import Evidence
from audio.wake import Detection

__all__ = [
    "Line",
    "LoudnessDetector",
    "ScriptedLLM",
    "ScriptedSTT",
    "ScriptedSpeakers",
    "ScriptedTTS",
    "ScriptedWake",
    "Sound",
    "call",
    "converse",
    "engines",
    "loud",
    "quiet",
    "run",
    "session",
    "wake_word",
]

T = TypeVar("T")
Written: TypeAlias = str | Sequence[str | ToolCall]
"""What a scripted model writes: words, or words and calls."""

RATE = 24_000
"""Hz of the scripted voice."""
SECONDS_PER_CHARACTER = 0.06
"""How long it takes for a character."""
COSTS = Costs(mode="declared")
"""What engines cost on the virtual clock: always the same."""


class Sound(NamedTuple):
    """What `Session.push_audio` takes: `await session.push_audio(*testing.loud(1.0))`."""

    samples: Samples
    rate: int

    @property
    def frame(self) -> Frame:
        """The same for a `Line` of `converse`."""
        return Frame(self.samples, self.rate)


def loud(seconds: float, level: float = 0.3) -> Sound:
    """A stretch of sound that `LoudnessDetector` takes for speech, 16 kHz.

    level: from 0.11 to 0.5, by which `ScriptedSpeakers` knows who speaks.
    """
    samples = np.full(round(seconds * HEARING_RATE), level, np.float32)
    samples[1::2] *= -1
    return Sound(samples, HEARING_RATE)


def quiet(seconds: float) -> Sound:
    """Silence, 16 kHz."""
    return Sound(silence(seconds, HEARING_RATE), HEARING_RATE)


def wake_word(seconds: float = 0.6) -> Sound:
    """A stretch of sound that `ScriptedWake` takes for the wake word, and `LoudnessDetector` for speech."""
    return Sound(2 * loud(seconds).samples, HEARING_RATE)


class ScriptedWake:
    """A wake word engine (`audio.wake.WakeWord`) that hears `wake_word`, 0.1 s after its end."""

    def __init__(self, settings: WakeConfig | None = None) -> None:
        """settings: `[wake]`, which change nothing."""
        self._end: float | None = None

    def feed(self, frame: Frame) -> Detection | None:
        """The word, once it is over for that long."""
        if len(said := np.flatnonzero(np.abs(frame.samples) > 0.5)):
            self._end = frame.time + (int(said[-1]) + 1) / HEARING_RATE
        if self._end is None or frame.end - self._end < 0.1 - 1e-6:
            return None
        found, self._end = Detection("hey you", self._end), None
        return found


@dataclass
class ScriptedSpeakers:
    """Whose voice it is (`agent.speakers.SpeakerRecognition`), by how loud it is.

    names: by the level of what they say; who speaks at another is a stranger. looks: how often it was asked.
    least: seconds of speech below which it is in doubt. bounds: how alike they are is 0.9 or 0.1.
    """

    names: dict[float, str]
    least: float = 0.3
    looks: int = 0
    bounds: Bounds = DVector.bounds

    def who(self, audio: Frame) -> Speaker:
        """The speaker of what is newest in `audio`."""
        self.looks += 1
        levels = np.abs(audio.samples)
        said = levels[levels > 0.1][-round(self.least * audio.rate) :]
        if len(said) < self.least * audio.rate:
            return Speaker("doubt")
        name = self.names.get(round(float(np.median(said)), 2))
        return Speaker("stranger", "", 0.1) if name is None else Speaker("known", name, 0.9)


class LoudnessDetector:
    """A voice detector (`audio.vad.VAD`): what is louder than nothing is speech, at once and for sure."""

    def __init__(self, settings: VADConfig | None = None) -> None:
        """settings: `[vad]`, which change nothing."""

    def feed(self, frame: Frame) -> list[Evidence]:
        """Evidence for each 10 ms of `frame`, of the fast detector and of the sure one."""
        found: list[Evidence] = []
        for start in range(0, len(frame.samples), 160):
            speech = float(np.abs(frame.samples[start : start + 160]).max() > 0.1)
            end = frame.time + (start + 160) / HEARING_RATE
            found.append(Evidence(end, 0.01, False, speech, level=-10.0 if speech else -90.0))
            found.append(Evidence(end, 0.01, confirmed=True, probability=speech))
        return found


@dataclass
class ScriptedSTT:
    """A transcriber that understands the given texts in turn; the last one again and again.

    calls: how often it was asked.
    """

    texts: list[str]
    calls: int = 0

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        """The next text, whatever is in `audio`."""
        text = self.texts[min(self.calls, len(self.texts) - 1)]
        self.calls += 1
        return Transcript(text)


@dataclass
class ScriptedLLM:
    """A language model that writes the given replies in turn, a word a token.

    A reply may end in calls of tools: a list of its words, if any, and of `calls`. asked: the prompt of each
    answer. pulled: how many tokens of each were taken. open: streams that are open. fail_at: for which
    answer, at which token, it raises RuntimeError. tools: what it was told it can call, and `required`
    whether it must.
    """

    replies: Sequence[Written]
    asked: list[list[Message]] = field(default_factory=list[list[Message]])
    pulled: list[int] = field(default_factory=list[int])
    open: int = 0
    fail_at: dict[int, int] = field(default_factory=dict[int, int])
    tools: list[ToolSchema] = field(default_factory=list[ToolSchema])
    required: bool = False

    def with_tools(self, tools: Sequence[ToolSchema], *, required: bool = False) -> Self:
        """The same model, told of these tools."""
        self.tools, self.required = list(tools), required
        return self

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        """The next reply, word by word, each call as one token."""
        reply = self.replies[len(self.asked) % len(self.replies)]
        self.asked.append(list(messages))
        self.pulled.append(0)
        self.open += 1
        assert self.open == 1, "two streams of one model at once"
        try:
            for token in _tokens(reply):
                if self.fail_at.get(len(self.asked) - 1) == self.pulled[-1]:
                    raise RuntimeError("out of paper")
                self.pulled[-1] += 1
                yield token
        finally:
            self.open -= 1

    def prefill(self, messages: Sequence[Message]) -> None:
        """Nothing is read ahead."""


@dataclass
class ScriptedTTS:
    """A voice that gives a tone as long as the text, 60 ms a character, with exact word times.

    rate: Hz. level: of the tone. open: streams that are open.
    """

    rate: int = RATE
    language: str = ""
    level: float = 0.2
    open: int = 0
    _letter: float = SECONDS_PER_CHARACTER

    def faster(self, factor: float) -> ScriptedTTS:
        """The same, so many times as fast."""
        return replace(self, open=0, _letter=self._letter / factor)

    def stream(self, text: str) -> Iterator[Speech]:
        """All of `text` in one part; nothing for blanks."""
        if not text.strip():
            return
        self.open += 1
        try:
            words = tuple(
                Word(m.start(), m.end(), m.start() * self._letter, m.end() * self._letter)
                for m in re.finditer(r"\S+", text)
            )
            samples = np.full(round(len(text) * self._letter * self.rate), self.level, np.float32)
            yield Speech(samples, self.rate, 0, len(text), words)
        finally:
            self.open -= 1


def call(name: str, /, **arguments: Any) -> ToolCall:
    """What a `ScriptedLLM` writes to have a tool called."""
    return ToolCall("", name, json_text(arguments))


def _tokens(reply: Written) -> Iterator[str | Delta]:
    for part in [reply] if isinstance(reply, str) else reply:
        if isinstance(part, ToolCall):
            yield Delta(call=part)
        else:
            yield from re.findall(r"\s*\S+|\s+", part)


def engines(
    hears: Sequence[str] = ("",), replies: Sequence[Written] = ("Yes.",), tools: Sequence[Tool] = ()
) -> Engines:
    """Scripted engines and detectors: what is understood in turn, and what is answered.

    tools: what can be called.
    """
    stt, llm = ScriptedSTT(list(hears)), ScriptedLLM(list(replies))
    return Engines(stt, llm, ScriptedTTS(), vad=LoudnessDetector, wake=ScriptedWake, tools=tuple(tools))


def session(
    hears: Sequence[str] = ("",),
    replies: Sequence[Written] = ("Yes.",),
    config: Config | None = None,
    tools: Sequence[Tool] = (),
    **parts: Any,
) -> Session:
    """A session of scripted engines on the virtual clock of `run`.

    tools: what can be called. parts: as `Session` takes them; they take the place of the scripted ones.
    """
    made = engines(hears, replies, tools)
    return Session(config or Config(), engines=made, runner=VirtualRunner(COSTS), **parts)


def run(main: Callable[..., Awaitable[T]], *args: object) -> T:
    """The result of an async function on a clock that jumps to the next thing to do: no time passes.

    It runs on trio, and repeats exactly; `anyio.sleep` waits on that clock.
    """
    return run_virtual(Config(costs=COSTS), main, *args)
