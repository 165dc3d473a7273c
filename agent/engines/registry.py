"""From a name in the configuration to a loaded engine. Knows where engines are, not what they do.

An engine is a class whose constructor takes, by keyword, those settings of its section that it uses,
and `weights`, a path, when it needs any; what else the class may say of itself stands in `agent.protocols`.
Other packages add engines by entry points in the groups `backchat.stt`, `backchat.llm`, `backchat.tts`,
`backchat.vad`, `backchat.wake`, `backchat.endpointing`, `backchat.speakers` and `backchat.vision`;
turn-taking policies by `backchat.turns`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from agent import languages
from agent.engines.built_in import BUILT_IN, Kind
from agent.errors import (
    BackchatError,
    ConfigError,
    ContextExceeded,
    EngineFault,
    MissingExtra,
    in_one_line,
)
from agent.llm.context import ContextWindow
from agent.protocols import (
    Engines,
    FetchesModels,
    HasDefaultModel,
    HasVoices,
    LanguageModel,
    PassesPictures,
    TakesPictures,
    VisionEngine,
    WarmsUp,
)
from agent.settings import Config, Section, STTConfig, TurnsConfig, VADConfig, WakeConfig
from agent.speakers import Enrolled, SpeakerRecognition, check_lists
from agent.text.normalization import language
from agent.tools.registry import distinct, loaded, servers
from agent.tools.registry import weights as tools_weights
from agent.tools.tool import Tool
from agent.turns import phrases
from agent.turns.policy import Policy
from agent.weights.catalogue import Progress, catalogue, resolve
from audio.stt import EndOfTurn, ScoresTokens, TakesContext, Transcriber
from audio.tts import ChangesVoice, Synthesizer
from audio.vad import VAD
from audio.wake import ListsWords, WakeWord

T = TypeVar("T")

SETTINGS: dict[Kind, tuple[str, str]] = {
    "stt": ("stt", "engine"),
    "llm": ("llm", "engine"),
    "tts": ("tts", "engine"),
    "vad": ("vad", "engine"),
    "wake": ("wake", "engine"),
    "endpointing": ("turns", "endpointing"),
    "speakers": ("speakers", "engine"),
    "turns": ("turns", "policy"),
    "vision": ("vision", "engine"),
}
"""What names the engine of each kind: a section, whose settings the engine may take, and a key in it."""

RENAMED: dict[tuple[Kind, str], str] = {
    ("turns", "ladder"): "semantic",
    ("turns", "switch"): "vad",
    ("vision", "reading"): "ocr",
    ("vision", "model"): "passthrough",
}
"""Names of engines that were others before; who still uses the old one is told."""

OFFERED: dict[Kind, tuple[str, ...]] = {
    "stt": ("transcribe",),
    "llm": ("stream", "prefill"),
    "tts": ("rate", "language", "stream"),
    "vad": ("feed",),
    "wake": ("feed",),
    "endpointing": ("complete",),
    "speakers": ("model", "bounds", "embed"),
    "turns": (
        "config",
        "onset",
        "no_speech",
        "speech_started",
        "paused",
        "resumed",
        "too_long",
        "understood",
        "ready",
        "words",
        "tick",
        "replying",
        "reply_over",
    ),
    "vision": ("look",),
}
"""What an engine of each kind must have. Those of other packages may be older than the protocol."""

NEWER = "; ask its maker for a newer version"

Tell = Callable[[str], None]
"""Is told what is loaded next, in words for a user."""

_TITLES: dict[Kind, str] = {
    "stt": "speech-to-text",
    "llm": "the language model",
    "tts": "the voice",
    "endpointing": "the end-of-turn model",
    "speakers": "what tells voices apart",
}


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
    tools: Sequence[Tool] = ()

    def __post_init__(self) -> None:
        for name, part in self._parts().items():
            lacks(f"{name}: {type(part).__name__}", OFFERED["turns" if name == "policy" else name], part)

    def over(self, engines: Engines) -> Engines:
        """These instead of those of `engines`."""
        given = self._parts()
        names = {name: type(part).__name__ for name, part in given.items() if name in engines.names}
        given |= {name: _always(given[name]) for name in ("policy", "vad") if name in given}
        tools = distinct((*engines.tools, *self.tools))
        return replace(engines, **given, names=engines.names | names, tools=tools)

    def __contains__(self, kind: Kind) -> bool:
        return ("policy" if kind == "turns" else kind) in self._parts()

    def _parts(self) -> dict[Any, Any]:
        """What is given, by name; but for tools, of which there may be more."""
        parts = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "tools"}
        return {name: part for name, part in parts.items() if part is not None}


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
    # Each session makes its own of these: what is wrong with them shows now.
    if "vad" not in given:
        vad(config.vad)
    if config.wake.model:
        wake(config.wake)
    if "turns" not in given:
        policy(config.turns)
    stt: Transcriber = given.stt or load_one("stt", config, progress, tell)
    if config.stt.prompt and not isinstance(stt, TakesContext):
        raise ConfigError(f"stt.prompt: the engine {config.stt.engine!r} takes none; leave it out")
    if config.stt.scores and not isinstance(stt, ScoresTokens):
        raise ConfigError(f"stt.scores: the engine {config.stt.engine!r} tells none; leave it out")
    llm: LanguageModel = given.llm or load_llm(config, progress, tell)
    tts: Synthesizer = given.tts or load_one("tts", config, progress, tell)
    _ready(tts, config)
    names = {
        "stt": f"{config.stt.engine} {model_of('stt', config)}",
        "llm": f"{config.llm.engine} {model_of('llm', config)}",
        "tts": _voice(config) if given.tts is None else "",
    }
    endpointing = given.endpointing or load_endpointing(config, progress, tell)
    vision = given.vision or load_vision(config, llm)
    speakers = load_speakers(config, progress, tell)
    for name in tools_weights(config.tools):
        tell(name)
        resolve(name, progress)
    tools, boxes = loaded(config.tools), servers(config.tools)
    return given.over(
        Engines(stt, llm, tts, endpointing, vision, names, policy, vad, wake, speakers, tools, boxes)
    )


def spoken_languages(stt: STTConfig) -> tuple[str, ...]:
    """The languages that may be spoken, of those that there are words for. Raises ConfigError."""
    if stt.language != "auto":
        if stt.languages:
            raise ConfigError(
                "stt.languages: counts only with --set stt.language=auto; leave out one of them"
            )
        return (stt.language,)
    return stt.languages or tuple(languages.folders())


def _ready(tts: Synthesizer, config: Config) -> None:
    """Have the voice, and the rules for what it reads, ready for each language that it may have to speak."""
    language(tts.language)
    if config.stt.language != "auto" or not isinstance(tts, ChangesVoice):
        return
    known = {languages.code(each) for each in tts.loaded_voices.values()}
    for code in spoken_languages(config.stt):
        if code in known and code != languages.code(tts.language):
            voice = tts.with_voice(language=code)
            language(code)
            if isinstance(voice, WarmsUp):
                voice.warm()


def load_endpointing(
    config: Config, progress: Progress | None = None, tell: Tell = _nobody
) -> EndOfTurn | None:
    """What tells by its sound whether a turn is over, loaded and warm; None where the settings want none."""
    return load_one("endpointing", config, progress, tell) if config.turns.by_sound else None


def load_speakers(
    config: Config, progress: Progress | None = None, tell: Tell = _nobody
) -> SpeakerRecognition | None:
    """What tells whose voice is heard; None where that makes no difference. Raises as `Enrolled` does."""
    check_lists(config.speakers)
    if not config.speakers.only:
        return None
    return Enrolled(load_one("speakers", config, progress, tell), config.speakers)


def vad(settings: VADConfig) -> VAD:
    """What hears speech in one stream, as these settings name it. Raises ConfigError, EngineFault."""
    return load_one("vad", Config(vad=settings))


def wake_words(config: Config) -> dict[str, str]:
    """The wake words that come with the engine, and what to say for each; none where it has no list."""
    try:
        factory = find("wake", config.wake.engine)
        return dict(factory.words()) if isinstance(factory, ListsWords) else {}
    except MissingExtra:
        return {}


def wake(settings: WakeConfig) -> WakeWord:
    """What hears the wake word in one stream, as these settings name it. Raises as `load_one` does."""
    return load_one("wake", Config(wake=settings))


def policy(turns: TurnsConfig) -> Policy:
    """The turn-taking policy that these settings name. Raises ConfigError, EngineFault."""
    found: Policy = _theirs("turns", turns.policy, lambda: find("turns", turns.policy)(turns))
    lacks(f"turns.policy: {turns.policy}", OFFERED["turns"], found, NEWER)
    return found


def check(config: Config, given: Given | None = None) -> None:
    """Raise ConfigError for what a conversation would be refused for only when it begins. Loads no weights.

    That is an engine, a voice or a policy of turn-taking that there is not, and a language without its words.
    given: what is not loaded.
    """
    for kind in SETTINGS:
        if given is None or kind not in given:
            weights_of(kind, config)
    for code in spoken_languages(config.stt):
        phrases.language(code)


def alike(one: Config, other: Config) -> bool:
    """Whether what `load` gives for one is what it gives for the other."""

    def loaded(config: Config) -> tuple[object, ...]:
        turns = (config.turns.endpointing, config.turns.model) if config.turns.by_sound else None
        return config.llm, config.stt, config.tts, config.vision, config.speakers, turns

    return loaded(one) == loaded(other)


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
    vision: VisionEngine = load_one("vision", config)
    passes = isinstance(vision, PassesPictures) and vision.passes_pictures
    if passes and not (isinstance(llm, TakesPictures) and llm.takes_pictures):
        raise ConfigError(
            f"vision.engine: llm.engine {config.llm.engine!r} with this model takes no pictures; "
            "choose --set vision.engine=ocr"
        )
    return vision


def load_one(
    kind: Kind, config: Config, progress: Progress | None = None, tell: Tell = _nobody, *, warm: bool = True
) -> Any:
    """One engine of that kind, loaded and warmed up; `warm` is False for who uses it once."""
    chosen, given = _chosen(kind, config)
    factory = find(kind, chosen)
    wanted = inspect.signature(factory).parameters
    if name := weights_of(kind, config):
        given["weights"] = Path(name) if fetches(factory, name) else resolve(name, progress)
        model = catalogue().get(name)
        if model is not None:
            given |= {key: value for key, value in model.settings.items() if not given.get(key)}
    # An empty setting leaves the choice to the engine.
    used = {name: value for name, value in given.items() if name in wanted and value != ""}
    if kind in _TITLES:
        tell(f"{_TITLES[kind]} {model_of(kind, config) or chosen}")
    engine = _theirs(kind, chosen, lambda: factory(**used))
    lacks(f"{setting(kind)}: {chosen}", OFFERED[kind], engine, NEWER)
    if warm and isinstance(engine, WarmsUp):
        _theirs(kind, chosen, engine.warm)
    return engine


def _chosen(kind: Kind, config: Config) -> tuple[str, dict[str, Any]]:
    """The name of the engine of that kind, and the other settings of its section."""
    section, key = SETTINGS[kind]
    settings: Section = getattr(config, section)
    given = settings.model_dump()
    return given.pop(key), given


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
        raise EngineFault(f"{setting(kind)}: {name} cannot be loaded: {in_one_line(error)}") from error


def setting(kind: Kind) -> str:
    """The setting that names an engine of that kind, as it is written."""
    return ".".join(SETTINGS[kind])


def weights_of(kind: Kind, config: Config) -> str:
    """What the weights of the chosen engine are called: a name or a path; "" where none are needed.

    Raises ConfigError for an unknown engine or voice, and where the settings must name a path and do not.
    """
    chosen, given = _chosen(kind, config)
    factory = find(kind, chosen)
    used = {"endpointing": config.turns.by_sound, "speakers": bool(config.speakers.only)}
    unused = not used.get(kind, True)
    if unused or "weights" not in inspect.signature(factory).parameters:
        return ""
    if isinstance(factory, HasVoices):
        voices = factory.voices
        voice = given["voice"] or next(iter(voices))
        if voice not in voices:
            raise ConfigError(f"{kind}.voice: no voice {voice!r}; {chosen} has {', '.join(voices)}")
        return voices[voice]
    if name := model_of(kind, config):
        return name
    raise ConfigError(
        f"{SETTINGS[kind][0]}.model: name the path of the weights; this engine has none of its own"
    )


def model_of(kind: Kind, config: Config) -> str:
    """The model that the settings name, or the engine's own where they name none; "" where it has none."""
    chosen, given = _chosen(kind, config)
    factory = find(kind, chosen)
    own = factory.default_model if isinstance(factory, HasDefaultModel) else ""
    return given.get("model") or own


