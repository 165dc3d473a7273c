"""Smart Turn v3.2: does this voice sound finished? Knows the sound only: no words, no turns, no thresholds.

The network (Daily's smart-turn, BSD-2) is Whisper tiny's encoder with a classifier on top; intonation,
rhythm and hesitation tell it whether a user has ended or only paused. Its input, as it was trained:
the last 8 s at 16 kHz with zeros before a shorter utterance, not after it; mean 0 and variance 1 over
all of that; then Whisper's features with 80 mel bins.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audio import onnx
from audio.errors import EngineFault, ModelError, first_line
from audio.frame import HEARING_RATE, Frame, Samples
from audio.segment import DECAY
from audio.stt.mel import HOP, SPAN, Features, log_mel

WINDOW = 8 * HEARING_RATE
"""Samples that the network looks at: the last 8 s."""
BINS = 80
TAIL = HEARING_RATE // 10
"""Samples kept after the last sound, 0.1 s. A longer silence alone makes the network say "finished": of 145
utterances cut in the middle it took 31 % for whole after 0.1 s of silence, 49 % after 0.2 s, 68 % after
0.4 s."""


class SmartTurn:
    """Judges an utterance by its sound. Blocking; 20 to 35 ms on a free core, 200 on a crowded one."""

    default_model = "smart-turn-v3.2"

    def __init__(self, weights: Path, threads: int = 1) -> None:
        """Load the ONNX file `weights`. threads: cores for one decision.

        Raises ModelError when the file is missing or is not that network.
        """
        if not weights.is_file():
            raise ModelError(f"{weights}: no such file; type `backchat models pull smart-turn-v3.2`")
        self._faults = onnx.faults()
        try:
            self._session = onnx.session(weights, threads)
            given = self._session.get_inputs()[0]
            if given.shape[1:] != [BINS, WINDOW // HOP]:
                raise ValueError(f"its input is {given.name} {given.shape}")
        except self._faults as error:
            raise ModelError(
                f"{weights}: this is not Smart Turn v3, or it is broken ({first_line(error)}); "
                "delete it, then type `backchat models pull smart-turn-v3.2`"
            ) from error
        self._input: str = given.name

    def warm(self) -> None:
        """Decide once, unheard, so that the first real decision is as quick as the others."""
        self.complete(Frame(np.zeros(HEARING_RATE, np.float32), HEARING_RATE))

    def complete(self, audio: Frame) -> float:
        """Probability, 0 to 1, that the user has finished, at the end of `audio`.

        audio: the utterance so far, mono, any rate and length. How much silence follows its last sound
        makes no difference (see `TAIL`). Raises EngineFault when the network fails.
        """
        try:
            outputs = self._session.run(None, {self._input: features(audio)[np.newaxis]})
        except self._faults as error:
            raise EngineFault(f"smart turn: {first_line(error)}") from error
        return float(outputs[0][0, 0])


def features(audio: Frame) -> Features:
    """What the network sees of `audio` (any rate and length): float32, shape (80, 800)."""
    # Only what is used is resampled, with a little more before it for the filter to settle in.
    recent = Frame(audio.samples[-10 * audio.rate :], audio.rate).at_rate(HEARING_RATE).samples
    heard = even_tail(recent)[-WINDOW:]
    window: Samples = np.zeros(WINDOW, dtype=np.float32)
    window[WINDOW - len(heard) :] = heard
    window = (window - window.mean()) / np.sqrt(window.var() + np.float32(1e-7))
    # The last frame reaches past the end, where the network was shown the mirrored sound.
    return log_mel(np.pad(window, (0, SPAN // 2), mode="reflect"), BINS, WINDOW // HOP)


def even_tail(samples: Samples) -> Samples:
    """16 kHz `samples` (n,) with exactly `TAIL` after the last sound, cut or filled with zeros."""
    count = len(samples) // HOP
    blocks = samples[: count * HOP].reshape(count, HOP)
    power = np.mean(np.square(blocks), axis=1)
    if not power.any():
        return samples
    last = int(np.flatnonzero(power > power.max() * 10 ** (-DECAY / 10))[-1])
    end = (last + 1) * HOP + TAIL
    return np.pad(samples[:end], (0, max(0, end - len(samples))))
