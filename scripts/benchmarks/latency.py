"""Voice to voice in real time: 8 spoken questions to each of the two embedded models.

In another language, or in several in turn (es,fr,it), beside English with the same transcriber and voice.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click

from agent import events as ev
from agent.config import load
from agent.engines import registry as engines
from agent.reports import waits as report
from agent.simulation.virtual import Line, converse
from agent.weights import catalogue as models
from audio.files import read_audio, read_channels
from audio.frame import HEARING_RATE, Frame
from audio.stt.whisper import Whisper
from audio.tts import Speech
from benchmarks.measure import replies, responses
from benchmarks.results import Results
from benchmarks.spoken import asked, spoken

OPTIONS = [
    click.Option(["--language"], default="", help="es, fr, it, pt, zh, or several: es,fr,it."),
    click.Option(["--llm"], default="", help="Only this language model, by meaning."),
]
QUESTIONS = sorted(Path("tests/data/questions").glob("*.flac"))[:8]
TIMER = ["turns.meaning=off", "turns.end=0.3"]
RUNS: list[tuple[str, str, list[str], float]] = [
    ("smollm2", "0.3 s of silence", TIMER, 0.75),
    ("qwen2.5-0.5b", "0.3 s of silence", TIMER, 1.10),
    ("smollm2", "meaning", [], 0.50),
    ("qwen2.5-0.5b", "meaning", [], 0.80),
]
"""Model, what ends a turn, its settings, and the target (s); pipecat 1.14 with these models: 1.4, 1.9."""

IN_TIME = 1.0
"""Seconds in which a model that is to be recommended answers."""


def run(language: str = "", llm: str = "") -> Results:
    """Each conversation in a process of its own: engines that are done with would still take their share."""
    results = Results("latency")
    if language:
        return _beside_english(results, language, llm or "qwen2.5-0.5b")
    if llm:
        row = _alone(llm, "meaning", [])
        results.add(row)
        results.target(f"median voice to voice, {llm} (s)", row["voice to voice"], "<=", IN_TIME)
        return results
    for model, policy, settings, bound in RUNS:
        row = _alone(model, policy, settings)
        results.add(row)
        results.target(f"median voice to voice, {model}, {policy} (s)", row["voice to voice"], "<=", bound)
        after = f"median from the end of the turn to its answer, {model}, {policy} (s)"
        results.target(after, row["after release"], "<=", 0.06)
    return results


def _beside_english(results: Results, language: str, llm: str) -> Results:
    """The model in that language or those languages, and in English."""
    same = ["stt.model=whisper-base", "tts.engine=kokoro"]
    rows = [_alone(llm, "meaning", how, code) for how, code in ((same, "en"), ([], language))]
    answers = [answer for row in rows for answer in row.pop("answers")]
    for row in [*rows, *answers]:
        results.add(row)
    more = rows[1]["voice to voice"] - rows[0]["voice to voice"]
    results.target(f"median voice to voice, {language}, more than in English (s)", more, "<=", 0.1)
    results.target("answered in the language that was spoken, share", rows[1]["same language"], ">=", 1.0)
    return results


def _alone(model: str, policy: str, settings: list[str], language: str = "") -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(measured, model, policy, settings, language).result()


def _questions(language: str) -> list[tuple[str, Frame]]:
    """The questions, each with its language; of several in turn."""
    if not language:
        return [("en", read_audio(path).at_rate(HEARING_RATE)) for path in QUESTIONS]
    codes = language.split(",")
    of = {code: cycle(spoken(*asked(code))) for code in codes}
    return [(code, next(of[code])) for code in islice(cycle(codes), len(QUESTIONS))]


def measured(model: str, policy: str, settings: list[str], language: str = "") -> dict[str, Any]:
    """One conversation, as a row of the table."""
    config = load(None, [f'llm.model="{model}"', "llm.max_tokens=40", *settings], language or None)
    with models.progress_bar() as progress:
        loaded = engines.load(config, progress)
    questions = _questions(language)
    noted = Noted(loaded.tts)
    loaded = replace(loaded, tts=noted) if language else loaded
    lines = [Line(audio, "after", 1.0) for _, audio in questions]
    seen: list[ev.Event] = []
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "conversation.wav"
        converse(loaded, config, lines, recording, realtime=True, watchers=[seen.append, noted.watch])
        waits, sounds = responses(recording), replies(recording)
        heard = _heard(seen, read_channels(recording)[1]) if language else []
    columns = ([code for code, _ in questions], heard, noted.heard, waits)
    answers = [
        {
            "asked in": code,
            "answered in": told,
            "voice": voice,
            "heard in": understood,
            "voice to voice": wait,
        }
        for code, (told, understood), voice, wait in zip(*columns, strict=bool(language))
    ]
    answered = [turn for turn in report.turns(seen) if turn.voice_to_voice is not None]
    assert len(waits) == len(answered) == len(questions), "every question must be answered, once"
    parts = [dict(turn.parts) for turn in answered]
    opened = [turn.committed for turn in answered if turn.committed is not None]
    gates = [min(at - gate for at in sounds if at > gate) for gate in opened]
    return {
        "model": model,
        **({"language": language} | _shares(answers) | {"answers": answers} if language else {}),
        "turn ends by": policy,
        "answered": len(waits),
        "voice to voice": statistics.median(waits),
        "worst": max(waits),
        **{name: statistics.median(p[name] for p in parts) for name in report.PARTS},
        "after release": statistics.median(gates),
        "longest gap": max(_gap(seen, turn) for turn in answered),
    }


class Noted:
    """A voice that can change. heard: which voice each reply was begun with, in order."""

    def __init__(self, voice: Any, said: list[str] | None = None) -> None:
        self._voice = voice
        self._said = [""] if said is None else said
        self.heard: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._voice, name)

    def with_voice(self, voice: str = "", language: str = "") -> Noted:
        """As the voice's own; it notes on."""
        return Noted(self._voice.with_voice(voice, language), self._said)

    def stream(self, text: str) -> Iterator[Speech]:
        """As the voice's own."""
        self._said[0] = self._voice.voice
        return self._voice.stream(text)

    def watch(self, event: ev.Event) -> None:
        """Note by whom a reply was begun that sounds now."""
        if isinstance(event, ev.AudioStarted):
            self.heard.append(self._said[0])


