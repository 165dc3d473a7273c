"""Kokoro voices by kokoro-onnx: text to 24 kHz speech. Knows one text at a time; nothing of replies.

Its network makes a whole sentence at once and cannot be cut as VITS can, so sentences are its parts. The
weights are the user's own: they could not be had where this was written, and it is tested on a generated
model with the same inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from audio import onnx
from audio.errors import ConfigError, EngineFault, MissingExtra, ModelError
from audio.tts import Speech, Word
from audio.tts.assembly import Spoken, assembled, pause, timed
from audio.tts.reading import Read, Reader, Sentence, sentences, sounding

RATE = 24_000
"""Sample rate of every Kokoro voice, in Hz."""

_LANGUAGES = {"a": "en-us", "b": "en-gb", "e": "es", "f": "fr-fr", "h": "hi", "i": "it", "p": "pt-br"}
"""What the first letter of a voice's name stands for; Japanese and Chinese want readers of their own."""
_LONGEST = 510
"""Phonemes that the network takes in one go."""


class Kokoro:
    """Speaks with one of Kokoro's voices.

    weights: a folder with one .onnx file and one file of voices (.bin or .npz). voice: as in "af_heart"; ""
    is that one, or the first there is. language: as espeak calls it; "" is what the voice's name says.
    speed: 0.5 (slow) to 2. threads: 0 is one for each core. The network draws its noise itself: two runs are
    not the same.

    Raises ModelError for other files, ConfigError for an unknown voice or language, MissingExtra.
    """

    def __init__(
        self, *, weights: Path, voice: str = "", language: str = "", speed: float = 1.0, threads: int = 0
    ) -> None:
        self._engine, self._faults = _loaded(weights, threads)
        names: list[str] = self._engine.get_voices()
        self._voice = voice or ("af_heart" if "af_heart" in names else names[0])
        if self._voice not in names:
            raise ConfigError(f"tts.voice: no voice {voice!r}; this Kokoro has {', '.join(names[:60])}")
        self._language = language or _LANGUAGES.get(self._voice[:1], "")
        self._speed = speed
        self._reader = Reader(self._said)
        try:
            self._said("a")
        except RuntimeError as error:
            raise ConfigError(
                f"tts.language: espeak cannot read {self._language or self._voice!r} ({error}); name another"
            ) from error

    @property
    def rate(self) -> int:
        """24,000 Hz."""
        return RATE

    @property
    def language(self) -> str:
        """As espeak calls it."""
        return self._language

    def warm(self) -> None:
        """Speak once, unheard: the first run is slower."""
        for _ in self.stream("Warming up."):
            pass

    def stream(self, text: str) -> Iterator[Speech]:
        """Yield `text` as speech, one sentence at a time.

        A sentence is trimmed to what is audible and ends with the pause that its punctuation asks for. Word
        times are the network's durations where the file gives them out, else an even share. Raises
        EngineFault when synthesis fails.
        """
        for sentence in sentences(text):
            try:
                read = self._reader.read(text, sentence)
                if not read.phonemes:
                    continue
                yield from self._spoken(text, sentence, read)
            except self._faults as error:
                raise EngineFault(f"the voice failed on {text[:40]!r}: {error}") from error

    def _spoken(self, text: str, sentence: Sentence, read: Read) -> Iterator[Speech]:
        samples, _, times = self._engine.create_timed(
            "".join(read.phonemes[:_LONGEST]),
            self._voice,
            self._speed,
            is_phonemes=True,
            trim=False,
            sentence_pause=0.0,
            clause_pause=0.0,
        )
        rest = pause(text[sentence.start : sentence.end]) / self._speed
        if times:
            sounds = [(t.phoneme, t.start, t.end) for t in times]
            words = timed(sentence.words, read.owners[: len(sounds)], sounds)
        else:
            words = [Word(start, end, 0.0, 0.0) for start, end in sentence.words]
        spoken = Spoken(sentence.start, sentence.end, words, rest, guessed=not times)
        yield from assembled([(np.asarray(samples, np.float32), True)], RATE, spoken)

    def _said(self, text: str) -> list[str]:
        phonemes: str = self._engine.tokenizer.phonemize(sounding(text), self._language)
        return list(" ".join(phonemes.split()))


def _loaded(weights: Path, threads: int) -> tuple[Any, tuple[type[Exception], ...]]:
    try:
        import kokoro_onnx
    except ImportError as error:
        raise MissingExtra("Kokoro needs kokoro-onnx", "kokoro") from error
    library: Any = kokoro_onnx
    models = sorted(weights.glob("*.onnx")) if weights.is_dir() else [weights]
    voices = sorted([*models[0].parent.glob("*.bin"), *models[0].parent.glob("*.npz")]) if models else []
    if len(models) != 1 or len(voices) != 1:
        raise ModelError(
            f"{weights} is no Kokoro: name a folder with one .onnx and one .bin or .npz of voices"
        )
    try:
        session = onnx.session(models[0], threads)
        return library.Kokoro.from_session(session, str(voices[0])), onnx.faults()
    except onnx.faults() as error:
        raise ModelError(f"{weights} cannot be loaded as Kokoro ({error})") from error
