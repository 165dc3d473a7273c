"""The hibari voice: text to 24 kHz speech with word times. Knows one text at a time; nothing of replies.

hibari's network computes how long each phoneme lasts but does not give it out. Protocol buffers merge a
repeated message into the first one, so a few bytes appended to the model declare that inner tensor as
one more output; the sound stays the same to the bit. Checked with hibari-tts 0.2.1.
"""

from __future__ import annotations

import difflib
import itertools
import re
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt

from audio import onnx
from audio.errors import ConfigError, EngineFault, ModelError
from audio.frame import Samples, silence
from audio.tts import Speech, Word
from audio.tts.assembly import pause as pause_after

RATE = 24_000
"""Sample rate of every hibari voice, in Hz."""

_AUDIBLE = 10 ** (-50 / 20)
_MARGIN_BEFORE, _MARGIN_AFTER = 240, 720
"""Samples kept around the audible part: 10 ms and 30 ms, for soft onsets and the last decay."""
_FADE = 120
"""Samples of fade at each end, 5 ms: no click."""

_DURATIONS = "/Clip_output_0"
"""The inner tensor: frames of `_FRAME` seconds that each phoneme lasts, float, shape (ids,)."""
_FRAME = 0.025
_LONGEST = 400
"""Phonemes that hibari speaks well in one go."""

_NOT_SOUNDED = frozenset(' ;:,.!?—…"“”()')


@dataclass(frozen=True, slots=True)
class _Part:
    """Phonemes that are spoken in one go, the word of the text that each belongs to, and their span."""

    phonemes: str
    owners: list[tuple[int, int]]
    start: int
    end: int


