"""What this installation has and lacks: extras, and what hides our packages. Prints nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions, requires, version
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

import agent

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
        if any(len(packages[other]) > 1 and packages[other] < packages[name] for other in names):
            continue  # a single package may be what both need
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
