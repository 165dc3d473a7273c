"""From a name in the configuration to a loaded engine. Knows where engines are, not what they do.

An engine is a class whose constructor takes, by keyword, those settings of its section that it uses,
and `weights`, a path, when it needs any. Other packages add engines by entry points in the groups
`backchat.stt`, `backchat.llm` and `backchat.tts`; turn-taking policies by `backchat.turns`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Literal

from agent.config import Config, Section
from agent.errors import ConfigError
from agent.llm import LanguageModel
from agent.models import Progress, resolve
from audio.stt import EndOfTurn, Transcriber
from audio.tts import Synthesizer

Kind = Literal["stt", "llm", "tts", "turns"]

BUILT_IN: dict[Kind, dict[str, str]] = {
    "stt": {"whisper": "audio.stt.whisper:Whisper"},
    "llm": {"llamacpp": "agent.llm.llamacpp:LlamaCpp"},
    "tts": {"hibari": "audio.tts.hibari:Hibari"},
    "turns": {"ladder": "agent.turntaking:Ladder", "switch": "agent.turntaking:Switch"},
}


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of a session, loaded. `turn`: the end-of-turn model, where one is wanted.

    names: what to call them in a report, by kind.
    """

    stt: Transcriber
    llm: LanguageModel
    tts: Synthesizer
    turn: EndOfTurn | None = None
    names: dict[str, str] = field(default_factory=lambda: {"stt": "given", "llm": "given", "tts": "given"})


def load(config: Config, progress: Progress | None = None) -> Engines:
    """Load all engines and warm them up, fetching weights that are missing.

    Raises ConfigError for an unknown engine, ModelError for weights, MissingExtra for a library.
    """
    stt, llm, tts = (load_one(kind, config, progress) for kind in ("stt", "llm", "tts"))
    names = {
        "stt": f"{config.stt.engine} {config.stt.model}",
        "llm": f"{config.llm.engine} {config.llm.model}",
        "tts": f"{config.tts.engine} {config.tts.voice}",
    }
    turn = None
    if config.turns.policy != "switch" and config.turns.meaning in ("audio", "both"):
        from audio.smartturn import SmartTurn

        turn = SmartTurn(resolve(config.turns.model, progress))
        turn.warm()
    return Engines(stt, llm, tts, turn, names)


def load_one(kind: Kind, config: Config, progress: Progress | None = None) -> Any:
    """One engine of that kind, loaded and warmed up."""
    settings: Section = getattr(config, kind)
    factory = find(kind, settings.model_dump()["engine"])
    given = settings.model_dump(exclude={"engine"})
    wanted = inspect.signature(factory).parameters
    if "weights" in wanted:
        given["weights"] = resolve(given["model"], progress)
    engine = factory(**{name: value for name, value in given.items() if name in wanted})
    if warm := getattr(engine, "warm", None):
        warm()
    return engine


def find(kind: Kind, name: str) -> Callable[..., Any]:
    """The class behind an engine's name, imported. Raises ConfigError for a name that nobody offers."""
    places = dict(BUILT_IN[kind])
    places |= {point.name: point.value for point in entry_points(group=f"backchat.{kind}")}
    if name not in places:
        raise ConfigError(f"{kind}.engine: no engine is called {name!r}; known: {', '.join(sorted(places))}")
    module, _, attribute = places[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