class Hibari:
    """Speaks English with one of hibari's voices.

    voice: "heart" is in the package, the others need their file as `weights`. speed: 0.5 (slow) to 2.
    seed: fixes the noise in the voice, so that the same text gives the same samples; None is random.

    Raises ConfigError for an unknown voice, ModelError when the voice's file is missing or cannot be loaded.
    """

    voices: ClassVar[dict[str, str]] = {
        "heart": "",
        "emma": "hibari-emma",
        "fenrir": "hibari-fenrir",
        "fable": "hibari-fable",
        "kore": "hibari-kore",
    }
    """What the weights of each voice are called; "": they are in the package."""

    def __init__(
        self,
        *,
        voice: str = "heart",
        weights: Path | None = None,
        speed: float = 1.0,
        seed: int | None = 0,
    ) -> None:
        self._engine, self._dsp, self._faults = _load(voice, weights)
        self._exposed = len(self._engine.sess.get_outputs()) > 6
        self._speed = speed
        self._seed = seed

    @classmethod
    def voices_in(cls, weights: Path | None) -> Mapping[str, str]:
        """All voices, each with its English."""
        return {name: "en-gb" if name in ("emma", "fable") else "en-us" for name in cls.voices}

    @property
    def rate(self) -> int:
        """24,000 Hz."""
        return RATE

    @property
    def language(self) -> str:
        """English."""
        return "en"

    def warm(self) -> None:
        """Speak once, unheard: the dictionaries and the reader of unknown words load with the first words."""
        for _ in self.stream("Warming up the zorblaxian."):
            pass

    def faster(self, factor: float) -> Hibari:
        """The same voice, so many times as fast."""
        made = copy(self)
        made._speed = self._speed * factor
        return made

    def stream(self, text: str) -> Iterator[Speech]:
        """Yield `text` as speech, one sentence at a time, each as soon as it is made.

        Each part is trimmed to what is audible and ends with the pause that its punctuation asks for.
        Words are the whitespace-delimited words of `text` that sound, with the punctuation on them; their
        times are the network's own phoneme durations (25 ms steps), drawn in to the audible samples.
        Raises EngineFault when synthesis fails.
        """
        rng = np.random.default_rng(self._seed)
        try:
            for part in self._parts(text):
                samples, spans = self._say(part, rng)
                if (speech := _trimmed(samples, spans, part, text, self._speed)) is not None:
                    yield speech
        except self._faults as error:
            raise EngineFault(f"the voice failed on {text[:40]!r}: {error}") from error

    def _parts(self, text: str) -> Iterator[_Part]:
        """The parts of `text` to speak, covering it from its first character to its last."""
        sentences: list[str] = self._engine.split_sentences(text)
        starts: list[int] = []
        position = 0
        for sentence in sentences:
            starts.append(text.index(sentence, position))
            position = starts[-1] + len(sentence)
        done = 0
        waiting: _Part | None = None
        for begin, stop in itertools.pairwise([*starts, len(text)]):
            for phonemes, owners in self._read(text, begin, stop):
                # A part ends where the next that sounds begins: what lies between has no sound of its own.
                if waiting is not None:
                    done = owners[0][0]
                    yield _Part(waiting.phonemes, waiting.owners, waiting.start, done)
                waiting = _Part(phonemes, owners, done, len(text))
        if waiting is not None:
            yield waiting

    def _read(self, text: str, begin: int, stop: int) -> Iterator[tuple[str, list[tuple[int, int]]]]:
        """Phonemes of one sentence, and for each the span of the word in `text` that it belongs to."""
        from hibari.g2p.normalize import normalize  # pyright: ignore[reportUnknownVariableType]

        words = [(begin + m.start(), begin + m.end()) for m in re.finditer(r"\S+", text[begin:stop])]
        g2p = self._engine.g2p
        phonemes, spoken = "", [""]
        read_as: list[int] = []
        for token in g2p.phonemize_tokens(g2p.tokenize(normalize(text[begin:stop]))):
            sounds = "".join(c for c in token.phonemes or "" if c in self._engine.vocab)
            spoken[-1] += token.text
            if token.whitespace:
                sounds += " "
            phonemes += sounds
            read_as += [len(spoken) - 1] * len(sounds)
            if token.whitespace:
                spoken.append("")
        if all(c in _NOT_SOUNDED for c in phonemes):
            return
        expected = [max(1, len(str(normalize(text[a:b])).split())) for a, b in words]
        index = align([text[a:b] for a, b in words], spoken, expected)
        owners = [words[index[k]] for k in read_as]
        for a, b in _pieces(phonemes, owners):
            sounds = phonemes[a:b].strip()
            first = phonemes.index(sounds, a)
            yield sounds, owners[first : first + len(sounds)]

    def _say(
        self, part: _Part, rng: np.random.Generator
    ) -> tuple[Samples, dict[tuple[int, int], tuple[float, float]]]:
        """Samples of the part, and begin and finish in seconds of each word in it."""
        ids = self._engine.ids(part.phonemes)
        inputs = {"ids": np.array([ids], np.int64), "speed": np.array([self._speed], np.float32)}
        outputs = self._engine.sess.run(None, inputs)
        samples: Samples = self._dsp.synth(*(o[0] for o in outputs[:6]), rng)
        edges = np.cumsum(outputs[6]) * _FRAME if self._exposed else _even_edges(samples, len(ids))
        spans: dict[tuple[int, int], tuple[float, float]] = {}
        for n, (phoneme, owner) in enumerate(zip(part.phonemes, part.owners, strict=True)):
            if phoneme not in _NOT_SOUNDED:  # edges[0] ends the pad before the first phoneme
                begin = spans[owner][0] if owner in spans else float(edges[n])
                spans[owner] = (begin, float(edges[n + 1]))
        return samples, spans


