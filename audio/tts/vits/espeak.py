"""From text to the phonemes that VITS voices were trained on, by espeak-ng. Knows no voice and no timing.

espeak-ng comes inside the package piper-tts (GPL), as a library with its data: nothing to install besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from audio.errors import ConfigError, MissingExtra
from audio.tts.reading import sounding

_STOPS = ".!?"


@dataclass(slots=True)
class Phonemizer:
    """Reads text in the way that a Piper voice's `config` asks for.

    Raises MissingExtra without piper-tts, ConfigError for a language that espeak does not know.
    """

    config: Mapping[str, Any]
    _voice: Any = field(init=False)

    def __post_init__(self) -> None:
        try:
            from piper.config import PiperConfig
            from piper.voice import PiperVoice
        except ImportError as error:
            raise MissingExtra("this voice reads with espeak, which is not installed", "piper") from error
        nothing: Any = None  # the network is ours to run: only its reading is wanted here
        self._voice = PiperVoice(session=nothing, config=PiperConfig.from_dict(dict(self.config)))
        try:
            self.said("a")
        except RuntimeError as error:
            language = self.config["espeak"]["voice"]
            raise ConfigError(f"tts.language: espeak does not know {language!r} ({error})") from error

    @classmethod
    def of(cls, language: str) -> Phonemizer:
        """A reader by espeak's name of a language: en-us, en-gb, de, fr-fr, ..."""
        nothing: dict[str, list[int]] = {}
        audio = {"sample_rate": 1}
        espeak = {"voice": language}
        return cls(
            {"num_symbols": 0, "num_speakers": 1, "audio": audio, "espeak": espeak, "phoneme_id_map": nothing}
        )

    def said(self, text: str) -> list[str]:
        """The phonemes of one sentence, single code points, with its punctuation."""
        parts: list[list[str]] = [part for part in self._voice.phonemize(sounding(text)) if part]
        said: list[str] = []
        for part in parts[:-1]:
            # espeak ends sentences at "Dr." too; where they end was decided before.
            said += [*(part[:-1] if part[-1] in _STOPS else part), " "]
        return said + (parts[-1] if parts else [])
