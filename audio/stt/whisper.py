"""Whisper on CTranslate2. Knows no other engine, and not where weights come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from audio import torch_library
from audio.cores import physical_cores
from audio.errors import EngineFault, ModelError, first_line
from audio.frame import HEARING_RATE, Frame, Samples
from audio.stt import Choose, Token, Transcript, Word, likeliest
from audio.stt.mel import HOP, log_mel
from audio.stt.shortwindow import (
    Decoded,
    ShortWindow,
    audible,
    even_frames,
    joined,
    pieces,
    scored,
    token_cap,
)
from audio.stt.tokens import (
    detokenise,
    is_control,
    languages,
    prompt,
    spans,
    spoken_token,
    tokenise,
    unwritten,
)

CONTEXT = 200
"""Tokens of what was said before that the model is told: with the answer they must fit into its 448."""
TICK = 2 * HOP / HEARING_RATE
"""Seconds of one frame of the encoder, to which a token is aligned."""
SILENT = 0.03
"""Share of a word's loudest sample (-30 dB) below which no sound of it is."""


class Whisper(ShortWindow):
    """A `Transcriber` for any Whisper model in CTranslate2's format, English-only or multilingual."""

    default_model = "whisper-tiny.en"

    def __init__(
        self,
        weights: Path,
        *,
        language: str = "en",
        languages: Sequence[str] = (),
        threads: int = 0,
        window: float = 10.0,
        device: Literal["cpu", "cuda"] = "cpu",
    ) -> None:
        """Load the model in the folder `weights` (model.bin, config.json and the vocabulary).

        language: ISO code of what is spoken, or "auto": the model says for each utterance, among
        `languages` where that names any. threads: 0 means half of the cores; the decoder gains nothing from
        more, and the language model needs the rest.
        window: the shortest stretch, in seconds, that speech is padded to; 30 is Whisper's own padding.
        Raises ModelError when the weights are missing or broken, ConfigError for a language that the
        model does not know.
        """
        super().__init__(window)
        import ctranslate2

        names = self._numbers = _vocabulary(weights)
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
        multilingual = bool(self._model.is_multilingual)
        self.detects = language == "auto" and multilingual
        self._likeliest = partial(likeliest, among=languages)
        self._language = "en" if language == "auto" else language
        self._prompt = prompt(language, multilingual, names, languages)
        self._before: list[str] = []
        self._scores = False
        self._unwritten = dict[str, list[int]]()

    @property
    def languages(self) -> list[str]:
        """English alone, or all that the model was trained on."""
        return languages(list(self._numbers)) if self._model.is_multilingual else ["en"]

    def expecting(self, language: str = "", context: str = "") -> Whisper:
        """The same for speech in that language, and behind the last `CONTEXT` tokens of these words."""
        made = copy(self)
        if language:
            made._prompt = prompt(language, bool(self._model.is_multilingual), self._numbers)
            made.detects, made._language = False, language
        if tokens := tokenise(f" {context.strip()}" if context.strip() else "", self._numbers):
            made._before = ["<|startofprev|>", *tokens[-CONTEXT:]]
        return made

    def scoring(self) -> Whisper:
        """The same, whose transcripts have `tokens`."""
        made = copy(self)
        made._scores = True
        return made

    def transcribe_words(self, audio: Frame) -> Transcript:
        """As `transcribe`, with when each word is said: by the decoder's attention to the sound, as
        Whisper's own code does it (dynamic time warping over the heads that align).
        """
        samples, since, heard = audio.at_rate(HEARING_RATE).samples, 0.0, list[tuple[Transcript, float]]()
        for piece in pieces(samples):
            if audible(piece):
                best, doubtful = self._best(piece, None, final=True)
                said = best.transcript(doubtful)
                words = self._aligned(piece, best.tokens)
                kept = tuple(word for word in words if word.end <= len(said.text))
                heard.append((replace(said, words=kept), since))
            since += len(piece) / HEARING_RATE
        return joined(heard)

    def _aligned(self, samples: Samples, tokens: Sequence[str]) -> list[Word]:
        """When the words of these tokens are said in at most `FULL` seconds."""
        plain = [token for token in tokens if not is_control(token)]
        if not plain:
            return []
        length = len(samples) / HEARING_RATE
        try:
            encoded = self._encoded(samples, self._need(samples))
            spoken = [token for token in self._spoken(encoded) if token != "<|notimestamps|>"]
            start, numbers = ([self._numbers[token] for token in some] for some in (spoken, plain))
            (found,) = self._model.align(encoded, start, [numbers], round(length * HEARING_RATE / HOP))
        except RuntimeError as error:
            raise EngineFault(f"whisper: {_reason(error)}") from error
        begins = dict[int, float]()
        for token, frame in found.alignments:
            begins.setdefault(token, min(length, frame * TICK))
        at = [begins.get(number, length) for number in range(len(plain) + 1)]
        found = [(span, _drawn_in(samples, at[span[2]], at[span[3]])) for span in spans(plain)]
        return [Word(start, end, *times) for (start, end, _, _), times in found]

    def _encoded(self, samples: Samples, seconds: float) -> Any:
        """What the encoder makes of samples, padded to so many seconds."""
        features = log_mel(samples, self._bins, even_frames(seconds))
        return self._model.encode(self._view.from_array(features[np.newaxis]))

    def _spoken(self, encoded: Any, choose: Choose | None = None) -> list[str]:
        """The control tokens that open a transcription of what was encoded."""
        if not self.detects:
            return self._prompt
        # By the first token that the decoder would write.
        found = self._model.detect_language(encoded)[0]
        language = (choose or self._likeliest)({token[2:-2]: share for token, share in found})
        return [self._prompt[0], spoken_token(language), *self._prompt[2:]]

    def _never(self, language: str) -> list[int]:
        """The tokens that are not to be written in that language, found once."""
        if language not in self._unwritten:
            self._unwritten[language] = unwritten(language, self._numbers)
        return self._unwritten[language]

    def _decode(self, samples: Samples, seconds: float, choose: Choose | None = None) -> Decoded:
        """One greedy decode of 16 kHz `samples` (n,) padded to `seconds`."""
        cap = token_cap(len(samples) / HEARING_RATE)
        try:
            # Encoding by a call of its own is a fifth quicker than having `generate` do it.
            encoded = self._encoded(samples, seconds)
            opening = self._spoken(encoded, choose)
            language = opening[1][2:-2] if self.detects else self._language
            spoken = [*self._before, *opening]
            result = self._model.generate(
                encoded,
                [spoken],
                beam_size=1,
                suppress_tokens=[-1, *self._never(language)],  # -1: and what the model's own files say
                # CTranslate2 generates at most half of max_length, and what the prompt leaves of it.
                max_length=cap + max(cap, len(spoken)),
                return_scores=True,
                return_logits_vocab=self._scores,
                return_no_speech_prob=True,
            )[0]
        except RuntimeError as error:
            raise EngineFault(f"whisper: {_reason(error)}") from error
        tokens: list[str] = result.sequences[0]
        return Decoded(
            detokenise(tokens),
            float(result.scores[0]),
            float(result.no_speech_prob),
            len(tokens) >= cap,
            tuple(tokens),
            language,
            _scored(tokens, result) if self._scores else (),
        )


