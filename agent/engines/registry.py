"""From a name in the configuration to a loaded engine. Knows where engines are, not what they do.

An engine is a class whose constructor takes, by keyword, those settings of its section that it uses,
and `weights`, a path, when it needs any. Then its `default_model` is what an empty `model` means, and a name
that its `fetches` knows as its own is left to it, as a path; where the weights follow from the voice, its
`voices` names them.
Other packages add engines by entry points in the groups `backchat.stt`, `backchat.llm`, `backchat.tts` and
`backchat.vision`; turn-taking policies by `backchat.turns`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, TypeVar

from agent.errors import BackchatError, ConfigError, ContextExceeded, EngineFault, in_one_line
from agent.llm.context import ContextWindow
from agent.protocols import Engines, LanguageModel, VisionEngine
from agent.settings import Config, Section, TurnsConfig
from agent.text.normalization import language
from agent.turns.phrases import heard_language
from agent.turns.policy import BUILT_IN as POLICIES
from agent.turns.policy import Policy
from agent.weights.catalogue import Progress, resolve
from audio.stt import EndOfTurn, Transcriber
from audio.tts import Synthesizer
from audio.vad import VAD

T = TypeVar("T")
Kind = Literal["stt", "llm", "tts", "turns", "vision"]

BUILT_IN: dict[Kind, dict[str, str]] = {
    "stt": {
        "whisper": "audio.stt.whisper:Whisper",
        "moonshine": "audio.stt.moonshine:Moonshine",
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
    "turns": {name: f"{made.__module__}:{made.__name__}" for name, made in POLICIES.items()},
    "vision": {"ocr": "agent.vision.ocr:OCR", "passthrough": "agent.vision.passthrough:Passthrough"},
}


RENAMED: dict[tuple[Kind, str], str] = {
    ("turns", "ladder"): "semantic",
    ("turns", "switch"): "vad",
    ("vision", "reading"): "ocr",
    ("vision", "model"): "passthrough",
}
"""Names of engines that were others before; who still uses the old one is told."""

OFFERED: dict[str, tuple[str, ...]] = {
    "stt": ("transcribe",),
    "llm": ("stream", "prefill"),
    "tts": ("rate", "language", "stream"),
    "turns": (),
    "vision": ("look",),
    "vad": ("feed",),
    "endpointing": ("complete",),
}
"""What an engine of each kind must have. Those of other packages may be older than the protocol."""


Tell = Callable[[str], None]
"""Is told what is loaded next, in words for a user."""

_KINDS: tuple[Kind, ...] = ("llm", "stt", "tts", "vision")
_TITLES: dict[Kind, str] = {"stt": "speech-to-text", "llm": "the language model", "tts": "the voice"}


def _nobody(_: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Parts that are not loaded, since the program that runs the session has made them itself."""

    stt: Transcriber | None = None
    llm: LanguageModel | None = None
    tts: Synthesizer | None = None
    vision: VisionEngine | None = None
    vad: VAD | None = None
    endpointing: EndOfTurn | None = None
    policy: Policy | None = None

    def __post_init__(self) -> None:
        for kind in ("stt", "llm", "tts", "vision", "vad", "endpointing", "policy"):
            if (part := getattr(self, kind)) is not None:
                lacks(f"{kind}: {type(part).__name__}", OFFERED["turns" if kind == "policy" else kind], part)

    def over(self, engines: Engines) -> Engines:
        """These instead of those of `engines`."""
        kinds = {"stt": "stt", "llm": "llm", "tts": "tts", "endpointing": "turn", "vision": "vision"}
        found = {name: getattr(self, kind) for kind, name in kinds.items()}
        given: dict[str, Any] = {name: part for name, part in found.items() if part is not None}
        given |= {name: _always(part) for name in ("policy", "vad") if (part := getattr(self, name))}
        names = engines.names | {kind: type(given[kind]).__name__ for kind in _TITLES if kind in given}
        return replace(engines, **given, names=names)

    def __contains__(self, kind: Kind) -> bool:
        return getattr(self, "policy" if kind == "turns" else kind) is not None


