"""What the agent says in each language as Whisper base hears it: the demo's talk and six questions more."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np

from agent import events as ev
from agent.config import load
from agent.engines import registry as engines
from agent.languages import scripts
from agent.simulation.virtual import Line, converse
from agent.text.normalization import normalized
from agent.weights import catalogue as models
from audio.files import read_channels
from audio.frame import HEARING_RATE, Frame, resample
from audio.stt.whisper import Whisper
from audio.tts.kokoro import Kokoro
from benchmarks.results import Results
from helpers_wer import edits

OPTIONS = [click.Option(["--language"], default="", help="Only this one: es, fr, it, pt or zh.")]
DEMO = Path("configs/demo")
QUESTIONS: dict[str, list[str]] = {
    "es": [
        "¿Cuántos días tiene un año?",
        "¿Por qué es azul el cielo?",
        "¿Qué puedo cocinar hoy con tomates y arroz?",
        "¿Qué animales viven en el mar?",
    ],
    "fr": [
        "Combien de jours y a-t-il dans une année ?",
        "Pourquoi le ciel est-il bleu ?",
        "Que puis-je cuisiner aujourd'hui avec des tomates et du riz ?",
        "Quels animaux vivent dans la mer ?",
    ],
    "it": [
        "Quanti giorni ci sono in un anno?",
        "Perché il cielo è blu?",
        "Che cosa posso cucinare oggi con pomodori e riso?",
        "Quali animali vivono nel mare?",
    ],
    "pt": [
        "Quantos dias tem um ano?",
        "Por que o céu é azul?",
        "O que posso cozinhar hoje com tomates e arroz?",
        "Que animais vivem no mar?",
    ],
    "zh": [
        "一年有多少天？",
        "天空为什么是蓝色的？",
        "今天我可以用西红柿和米饭做什么菜？",
        "大海里有哪些动物？",
    ],
}
"""What is asked besides; with the demo's talk enough for a hundred words of answers."""
STORIES = {
    "es": ["Cuéntame un cuento sobre un gato.", "Explícame cómo se hace el pan."],
    "fr": ["Raconte-moi une histoire sur un chat.", "Explique-moi comment on fait le pain."],
    "it": ["Raccontami una storia su un gatto.", "Spiegami come si fa il pane."],
    "pt": ["Me conte uma história sobre um gato.", "Me explique como se faz pão."],
    "zh": ["给我讲一个关于猫的故事。", "请告诉我面包是怎么做的。"],
}
"""What is answered in many words, which a short answer of the model has not."""
ENGLISH = (
    "am_michael",
    [
        "Hello. What is the capital of France?",
        "How many days are there in a year?",
        "Why is the sky blue?",
        "What can I cook today with tomatoes and rice?",
        "Which animals live in the sea?",
    ],
)
OVER = 4.0
"""Seconds into the story at which the user cuts in, as in the demo."""
BOUND = {"zh": 0.15}
"""The share of words (Chinese: letters) that may be wrong."""
BOUND_ELSE = 0.10


def run(language: str = "") -> Results:
    """One conversation for each language, on the virtual clock."""
    results = Results("spoken")
    for code in [language] if language else QUESTIONS:
        with tempfile.TemporaryDirectory() as folder:
            recording = Path(folder) / "conversation.wav"
            turns = _talk(code, recording)
            wrong, count, pairs = _compared(code, turns, read_channels(recording)[1])
        for said, heard in pairs:
            if units(said, code) != units(heard, code):
                results.add({"language": code, "said": said, "understood": heard})
        results.add({"language": code, "replies": len(pairs), "units": count, "share wrong": wrong / count})
        results.target(f"wrong, {code}, share", wrong / count, "<=", BOUND.get(code, BOUND_ELSE))
    return results


def asked(code: str) -> tuple[str, list[str]]:
    """A voice of that language, and its questions: the demo's first one and those here."""
    if code == "en":
        return ENGLISH
    voice, first, *_ = (DEMO / f"{code}.txt").read_text(encoding="utf-8").splitlines()
    return voice, [first, *QUESTIONS[code]]


def spoken(voice: str, texts: list[str]) -> list[Frame]:
    """The texts as that voice of Kokoro's says them, at 16 kHz."""
    engine = Kokoro(weights=models.resolve("kokoro"), voice=voice)
    made = [np.concatenate([part.samples for part in engine.stream(text)]) for text in texts]
    return [Frame(resample(each, engine.rate, HEARING_RATE), HEARING_RATE) for each in made]


def units(text: str, code: str) -> list[str]:
    """What is counted of a text: its words as they are said; letters where a script puts no blanks."""
    return list(scripts.words(normalized(text, code)))


def _talk(code: str, recording: Path) -> list[tuple[float, float, str]]:
    """What the agent said: when each reply began and ended (s), and the words that were heard of it."""
    config = load(None, ["llm.max_tokens=90"], code)
    with models.progress_bar() as progress:
        loaded = engines.load(config, progress)
    voice, *demo = (DEMO / f"{code}.txt").read_text(encoding="utf-8").splitlines()
    sounds = spoken(voice, [*demo, *QUESTIONS[code], *STORIES[code]])
    lines = [Line(sound, "over", OVER) if n == 2 else Line(sound) for n, sound in enumerate(sounds)]
    seen = list[ev.Event]()
    converse(loaded, config, lines, recording, watchers=[seen.append])
    began = {event.turn: event.time for event in seen if isinstance(event, ev.AudioStarted)}
    ended = [event for event in seen if isinstance(event, ev.TurnEnded) and event.turn in began]
    return [(began[event.turn], event.time, event.heard) for event in ended]


def _compared(
    code: str, turns: list[tuple[float, float, str]], agent: Frame
) -> tuple[int, int, list[tuple[str, str]]]:
    """Wrong words and all words, and each reply as it was said and understood."""
    whisper = Whisper(models.resolve("whisper-base"), language=code, window=30.0)
    wrong, count, pairs = 0, 0, list[tuple[str, str]]()
    for begin, end, heard in turns:
        sound = agent.samples[round((begin - 0.2) * agent.rate) : round((end + 0.3) * agent.rate)]
        understood = whisper.transcribe(Frame(sound, agent.rate)).text
        said = units(heard, code)
        wrong += edits(said, units(understood, code))
        count += len(said)
        pairs.append((heard, understood))
    return wrong, count, pairs
