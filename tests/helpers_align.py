"""When words sound, by Whisper's cross-attention: the measure for word times. Knows no voice."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from audio.frame import HEARING_RATE, Frame
from audio.stt.mel import log_mel
from audio.stt.tokens import detokenise
from audio.stt.whisper import Whisper

TOKEN = 0.02
"""Seconds of one step of Whisper's encoder."""
EARLY = 0.03
"""How much too early Whisper base puts a word's begin, in seconds: the median of 11 words that begin after a
silence, where the onset of the sound is plain."""
_START = ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]


def heard_words(whisper: Whisper, audio: Frame) -> list[tuple[str, float, float]]:
    """The words in at most 30 s of English, each with begin and finish in seconds.

    whisper: a multilingual model. The method is that of openai-whisper's `timing.py`: dynamic time warping
    over the attention of the heads that follow the sound, as CTranslate2's `align` has it.
    """
    samples = audio.at_rate(HEARING_RATE).samples
    model: Any = whisper._model
    features = log_mel(samples, whisper._bins, 3000)
    encoded = model.encode(whisper._view.from_array(features[np.newaxis]))
    result = model.generate(encoded, [_START], beam_size=5, max_length=440)[0]
    tokens, ids = result.sequences[0], result.sequences_ids[0]
    spoken = [
        (token, number) for token, number in zip(tokens, ids, strict=True) if not token.startswith("<|")
    ]
    frames = min(3000, len(samples) // 160)
    # Start, English, transcribe, as all models before large-v3 have them; "no timestamps" comes by itself.
    aligned = model.align(encoded, [50258, 50259, 50359], [[n for _, n in spoken]], [frames])[0]
    begins: dict[int, float] = {}
    for token, frame in aligned.alignments:
        begins.setdefault(token, frame * TOKEN + EARLY)
    last = aligned.alignments[-1][1] * TOKEN
    starts = [n for n, (token, _) in enumerate(spoken) if n == 0 or token.startswith("Ġ")]
    words: list[tuple[str, float, float]] = []
    for first, after in zip(starts, [*starts[1:], len(spoken)], strict=True):
        text = detokenise([token for token, _ in spoken[first:after]])
        words.append((text, begins.get(first, last), begins.get(after, last)))
    return words


def onset_errors(
    given: Sequence[tuple[str, float]], heard: Sequence[tuple[str, float, float]]
) -> list[float]:
    """Seconds between a word's begin as given and as heard, for each word that both have."""

    def keys(words: Sequence[str]) -> list[str]:
        return [re.sub(r"\W", "", word).lower() for word in words]

    a, b = keys([w for w, _ in given]), keys([w for w, *_ in heard])
    blocks = difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    return [given[m.a + n][1] - heard[m.b + n][1] for m in blocks for n in range(m.size)]
