"""Which tool is called: three sets of 30 spoken requests that need one of six, and 30 that need none."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import click
import numpy as np

from agent.config import load
from agent.engines.registry import load_one
from agent.errors import NoAnswer
from agent.llm.deltas import closed, deltas
from agent.messages import Message
from agent.settings import Config
from agent.text.spoken_form import TextNormalizer
from agent.tools.registry import loaded
from agent.tools.tool import Tool
from agent.turns.corrections import corrected
from agent.turns.phrases import language
from audio.frame import HEARING_RATE, Frame, resample
from benchmarks.results import Results
from benchmarks.tool_requests import HOUSE_TOOLS, SETS, Given, judged

OPTIONS = [
    click.Option(
        ["--model", "models"], multiple=True, default=("qwen2.5-0.5b", "qwen2.5-1.5b"), show_default=True
    ),
    click.Option(
        ["--set", "sets"],
        type=click.Choice(list(SETS)),
        multiple=True,
        default=tuple(SETS),
        show_default=True,
    ),
    click.Option(["--typed"], is_flag=True, help="As text, without a voice and a transcriber."),
]
WORDS = 30
"""Tokens of words after which an answer is taken for one that calls nothing."""
SIX = ("current_time", "day_of", "calculate", "convert_units", "set_timer", "remember")


class Asked:
    """A model told of six tools. config: of the conversation."""

    def __init__(self, model: str, tools: Sequence[Tool], config: Config) -> None:
        llm = load_one("llm", load(None, [f"llm.model={model}", "llm.temperature=0"]))
        self._told = llm.with_tools([tool.schema for tool in tools])
        self._system = Message("system", config.told(tools=True, several=""))
        self._told.prefill([self._system])
        self.first: list[float] = []
        """Seconds to the first words of each answer that called nothing."""

    def calls(self, text: str) -> list[tuple[str, Given]]:
        """What it calls for this."""
        text = corrected(text, language("en"))  # as a conversation has it
        began, words, first, made = time.perf_counter(), 0, 0.0, list[Any]()
        try:
            with closed(
                stream := deltas(self._told.stream([self._system, Message("user", text)]), calls=True)
            ):
                for delta in stream:
                    made += [delta.call] if delta.call is not None else []
                    words += bool(delta.text)
                    first = first or (time.perf_counter() - began) * bool(delta.text)
                    if words > WORDS:
                        break
        except NoAnswer as error:
            print(f"  {text!r}: {error}", flush=True)
        self.first += [] if made else [first]
        return [(call.name, call.data or {}) for call in made]


def run(models: tuple[str, ...], sets: tuple[str, ...], typed: bool) -> Results:
    results = Results("tools")
    with tempfile.TemporaryDirectory() as folder:
        config = load(
            None, ['tools.use=["clock", "calculator", "timers", "notes"]', f"tools.folder={folder}"]
        )
        six = [tool for tool in loaded(config.tools) if tool.name in SIX]
        assert len(six) == len(SIX)
        heard = understood(config, [text for name in sets for text in said(name)], typed)
        for model in models:
            for name in sets:
                count(
                    results, model, name, Asked(model, HOUSE_TOOLS if name == "house" else six, config), heard
                )
    return results


def count(results: Results, model: str, name: str, asked: Asked, heard: dict[str, str]) -> None:
    """One model on one set."""
    found = [(said, wanted, right, asked.calls(heard[said])) for said, wanted, right in SETS[name].needed]
    tool = [len(calls) == 1 and calls[0][0] == wanted for _, wanted, _, calls in found]
    whole = [one and judged(right, calls[0][1]) for one, (*_, right, calls) in zip(tool, found, strict=True)]
    false = {text: calls for text in SETS[name].talk if (calls := asked.calls(heard[text]))}
    results.add(
        {
            "model": model,
            "set": name,
            "needed": len(found),
            "right tool": sum(tool),
            "and arguments": sum(whole),
            "small talk": len(SETS[name].talk),
            "false calls": len(false),
            "first words (s)": round(median(asked.first), 3) if asked.first else None,
        }
    )
    for (text, _, _, calls), right in zip(found, whole, strict=True):
        if not right:
            print(f"  {text!r} heard as {heard[text]!r}: {calls}", flush=True)
    for text, calls in false.items():
        print(f"  {text!r} heard as {heard[text]!r}: {calls}, and wants nothing", flush=True)
    if model == "qwen2.5-1.5b" and name != "house":
        results.target(f"right of 30 by the 1.5B, {name}", sum(whole), ">=", 27)
        results.target(f"false calls of 30 by the 1.5B, {name}", len(false), "<=", 1)


def said(name: str) -> list[str]:
    """All that is said in a set."""
    return [*(text for text, *_ in SETS[name].needed), *SETS[name].talk]


def understood(config: Config, texts: Sequence[str], typed: bool) -> dict[str, str]:
    """What the transcriber makes of each text, said by the voice; typed: the text itself."""
    if typed:
        return {text: text for text in texts}
    voice, ear = load_one("tts", config), load_one("stt", config)

    def one(text: str) -> str:
        parts = list(voice.stream(TextNormalizer(voice.language).say(text).text))
        samples = np.concatenate([part.samples for part in parts])
        return ear.transcribe(Frame(resample(samples, voice.rate, HEARING_RATE), HEARING_RATE)).text

    return {text: one(text) for text in texts}