def fetches(factory: object, model: str) -> bool:
    """Whether an engine's class gets these weights its own way."""
    return isinstance(factory, FetchesModels) and factory.fetches(model)


def needed(config: Config) -> dict[str, Kind | None]:
    """The weights that these settings need, by name, and of what engine; all that a conversation loads."""
    wanted: dict[str, Kind | None] = {name: kind for kind in SETTINGS if (name := weights_of(kind, config))}
    return wanted | dict.fromkeys(tools_weights(config.tools))


def _voice(config: Config) -> str:
    """The voice's engine, model and name, those that it chooses itself included."""
    tts, factory = config.tts, find("tts", config.tts.engine)
    parameter = inspect.signature(factory).parameters.get("voice")
    own = parameter.default if parameter and isinstance(parameter.default, str) else ""
    return " ".join(filter(None, (tts.engine, model_of("tts", config), tts.voice or own)))


def find(kind: Kind, name: str) -> Callable[..., Any]:
    """The class behind an engine's name, imported. Raises ConfigError for a name that nobody offers."""
    if name in BUILT_IN[kind]:  # all other packages are looked through for the others only
        place = BUILT_IN[kind][name].place
    else:
        places = {point.name: point.value for point in entry_points(group=f"backchat.{kind}")}
        if name not in places:
            if new := RENAMED.get((kind, name)):
                raise ConfigError(f"{setting(kind)}: {name!r} is called {new!r} now")
            known = ", ".join(sorted({*BUILT_IN[kind], *places}))
            what = "policy" if kind == "turns" else "engine"
            raise ConfigError(f"{setting(kind)}: no {what} is called {name!r}; known: {known}")
        place = places[name]
    module, _, attribute = place.partition(":")
    return _theirs(kind, name, lambda: getattr(importlib.import_module(module), attribute))