def _scored(tokens: Sequence[str], result: Any) -> tuple[Token, ...]:
    """The tokens with their probabilities. CTranslate2 gives logits, also of the end."""
    chances = list[float]()
    for number, logits in zip(result.sequences_ids[0], result.logits[0], strict=False):
        values = np.asarray(logits, np.float32)
        most = values.max()
        chances.append(float(values[number] - most - np.log(np.exp(values - most).sum())))
    return scored(tokens, chances)


def _drawn_in(samples: Samples, begin: float, finish: float) -> tuple[float, float]:
    """The same stretch (s) without what is silent at either end: attention says nothing of silence."""
    step = round(TICK * HEARING_RATE)
    first, last = round(begin / TICK), max(round(begin / TICK) + 1, round(finish / TICK))
    within = samples[first * step : last * step]
    blocks = within[: len(within) // step * step].reshape(-1, step)
    levels = np.abs(blocks).max(axis=1, initial=0.0)
    loud = np.flatnonzero(levels > SILENT * levels.max(initial=0.0))
    if not len(loud):
        return begin, max(begin, finish)
    return (first + int(loud[0])) * TICK, (first + int(loud[-1]) + 1) * TICK


def _vocabulary(folder: Path) -> Mapping[str, int]:
    """Each token's number; raises ModelError when a needed file is missing or none."""
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
        text = vocabulary.read_text(encoding="utf-8")
        tokens = cast(list[str], json.loads(text)) if vocabulary.suffix == ".json" else text.split("\n")
        return {token: number for number, token in enumerate(tokens)}
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{vocabulary}: cannot be read; delete it, then type `backchat models pull whisper-tiny.en`"
        ) from error


def _reason(error: BaseException) -> str:
    """The first sentence of an engine's message, which may run over many lines."""
    return first_line(error).split(". ")[0]