def _always(part: T) -> Callable[[Any], T]:
    """What makes nothing but this."""
    return lambda _: part


def load(
    config: Config, progress: Progress | None = None, tell: Tell = _nobody, given: Given | None = None
) -> Engines:
    """Load all engines and warm them up, fetching weights that are missing; `tell` hears what comes next.

    given: what is not loaded, but taken as it is. Raises ConfigError as `check` does, before anything is
    loaded; ModelError for weights, MissingExtra for a library, EngineFault where an engine's own code fails.
    """
    given = given or Given()
    check(config, given)
    stt: Transcriber = given.stt or load_one("stt", config, progress, tell)
    llm: LanguageModel = given.llm or load_llm(config, progress, tell)
    tts: Synthesizer = given.tts or load_one("tts", config, progress, tell)
    language(tts.language)  # the rules for what it reads, not first while somebody waits for an answer
    names = {
        "stt": f"{config.stt.engine} {model_of('stt', config)}",
        "llm": f"{config.llm.engine} {model_of('llm', config)}",
        "tts": _voice(config) if given.tts is None else "",
    }
    turn = given.endpointing or _end_of_turn(config, progress, tell)
    vision = given.vision or load_vision(config, llm)
    return given.over(Engines(stt, llm, tts, turn, vision, names, policy))


def _end_of_turn(config: Config, progress: Progress | None, tell: Tell) -> EndOfTurn | None:
    """The end-of-turn model, loaded and warm; None where the settings want none."""
    if not (name := end_of_turn_model(config)):
        return None
    from audio.smart_turn import SmartTurn

    tell(f"the end-of-turn model {name}")
    turn = SmartTurn(resolve(name, progress))
    turn.warm()
    return turn


def policy(turns: TurnsConfig) -> Policy:
    """The turn-taking policy that these settings name. Raises ConfigError for one that nobody offers."""
    return find("turns", turns.policy)(turns)


def check(config: Config, given: Given | None = None) -> None:
    """Raise ConfigError for what a conversation would be refused for only when it begins. Loads no weights.

    That is an engine, a voice or a policy of turn-taking that there is not, and a language without its words.
    given: what is not loaded.
    """
    for kind in _KINDS:
        if given is None or kind not in given:
            weights_of(kind, config)
    if given is None or "turns" not in given:
        find("turns", config.turns.policy)
    heard_language(config.stt.language)


def load_llm(config: Config, progress: Progress | None = None, tell: Tell = _nobody) -> LanguageModel:
    """The language model. Raises ConfigError where `session.system` leaves no room for a conversation."""
    llm: LanguageModel = load_one("llm", config, progress, tell)
    try:
        ContextWindow(llm, config.llm.context, config.llm.max_tokens).check(config.session.system)
    except ContextExceeded as error:
        raise ConfigError(f"session.system: {error}") from error
    return llm


def load_vision(config: Config, llm: LanguageModel) -> VisionEngine:
    """The vision engine; a picture loads its libraries. Raises ConfigError where `llm` takes none."""
    vision = load_one("vision", config)
    if getattr(vision, "hands_over", False) and not getattr(llm, "sees", False):
        raise ConfigError(
            f"vision.engine: llm.engine {config.llm.engine!r} with this model takes no pictures; "
            "choose --set vision.engine=ocr"
        )
    return vision


def load_one(kind: Kind, config: Config, progress: Progress | None = None, tell: Tell = _nobody) -> Any:
    """One engine of that kind, loaded and warmed up."""
    settings: Section = getattr(config, kind)
    given = settings.model_dump()
    factory = find(kind, given["engine"])
    wanted = inspect.signature(factory).parameters
    if name := weights_of(kind, config):
        own = getattr(factory, "fetches", None)
        given["weights"] = Path(name) if own and own(name) else resolve(name, progress)
    # An empty setting leaves the choice to the engine.
    used = {
        name: value for name, value in given.items() if name in wanted and value != "" and name != "engine"
    }
    if kind in _TITLES:
        tell(f"{_TITLES[kind]} {model_of(kind, config) or given['engine']}")
    engine = _theirs(kind, given["engine"], lambda: factory(**used))
    lacks(f"{kind}.engine: {given['engine']}", OFFERED[kind], engine, "; ask its maker for a newer version")
    if warm := getattr(engine, "warm", None):
        _theirs(kind, given["engine"], warm)
    return engine


