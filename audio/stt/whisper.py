"""Whisper on CTranslate2. Knows no other engine, and not where weights come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from audio import torch_library
from audio.cores import physical_cores
from audio.errors import EngineFault, ModelError, first_line
from audio.frame import HEARING_RATE, Samples
from audio.stt.mel import log_mel
from audio.stt.shortwindow import Decoded, ShortWindow, even_frames, token_cap
from audio.stt.tokens import detokenise, prompt


class Whisper(ShortWindow):
    """A `Transcriber` for any Whisper model in CTranslate2's format, English-only or multilingual."""

    default_model = "whisper-tiny.en"

    def __init__(
        self,
        weights: Path,
        *,
        language: str = "en",
        threads: int = 0,
        window: float = 10.0,
        device: Literal["cpu", "cuda"] = "cpu",
    ) -> None:
        """Load the model in the folder `weights` (model.bin, config.json and the vocabulary).

        language: ISO code of what is spoken, or "auto": the model says for each utterance. threads: 0 means
        half of the cores; the decoder gains nothing from more, and the language model needs the rest.
        window: the shortest stretch, in seconds, that speech is padded to; 30 is Whisper's own padding.
        Raises ModelError when the weights are missing or broken, ConfigError for a language that the
        model does not know.
        """
        super().__init__(window)
        import ctranslate2

        names = _vocabulary(weights)
        engine = cast(Any, ctranslate2)  # it ships no types
        try:
            # Against float32, int8 takes about half the time and gets 1 word in 100 more wrong (tiny.en,
            # 880 words: 33 against 24 errors, nearly all of them in one hard synthetic voice).
            with torch_library.threads_kept():
                self._model: Any = engine.models.Whisper(
                    str(weights),
                    device=device,
                    compute_type="int8" if device == "cpu" else "float16",
                    intra_threads=threads or max(1, physical_cores() // 2),
                )
        except (RuntimeError, ValueError, MemoryError) as error:
            if device == "cuda":
                raise ModelError(
                    f"Whisper cannot use CUDA here ({_reason(error)}); type --set stt.device=cpu"
                ) from error
            raise ModelError(
                f"{weights}: the Whisper model is broken ({_reason(error)}); "
                "delete it, then type `backchat models pull whisper-tiny.en`"
            ) from error
        self._view: Any = engine.StorageView
        self._bins = int(self._model.n_mels)
        self._detects = language == "auto" and bool(self._model.is_multilingual)
        self._prompt = prompt(language, bool(self._model.is_multilingual), names)

    def _decode(self, samples: Samples, seconds: float) -> Decoded:
        """One greedy decode of 16 kHz `samples` (n,) padded to `seconds`."""
        cap = token_cap(len(samples) / HEARING_RATE)
        features = log_mel(samples, self._bins, even_frames(seconds))
        try:
            # Encoding by a call of its own is a fifth quicker than having `generate` do it.
            encoded = self._model.encode(self._view.from_array(features[np.newaxis]))
            spoken = self._prompt
            if self._detects:  # by the first token that the decoder would write
                spoken = [spoken[0], self._model.detect_language(encoded)[0][0][0], *spoken[2:]]
            result = self._model.generate(
                encoded,
                [spoken],
                beam_size=1,
                max_length=2 * cap,  # CTranslate2 generates at most half of max_length
                return_scores=True,
                return_no_speech_prob=True,
            )[0]
        except RuntimeError as error:
            raise EngineFault(f"whisper: {_reason(error)}") from error
        tokens: list[str] = result.sequences[0]
        return Decoded(
            detokenise(tokens), float(result.scores[0]), float(result.no_speech_prob), len(tokens) >= cap
        )


def _vocabulary(folder: Path) -> str:
    """The text of the vocabulary file; raises ModelError when a needed file is missing."""
    vocabulary = next(
        (p for p in (folder / "vocabulary.json", folder / "vocabulary.txt") if p.is_file()), None
    )
    missing = [name for name in ("model.bin", "config.json") if not (folder / name).is_file()]
    if vocabulary is None or missing:
        name = missing[0] if missing else "vocabulary.txt"
        raise ModelError(
            f"{folder}: no Whisper model here, {name} is missing; type `backchat models pull whisper-tiny.en`"
        )
    try:
        return vocabulary.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{vocabulary}: cannot be read; delete it, then type `backchat models pull whisper-tiny.en`"
        ) from error


def _reason(error: BaseException) -> str:
    """The first sentence of an engine's message, which may run over many lines."""
    return first_line(error).split(". ")[0]
