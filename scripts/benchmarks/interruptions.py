"""Who speaks over a long reply: real words end it at once; back-channels, coughs and noises do not.

Real speech-to-text, voice and detectors on the virtual clock; the reply is a fixed text, so that every
word of it can be accounted for.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import numpy as np

from agent import events as ev
from agent.config import load
from agent.engines import registry as engines
from agent.simulation.virtual import Line, converse
from agent.weights import catalogue as models
from audio.files import read_audio, read_channels
from audio.frame import HEARING_RATE, Frame, Samples
from audio.stt.whisper import Whisper
from benchmarks.measure import AGENT_AUDIBLE
from benchmarks.results import Results
from benchmarks.voices import Reciter, noises, say
from helpers_wer import edits, normalise

REPLY = (
    "A lighthouse keeper lived on a rock far out at sea. Every evening he climbed the stairs and lit the "
    "great lamp. Ships from many countries passed by and saw its light. One winter night a storm broke the "
    "window and put the lamp out. He carried a lantern up to the top and stood there until the morning came."
)
WORDS = [
    "What time is it?", "That is not what I asked.", "Tell me about the weather instead.",
    "Can you speak more slowly?", "How far is it to the moon?", "No, I meant the other one.",
    "Please turn on the radio.", "Who is the president of France?", "I have a different question.",
    "Let us talk about something else.", "Where is the nearest hospital?", "That story is too long for me.",
    "Do you know my name?", "Set a timer for ten minutes.", "I would rather hear a joke.",
]  # fmt: skip
BACKCHANNELS = [
    "Uh-huh.", "Right.", "Okay.", "Mm-hmm.", "Yeah.", "I see.", "Sure.", "Wow.", "Oh.", "Really?",
    "Got it.", "Yes.", "Okay, okay.", "Oh, wow.", "Yeah, right.",
]  # fmt: skip
LAUGHTER = ["Ha ha ha!", "Hahaha.", "Ha ha.", "Heh heh.", "Haha!"]


def run() -> Results:
    config = load(None, [])
    with models.progress_bar() as progress:
        loaded = engines.Engines(
            engines.load_one("stt", config, progress),
            Reciter(REPLY),
            engines.load_one("tts", config, progress),
        )
        judge = Whisper(models.resolve("whisper-base", progress))
    config = load(None, ["turns.meaning=words", "costs.mode=declared", "costs.stt=0.13"])
    results = Results("interruptions")
    _words(results, loaded, config, judge)
    laughs = {f"{text} ({voice})": say(text, voice) for text in LAUGHTER for voice in ("low", "high")}
    murmurs = {f"{text} ({voice})": say(text, voice) for text in BACKCHANNELS for voice in ("low", "high")}
    ended = sum(_harmless(results, loaded, config, kind, sounds) for kind, sounds in (
        ("back-channels", murmurs), ("noises", noises()), ("laughter", laughs)
    ))  # fmt: skip
    results.target("back-channels, noises and laughs that ended the reply, share", ended / 60, "<=", 0.05)
    return results


def _talk(loaded, config, sounds: list[Samples], after: float) -> tuple[list[ev.Event], tuple[Frame, Frame]]:
    """For each sound: a question, and the sound over its answer."""
    question = read_audio(Path("configs/demo/story.wav")).at_rate(HEARING_RATE)
    lines = []
    for index, sound in enumerate(sounds):
        over = after + 0.37 * (index % 7)
        lines += [Line(question, "after", 1.0), Line(Frame(sound, HEARING_RATE), "over", over)]
    seen: list[ev.Event] = []
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "conversation.wav"
        converse(loaded, config, lines, recording, watchers=[seen.append])
        user, agent = read_channels(recording)
    return seen, (user, agent)


def _words(results: Results, loaded, config, judge: Whisper) -> None:
    sounds = [say(text, voice) for text in WORDS for voice in ("low", "high")]
    seen, (user, agent) = _talk(loaded, config, sounds, 3.0)
    cut = {e.turn: e for e in seen if isinstance(e, ev.TurnEnded) and e.reason == "interrupted"}
    starts = {e.turn: e.time for e in seen if isinstance(e, ev.AudioStarted)}
    cuts = {e.turn: e for e in seen if isinstance(e, ev.Interrupted)}
    ducks = [e.time for e in seen if isinstance(e, ev.Decision) and e.action == "duck"]
    stops, ducked, off = [], [], []
    for turn, ended in cut.items():
        onset = first_audible(user, cuts[turn].onset)
        following = min((t for t in starts.values() if t > onset), default=agent.duration)
        stops.append(last_audible(agent, onset, following) - onset)
        ducked.append(min((t for t in ducks if t > onset - 0.02), default=onset + 9) + 0.01 - onset)
        said = agent.samples[round(starts[turn] * agent.rate) : round((onset + stops[-1]) * agent.rate)]
        heard = judge.transcribe(Frame(said, agent.rate)).text
        off.append(abs(edits(normalise(ended.heard).split(), normalise(heard).split())))
    results.add(
        {
            "what": "real words", "count": len(sounds), "ended the reply": len(cut),
            "ducked p95 (s)": _p95(ducked), "silent p50 (s)": statistics.median(stops),
            "silent p95 (s)": _p95(stops), "heard words off, median": statistics.median(off), "max": max(off),
        }
    )  # fmt: skip
    results.target("interruptions that were yielded to, share", len(cut) / len(sounds), ">=", 1.0)
    results.target("ducked after the onset, p95 (s)", _p95(ducked), "<=", 0.06)
    results.target("silent after the onset, p95 (s)", _p95(stops), "<=", 0.3)
    results.target("heard text off by words, median", statistics.median(off), "<=", 0.0)


def _harmless(results: Results, loaded, config, kind: str, sounds: dict[str, Samples]) -> int:
    """How many of these ended the reply; the others must leave every word of it heard."""
    seen, _ = _talk(loaded, config, list(sounds.values()), 2.0)
    ends = [e for e in seen if isinstance(e, ev.TurnEnded)]
    ended = [e for e in ends if e.reason != "finished"]
    held = sum(isinstance(e, ev.AudioPaused) for e in seen)
    whole = sum(e.heard.strip() == REPLY for e in ends if e.reason == "finished")
    told = ", ".join(
        sorted({e.text for e in seen if isinstance(e, ev.OverlapTranscribed) and e.kind == "words"})
    )
    results.add(
        {
            "what": kind, "count": len(sounds), "ended the reply": len(ended), "held": held,
            "every word heard": whole, "taken for words": told,
        }
    )  # fmt: skip
    results.target(f"{kind}: replies heard whole when not ended", whole - (len(ends) - len(ended)), ">=", 0)
    return len(ended)


def first_audible(user: Frame, near: float) -> float:
    """The user's first audible sample around `near`."""
    begin = max(0, round((near - 0.3) * user.rate))
    loud = np.flatnonzero(np.abs(user.samples[begin:]) > 10 ** (-40 / 20))
    return (begin + int(loud[0])) / user.rate


def last_audible(agent: Frame, onset: float, until: float) -> float:
    begin, end = round(onset * agent.rate), round((until - 0.005) * agent.rate)
    loud = np.flatnonzero(np.abs(agent.samples[begin:end]) > 10 ** (AGENT_AUDIBLE / 20))
    return onset + (int(loud[-1]) + 1) / agent.rate if len(loud) else onset


def _p95(values: list[float]) -> float:
    return float(np.percentile(values, 95))
