"""Engines that say what they are told, and a detector that hears loudness: sessions without weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any

import numpy as np

from agent import testing
from agent.errors import ContextExceeded
from agent.messages import Message
from agent.protocols import Engines, LanguageModel
from agent.testing import (
    SECONDS_PER_CHARACTER,
    LoudnessDetector,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedWake,
)
from audio.frame import HEARING_RATE, Frame
from audio.stt import Transcriber
from audio.tts import Speech, Synthesizer

__all__ = [
    "SECONDS_PER_CHARACTER",
    "CountingLLM",
    "LimitedLLM",
    "LoudnessDetector",
    "ScriptedLLM",
    "ScriptedSTT",
    "ScriptedTTS",
    "engines",
    "join",
    "loud",
    "silent",
    "with_loudness",
]


def loud(seconds: float, level: float = 0.3) -> Frame:
    """A stretch of sound that the loudness detector takes for speech."""
    return testing.loud(seconds, level).frame


def silent(seconds: float) -> Frame:
    return testing.quiet(seconds).frame


def join(*frames: Frame) -> Frame:
    return Frame(np.concatenate([f.samples for f in frames]), HEARING_RATE)


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


class Humming(ScriptedTTS):
    """The scripted voice as a tone: Opus leaves out what does not swing."""

    def stream(self, text: str) -> Iterator[Speech]:
        for speech in super().stream(text):
            swing = np.sin(2 * np.pi * 400 * np.arange(len(speech.samples)) / speech.rate)
            yield replace(speech, samples=(speech.samples * swing).astype(np.float32))


def engines(texts: list[str], replies: list[str]) -> Engines:
    return with_loudness(ScriptedSTT(texts), ScriptedLLM(replies), ScriptedTTS())


def with_loudness(stt: Transcriber, llm: LanguageModel, tts: Synthesizer, **more: Any) -> Engines:
    """Engines of a test's own, to which what is loud is speech."""
    return Engines(stt, llm, tts, **{"vad": LoudnessDetector, "wake": ScriptedWake, **more})
