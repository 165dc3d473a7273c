"""A stream's packets in their order, each as soon as it can be had. Knows no library and no sound.

What makes it even is further inside (`agent.transports.jitter_buffer`), so nothing is held here but behind a
gap. aiortc's own buffer holds 80 ms always, and 0.3 s for good once a packet was lost: it gives out one for
each that comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

HELD = 5
"""Packets (20 ms each) that a missing one is waited for: 0.1 s of disorder."""
RESTART = 1000
"""So far from what is expected a number is no late packet, but another stream's."""


class Packet(Protocol):
    """One packet of RTP."""

    sequence_number: int


class Packets:
    """Takes packets as they come and passes them on in order. What comes too late is left out."""

    def __init__(self, pass_on: Callable[[Packet], None]) -> None:
        self._pass_on = pass_on
        self._waiting: dict[int, Packet] = {}
        self._next: int | None = None

    def add(self, packet: Packet) -> tuple[bool, None]:
        """One more. Answers as aiortc's buffer does when there is nothing to give out."""
        number = self._unwrapped(packet.sequence_number)
        if self._next is None or abs(number - self._next) > RESTART:
            self._waiting.clear()
            self._next = number
        if number >= self._next:
            self._waiting[number] = packet
        while self._waiting:
            if (ready := self._waiting.pop(self._next, None)) is not None:
                self._pass_on(ready)
                self._next += 1
            elif len(self._waiting) > HELD:
                self._next = min(self._waiting)
            else:
                break
        return False, None

    def _unwrapped(self, number: int) -> int:
        """The 16 bits of a number as one that goes on counting."""
        if self._next is None:
            return number
        return self._next + ((number - self._next + 0x8000) & 0xFFFF) - 0x8000
