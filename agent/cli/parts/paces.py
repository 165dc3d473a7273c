"""How soon this machine answers: what the loaded engines take, and what other models of the list would take.

Measures one question as a conversation has it. Prints nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from agent.settings import LimitsConfig, TurnsConfig

if TYPE_CHECKING:
    from agent.protocols import Engines

IN_TIME = 1.0
"""Seconds from the user's last word to the agent's first within which a model answers in time."""
OPENING = 8
"""Tokens of an answer before its first words can be spoken."""
LENGTH = 24
"""Tokens by which the speed is told."""
MEMORY = 1.6
"""Bytes in memory for one of a model's file, its context included: 1.3 for 0.5B, 1.6 for 1.5B."""


@dataclass(frozen=True, slots=True)
class Paces:
    """What engines take on this machine, in seconds.

    stt: for the words of a short sentence. opening: for the language model's first `OPENING` tokens. token:
    for each after the first. first: until a voice's first sound. voice: for one second of speech, infinity
    where there came none.
    """

    stt: float
    opening: float
    token: float
    first: float
    voice: float

    def voice_to_voice(self, turns: TurnsConfig, slower: float = 1.0) -> float:
        """Seconds from the user's last word to the agent's first. slower: so many times as slow a model."""
        made = turns.pause + self.stt + self.opening * slower + self.first
        return max(turns.complete, made)


@dataclass(frozen=True, slots=True)
class Prospect:
    """What another language model would be like here: its name, tokens a second, seconds to its voice."""

    name: str
    rate: float
    wait: float
    fits: bool

    @property
    def in_time(self) -> bool:
        """Whether it answers in time and has room."""
        return self.fits and self.wait <= IN_TIME


def prospects(
    paces: Paces, turns: TurnsConfig, size: int, others: Iterable[tuple[str, int]], memory: float | None
) -> list[Prospect]:
    """Each of the other models, largest first: a model takes as long as its weights are large.

    size: bytes of the one that was measured; others: names and sizes. memory: of the machine (bytes), half of
    which a model may fill; None where it is not known.
    """
    return [
        Prospect(
            name,
            size / other / paces.token,
            paces.voice_to_voice(turns, other / size),
            memory is None or other * MEMORY <= memory / 2,
        )
        for name, other in sorted(others, key=lambda each: -each[1])
    ]


def memory() -> float | None:
    """Bytes that this machine has; None where the system does not say."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


async def measured(loaded: Engines, limits: LimitsConfig) -> Paces:
    """A few words spoken, understood again, and a question answered. Raises BackchatError."""
    import numpy as np

    from agent.messages import Message
    from agent.runner import Runner
    from audio.frame import Frame

    said, runner = "This is how fast I can speak.", Runner()
    began, stamps = time.perf_counter(), list[float]()
    asked = [Message("user", "Count from one to twenty in words.")]
    written = runner.stream("llm", lambda: loaded.llm.stream(asked), limits.first_token, limits.token)
    async with written as tokens:
        async for _ in tokens:
            stamps.append(time.perf_counter() - began)
            if len(stamps) == LENGTH:
                break
    began, parts, first = time.perf_counter(), list[np.ndarray](), 0.0
    speech = runner.stream("tts", lambda: loaded.tts.stream(said), limits.speech, limits.speech)
    async with speech as spoken:
        async for part in spoken:
            first = first or time.perf_counter() - began
            parts.append(part.samples)
    took = time.perf_counter() - began
    heard = Frame(np.concatenate(parts) if parts else np.zeros(1, np.float32), loaded.tts.rate)
    began = time.perf_counter()
    await runner.call("stt", partial(loaded.stt.transcribe, heard), limits.stt)
    stt = time.perf_counter() - began
    token = (stamps[-1] - stamps[0]) / (len(stamps) - 1) if len(stamps) > 1 else float("inf")
    opening = stamps[min(OPENING, len(stamps)) - 1] if stamps else float("inf")
    return Paces(stt, opening, token, first, took / heard.duration if parts else float("inf"))