def _heard(seen: list[ev.Event], agent: Frame) -> list[tuple[str, str]]:
    """In which language each answer was, by what the agent tells of itself and by what Whisper base hears in
    its voice and words.
    """
    whisper = Whisper(models.resolve("whisper-base"), language="auto")
    began = {event.turn: event.time for event in seen if isinstance(event, ev.AudioStarted)}
    ended = [event for event in seen if isinstance(event, ev.TurnEnded) and event.turn in began]
    sounds = [agent.samples[round(began[e.turn] * agent.rate) : round(e.time * agent.rate)] for e in ended]
    understood = [whisper.transcribe(Frame(sound, agent.rate)).language for sound in sounds]
    return [(event.language, code) for event, code in zip(ended, understood, strict=True)]


def _shares(answers: list[dict[str, Any]]) -> dict[str, float]:
    """Which share of the answers was in the language of its question, as it is told and as it is heard."""
    return {
        name: statistics.mean(answer["asked in"] == answer[key] for answer in answers)
        for name, key in (("same language", "answered in"), ("heard in it", "heard in"))
    }


def _gap(seen: list[ev.Event], turn: report.TurnReport) -> float:
    """The longest that the speaker of a reply had to wait for its next part (s)."""
    parts = [event for event in seen if isinstance(event, ev.Synthesized) and event.turn == turn.turn]
    longest, until = 0.0, turn.audio_started or 0.0
    for part in parts:
        longest = max(longest, part.time - until)
        until = max(until, part.time) + part.seconds
    return longest
