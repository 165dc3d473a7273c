"""What can be measured on a recording alone, by the definitions that the project's claims use; and what a
language model expects.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from agent.messages import Message
from agent.protocols import Delta, LanguageModel, PredictsEndOfTurn
from audio.files import read_channels
from audio.frame import Frame

USER_AUDIBLE, AGENT_AUDIBLE = -40.0, -50.0
"""dBFS from which a sample of the user, and of the agent, counts as audible."""


def stretches(frame: Frame, dbfs: float, gap: float = 0.5) -> list[tuple[float, float]]:
    """First and last audible moment (s) of each stretch; silences up to `gap` seconds do not part one."""
    loud = np.flatnonzero(np.abs(frame.samples) > 10 ** (dbfs / 20))
    if len(loud) == 0:
        return []
    cuts = np.flatnonzero(np.diff(loud) > gap * frame.rate)
    starts, ends = loud[np.r_[0, cuts + 1]], loud[np.r_[cuts, len(loud) - 1]]
    return [(s / frame.rate, e / frame.rate) for s, e in zip(starts, ends, strict=True)]


def responses(recording: Path) -> list[float]:
    """Seconds from each last audible sample of the user to the agent's next first one."""
    user, agent = read_channels(recording)
    answers = _begins(agent)
    waits = []
    for _, end in stretches(user, USER_AUDIBLE, gap=1.2):
        following = [start for start in answers if start > end]
        if following:
            waits.append(following[0] - end)
    return waits


def replies(recording: Path) -> list[float]:
    """When each reply's first audible sample sounds, in seconds of the recording, which are the session's."""
    return _begins(read_channels(recording)[1])


def _begins(agent: Frame) -> list[float]:
    return [start for start, _ in stretches(agent, AGENT_AUDIBLE, gap=0.8)]


def expected(llm: LanguageModel, system: str, text: str) -> float | None:
    """The language model's probability that a user who says `text` has said all; None where it tells none."""
    if not text.strip() or not isinstance(llm, PredictsEndOfTurn):
        return None
    stream: Any = llm.with_end_of_turn().stream([Message("system", system), Message("user", text)])
    with closing(stream):
        for item in stream:
            if isinstance(item, Delta) and item.end_of_turn is not None:
                return item.end_of_turn
            if item:  # the answer has begun
                return None
    return None
