"""Engines that say what they are told, and a detector that hears loudness: sessions without weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np

from agent.errors import ContextExceeded
from agent.messages import Message
from agent.protocols import Engines
from audio.frame import HEARING_RATE, Frame
from audio.stt import Transcript
from audio.tts import Speech, Word
from audio.vad import Evidence

RATE = 24_000
SECONDS_PER_CHARACTER = 0.06


def loud(seconds: float) -> Frame:
    """A stretch of sound that the loudness detector takes for speech."""
    samples = np.full(round(seconds * HEARING_RATE), 0.3, np.float32)
    samples[1::2] *= -1
    return Frame(samples, HEARING_RATE)


def silent(seconds: float) -> Frame:
    return Frame(np.zeros(round(seconds * HEARING_RATE), np.float32), HEARING_RATE)


def join(*frames: Frame) -> Frame:
    return Frame(np.concatenate([f.samples for f in frames]), HEARING_RATE)


class LoudnessDetector:
    """Stands in for `VoiceDetector`: what is louder than nothing is speech."""

    def __init__(self, aggressiveness: int = 2) -> None:
        self._clock = 0.0

    def feed(self, frame: Frame) -> list[Evidence]:
        found: list[Evidence] = []
        for start in range(0, len(frame.samples), 160):
            speech = float(np.abs(frame.samples[start : start + 160]).max() > 0.1)
            end = frame.time + (start + 160) / HEARING_RATE
            found.append(Evidence(end, 0.01, False, speech, level=-10.0 if speech else -90.0))
            found.append(Evidence(end, 0.01, sure=True, probability=speech))
        return found


@dataclass
class ScriptedSTT:
    """Says the given texts in turn; the last one again and again."""

    texts: list[str]
    calls: int = 0

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        text = self.texts[min(self.calls, len(self.texts) - 1)]
        self.calls += 1
        return Transcript(text)


@dataclass
class ScriptedLLM:
    """Writes the given replies in turn, a word a token; keeps what it was asked and how far it came."""

    replies: list[str]
    asked: list[list[Message]] = field(default_factory=list)
    pulled: list[int] = field(default_factory=list)
    open: int = 0
    fail_at: dict[int, int] = field(default_factory=dict)
    """For which call, at which token, it fails."""

    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        reply = self.replies[len(self.asked) % len(self.replies)]
        self.asked.append(list(messages))
        self.pulled.append(0)
        self.open += 1
        assert self.open == 1, "two streams of one model at once"
        try:
            for token in re.findall(r"\s*\S+|\s+", reply):
                if self.fail_at.get(len(self.asked) - 1) == self.pulled[-1]:
                    raise RuntimeError("out of paper")
                self.pulled[-1] += 1
                yield token
        finally:
            self.open -= 1

    def prefill(self, messages: Sequence[Message]) -> None:
        pass


@dataclass
class LimitedLLM(ScriptedLLM):
    """One with a context of so many words, instructions and answer included. Longer it refuses.

    tells: whether its refusals have figures. read: words that it had to read anew for each answer, and ahead
    of one: what its prefix cache did not hold.
    """

    limit: int = 200
    tells: bool = True
    read: list[int] = field(default_factory=list)
    refusals: int = 0
    _cache: list[str] = field(default_factory=list)

    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        prompt = self._taken(messages)
        answer: list[str] = []
        for token in super().stream(messages):
            if len(prompt) + len(answer) == self.limit:
                break
            answer.append(token.strip())
            yield token
        self._cache = prompt + answer

    def prefill(self, messages: Sequence[Message]) -> None:
        self._cache = self._taken(messages)

    def _taken(self, messages: Sequence[Message]) -> list[str]:
        prompt = [word for m in messages for word in (f"<{m.role}>", *m.content.split())]
        if len(prompt) >= self.limit:
            self.refusals += 1
            figures = (len(prompt), self.limit) if self.tells else (None, None)
            raise ContextExceeded("too long for me; say less", *figures)
        same = sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(prompt, self._cache, strict=False))
        )
        self.read.append(len(prompt) - same)
        return prompt


@dataclass
class CountingLLM(LimitedLLM):
    """The same with a tokenizer: it `CountsTokens`."""

    counted: int = 0

    @property
    def context(self) -> int:
        return self.limit

    def count(self, messages: Sequence[Message]) -> int:
        self.counted += 1
        return sum(1 + len(m.content.split()) for m in messages)


@dataclass
class ScriptedTTS:
    """A tone as long as the text, with exact word times."""

    rate: int = RATE
    language: str = ""
    level: float = 0.2
    open: int = 0

    def stream(self, text: str) -> Iterator[Speech]:
        if not text.strip():
            return
        self.open += 1
        try:
            words = tuple(
                Word(m.start(), m.end(), m.start() * SECONDS_PER_CHARACTER, m.end() * SECONDS_PER_CHARACTER)
                for m in re.finditer(r"\S+", text)
            )
            samples = np.full(round(len(text) * SECONDS_PER_CHARACTER * self.rate), self.level, np.float32)
            yield Speech(samples, self.rate, 0, len(text), words)
        finally:
            self.open -= 1


def engines(texts: list[str], replies: list[str]) -> Engines:
    return Engines(ScriptedSTT(texts), ScriptedLLM(replies), ScriptedTTS())
