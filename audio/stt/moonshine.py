"""Moonshine on onnxruntime: its cost follows the length of the sound. Knows not where weights come from.

Moonshine (Jeffries et al. 2024, "Moonshine: Speech Recognition for Live Transcription and Voice Commands",
https://arxiv.org/abs/2410.15608) is built as Whisper is, for sound of any length: three convolutions over
bare samples instead of a spectrogram of 30 s, and rotary positions instead of learned ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audio import onnx
from audio.errors import ConfigError, EngineFault, ModelError
from audio.frame import HEARING_RATE, Samples, silence
from audio.stt import Choose
from audio.stt.shortwindow import ROOM, Decoded, ShortWindow, token_cap

BEGIN, END = 1, 2
"""The tokens before and after every transcription."""
NOBODY = "You"
"""What the model writes for any sound without words, and is sure of it: so it did for 20 coughs, claps, doors
and keyboards, and for 12 stretches of white noise. A user's own "you" ends in a full stop."""
LEAD = 0.5
"""Seconds of silence before the samples at a second look: that breaks most of its loops, which it was seen in
only where a crowd is as loud as the user."""
FILES = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")

Scores = npt.NDArray[np.float32]


class Moonshine(ShortWindow):
    """A `Transcriber` for Moonshine's English models, in the files that its authors publish.

    There is no window: what is said is followed by `shortwindow.ROOM` of silence, and by no more.
    """

    default_model = "moonshine"

    def __init__(self, weights: Path, *, language: str = "en", threads: int = 0) -> None:
        """Load the model in the folder `weights` (encoder, decoder and tokenizer).

        language: "en" or "auto", which is the same here. threads: 0 means one; the decoder gains nothing
        from more. Raises ModelError when the weights are missing or broken, ConfigError for a language that
        the model does not know.
        """
        super().__init__(window=0.0)
        if language not in ("en", "auto"):
            raise ConfigError(
                f"stt.language: Moonshine knows English only, not {language!r}; take --set stt.engine=whisper"
            )
        if missing := [name for name in FILES if not (weights / name).is_file()]:
            raise ModelError(f"{weights}: no Moonshine model here, {missing[0]} is missing; {_CURE}")
        self._faults = onnx.faults()
        encoder, decoder, words = (weights / name for name in FILES)
        try:
            self._words = read_tokens(words.read_bytes())
            self._encoder, self._decoder = (
                onnx.session(path, threads or 1, alone=False) for path in (encoder, decoder)
            )
            self._past = {
                given.name: np.zeros((1, given.shape[1], 0, given.shape[3]), np.float32)
                for given in self._decoder.get_inputs()
                if given.name.startswith("past_key_values")
            }
            if not self._past:
                raise ValueError("its decoder keeps nothing of what it has written")
        except self._faults as error:
            raise ModelError(
                f"{weights}: the Moonshine model is broken ({_reason(error)}); {_CURE}"
            ) from error

    def _decode(self, samples: Samples, seconds: float, choose: Choose | None = None) -> Decoded:
        """One greedy decode of 16 kHz `samples` (n,) with zeros behind them, up to `seconds`."""
        padded = np.zeros((1, round(seconds * HEARING_RATE)), np.float32)
        padded[0, : len(samples)] = samples
        try:
            written, total, ended = self._write(padded, token_cap(len(samples) / HEARING_RATE))
        except self._faults as error:
            raise EngineFault(f"moonshine: {_reason(error)}") from error
        said = text(self._words, written)
        if said == NOBODY and ended:
            return Decoded("", 0.0, 1.0, capped=False)
        return Decoded(said, total / max(1, len(written)), 0.0, not ended, language="en")

    def _again(self, samples: Samples, choose: Choose | None = None) -> Decoded:
        """The same with silence before it: more behind it changes little."""
        later = np.concatenate([silence(LEAD, HEARING_RATE), samples])
        return self._decode(later, len(later) / HEARING_RATE + ROOM)

    def _write(self, sound: Samples, most: int) -> tuple[list[int], float, bool]:
        """The likeliest tokens, the sum of their log-probabilities, and whether the model ended by itself."""
        mask = np.ones(sound.shape, np.int64)
        heard = self._encoder.run(None, {"input_values": sound, "attention_mask": mask})[0]
        given: dict[str, Any] = {"encoder_hidden_states": heard, "encoder_attention_mask": mask, **self._past}
        new = ["logits", *(name.replace("past_key_values", "present") for name in self._past)]
        grown = [name for name in new if ".encoder." not in name]
        written, token, total = list[int](), BEGIN, 0.0
        while len(written) < most:
            given["input_ids"] = np.array([[token]], np.int64)
            given["use_cache_branch"] = np.array([bool(written)])
            wanted = grown if written else new  # what the decoder sees of the sound stays the same
            scores, *kept = self._decoder.run(wanted, given)
            given |= {
                n.replace("present", "past_key_values"): k for n, k in zip(wanted[1:], kept, strict=True)
            }
            token = int(scores[0, -1].argmax())
            total += log_probability(scores[0, -1], token)
            if token == END:
                return written, total, True
            written.append(token)
        return written, total, False


def log_probability(scores: Scores, token: int) -> float:
    """The logarithm of a token's probability, from the scores of all, shape (vocabulary,)."""
    top = scores.max()
    return float(scores[token] - top - np.log(np.exp(scores - top).sum()))


def read_tokens(file: bytes) -> list[bytes]:
    """The vocabulary of a tokenizer.bin: each token's length, then its bytes.

    A length below 128 is one byte; a longer one is two, its rest by 128 (plus 128) and its multiple. Raises
    ValueError for what is no such file.
    """
    found: list[bytes] = []
    at = 0
    while at < len(file):
        length, at = file[at], at + 1
        if length >= 128:
            if at == len(file):
                raise ValueError("the tokenizer ends inside a length")
            length, at = length - 128 + 128 * file[at], at + 1
        if at + length > len(file):
            raise ValueError("the tokenizer ends inside a token")
        found.append(file[at : at + length])
        at += length
    if len(found) <= END:
        raise ValueError("the tokenizer is empty")
    return found


def text(vocabulary: list[bytes], tokens: list[int]) -> str:
    """The text of tokens, stripped; control tokens, as "<s>", are left out, half a character too."""
    plain = [vocabulary[token] for token in tokens if token < len(vocabulary)]
    said = b"".join(part for part in plain if not (part.startswith(b"<") and part.endswith(b">")))
    return said.decode("utf-8", "ignore").replace("\u2581", " ").strip()


_CURE = "delete it, then type `backchat models pull moonshine`"


def _reason(error: BaseException) -> str:
    """The first line of an engine's message, which may run over many."""
    return str(error).strip().partition("\n")[0][:160] or type(error).__name__
