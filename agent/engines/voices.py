"""Every voice that can be chosen by name, with its language. Loads and fetches nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from agent import languages
from agent.engines.built_in import BUILT_IN, MODULES
from agent.engines.registry import find, model_of
from agent.errors import ConfigError
from agent.protocols import ListsVoices
from agent.settings import Config, TTSConfig
from agent.weights import catalogue as models
from audio.extras import how_to_install


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice: the settings `tts.engine` and `tts.voice` that choose it, and its language, as "en-gb"."""

    engine: str
    name: str
    language: str


@dataclass(frozen=True, slots=True)
class Missing:
    """An engine whose voices are not known yet, and what to type to have them."""

    engine: str
    cure: str


def listing() -> Iterator[Voice | Missing]:
    """The voices of the engines that name them, with the weights that they take of themselves."""
    for engine, known in BUILT_IN["tts"].items():
        if any(find_spec(module) is None for module in MODULES.get(known.extra, ())):
            if engine == "kokoro":
                yield Missing(engine, how_to_install(known.extra))
            continue
        factory = find("tts", engine)
        if not isinstance(factory, ListsVoices):
            continue
        model = model_of("tts", Config(tts=TTSConfig(engine=engine)))
        weights = models.locate(model) if model else None
        if model and weights is None:
            yield Missing(engine, f"backchat models pull {model}")
            continue
        for name, language in factory.voices_in(weights).items():
            yield Voice(engine, name, language)


def chosen(names: tuple[str, ...], language: str | None) -> tuple[list[Voice], list[Missing]]:
    """The voices with one of these names, of this language; all where neither is given.

    language: "en" is also "en-gb". Raises ConfigError for a name or language that no voice here has.
    """
    found = list(listing())
    known = [each for each in found if isinstance(each, Voice)]
    missing = [each for each in found if isinstance(each, Missing)]
    more = "".join(f"; {each.engine} is not here: {each.cure}" for each in missing)
    for name in names:
        if name not in {voice.name for voice in known}:
            raise ConfigError(f"no voice here is called {name!r}; `backchat voices` lists them{more}")
    if language is not None:
        wanted = language.lower().replace("_", "-")
        known = [v for v in known if wanted in (v.language, languages.code(v.language))]
        if not known:
            raise ConfigError(f"no voice here speaks {language!r}; `backchat voices` lists them{more}")
    return [voice for voice in known if not names or voice.name in names], missing