def lacks(what: str, offered: Iterable[str], engine: object, cure: str = "") -> None:
    """Raise ConfigError where `engine` has not all that it must offer."""
    if lacking := [name for name in offered if not hasattr(engine, name)]:
        raise ConfigError(
            f"{what} has no {' and no '.join(lacking)}; docs/engines.md says what an engine offers{cure}"
        )


def _theirs(kind: Kind, name: str, work: Callable[[], T]) -> T:
    """What an engine's own code gives while it is loaded. Raises EngineFault for whatever that raises."""
    try:
        return work()
    except BackchatError:
        raise
    except Exception as error:  # engines are other people's code: theirs is the fault, ours is to say so
        raise EngineFault(f"{_setting(kind)}: {name} cannot be loaded: {in_one_line(error)}") from error


def _setting(kind: Kind) -> str:
    """The setting that names an engine of that kind."""
    return "turns.policy" if kind == "turns" else f"{kind}.engine"


def weights_of(kind: Kind, config: Config) -> str:
    """What the weights of the chosen engine are called: a name or a path; "" where it needs none.

    Raises ConfigError for an unknown engine or voice, and where the settings must name a path and do not.
    """
    settings: Section = getattr(config, kind)
    given = settings.model_dump()
    factory = find(kind, given["engine"])
    if "weights" not in inspect.signature(factory).parameters:
        return ""
    voices: dict[str, str] | None = getattr(factory, "voices", None)
    if voices is not None:
        voice = given["voice"] or next(iter(voices))
        if voice not in voices:
            raise ConfigError(f"{kind}.voice: no voice {voice!r}; {given['engine']} has {', '.join(voices)}")
        return voices[voice]
    if name := model_of(kind, config):
        return name
    raise ConfigError(f"{kind}.model: name the path of the weights; this engine has none of its own")


def model_of(kind: Kind, config: Config) -> str:
    """The model that the settings name, or the engine's own where they name none; "" where it has none."""
    given: dict[str, Any] = getattr(config, kind).model_dump()
    return given["model"] or getattr(find(kind, given["engine"]), "default_model", "")


def end_of_turn_model(config: Config) -> str:
    """The name or path of the end-of-turn model; "" where the settings want none."""
    wanted = config.turns.policy != "vad" and config.turns.meaning in ("audio", "both")
    return config.turns.model if wanted else ""


def needed(config: Config) -> dict[str, Kind]:
    """The weights that these settings need, by name, and what for: all that a conversation loads."""
    names: dict[str, Kind] = {name: kind for kind in _KINDS if (name := weights_of(kind, config))}
    if name := end_of_turn_model(config):
        names[name] = "turns"
    return names


def _voice(config: Config) -> str:
    """The voice's engine, model and name, those that it chooses itself included."""
    tts, factory = config.tts, find("tts", config.tts.engine)
    parameter = inspect.signature(factory).parameters.get("voice")
    own = parameter.default if parameter and isinstance(parameter.default, str) else ""
    return " ".join(filter(None, (tts.engine, model_of("tts", config), tts.voice or own)))


def find(kind: Kind, name: str) -> Callable[..., Any]:
    """The class behind an engine's name, imported. Raises ConfigError for a name that nobody offers."""
    places = dict(BUILT_IN[kind])
    places |= {point.name: point.value for point in entry_points(group=f"backchat.{kind}")}
    if name not in places:
        if new := RENAMED.get((kind, name)):
            raise ConfigError(f"{_setting(kind)}: {name!r} is called {new!r} now")
        known = ", ".join(sorted(places))
        what = "policy" if kind == "turns" else "engine"
        raise ConfigError(f"{_setting(kind)}: no {what} is called {name!r}; known: {known}")
    module, _, attribute = places[name].partition(":")
    return _theirs(kind, name, lambda: getattr(importlib.import_module(module), attribute))
