"""Linear interpolation along time, one stretch at a time. Knows torch tensors; nothing of voices.

torch's `interpolate` wants the whole sequence; where a sequence is still growing, that would be done again
from its start for each new piece. This gives the same numbers for any stretch of the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol


class Source(Protocol):
    """A sequence that may still grow."""

    def count(self, whole: bool) -> int:
        """How many positions there are that will not change; `whole`: nothing more will come."""
        ...

    def get(self, begin: int, end: int) -> Any:
        """Positions `begin` to `end`, shape (1, channels, end - begin)."""
        ...


@dataclass(slots=True)
class Growing:
    """Positions as they come, each of shape (1, channels)."""

    torch: Any
    items: list[Any] = field(default_factory=list[Any])

    def count(self, whole: bool) -> int:
        """All there are."""
        return len(self.items)

    def get(self, begin: int, end: int) -> Any:
        """Positions `begin` to `end`."""
        return self.torch.stack(self.items[begin:end], dim=2)


@dataclass(slots=True)
class Stretched:
    """`source` with `factor` times as many positions, as `interpolate(mode="linear")` does it."""

    torch: Any
    source: Source
    factor: float

    def count(self, whole: bool) -> int:
        """Positions that need no more of the source than there is."""
        there = self.source.count(whole)
        if whole:
            return int(there * self.factor)
        # Position j lies between two of the source, the later being floor((j + 0.5) / factor - 0.5) + 1.
        return max(0, math.floor((there - 0.5) * self.factor - 0.5))

    def get(self, begin: int, end: int) -> Any:
        """Positions `begin` to `end`; past the source's end its last one counts on."""
        torch = self.torch
        scale = torch.tensor(1.0 / self.factor, dtype=torch.float32)
        at = (scale * (torch.arange(begin, end) + 0.5) - 0.5).clamp(min=0.0)  # in float32, as torch does
        left = at.long()
        first, last = int(left[0]), min(int(left[-1]) + 1, self.source.count(True) - 1)
        part = self.source.get(first, last + 1)
        right = (left + 1).clamp(max=last) - first
        weight = (at - left).to(part.device)
        left, right = left.clamp(max=last).to(part.device) - first, right.to(part.device)
        return part[:, :, left] * (1 - weight) + part[:, :, right] * weight
