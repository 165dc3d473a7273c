"""Kokoro voices: text to 24 kHz speech in nine languages. Knows one text at a time; nothing of replies."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import numpy as np

from audio import onnx
from audio.errors import ConfigError, EngineFault, MissingExtra, ModelError
from audio.frame import Samples
from audio.tts import Gender, Speech, Word
from audio.tts.assembly import Spoken, assembled, pause, timed
from audio.tts.kokoro_graph import Said, opened
from audio.tts.kokoro_phonemes import Phonemes, readable, reader
from audio.tts.reading import Read, Reader, Sentence, sentences

RATE = 24_000
"""Sample rate of every Kokoro voice, in Hz."""

LANGUAGES = {
    "a": "en-us",
    "b": "en-gb",
    "e": "es",
    "f": "fr",
    "h": "hi",
    "i": "it",
    "j": "ja",
    "p": "pt-br",
    "z": "zh",
}
"""What the first letter of a voice's name stands for."""
GENDERS: dict[str, Gender] = {"f": "female", "m": "male"}
"""What its second letter stands for."""
_LONGEST = 510
"""Phonemes that the network takes in one go."""


class Kokoro:
    """Speaks with one of Kokoro's voices.

    weights: a folder with one .onnx file and its voices: one file of them all (.bin or .npz, as of
    kokoro-onnx) or a .bin for each. voice: as in "af_heart"; "": that one, or of another language its first.
    language: an ISO code or espeak's name; "" is what the voice's name says. speed: 0.5 (slow) to 2. threads:
    0 is one for each core. As published its network draws no noise: the same words sound the same.

    Raises ModelError for other files, ConfigError for an unknown voice or language, MissingExtra.
    """

    default_model = "kokoro"

    def __init__(
        self, *, weights: Path, voice: str = "", language: str = "", speed: float = 1.0, threads: int = 0
    ) -> None:
        _installed()
        self._weights, self._speed = weights, speed
        model, _ = _files(weights)
        self._voices = voices(weights)
        self._readers = dict[str, _Reading]()
        self._made = dict[str, np.ndarray]()
        self._choose(voice, language)
        self._reading()
        self._network = opened(model, threads)
        self._style()
        self._faults = onnx.faults()

    def _choose(self, voice: str, language: str) -> None:
        self._voice = _chosen(self._voices, voice, language)
        self._language = language or LANGUAGES.get(self._voice[:1], "")

    @property
    def voice(self) -> str:
        """The name of the voice that speaks."""
        return self._voice

    @property
    def loaded_voices(self) -> Mapping[str, str]:
        """Those that lie with its weights and can be read to."""
        return _readable(self._voices)

    def gender(self, voice: str) -> Gender:
        """What the second letter of its name says."""
        return GENDERS.get(voice[1:2], "")

    def with_voice(self, voice: str = "", language: str = "") -> Self:
        """The same network with another voice; of its sex, where the language has one."""
        if not voice and not language:
            return self
        made, name = copy(self), voice or self._voice
        if language and code(LANGUAGES.get(name[:1], "")) != code(language):
            name = _like(name, self._voices, language)
        made._choose(name, "")
        return made

    def _reading(self) -> _Reading:
        """How its language is read; by its own copy of espeak, which is made once."""
        if self._language not in self._readers:
            phonemes = reader(self._language)
            self._readers[self._language] = _Reading(phonemes, Reader(phonemes.said))
        return self._readers[self._language]

    def _style(self) -> np.ndarray:
        """What makes its voice, read once."""
        if self._voice not in self._made:
            self._made[self._voice] = _styles(self._weights, self._voice, self._network.style)
        return self._made[self._voice]

    @classmethod
    def voices_in(cls, weights: Path | None) -> Mapping[str, str]:
        """The voices that lie there and can be read to, each with its language. Raises ModelError."""
        return _readable(voices(weights) if weights is not None else [])

    @property
    def rate(self) -> int:
        """24,000 Hz."""
        return RATE

    @property
    def language(self) -> str:
        """As the settings or the voice's name have it."""
        return self._language

    def warm(self) -> None:
        """Speak once, unheard: the first run is slower."""
        for _ in self.stream("Ah."):
            pass

    def faster(self, factor: float) -> Kokoro:
        """The same voice, so many times as fast."""
        made = copy(self)
        made._speed = self._speed * factor
        return made

    def stream(self, text: str) -> Iterator[Speech]:
        """Yield `text` as speech, sentence by sentence, each in chunks where the network's file allows it.

        A sentence is trimmed to what is audible and ends with the pause that its punctuation asks for. Word
        times are the network's durations where the file has them, else an even share. Raises EngineFault when
        synthesis fails.
        """
        for sentence in sentences(text):
            try:
                read = self._reading().reader.read(text, sentence)
                if read.phonemes:
                    yield from self._spoken(text, sentence, read)
            except self._faults as error:
                raise EngineFault(f"the voice failed on {text[:40]!r}: {error}") from error

    def _spoken(self, text: str, sentence: Sentence, read: Read) -> Iterator[Speech]:
        runs = list(_runs(read.phonemes))
        said = [self._said(phonemes) for phonemes in runs]
        rest = pause(text[sentence.start : sentence.end]) / self._speed
        if sounds := _timed(runs, said):
            words = timed(sentence.words, read.owners, sounds)
        else:
            words = [Word(start, end, 0.0, 0.0) for start, end in sentence.words]
        spoken = Spoken(sentence.start, sentence.end, words, rest, guessed=not sounds)
        yield from assembled(_with_last(said), RATE, spoken)

    def _said(self, phonemes: Sequence[str]) -> Said:
        ids = [self._reading().phonemes.ids[each] for each in phonemes]
        return self._network.say(ids, self._style()[len(ids) - 1], self._speed)


