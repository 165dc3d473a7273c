"""From text to the tokens of a Coqui VITS model, and back to the words. Knows alphabets; no network."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

from audio.errors import MissingExtra, ModelError
from audio.tts.reading import Reader, sounding


class Symbols:
    """A model's alphabet and the way it reads, from its `config`, which is changed: Coqui's own tokenizer is
    built without a phonemizer, because it runs a program, once a clause, that may not be installed.

    phonemized: whether the model reads phonemes. Raises MissingExtra where nothing can give them.
    """

    def __init__(self, config: Any) -> None:
        from TTS.tts.utils.text.characters import IPAPhonemes
        from TTS.tts.utils.text.tokenizer import TTSTokenizer

        self.phonemized = bool(config.use_phonemes)
        phonemes: Callable[[str], list[str]] = _phonemizer(config) if self.phonemized else _letters
        config.use_phonemes = False
        if self.phonemized and not (config.characters and config.characters.characters_class):
            letters: Any = IPAPhonemes
            config.characters = letters.init_from_config(copy.copy(config))[0].to_config()
            config.characters.characters_class = "TTS.tts.utils.text.characters.IPAPhonemes"
        tokenizer: Any = TTSTokenizer
        self._tokenizer, _ = tokenizer.init_from_config(config)
        self.language: str = config.phoneme_language or _of_data(config)
        self.reader = Reader(lambda text: phonemes(self._cleaned(text)))

    def encoded(self, symbols: Sequence[str]) -> tuple[list[int], list[tuple[int, int]]]:
        """The tokens of a sentence, and for each symbol the half-open range of tokens, its blank included."""
        known, blank = self._tokenizer.characters, self._tokenizer.add_blank
        ids: list[int] = [known.blank_id] if blank else []
        shift = 1 if self._tokenizer.use_eos_bos else 0
        places: list[tuple[int, int]] = []
        for symbol in symbols:
            begin = len(ids)
            if symbol in known.vocab:
                ids += [known.char_to_id(symbol), *([known.blank_id] if blank else [])]
            places.append((begin + shift, len(ids) + shift))
        return ([known.bos_id, *ids, known.eos_id] if shift else ids), places

    def _cleaned(self, text: str) -> str:
        text = sounding(text)
        cleaner = self._tokenizer.text_cleaner
        return cleaner(text, lang=self.language.partition("-")[0] or "en") if cleaner else text


def _of_data(config: Any) -> str:
    """The language of the recordings that a model was made from; "" where there is not one."""
    languages = {entry["language"] for entry in config.datasets or () if entry["language"]}
    return languages.pop() if len(languages) == 1 else ""


def _letters(text: str) -> list[str]:
    return list(text)


def _phonemizer(config: Any) -> Callable[[str], list[str]]:
    name, language = config.phonemizer or "espeak", config.phoneme_language or "en-us"
    if name == "espeak" and importlib.util.find_spec("piper") is not None:
        from audio.tts.vits.espeak import Phonemizer

        return Phonemizer.of("en-us" if language == "en" else language).said
    from TTS.tts.utils.text.phonemizers import get_phonemizer_by_name

    library: Any = get_phonemizer_by_name
    try:
        made = library(name, language=language)
    except (FileNotFoundError, ValueError, ImportError) as error:
        lacking = f"this voice reads with {name}, which is not installed"
        if name == "espeak":
            raise MissingExtra(lacking, "piper") from error
        raise ModelError(f"{lacking}; type: pip install 'coqui-tts[{language}]'") from error
    return lambda text: list(made.phonemize(text, separator="", language=language))
