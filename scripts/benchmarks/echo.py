"""Five minutes of the agent talking into its own microphone, in several rooms; then a user talks over it.

Real detectors, canceller, speech-to-text and voice on the virtual clock; the reply is a fixed text.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from agent import events as ev
from agent.config import load
from agent.engines import registry as engines
from agent.simulation.virtual import Line, converse
from agent.weights import catalogue as models
from audio.echo.room import Room
from audio.files import read_audio, read_channels
from audio.frame import HEARING_RATE, Frame
from benchmarks.interruptions import REPLY, first_audible, last_audible
from benchmarks.results import Results
from benchmarks.voices import Reciter

TALKING = 300.0
"""Seconds for which the agent is left alone with its echo."""
SETTLING = 1.0
"""Seconds in which the canceller may still learn the room."""
ROOMS = [(-10.0, 0.02), (-10.0, 0.1), (-10.0, 0.2), (-20.0, 0.02), (-20.0, 0.1), (-20.0, 0.2)]
"""Level of the echo (dB) and its delay (s)."""


def run() -> Results:
    config = load(None, [])
    with models.progress_bar() as progress:
        loaded = engines.Engines(
            engines.load_one("stt", config, progress),
            Reciter(" ".join([REPLY] * round(TALKING / 15))),
            engines.load_one("tts", config, progress),
        )
    config = load(None, ["turns.meaning=words", "costs.mode=declared", "costs.stt=0.13"])
    results = Results("echo")
    for level, delay in ROOMS:
        row = _alone(loaded, config, level, delay)
        results.add(row)
        what = f"{level:g} dB, {delay * 1000:g} ms"
        results.target(f"{what}: interrupted itself after {SETTLING:g} s", row["interrupted itself"], "<=", 0)
        results.target(f"{what}: silent after a user's onset (s)", row["silent (s)"], "<=", 0.5)
        results.target(f"{what}: yielded to the user", row["yielded"], ">=", 1)
    return results


def _alone(loaded, config, level: float, delay: float) -> dict:
    question = read_audio(Path("configs/demo/story.wav")).at_rate(HEARING_RATE)
    user = read_audio(Path("configs/demo/interrupt.wav")).at_rate(HEARING_RATE)
    lines = [Line(question, "after", 0.5), Line(user, "over", TALKING)]
    seen: list[ev.Event] = []
    room = Room(echo_db=level, echo_delay=delay, noise_db=-60.0)
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "conversation.wav"
        spoken = converse(loaded, config, lines, recording, watchers=[seen.append], air=room)
        said, agent = read_channels(recording)
    begun = next(e.time for e in seen if isinstance(e, ev.AudioStarted))
    onset = first_audible(said, spoken[1][0]) if len(spoken) > 1 else agent.duration
    cuts = [e.time for e in seen if isinstance(e, ev.Interrupted)]
    alone = [at for at in cuts if begun + SETTLING < at < onset]
    holds = [e.time for e in seen if isinstance(e, ev.AudioPaused)]
    starts = [e.time for e in seen if isinstance(e, ev.AudioStarted)]
    following = min((t for t in starts if t > onset), default=agent.duration)
    stopped = last_audible(agent, onset, following) - onset
    return {
        "echo (dB)": level,
        "delay (ms)": delay * 1000,
        "alone (s)": onset - begun,
        "silent share": _silent(agent, begun, onset),
        "held": sum(begun + SETTLING < at < onset for at in holds),
        "interrupted itself": len(alone),
        "yielded": int(any(at >= onset for at in cuts)),
        "silent (s)": stopped,
        "heard": next((e.text for e in reversed(seen) if isinstance(e, ev.Transcribed)), ""),
    }


def _silent(agent: Frame, begin: float, end: float) -> float:
    """The share of half seconds in which the agent said nothing: holds that were not needed, and pauses."""
    step = agent.rate // 2
    said = agent.samples[round(begin * agent.rate) : round(end * agent.rate)]
    blocks = said[: len(said) // step * step].reshape(-1, step)
    return float((np.abs(blocks).max(axis=1) < 10 ** (-50 / 20)).mean())
