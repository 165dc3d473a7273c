"""How Kokoro's text is read: by espeak, or by misaki where it was trained on that. Knows no sound."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from audio.errors import ConfigError, MissingExtra
from audio.tts.reading import sounding

_ESPEAK = {"en": "en-us", "fr": "fr-fr", "pt": "pt-br"}
"""What espeak calls a language, where that is another name."""
_MISAKI = {"zh": ("kokoro-zh", "jieba"), "ja": ("kokoro-ja", "pyopenjtalk")}
"""Languages whose phonemes by espeak are not those that the network was trained on: the extra that has its
own, and a module that shows whether that is installed."""


_HAN = re.compile("[\u3400-\u9fff]")
_PARTS = re.compile("[\u3400-\u9fff]+|[A-Za-z][A-Za-z' -]*|[^\u3400-\u9fffA-Za-z]+")
_NO_PHONEME = "\u032f"
"""Misaki's mark of a short vowel, which the network does not know."""


@dataclass(slots=True)
class Phonemes:
    """Reads text in one language. ids: the phonemes that the network knows, by what it calls them."""

    ids: Mapping[str, int]
    _read: Callable[[str], str]

    def said(self, text: str) -> list[str]:
        """The phonemes of a sentence that the network knows, with its punctuation."""
        return [sound for sound in self._read(" ".join(sounding(text).split())) if sound in self.ids]


def reader(language: str) -> Phonemes:
    """What reads that language. Raises ConfigError for one that nobody can read, MissingExtra."""
    try:
        from kokoro_onnx import tokenizer
        from phonemizer.backend import EspeakBackend
        from phonemizer.logger import get_logger
    except ImportError as error:
        raise MissingExtra("Kokoro needs kokoro-onnx", "kokoro") from error
    known: Any = tokenizer.Tokenizer()
    ids: Mapping[str, int] = known.vocab  # which also says where espeak's library is
    # Its log goes to the terminal: words that espeak joins are nothing that a user must know.
    espeak = partial(EspeakBackend, logger=get_logger("quiet"))
    code = language.partition("-")[0]
    return Phonemes(
        ids, _misaki(code, _espeak(espeak, "en")) if code in _MISAKI else _espeak(espeak, language)
    )


def readable(language: str) -> bool:
    """Whether what reads that language is installed."""
    _, module = _MISAKI.get(language.partition("-")[0], ("", ""))
    return not module or find_spec(module) is not None


def _misaki(language: str, english: Callable[[str], str]) -> Callable[[str], str]:
    extra, module = _MISAKI[language]
    try:
        import_module(module)
        readers = import_module(f"misaki.{language}")
    except ImportError as error:
        raise MissingExtra(f"Kokoro needs misaki and {module} to read {language!r}", extra) from error
    if language == "zh":
        return _chinese(readers.ZHG2P, english)
    read = readers.JAG2P(version="pyopenjtalk")
    return lambda text: _unpitched(str(read(text)[0]))


def _unpitched(read: str) -> str:
    """misaki puts behind the phonemes of Japanese as many marks of their pitch, which are not for Kokoro."""
    return read[: len(read) // 2]


def _chinese(misaki: Any, english: Callable[[str], str]) -> Callable[[str], str]:
    """Han by misaki's pinyin, word by word, and other letters as English: it would say these as phonemes."""
    words: Any = import_module("jieba").Tokenizer()
    # Its own way keeps the dictionary where anybody may write, in /tmp/jieba.cache, and tells the terminal.
    words.FREQ, words.total = words.gen_pfdict(words.get_dict_file())
    words.initialized = True

    @cache
    def word(han: str) -> str:
        try:
            return str(misaki.word2ipa(han)).replace(_NO_PHONEME, "")
        except (KeyError, ValueError, IndexError):  # a letter without a reading
            return ""

    word("好")  # the first reading loads pinyin's tables

    def part(text: str) -> str:
        if _HAN.match(text):
            return " ".join(map(word, words.lcut(text)))
        return f"{english(text)} " if text[0].isascii() and text[0].isalpha() else text

    def read(text: str) -> str:
        return "".join(map(part, _PARTS.findall(misaki.map_punctuation(text))))

    return read


def _espeak(backend: Any, language: str) -> Callable[[str], str]:
    try:
        # Each has a copy of espeak of its own, so that its state is never shared. A word in another language
        # is not marked with "(en)", whose letters would be spoken.
        espeak = backend(
            _ESPEAK.get(language, language),
            preserve_punctuation=True,
            with_stress=True,
            language_switch="remove-flags",
        )
    except RuntimeError as error:
        raise ConfigError(f"tts.language: espeak cannot read {language!r} ({error}); name another") from error
    return lambda text: "".join(espeak.phonemize([text], strip=True))
