"""Several channels as one, without losing what the mean would cancel. Pure; knows no files."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

_DEAD = 1e-4
"""A channel whose loudest moment has less than this share of the loudest channel's power is dead (-40 dB)."""

_AGAINST = -0.5
"""Below this correlation with the strongest channel another one is taken for wired the wrong way round."""

_MOMENT = 4096
"""Sample frames in a moment: 0.26 s at 16 kHz."""


def weights(blocks: Iterable[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """By how much each channel of the blocks, shape (n, channels), goes into the mix, shape (channels,).

    Ordinary stereo and surround give the mean. A channel that is dead is left out, so that the others keep
    their level; one in antiphase is turned round. Judged over the whole file, so that nothing changes in
    the middle of a word. A channel with a single word in an hour is not dead: its loudest moment counts.
    """
    together: npt.NDArray[np.float64] = np.zeros((0, 0))
    loudest: npt.NDArray[np.float32] = np.zeros(0, np.float32)
    for block in blocks:
        if loudest.size == 0:
            together = np.zeros((block.shape[1], block.shape[1]))
            loudest = np.zeros_like(block[0])
        together += block.T @ block
        moments = np.add.reduceat(block * block, np.arange(0, len(block), _MOMENT), axis=0)
        loudest = np.maximum(loudest, moments.max(axis=0))
    alive = loudest > _DEAD * loudest.max(initial=0.0)
    if not alive.any():
        return np.full(max(1, loudest.size), 1 / max(1, loudest.size), np.float32)
    power = np.diag(together)
    strongest = int(np.argmax(power))
    scale = np.sqrt(power * power[strongest])
    correlation = np.divide(together[strongest], scale, out=np.zeros_like(scale), where=scale > 0)
    signs = np.where(correlation < _AGAINST, -1.0, 1.0)
    return (signs * alive / alive.sum()).astype(np.float32)
