"""When the samples of a live stream sound, from timestamps that jitter. Knows no device and no clock."""

from __future__ import annotations

JUMP = 0.05
"""Seconds: a timestamp that far off is no jitter, sound was lost or the device has changed its mind."""

_TRUST = 0.02
"""Share of each timestamp's deviation that is believed: what jitters averages out, drift is followed."""


class Steady:
    """Times for the blocks of an unbroken stream at `rate` Hz: even, yet true to the timestamps.

    A first-order tracking loop: each block follows the last one, pulled a little towards its timestamp.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._end: float | None = None

    def place(self, count: int, measured: float) -> float:
        """The time of the first of the next `count` samples, whose timestamp (s) is `measured`."""
        expected = measured if self._end is None else self._end
        error = measured - expected
        begin = measured if abs(error) > JUMP else expected + _TRUST * error
        self._end = begin + count / self.rate
        return begin