def align(written: Sequence[str], spoken: Sequence[str], expected: Sequence[int]) -> list[int]:
    """For each spoken word the index of the written word that it reads ("7:30" is "seven thirty").

    expected: into how many spoken words each written one expands when read alone. Words that are alike
    are matched (Ratcliff and Obershelp, as in difflib); a stretch between matches is shared out in
    order, in proportion to `expected`.
    """
    keys = [[re.sub(r"[^\w]", "", w).lower() or w for w in words] for words in (written, spoken)]
    index = [0] * len(spoken)
    for _, a, b, c, d in difflib.SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        candidates = [i for i in range(a, b) for _ in range(expected[i])] or [max(0, a - 1)]
        for k in range(c, d):
            index[k] = candidates[(k - c) * len(candidates) // (d - c)]
    return index


def _pieces(phonemes: str, owners: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Ranges of at most `_LONGEST` phonemes, cut between words and best after a clause."""
    begin = 0
    while len(phonemes) - begin > _LONGEST:
        between = [n for n in range(begin + 1, len(phonemes)) if owners[n] != owners[n - 1]]
        fitting = [n for n in between if n - begin <= _LONGEST] or between[:1]
        if not fitting:
            break
        clauses = [n for n in fitting if phonemes[n - 2 : n - 1] in {",", ";", ":", "—"}]
        yield begin, (clauses or fitting)[-1]
        begin = (clauses or fitting)[-1]
    yield begin, len(phonemes)


def _trimmed(
    samples: Samples, spans: dict[tuple[int, int], tuple[float, float]], part: _Part, text: str, speed: float
) -> Speech | None:
    """The audible part of `samples` with its pause, words moved along; None when nothing is audible."""
    audible = np.flatnonzero(np.abs(samples) > _AUDIBLE)
    if len(audible) == 0:
        return None
    first = max(0, int(audible[0]) - _MARGIN_BEFORE)
    sound = samples[first : int(audible[-1]) + 1 + _MARGIN_AFTER].copy()
    ramp = np.linspace(0.0, 1.0, min(_FADE, len(sound)), dtype=np.float32)
    sound[: len(ramp)] *= ramp
    sound[len(sound) - len(ramp) :] *= ramp[::-1]
    words: list[Word] = []
    for (start, end), (begin, finish) in spans.items():
        # A phoneme before a pause lasts through the pause: a word is over when its sound is.
        heard = audible[np.searchsorted(audible, begin * RATE) : np.searchsorted(audible, finish * RATE)]
        begin, finish = (heard[0], heard[-1] + 1) if len(heard) else (begin * RATE, finish * RATE)
        limits = np.clip([begin - first, finish - first], 0, len(sound)) / RATE
        words.append(Word(start, end, float(limits[0]), float(limits[1])))
    pause = pause_after(text[part.start : part.end]) / speed
    return Speech(np.concatenate([sound, silence(pause, RATE)]), RATE, part.start, part.end, tuple(words))


def _even_edges(samples: Samples, count: int) -> npt.NDArray[np.float64]:
    """Ends of `count` phonemes, two of them pads, in seconds: an even share of the audible part each.

    For a voice whose model does not name its durations as this file knows them.
    """
    audible = np.flatnonzero(np.abs(samples) > _AUDIBLE)
    ends = (audible[0], audible[-1]) if len(audible) else (0, len(samples))
    return np.append(np.linspace(ends[0], ends[1], count - 1), len(samples)) / RATE


@contextmanager
def _transforms_of_numpy() -> Generator[None]:
    """Within, hibari takes its Fourier transforms from numpy, as it does where scipy is missing.

    Measured, five seconds of speech take 2 ms more, and a start a tenth less: scipy.fft is 250 modules.
    """
    modules = cast(dict[str, Any], sys.modules)
    hidden = "scipy.fft" not in modules
    if hidden:
        modules["scipy.fft"] = None  # which makes its import fail
    try:
        yield
    finally:
        if hidden:
            del modules["scipy.fft"]


def _load(voice: str, weights: Path | None) -> tuple[Any, Any, tuple[type[Exception], ...]]:
    """hibari's engine over the model with its durations exposed, hibari's DSP, and what either may raise."""
    with _transforms_of_numpy():
        import hibari
        import hibari.dsp
        import hibari.voices

    library: Any = hibari  # no type stubs, here and below
    voices: Any = hibari.voices
    faults = onnx.faults()
    if voice not in voices.VOICES:
        raise ConfigError(f"tts.voice: no voice {voice!r}; hibari has {', '.join(voices.VOICES)}")
    try:
        # hibari itself would fetch what is missing, wherever it likes: it never gets to.
        model = (weights or Path(voices.voice_path(voice, download_missing=False))).read_bytes()
        if _DURATIONS.encode() in model:
            model += _declare_output(_DURATIONS)
        engine = library.Hibari(voice=voice, model=model)
        engine.model_path = voice  # or it would keep the bytes of the model, too
        return engine, hibari.dsp, faults
    except faults as error:
        raise ModelError(
            f"the voice {voice!r} cannot be loaded ({error}); use --set tts.voice=heart"
        ) from error


def _declare_output(name: str) -> bytes:
    """Bytes that, appended to a serialized ONNX model, declare the tensor `name` as its last output.

    Field numbers from onnx.proto3: ModelProto.graph 7, GraphProto.output 12, ValueInfoProto.name 1.
    """
    message = name.encode()
    for field in (1, 12, 7):
        message = bytes([field << 3 | 2, len(message)]) + message
    return message
