"""One session that goes on and on: a real tokenizer, scripted answers, time that costs nothing."""

from __future__ import annotations

import gc
import re
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import anyio
import numpy as np

import scripted
from agent import events as ev
from agent.config import load
from agent.conversation.session import Session
from agent.errors import ContextExceeded
from agent.llm.batch import shared
from agent.llm.context import TOO_LONG
from agent.llm.llamacpp import LlamaCpp
from agent.messages import Message
from agent.protocols import Delta, Engines
from agent.runner import VirtualRunner
from agent.simulation.virtual import run_virtual
from audio.frame import Frame
from audio.playback import Playback
from audio.tts import Speech

CONTEXT, REPLY = 4096, 120
SYSTEM = ("You are a guide in a museum of clocks, and patient with everybody. " * 101)[:6700]
ENGLISH = (
    "Tell me something about the big clock in the second room, please.",
    "It was built in a town by the sea, and has struck every hour since. Its maker had no time at all.",
)
CHINESE = (
    "请告诉我第二个房间里那座大钟的故事。",
    "它是在海边的一座小城里造的，从那以后每个小时都会敲响。制造它的人从来没有时间。",
)
DIGITS = (
    "4 8 15 16 23 42 108 1597 2584 4181 6765 10946",
    "3.14159265358979323846264338327950288419716939937510",
)
TURNS = [ENGLISH, CHINESE, DIGITS]
PASTED = ["7" * 4500, "今天天气很好" * 667]
"""What alone is longer than the context."""


class Scripted(LlamaCpp):
    """The tokenizer and the limits of a real model, and answers that cost nothing.

    read: for each answer, tokens that the model would have had to read while the user waits; ahead: the same
    for what is read ahead. What is in the prefix cache is not read again.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__(weights, context=CONTEXT, max_tokens=REPLY, threads=1)
        self.answers = dict(TURNS)
        self.read, self.ahead = list[int](), list[int]()
        self._cache: list[int] = []
        self._opening = self._tokens("<|im_start|>assistant\n", special=True)

    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        prompt = self._taken(messages, self.read)
        said = next((a for q, a in self.answers.items() if messages[-1].content.endswith(q)), "I see.")
        self._cache = prompt + self._tokens(said, special=True)[:REPLY]
        yield from re.findall(r"\s*\S+", said)

    def prefill_parts(self, messages: Sequence[Message]) -> Iterator[None]:
        self._cache = self._taken(messages, self.ahead)
        yield from ()

    def _taken(self, messages: Sequence[Message], read: list[int]) -> list[int]:
        prompt = [token for message in messages for token in self._ids(message.role, message.content)]
        prompt += self._opening
        if len(prompt) >= self.context:
            raise ContextExceeded.of(len(prompt), self.context)
        read.append(len(prompt) - shared(prompt, self._cache))
        return prompt

    @lru_cache(maxsize=500)  # noqa: B019  it lives as long as the test
    def _ids(self, role: str, content: str) -> list[int]:
        """A message in the model's own template, ChatML."""
        return self._tokens(f"<|im_start|>{role}\n{content}<|im_end|>\n", special=True)


class Real(LlamaCpp):
    """A real model that writes its own answers, and what llama.cpp says that it read for each.

    read: tokens that were read for each answer while the user waited; ahead: those before the question came.
    """

    def __init__(self, weights: Path) -> None:
        self.read, self.ahead = list[int](), list[int]()
        self._waited: int | None = None
        super().__init__(weights, context=CONTEXT, max_tokens=REPLY, threads=1)

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        self._waited = 0
        return super().stream(messages)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = super()._post(path, body)
        if path == "/completion" and self._waited is not None:  # part by part, up to the first token
            self._waited += answer["timings"]["prompt_n"]
            if body["n_predict"]:
                self.read.append(self._waited)
                self._waited = None
        elif path == "/completion" and body["n_predict"] == 0:
            self.ahead.append(answer["timings"]["prompt_n"])
        return answer


class Quick(scripted.ScriptedTTS):
    """Says anything in a tenth of a second."""

    def stream(self, text: str) -> Iterator[Speech]:
        for speech in super().stream(text):
            samples = np.full(self.rate // 10, self.level, np.float32)
            words = tuple(type(w)(w.start, w.end, 0.0, 0.05) for w in speech.words)
            yield Speech(samples, self.rate, speech.start, speech.end, words)


@dataclass
class Grown:
    """What came of it. wrong: turns that were not answered as they should; kept: bytes at moments of it."""

    model: Scripted | Real
    wrong: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    refused: int = 0
    kept: list[int] = field(default_factory=list[int])


def grow(weights: Path, turns: int, pasted: int) -> Grown:
    """A typed session of so many turns, in all three kinds; each `pasted`th is too long for any context."""
    return _grown(Grown(Scripted(weights)), turns, pasted)


def answers(weights: Path, turns: int) -> Grown:
    """The same with a real model's own answers, each of which must have words."""
    return _grown(Grown(Real(weights)), turns, turns + 1)


def _grown(grown: Grown, turns: int, pasted: int) -> Grown:
    config = load(None, ["costs.mode=declared", "turns.meaning=off", f"session.system={SYSTEM}"])
    config = config.model_copy(
        update={"llm": config.llm.model_copy(update={"context": CONTEXT, "max_tokens": REPLY})}
    )
    run_virtual(config, _talk, config, grown, turns, pasted)
    return grown


async def _talk(config, grown: Grown, turns: int, pasted: int) -> None:
    runner, playback, ended = VirtualRunner(config.costs), Playback(), list[ev.TurnEnded]()
    scripted_too = isinstance(grown.model, Scripted)

    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.TurnEnded):
            ended.append(event)
        grown.refused += isinstance(event, ev.Error)

    engines = Engines(scripted.ScriptedSTT([""]), grown.model, Quick())
    session = Session(engines, config, runner, playback, [watch])

    async def keyboard() -> AsyncIterator[Frame]:
        for turn in range(turns):
            if turn in (turns // 4, turns - 1):
                gc.collect()
                grown.kept.append(tracemalloc.get_traced_memory()[0])
            question, answer = TURNS[turn % len(TURNS)]
            if turn % pasted == pasted - 1:
                question, answer = PASTED[turn // pasted % len(PASTED)], TOO_LONG
            session.send_text(question)
            with anyio.move_on_after(60):
                while not ended:
                    await anyio.sleep(0.02)
            heard = ended.pop().heard if ended else ""
            if heard != answer if scripted_too else not heard.strip():
                grown.wrong.append((turn, heard))
            await anyio.sleep(0.2)
        for frame in tuple[Frame, ...]():
            yield frame

    async def speaker() -> None:
        while True:
            playback.read(round(0.02 * playback.rate), runner.now())
            await anyio.sleep(0.02)

    tracemalloc.start()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(speaker)
        await session.run(keyboard())
        tasks.cancel_scope.cancel()
    tracemalloc.stop()
