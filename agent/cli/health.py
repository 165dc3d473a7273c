"""What `doctor` finds out about this installation and this machine: extras, threads. Prints nothing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

import agent
from agent.settings import Config
from audio.stt.whisper import physical_cores

NAME = "backchat"
PACKAGES = ("agent", "audio")
"""Its packages, as they are imported."""


@dataclass(frozen=True, slots=True)
class Extra:
    """An optional part. packages: those that are usable, by version; lacking: those that are not, and why."""

    name: str
    packages: dict[str, str]
    lacking: tuple[str, ...]


def extras() -> list[Extra]:
    """Every extra that the package itself names, but for those that contain others ("all", "dev").

    Empty where backchat was not installed but is run from its source.
    """
    try:
        names: list[str] = metadata(NAME).get_all("Provides-Extra") or []
        lines = [Requirement(line) for line in requires(NAME) or ()]
    except PackageNotFoundError:
        return []
    modules = _modules()
    parts = {name: [each for each in lines if _belongs(each, name)] for name in names}
    packages = {name: {each.name for each in own} for name, own in parts.items()}
    found: list[Extra] = []
    for name, own in parts.items():
        if any(packages[other] < packages[name] for other in names):
            continue
        lacking = tuple(why for each in own if (why := _lacking(each, modules)))
        there = {each.name: version(each.name) for each in own if not _lacking(each, modules)}
        found.append(Extra(name, there, lacking))
    return found


def shadows() -> list[str]:
    """What hides our packages, or would hide them from a program in this folder, and what to do about it."""
    ours = Path(agent.__file__).parents[1]
    found = [
        f"{path} hides backchat's package `{name}` from programs in this folder; rename it"
        for name in PACKAGES
        for path in (Path.cwd() / f"{name}.py", Path.cwd() / name / "__init__.py")
        if path.exists() and Path.cwd() != ours
    ]
    for name, owners in packages_distributions().items():
        if name in PACKAGES and (others := sorted({*map(_plain, owners)} - {NAME})):
            found.append(
                f"{', '.join(others)} has a package `{name}` too, over backchat's; uninstall it, or install "
                "backchat in an environment of its own"
            )
    return found


def _belongs(requirement: Requirement, extra: str) -> bool:
    """Whether only this extra asks for it, on this machine."""
    marker = requirement.marker
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _lacking(requirement: Requirement, modules: dict[str, list[str]]) -> str:
    """Why this requirement is not met; empty when it is. Nothing is imported: that may take seconds."""
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return requirement.name
    if not requirement.specifier.contains(found, prereleases=True):
        return f"{requirement.name} {found} is not {requirement.specifier}"
    absent = [each for each in modules.get(_plain(requirement.name), ()) if find_spec(each) is None]
    return f"{requirement.name} (its module {absent[0]} is gone)" if absent else ""


def _modules() -> dict[str, list[str]]:
    """The top-level modules of each installed package, by its plain name."""
    found: dict[str, list[str]] = {}
    for module, packages in packages_distributions().items():
        for package in packages:
            if module.isidentifier():
                found.setdefault(_plain(package), []).append(module)
    return found


def _plain(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def busy() -> float:
    """Processes that ran or waited for a core, the mean of the last minute; 0 where it is not known."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def threads(config: Config) -> dict[str, int]:
    """How many threads each part takes while it computes, by its title; a server elsewhere takes none."""
    every = os.cpu_count() or 1
    usual = {"llm": every, "stt": max(1, physical_cores() // 2), "tts": every}
    titles = {"llm": "language model", "stt": "speech-to-text", "tts": "voice"}
    found: dict[str, int] = {}
    for kind, title in titles.items():
        section: Any = getattr(config, kind)
        if (kind, section.engine) != ("llm", "openai"):
            found[title] = section.threads or usual[kind]
    return found


def crowded(config: Config, load: float) -> str:
    """What to type where the language model's threads do not find a core each; empty where they do.

    They wait for each other at every step, so one that has to wait for a core holds up all: on two cores,
    beside one busy process, the default model's answer was measured at 11.5 s, and with one thread at 0.5 s.
    """
    taken = threads(config).get("language model", 0)
    free = max(1, cores() - round(load))
    return (
        f"the language model's threads wait for each other: --set llm.threads={free}" if taken > free else ""
    )
