"""What packages need: names of distributions, from what is installed."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(distribution: str, extras: set[str]) -> set[str]:
    """Names of all distributions that this one needs with these extras, and that those need in turn."""
    seen: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(distribution), extra) for extra in {"", *extras}]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for line in metadata.requires(name) or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(requirement.name), e) for e in {"", *requirement.extras}]
    return {name for name, _ in seen}


def modules(distributions: set[str]) -> set[str]:
    """The top-level modules that these distributions bring."""
    return {
        module
        for module, owners in metadata.packages_distributions().items()
        if distributions & {canonicalize_name(owner) for owner in owners}
    }
