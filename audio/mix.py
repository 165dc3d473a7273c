"""Several channels as one, without losing what the mean would cancel. Pure; knows no files."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_DEAD = 1e-4
"""A channel whose loudest moment has less than this share of the loudest channel's power is dead (-40 dB)."""

_AGAINST = -0.5
"""Below this correlation with the strongest channel another one is taken for wired the wrong way round."""

_MOMENT = 4096
"""Sample frames in a moment: 0.26 s at 16 kHz."""


class Mixing:
    """What is known so far of the channels of a file that comes in blocks, shape (n, channels)."""

    def __init__(self, channels: int) -> None:
        self._together: npt.NDArray[np.float64] = np.zeros((channels, channels))
        self._loudest: npt.NDArray[np.float32] = np.zeros(channels, np.float32)

    def add(self, block: npt.NDArray[np.float32]) -> None:
        """The next block."""
        self._together += block.T @ block
        moments = np.add.reduceat(block * block, np.arange(0, len(block), _MOMENT), axis=0)
        self._loudest = np.maximum(self._loudest, moments.max(axis=0, initial=0.0))

    def weights(self) -> npt.NDArray[np.float32]:
        """By how much each channel goes into the mix, shape (channels,).

        Ordinary stereo and surround give the mean. A channel that is dead is left out, so that the others
        keep their level; one in antiphase is turned round. Judged over the whole file, so that nothing
        changes in the middle of a word. A channel with a single word in an hour is not dead: its loudest
        moment counts.
        """
        alive = self._loudest > _DEAD * self._loudest.max()
        if not alive.any():
            mean: npt.NDArray[np.float32] = np.full(len(self._loudest), 1 / len(self._loudest), np.float32)
            return mean
        power = np.diag(self._together)
        strongest = int(np.argmax(power))
        scale: npt.NDArray[np.float64] = np.sqrt(power * power[strongest])
        correlation = np.divide(self._together[strongest], scale, out=np.zeros_like(scale), where=scale > 0)
        signs = np.where(correlation < _AGAINST, -1.0, 1.0)
        return (signs * alive / alive.sum()).astype(np.float32)
