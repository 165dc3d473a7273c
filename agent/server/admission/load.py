"""What is left of the machine, measured: how much the sessions take, and how long they wait for each other.

Knows no session and no engine. It is told of each item of work, and keeps the last `WINDOW` seconds.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numpy as np

from agent.order import Kind

WINDOW = 10.0
"""Seconds that count."""
SAMPLE = 0.25
"""Seconds between two looks at the time that the process has computed."""
BORNE = 0.3
"""Seconds that one item in ten may have waited for its engine: an answer waits for several in a row."""
FEW = 20
"""Items below which nothing is said of how long they wait."""


class Load:
    """The load of the last seconds.

    cores: that the process may use. clock, cpu: seconds of the wall and those that this process computed.
    """

    def __init__(
        self,
        cores: int,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._cores, self._clock, self._cpu = cores, clock, cpu
        self._samples = deque[tuple[float, float]]([(clock(), cpu())])
        self._waits = deque[tuple[float, float]]()

    def note(self, kind: Kind, waited: float) -> None:
        """An item has waited so long (s) for its engine."""
        now = self._look()
        if kind == "needed":
            self._waits.append((now, waited))

    @property
    def share(self) -> float:
        """Share of the cores that this process has taken, 0 to 1."""
        self._look()
        (began, before), (now, cpu) = self._samples[0], (self._clock(), self._cpu())
        return (cpu - before) / max(now - began, SAMPLE) / self._cores

    @property
    def wait(self) -> float:
        """Seconds that nine of ten items did not wait longer for; 0 where there were few."""
        self._look()
        if len(self._waits) < FEW:
            return 0.0
        return float(np.percentile([waited for _, waited in self._waits], 90))

    def full(self, most: float) -> bool:
        """Whether one more would be one too many: by the share that may be taken, or by how they wait."""
        return self.share > most or self.wait > BORNE

    def _look(self) -> float:
        """The time (s), with what is too old forgotten."""
        now = self._clock()
        if now - self._samples[-1][0] >= SAMPLE:
            self._samples.append((now, self._cpu()))
        while len(self._samples) > 1 and self._samples[1][0] <= now - WINDOW:
            self._samples.popleft()
        while self._waits and self._waits[0][0] < now - WINDOW:
            self._waits.popleft()
        return now
