"""Counts that only grow, told once a burst: what a device loses comes in crowds. Pure; knows no device."""

from __future__ import annotations

from dataclasses import dataclass

QUIET, LONGEST = 1.0, 10.0
"""Seconds without another loss after which a burst is over, and after which one that goes on is told."""


@dataclass(slots=True)
class Bursts:
    """Follows one count, in order of time. `news` is how much a burst has lost, once, and else 0."""

    _told: int = 0
    _seen: int = 0
    _began: float = 0.0
    _last: float = 0.0

    def news(self, count: int, now: float) -> int:
        """What was lost in the burst that is over at `now` (s), or has gone on for long; `count`: in all."""
        if count > self._seen:
            self._began = now if self._seen == self._told else self._began
            self._seen, self._last = count, now
        over = now - self._last >= QUIET or now - self._began >= LONGEST
        return self.rest() if over else 0

    def rest(self) -> int:
        """What was lost and is not told yet; with this it is."""
        lost, self._told = self._seen - self._told, self._seen
        return lost
