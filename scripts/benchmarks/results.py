"""A benchmark's figures: a table to read, rows to keep, and targets that are met or missed."""

from __future__ import annotations

import json
import operator
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMPARE = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True)
class Target:
    """A figure and what it should be."""

    what: str
    value: float
    sign: str
    bound: float

    @property
    def met(self) -> bool:
        return bool(COMPARE[self.sign](self.value, self.bound))

    def line(self) -> str:
        verdict = "met   " if self.met else "MISSED"
        return f"{verdict} {self.what}: {self.value:.3f} (target {self.sign} {self.bound:g})"


@dataclass
class Results:
    """Rows of one kind, and the targets they are held against."""

    name: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row, and tell it at once: a run takes minutes, and may be ended before its table."""
        self.rows.append(row)
        print("  ".join(f"{key}={_cell(value)}" for key, value in row.items()), file=sys.stderr, flush=True)

    def target(self, what: str, value: float, sign: str, bound: float) -> None:
        self.targets.append(Target(what, value, sign, bound))

    def table(self) -> str:
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        cells = [[_cell(row.get(column, "")) for column in columns] for row in self.rows]
        widths = [max(len(c), *(len(row[i]) for row in cells)) for i, c in enumerate(columns)]
        lines = [columns, ["-" * width for width in widths], *cells]
        return "\n".join("  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines)

    def save(self, path: Path) -> None:
        kept = {
            "benchmark": self.name,
            "rows": self.rows,
            "targets": [{**vars(target), "met": target.met} for target in self.targets],
        }
        path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
