"""Every engine there is, whether it can be used, and what to type if not. Loads and fetches nothing."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any, Literal, get_args

from agent.engines.built_in import BUILT_IN, MODULES, Kind
from agent.engines.registry import SETTINGS, fetches, find, weights_of
from agent.errors import ConfigError, ModelError
from agent.protocols import KnowsItsWeights
from agent.settings import Config, Section
from agent.weights import catalogue as models
from audio.extras import how_to_install

State = Literal["ready", "extra missing", "weights missing", "elsewhere"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One engine. cure: what to type or do where it is not ready, or what it will do of itself.

    source: the package that offers it. chosen: whether the settings name it.
    """

    kind: Kind
    name: str
    state: State
    cure: str
    licence: str
    about: str
    source: str
    chosen: bool


def listing(config: Config) -> list[Entry]:
    """All engines by kind: the built-in ones, then those of other packages. `config`: what is chosen."""
    found: list[Entry] = []
    for kind in get_args(Kind):
        chosen = _chosen(kind, config)
        found += [_built_in(kind, name, config, name == chosen) for name in BUILT_IN[kind]]
        found += [_offered(kind, point, point.name == chosen) for point in _points(kind)]
    return found


def _chosen(kind: Kind, config: Config) -> str:
    """The engine that the settings name; none where they have nothing for it to do."""
    idle = {"wake": not config.wake.model, "speakers": not config.speakers.only}
    section, key = SETTINGS[kind]
    return "" if idle.get(kind, False) else getattr(getattr(config, section), key)


def _points(kind: Kind) -> Iterator[EntryPoint]:
    yield from sorted(entry_points(group=f"backchat.{kind}"), key=lambda point: point.name)


def _built_in(kind: Kind, name: str, config: Config, chosen: bool) -> Entry:
    known = BUILT_IN[kind][name]
    state, cure = _state(kind, name, known.extra, config, chosen)
    return Entry(kind, name, state, cure, known.licence, known.about, "backchat", chosen)


def _state(kind: Kind, name: str, extra: str, config: Config, chosen: bool) -> tuple[State, str]:
    if any(find_spec(module) is None for module in MODULES.get(extra, ())):
        return "extra missing", how_to_install(extra)
    if extra == "cluster":
        return "elsewhere", "backchat serve --cluster starts it, and uses it by itself"
    factory = find(kind, name)
    wanted = inspect.signature(factory).parameters
    if "base_url" in wanted:
        return "elsewhere", f"start a server at {config.llm.base_url}, or set {kind}.base_url"
    if "weights" not in wanted:
        return "ready", ""
    if "projector" in wanted and not config.llm.projector:
        return "weights missing", f"give its projector with --set {kind}.projector=PATH"
    try:
        model = weights_of(kind, config if chosen else _defaults(kind, name))
    except ConfigError as error:
        return "weights missing", str(error)
    if not model:
        return "ready", ""
    if fetches(factory, model):  # whether they are here only trying would show
        return "ready", f"fetches {model} where it is not here yet"
    try:
        here = models.locate(model) if model in models.catalogue() else models.resolve(model)
    except ModelError as error:
        return "weights missing", str(error)
    if here and isinstance(factory, KnowsItsWeights) and not factory.reads(here):
        return "weights missing", f"{model} is in another format: give others with --set {kind}.model=PATH"
    return ("ready", "") if here else ("weights missing", f"backchat models pull {model}")


def _defaults(kind: Kind, engine: str) -> Config:
    """The default settings, with that engine."""
    section, key = SETTINGS[kind]
    settings: Section = getattr(Config(), section)
    return Config().model_copy(update={section: settings.model_copy(update={key: engine})})


def _offered(kind: Kind, point: EntryPoint, chosen: bool) -> Entry:
    """An engine of another package. It is not imported: that may take long, or fail."""
    metadata: Any = point.dist.metadata if point.dist else {}
    licence = metadata.get("License-Expression") or metadata.get("License") or "not said"
    about, source = metadata.get("Summary") or "", metadata.get("Name") or "another package"
    module = point.value.partition(":")[0]
    here = find_spec(module.partition(".")[0]) is not None
    state: State = "ready" if here else "extra missing"
    cure = "" if here else f"pip install --force-reinstall {source}: its module {module} is not there"
    return Entry(kind, point.name, state, cure, licence.partition("\n")[0], about, source, chosen)