def _timed(runs: Sequence[Sequence[str]], said: Sequence[Said]) -> list[tuple[str, float, float]]:
    """Each phoneme with when it begins and ends (s); none where the network does not say."""
    found, at = list[tuple[str, float, float]](), 0.0
    for phonemes, each in zip(runs, said, strict=True):
        if each.edges is None:
            return []
        times = at + each.edges / RATE
        found += zip(phonemes, times[:-1].tolist(), times[1:].tolist(), strict=True)
        at += each.length / RATE
    return found


def _with_last(said: Sequence[Said]) -> Iterator[tuple[Samples, bool]]:
    """All chunks, and with each whether it is the last one."""
    left = sum(each.length for each in said)
    for each in said:
        for samples in each.chunks:
            left -= len(samples)
            yield samples, left == 0


def _installed() -> None:
    """Raises MissingExtra without the libraries: who has neither these nor weights is told of these first."""
    for library in ("kokoro_onnx", "onnx"):
        if find_spec(library) is None:
            raise MissingExtra(f"Kokoro needs the package {library.replace('_', '-')}", "kokoro")


def _chosen(known: list[str], voice: str, language: str) -> str:
    """The voice that these settings mean. Raises ConfigError where there is none."""
    if voice:
        if voice not in known:
            raise ConfigError(f"tts.voice: no voice {voice!r}; this Kokoro has {', '.join(known)}")
        return voice
    if not language:
        return "af_heart" if "af_heart" in known else known[0]
    wanted = code(language)
    fitting = [name for name in known if code(LANGUAGES.get(name[:1], "")) == wanted]
    exact = [name for name in fitting if LANGUAGES[name[0]] == language]
    if not fitting:
        spoken = ", ".join(sorted({LANGUAGES[name[0]] for name in known if name[0] in LANGUAGES}))
        raise ConfigError(
            f"tts.language: Kokoro has no voice for {language!r}; it has {spoken}. "
            "Name a voice with tts.voice to have it read by that one"
        )
    return (exact or fitting)[0]


def _readable(names: Sequence[str]) -> dict[str, str]:
    """Those of these voices that can be read to, each with its language."""
    found = {name: LANGUAGES.get(name[:1], "") for name in names}
    return {name: language for name, language in found.items() if readable(language)}


def _like(voice: str, known: list[str], language: str) -> str:
    """The voice for that language of the sex that the second letter of a name says, else its first.

    Raises ConfigError where there is none.
    """
    first = _chosen(known, "", language)
    alike = [name for name in known if name[:1] == first[:1] and name[1:2] == voice[1:2]]
    return first if first in alike or not alike else alike[0]


def _runs(phonemes: Sequence[str]) -> Iterator[Sequence[str]]:
    """The phonemes in runs that the network takes, cut between words where there is one."""
    while len(phonemes) > _LONGEST:
        spaces = [at for at in range(1, _LONGEST) if phonemes[at] == " "]
        cut = spaces[-1] if spaces else _LONGEST
        yield phonemes[:cut]
        phonemes = phonemes[cut:]
    if phonemes:
        yield phonemes


@dataclass(frozen=True, slots=True)
class _Reading:
    """How one language is read."""

    phonemes: Phonemes
    reader: Reader


def _files(weights: Path) -> tuple[Path, list[Path]]:
    """The network's file and those of its voices. Raises ModelError where it is not one with some."""
    models = sorted(weights.glob("*.onnx")) if weights.is_dir() else [weights]
    found = sorted([*models[0].parent.glob("*.bin"), *models[0].parent.glob("*.npz")]) if models else []
    if len(models) != 1 or not found:
        raise ModelError(
            f"{weights} is no Kokoro: name a folder with one .onnx and its voices, in one .bin or .npz or in "
            "a .bin for each"
        )
    return models[0], found


def code(language: str) -> str:
    """The ISO code of a language by that or espeak's name: "pt" for "pt-br"."""
    return language.partition("-")[0]


def voices(weights: Path) -> list[str]:
    """The names of the voices that lie there. Raises ModelError."""
    _, files = _files(weights)
    try:
        return sorted(name for file in files for name in _names(file))
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{weights} cannot be loaded as Kokoro ({error})") from error


def _names(file: Path) -> list[str]:
    """The voices in a file: numpy's archive names them, else it is one and called like its file."""
    if not zipfile.is_zipfile(file):
        return [file.stem]
    with zipfile.ZipFile(file) as archive:
        return [re.sub(r"\.npy$", "", name) for name in archive.namelist()]


def _styles(weights: Path, voice: str, width: int) -> np.ndarray:
    """What makes the voice, shape (510, 1, width): for each number of phonemes one. Raises ModelError."""
    file = next(file for file in _files(weights)[1] if voice in _names(file))
    try:
        if zipfile.is_zipfile(file):
            with np.load(file) as archive:
                styles = np.asarray(archive[voice])
        else:
            styles = np.fromfile(file, "<f4")
        styles = styles.astype(np.float32).reshape(-1, 1, width)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{file} is no voice of this Kokoro ({error})") from error
    if len(styles) < _LONGEST:
        raise ModelError(f"{file} is no voice of this Kokoro (it has {len(styles)} styles, not {_LONGEST})")
    return styles
