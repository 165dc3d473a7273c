"""Short soft sounds that say something without words. Knows not what."""

from __future__ import annotations

import numpy as np

from audio.frame import Samples

NOTE = 0.09
"""Seconds of one note."""

LEVEL = 0.05
"""Peak of a note: -26 dBFS, well below a voice."""

RISING, FALLING = (659.26, 880.0), (880.0, 659.26)
"""Hz of two notes, E5 and A5: up says "I am listening", down that nobody does any more."""


def chime(notes: tuple[float, ...], rate: int) -> Samples:
    """The notes (Hz) one after the other at `rate`: sines that swell and fade, so that nothing clicks."""
    time = np.arange(round(NOTE * rate)) / rate
    swell = LEVEL * np.sin(np.pi * time / NOTE) ** 2
    return np.concatenate([swell * np.sin(2 * np.pi * note * time) for note in notes]).astype(np.float32)
