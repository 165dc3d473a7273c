"""Which tool is called for 60 spoken requests: 30 need one of six and its arguments, 30 are small talk."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import click
import numpy as np

from agent.config import load
from agent.engines.registry import load_one
from agent.errors import BackchatError, NoAnswer
from agent.llm.deltas import deltas
from agent.messages import Message
from agent.text.spoken_form import Speakable
from agent.tools.calculator import converted, value_of
from agent.tools.clock import _zone
from agent.tools.registry import loaded
from audio.frame import HEARING_RATE, Frame, resample
from benchmarks.results import Results

OPTIONS = [
    click.Option(
        ["--model", "models"], multiple=True, default=("qwen2.5-0.5b", "qwen2.5-1.5b"), show_default=True
    )
]
MOST = 150
"""Tokens of an answer, of which small talk would have hundreds: a call is shorter."""
SIX = ("current_time", "day_of", "calculate", "convert_units", "set_timer", "remember")

Given = dict[str, Any]


def timer(seconds: int) -> Callable[[Given], bool]:
    units = {"hours": 3600, "minutes": 60, "seconds": 1}
    return lambda given: sum(int(given.get(name, 0)) * size for name, size in units.items()) == seconds


def comes_to(value: float) -> Callable[[Given], bool]:
    return lambda given: abs(value_of(str(given["expression"])) - value) < 0.01


def converts(value: float, unit: str, to: str) -> Callable[[Given], bool]:
    def right(given: Given) -> bool:
        asked = converted(float(given["value"]), str(given["unit"]), str(given["to"]))
        wanted = converted(value, unit, to)
        back = converted(wanted, to, str(given["to"]))
        return abs(asked - back) < 0.001 * max(1.0, abs(back)) and float(given["value"]) == value

    return right


def zone(name: str) -> Callable[[Given], bool]:
    return lambda given: str(_zone(str(given.get("place", ""))) or "") == name


def day(later: int) -> Callable[[Given], bool]:
    def right(given: Given) -> bool:
        named = {"today": 0, "tomorrow": 1, "yesterday": -1}
        begin = str(given.get("day", "today")).lower()
        at = date.today() + timedelta(named[begin]) if begin in named else date.fromisoformat(begin)
        return at + timedelta(int(given.get("days_later", 0))) == date.today() + timedelta(later)

    return right


def says(*words: str) -> Callable[[Given], bool]:
    return lambda given: all(word in str(given).lower() for word in words)


NEEDED: list[tuple[str, str, Callable[[Given], bool]]] = [
    ("Set a timer for ten minutes.", "set_timer", timer(600)),
    ("Set a timer for five minutes. No, ten minutes.", "set_timer", timer(600)),
    ("Wake me in an hour and a half.", "set_timer", timer(5400)),
    ("Please set a timer for ninety seconds.", "set_timer", timer(90)),
    ("Remind me in twenty minutes to call my mother.", "set_timer", timer(1200)),
    ("Start a timer for three minutes for my egg.", "set_timer", timer(180)),
    ("What time is it in Tokyo?", "current_time", zone("Asia/Tokyo")),
    ("What time is it right now?", "current_time", zone("")),
    ("How late is it in New York?", "current_time", zone("America/New_York")),
    ("Tell me the time in London, please.", "current_time", zone("Europe/London")),
    ("What time is it in Paris? No, in Berlin.", "current_time", zone("Europe/Berlin")),
    ("What day is it tomorrow?", "day_of", day(1)),
    ("Which weekday is it in ten days?", "day_of", day(10)),
    ("What was the date yesterday?", "day_of", day(-1)),
    ("What date is it in three weeks?", "day_of", day(21)),
    ("What is seventeen times twenty three?", "calculate", comes_to(391)),
    ("How much is fifteen percent of eighty?", "calculate", comes_to(12)),
    ("Work out the square root of one hundred and forty four.", "calculate", comes_to(12)),
    ("What is two hundred divided by eight?", "calculate", comes_to(25)),
    ("Add forty five and sixty seven.", "calculate", comes_to(112)),
    ("What is nine times nine? No, nine times eight.", "calculate", comes_to(72)),
    ("How many kilometers are five miles?", "convert_units", converts(5, "miles", "km")),
    ("Convert one hundred degrees Fahrenheit to Celsius.", "convert_units", converts(100, "f", "c")),
    ("How many grams are in three pounds?", "convert_units", converts(3, "lb", "g")),
    ("How many liters are ten gallons?", "convert_units", converts(10, "gallons", "l")),
    ("Convert twelve inches to centimeters.", "convert_units", converts(12, "inches", "cm")),
    ("Remember that I am allergic to peanuts.", "remember", says("peanut")),
    ("Please remember that my sister is called Anna.", "remember", says("sister", "ann")),
    ("Note that the bins go out on Thursday.", "remember", says("bin", "thursday")),
    ("Remember that I parked on level four.", "remember", says("park", "level")),
]
"""What is said, the tool that it needs, and whether its arguments are right."""
TALK = [
    "Hello, how are you today?",
    "Tell me a joke.",
    "What is the capital of France?",
    "Why is the sky blue?",
    "I had a long day.",
    "Who wrote Hamlet?",
    "Thank you, that was helpful.",
    "What do you think about cats?",
    "Can you sing?",
    "I am bored. What could I do?",
    "What is your name?",
    "Tell me something about the moon.",
    "How do I boil an egg?",
    "What is a good name for a dog?",
    "I like rainy days.",
    "What makes a good friend?",
    "Do you like music?",
    "Explain what a computer is.",
    "Good morning!",
    "My three children are at school.",
    "What colour is a banana?",
    "Is it hard to learn Spanish?",
    "Tell me a short story about a fox.",
    "I have two brothers and a sister.",
    "What should I cook tonight?",
    "How are rainbows made?",
    "I need a moment.",
    "Who was Albert Einstein?",
    "Nice to meet you.",
    "What is the meaning of life?",
]


def run(models: tuple[str, ...]) -> Results:
    results = Results("tools")
    with tempfile.TemporaryDirectory() as folder:
        config = load(
            None, ['tools.use=["clock", "calculator", "timers", "notes"]', f"tools.folder={folder}"]
        )
        tools = {tool.name: tool for tool in loaded(config.tools) if tool.name in SIX}
        assert set(tools) == set(SIX)
        voice, ear = load_one("tts", config), load_one("stt", config)
        heard = {text: understood(voice, ear, text) for text in (*(said for said, *_ in NEEDED), *TALK)}
        for model in models:
            llm = load_one(
                "llm", load(None, [f"llm.model={model}", "llm.temperature=0", f"llm.max_tokens={MOST}"])
            )
            told = llm.with_tools([tool.schema for tool in tools.values()])

            def called(text: str, told: Any = told) -> list[tuple[str, Given]]:
                asked = [Message("system", config.told(tools=True)), Message("user", heard[text])]
                try:
                    calls = [each.call for each in deltas(told.stream(asked), calls=True) if each.call]
                except NoAnswer as error:
                    print(f"  {text!r}: {error}", flush=True)
                    return []
                return [(call.name, call.data or {}) for call in calls]

            found = [(said, name, right, called(said)) for said, name, right in NEEDED]
            tool = [len(calls) == 1 and calls[0][0] == name for _, name, _, calls in found]
            whole = [
                one and judged(right, calls[0][1])
                for one, (*_, right, calls) in zip(tool, found, strict=True)
            ]
            false = sum(bool(called(text)) for text in TALK)
            row = {"model": model, "needed": len(NEEDED), "right tool": sum(tool)}
            results.add({**row, "and arguments": sum(whole), "small talk": len(TALK), "false calls": false})
            for (said, _, _, calls), right in zip(found, whole, strict=True):
                if not right:
                    print(f"  {said!r} heard as {heard[said]!r}: {calls}", flush=True)
            if model == "qwen2.5-1.5b":
                results.target("right of 30 by the 1.5B", sum(whole), ">=", 27)
                results.target("false calls of 30 by the 1.5B", false, "<=", 1)
    return results


def understood(voice: Any, ear: Any, text: str) -> str:
    """What the transcriber makes of this, said by the voice."""
    parts = list(voice.stream(Speakable(voice.language).say(text).text))
    samples = np.concatenate([part.samples for part in parts])
    return ear.transcribe(Frame(resample(samples, voice.rate, HEARING_RATE), HEARING_RATE)).text


def judged(right: Callable[[Given], bool], given: Given) -> bool:
    """Whether these arguments are right; what cannot be read is not."""
    try:
        return right(given)
    except (BackchatError, ValueError, KeyError, TypeError):
        return False
