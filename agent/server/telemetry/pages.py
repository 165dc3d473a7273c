"""One page of figures for several processes, in Prometheus's text format. Pure; knows no metric by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

LABEL = "replica"
"""What tells the samples of one process from those of another."""


def merged(pages: Mapping[str, str]) -> bytes:
    """All of them as one, each sample with its page's name; each family is told once, as the format wants."""
    import prometheus_client
    from prometheus_client import parser

    families = dict[str, Any]()
    for name in sorted(pages):
        for family in parser.text_string_to_metric_families(pages[name]):
            whole = families.setdefault(family.name, family)
            samples = [sample._replace(labels={LABEL: name, **sample.labels}) for sample in family.samples]
            whole.samples = samples if whole is family else [*whole.samples, *samples]
    told: Any = _Told(families.values())
    return prometheus_client.generate_latest(told)


class _Told:
    """A registry of what is known already."""

    def __init__(self, families: Iterable[Any]) -> None:
        self._families = list(families)

    def collect(self) -> list[Any]:
        """Its families, as `generate_latest` asks for them."""
        return self._families
