"""What is left of the machine, measured: how much the sessions take, and how long they wait for each other.

Knows no session and no engine. It is told of each item of work, and keeps the last `WINDOW` seconds.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable

import numpy as np

from agent.order import Kind

WINDOW = 10.0
"""Seconds that count."""
RECENT = 2.0
"""Of them those that count by themselves."""
SAMPLE = 0.25
"""Seconds between two looks at the time that the process has computed."""
BORNE = 0.3
"""Seconds that one item in ten may have waited for its engine: an answer waits for several in a row."""
FEW = 5
"""Items of an engine below which nothing is said of how long they wait for it."""


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
        self._waits: dict[str, deque[tuple[float, float]]] = defaultdict(deque)

    def note(self, engine: str, kind: Kind, waited: float) -> None:
        """An item has waited so long (s) for this engine."""
        now = self._look()
        if kind == "needed":
            self._waits[engine].append((now, waited))

    @property
    def share(self) -> float:
        """Share of the cores that this process has taken, 0 to 1.

        In the whole window, or in its last `RECENT` seconds where that was more: they have who has just come.
        """
        now, cpu = self._look(), self._cpu()
        recent = next((each for each in self._samples if each[0] >= now - RECENT), self._samples[-1])
        shares = [(cpu - c) / max(now - at, SAMPLE) / self._cores for at, c in (self._samples[0], recent)]
        return max(shares)

    @property
    def wait(self) -> float:
        """Seconds that nine of ten items did not wait longer for the engine that is waited for longest.

        Of one that had few items nothing is known.
        """
        self._look()
        known = [[waited for _, waited in waits] for waits in self._waits.values() if len(waits) >= FEW]
        return max((float(np.percentile(waits, 90)) for waits in known), default=0.0)

    def full(self, most: float) -> bool:
        """Whether one more would be one too many: by the share that may be taken, or by how they wait.

        most: 1 and more never is.
        """
        return most < 1 and (self.share > most or self.wait > BORNE)

    def _look(self) -> float:
        """The time (s), with what is too old forgotten."""
        now = self._clock()
        if now - self._samples[-1][0] >= SAMPLE:
            self._samples.append((now, self._cpu()))
        while len(self._samples) > 1 and self._samples[1][0] <= now - WINDOW:
            self._samples.popleft()
        for waits in self._waits.values():
            while waits and waits[0][0] < now - WINDOW:
                waits.popleft()
        return now
