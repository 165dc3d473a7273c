"""When to answer: how often a user is cut off in mid-thought, and how long one who has finished waits.

In another language than English it is real people who speak, Asterisk's prompts; of `turns.toml`, `--half`
says which half of them it was tuned with.

The curve is worked out from each pause that the detectors found, its words and its sound. The default policy
is then measured on recordings of the real session, by the definitions in `benchmarks.measure`.
"""

from __future__ import annotations

import statistics
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from agent import events as ev
from agent import languages
from agent.causes import Cause
from agent.config import load
from agent.engines import registry as engines
from agent.settings import Config, LLMConfig, TurnsConfig
from agent.simulation.virtual import Line, converse
from agent.turns.endpointing import Delays, decision
from agent.turns.phrases import words_of
from agent.weights import catalogue as models
from audio.files import read_audio, read_channels
from audio.frame import HEARING_RATE, Frame, silence
from audio.segment import Paused, Segmenter
from audio.tts import Synthesizer
from audio.vad import VoiceDetector
from benchmarks import people
from benchmarks.measure import AGENT_AUDIBLE, USER_AUDIBLE, expected
from benchmarks.results import Results
from benchmarks.spoken import units
from benchmarks.voices import Utterance, utterances
from helpers_wer import edits

HUMAN = Path("../shared/speech")
"""Clips of human speech, used where they are there."""


@dataclass(frozen=True)
class Pause:
    """A pause that the detectors found. `left`: seconds until speech goes on; None when it is over.

    expected: the language model's probability that it is.
    """

    text: str
    complete: float
    left: float | None
    expected: float | None = None


HALVES = {"all": slice(None), "tuning": slice(0, None, 2), "held-out": slice(1, None, 2)}
OPTIONS = [
    click.Option(["--language"], default="en", show_default=True, help="Or es, fr, it, ru: real people."),
    click.Option(["--half"], type=click.Choice(list(HALVES)), default="all", help="Of these people."),
    click.Option(["--llm"], default="", help="The language model; else smollm2, or the default elsewhere."),
    click.Option(["--set", "settings"], multiple=True, help="A setting, as turns.llm=false."),
]


def run(language: str, half: str, llm: str, settings: tuple[str, ...]) -> Results:
    english = language == "en"
    model = llm or ("smollm2" if english else LLMConfig().model)
    config = _config(language, [f'llm.model="{model}"', "llm.max_tokens=16", "stt.interim=0.6", *settings])
    with models.progress_bar() as progress:
        loaded = engines.load(config, progress)
    if not english:
        loaded = replace(loaded, tts=Reading(loaded.tts, language))
    spoken = [*utterances(), *_human()] if english else people.utterances(language)[HALVES[half]]
    results = Results("turntaking")
    if english:
        _curve(results, [_pauses(u, loaded, config) for u in spoken], config)
    _measured(results, spoken, loaded, config, language)
    return results


class Reading:
    """A voice that takes the words of any language for its own: who answers does not count here, but that the
    answer is cut where that language is.
    """

    def __init__(self, voice: Synthesizer, language: str) -> None:
        self.voice, self.language = voice, language

    def __getattr__(self, name: str) -> Any:
        return getattr(self.voice, name)


def _config(language: str, settings: list[str]) -> Config:
    """A language that has no folder is whatever Whisper hears, and has English words for turns."""
    if language in languages.folders():
        # hibari is quick.
        return load(None, ["tts.engine=hibari", 'tts.language=""', *settings], language)
    return load(None, ["stt.model=whisper-base", "stt.language=auto", *settings])


def _human() -> list[Utterance]:
    found = []
    for path in sorted(HUMAN.glob("*.flac")):
        frame = read_audio(path).at_rate(HEARING_RATE)
        found.append(Utterance(path.stem, "human", "statement", "", frame, ()))
    return found


def _pauses(said: Utterance, loaded: engines.Engines, config: Config) -> list[Pause]:
    around = silence(2.5, HEARING_RATE)
    samples = np.concatenate([around[:8000], said.audio.samples, around])
    loud = np.flatnonzero(np.abs(samples) > 10 ** (USER_AUDIBLE / 20)) / HEARING_RATE
    detector, segmenter, found = VoiceDetector(), Segmenter(), []
    for start in range(0, len(samples) - 319, 320):
        frame = Frame(samples[start : start + 320], HEARING_RATE, start / HEARING_RATE)
        for event in segmenter.feed(frame, detector.feed(frame)):
            if isinstance(event, Paused):
                after = loud[loud > event.at + 0.1]
                left = float(after[0] - event.at) if len(after) else None
                text = loaded.stt.transcribe(event.audio).text
                assert loaded.endpointing is not None
                complete = loaded.endpointing.complete(event.audio)
                told = expected(loaded.llm, config.told(tools=False, several=""), text)
                found.append(Pause(text, complete, left, told))
    return found


