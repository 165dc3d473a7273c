"""From a name in the configuration to a loaded engine. Knows where engines are, not what they do.

An engine is a class whose constructor takes, by keyword, those settings of its section that it uses,
and `weights`, a path, when it needs any. Then its `default_model` is what an empty `model` means, and a name
that its `fetches` knows as its own is left to it, as a path.
Other packages add engines by entry points in the groups `backchat.stt`, `backchat.llm`, `backchat.tts` and
`backchat.vision`; turn-taking policies by `backchat.turns`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from agent.errors import ConfigError
from agent.eye import Eye
from agent.llm import LanguageModel
from agent.models import Progress, resolve
from agent.settings import Config, Section
from audio.stt import EndOfTurn, Transcriber
from audio.tts import Synthesizer

Kind = Literal["stt", "llm", "tts", "turns", "vision"]

BUILT_IN: dict[Kind, dict[str, str]] = {
    "stt": {
        "whisper": "audio.stt.whisper:Whisper",
        "whisper-torch": "audio.stt.transformers:WhisperTorch",
    },
    "llm": {
        "llamacpp": "agent.llm.llamacpp:LlamaCpp",
        "openai": "agent.llm.openai_api:OpenAI",
        "transformers": "agent.llm.transformers:Transformers",
        "llamavision": "agent.llm.llamavision:LlamaVision",
        "vlm": "agent.llm.vlm:VisionLanguage",
    },
    "tts": {
        "hibari": "audio.tts.hibari:Hibari",
        "piper": "audio.tts.piper:Piper",
        "coqui": "audio.tts.coqui:Coqui",
        "xtts": "audio.tts.xtts:XTTS",
        "mms": "audio.tts.mms:MMS",
        "kokoro": "audio.tts.kokoro:Kokoro",
    },
    "turns": {"ladder": "agent.turntaking:Ladder", "switch": "agent.turntaking:Switch"},
    "vision": {"reading": "agent.eye.reading:Reading", "model": "agent.eye.through:Through"},
}


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of a session, loaded. `turn`: the end-of-turn model, where one is wanted.

    eye: looks at pictures. names: what to call them in a report, by kind.
    """

    stt: Transcriber
    llm: LanguageModel
    tts: Synthesizer
    turn: EndOfTurn | None = None
    eye: Eye | None = None
    names: dict[str, str] = field(default_factory=lambda: {"stt": "given", "llm": "given", "tts": "given"})


def load(config: Config, progress: Progress | None = None) -> Engines:
    """Load all engines and warm them up, fetching weights that are missing.

    Raises ConfigError for an unknown engine, ModelError for weights, MissingExtra for a library.
    """
    stt, llm, tts = (load_one(kind, config, progress) for kind in ("stt", "llm", "tts"))
    names = {
        "stt": f"{config.stt.engine} {config.stt.model}",
        "llm": f"{config.llm.engine} {config.llm.model}",
        "tts": _voice(config),
    }
    turn = None
    if config.turns.policy != "switch" and config.turns.meaning in ("audio", "both"):
        from audio.smartturn import SmartTurn

        turn = SmartTurn(resolve(config.turns.model, progress))
        turn.warm()
    return Engines(stt, llm, tts, turn, load_eye(config, llm), names)


def load_eye(config: Config, llm: LanguageModel) -> Eye:
    """The eye; its libraries are loaded with the first picture. Raises ConfigError where `llm` takes none."""
    eye = load_one("vision", config)
    if getattr(eye, "hands_over", False) and not getattr(llm, "sees", False):
        raise ConfigError(
            f"vision.engine: llm.engine {config.llm.engine!r} with this model takes no pictures; "
            "choose --set vision.engine=reading"
        )
    return eye


def load_one(kind: Kind, config: Config, progress: Progress | None = None) -> Any:
    """One engine of that kind, loaded and warmed up."""
    settings: Section = getattr(config, kind)
    factory = find(kind, settings.model_dump()["engine"])
    given = settings.model_dump(exclude={"engine"})
    wanted = inspect.signature(factory).parameters
    if "weights" in wanted:
        name = given["model"] or getattr(factory, "default_model", "")
        if not name:
            raise ConfigError(f"{kind}.model: name the path of the weights; this engine has none of its own")
        own = getattr(factory, "fetches", None)
        given["weights"] = Path(name) if own and own(name) else resolve(name, progress)
    # An empty setting leaves the choice to the engine.
    used = {name: value for name, value in given.items() if name in wanted and value != ""}
    engine = factory(**used)
    if warm := getattr(engine, "warm", None):
        warm()
    return engine


def _voice(config: Config) -> str:
    """The voice's engine, model and name, those that it chooses itself included."""
    tts, factory = config.tts, find("tts", config.tts.engine)
    parameter = inspect.signature(factory).parameters.get("voice")
    own = parameter.default if parameter and isinstance(parameter.default, str) else ""
    model = tts.model or getattr(factory, "default_model", "")
    return " ".join(filter(None, (tts.engine, model, tts.voice or own)))


def find(kind: Kind, name: str) -> Callable[..., Any]:
    """The class behind an engine's name, imported. Raises ConfigError for a name that nobody offers."""
    places = dict(BUILT_IN[kind])
    places |= {point.name: point.value for point in entry_points(group=f"backchat.{kind}")}
    if name not in places:
        raise ConfigError(f"{kind}.engine: no engine is called {name!r}; known: {', '.join(sorted(places))}")
    module, _, attribute = places[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