def _curve(results: Results, spoken: list[list[Pause]], config: Config) -> None:
    words, turns = words_of("en"), config.turns
    judges: dict[str, Callable[[Pause, Delays], float]] = {
        "silence only": lambda p, w: w.unsure,
        "words": lambda p, w: decision(p.text, None, w, words).wait,
        "sound": lambda p, w: decision("", p.complete, w, words).wait,
        "words and sound": lambda p, w: decision(p.text, p.complete, w, words).wait,
        "and the model": lambda p, w: decision(p.text, p.complete, w, words, expected=p.expected).wait,
    }
    for name, judge in judges.items():
        for scale in (0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0):
            waits = Delays(turns.complete, *(w * scale for w in _longer(turns)))
            cut = sum(any(p.left and judge(p, waits) < p.left for p in pauses) for pauses in spoken)
            last = [judge(p, waits) for pauses in spoken for p in pauses[-1:] if p.left is None]
            results.add(
                {
                    "judged by": name,
                    "waits (s)": f"{waits.complete:.2f} {waits.unsure:.2f} {waits.incomplete:.2f}",
                    "cut in": f"{cut} of {len(spoken)}",
                    "wait p50 (s)": statistics.median(last),
                    "wait p95 (s)": float(np.percentile(last, 95)),
                }
            )


def _longer(turns: TurnsConfig) -> tuple[float, float, float, float]:
    return turns.likely, turns.unsure, turns.unlikely, turns.incomplete


def _measured(
    results: Results, spoken: list[Utterance], loaded: engines.Engines, config: Config, code: str
) -> None:
    """Each utterance alone, in a session of its own."""
    waits, cut, judged, wrong, count = list[float](), list[float](), list[float](), 0, 0
    for said in spoken:
        seen = list[ev.Event]()
        with tempfile.TemporaryDirectory() as folder:
            recording = Path(folder) / "conversation.wav"
            line = Line(said.audio, "after", 0.5)
            converse(loaded, config, [line], recording, watchers=[seen.append])
            user, agent = read_channels(recording)
        if said.text:
            wanted, got = _plain(said.text, code), _plain(_understood(seen), code)
            wrong, count = wrong + edits(wanted, got), count + len(wanted)
        first = np.flatnonzero(np.abs(agent.samples) > 10 ** (AGENT_AUDIBLE / 20))
        if len(first) == 0:
            print(f"not answered: {said.name} {said.text} ({_understood(seen)})", flush=True)
            continue
        judged += [cause.wait for cause in _causes(seen) if cause.wait is not None][-1:]
        wait = int(first[0]) / agent.rate - _last(user, USER_AUDIBLE)
        (waits if wait >= 0 else cut).append(wait)
        if wait < 0 or wait > SLOW:
            what = "cut in" if wait < 0 else "slow"
            print(
                f"{what}, {wait:.2f} s: {said.name} {said.text} ({_understood(seen)}) {_judged(seen)}",
                flush=True,
            )
    _told(results, waits, cut, judged, len(spoken), wrong / max(1, count), code)


SLOW = 1.0
"""Seconds from which a wait is told by itself."""


def _told(
    results: Results,
    waits: list[float],
    cut: list[float],
    judged: list[float],
    spoken: int,
    wrong: float,
    code: str,
) -> None:
    answered = [*waits, *cut]
    results.add(
        {
            "judged by": "the session as it is",
            "waits (s)": "measured",
            "cut in": f"{len(cut)} of {len(answered)}",
            "words wrong": wrong,
            "judged p50 (s)": statistics.median(judged),
            "wait p50 (s)": statistics.median(answered),
            "wait p95 (s)": float(np.percentile(answered, 95)),
        }
    )
    results.target("utterances answered, share", len(answered) / spoken, ">=", 0.95)
    results.target("cut in, share", len(cut) / len(answered), "<=", 0.05)
    bound = 0.55 if code == "en" else 0.6
    results.target("response p50 (s)", statistics.median(answered), "<=", bound)
    results.target("response p95 (s)", float(np.percentile(answered, 95)), "<=", 1.3)


def _understood(seen: list[ev.Event]) -> str:
    return " ".join(event.text for event in seen if isinstance(event, ev.TurnCommitted))


def _causes(seen: list[ev.Event]) -> list[Cause]:
    return [event.cause for event in seen if isinstance(event, ev.TurnCommitted)]


def _judged(seen: list[ev.Event]) -> str:
    """By what the turns ended."""
    return ", ".join(f"{c.sign} {c.word} {c.wait} voice {c.voice} model {c.model}" for c in _causes(seen))


def _plain(text: str, code: str) -> list[str]:
    """Its words without accents, which some of the transcripts leave out."""
    apart = unicodedata.normalize("NFD", " ".join(units(text, code)))
    return "".join(c for c in apart if unicodedata.category(c) != "Mn").split()


def _last(frame: Frame, dbfs: float) -> float:
    return int(np.flatnonzero(np.abs(frame.samples) > 10 ** (dbfs / 20))[-1]) / frame.rate
