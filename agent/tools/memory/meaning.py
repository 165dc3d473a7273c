"""How near texts are in what they mean: all-MiniLM-L6-v2, a BERT of 384 numbers a sentence. Knows no note.

Vectors are means over the tokens, of length 1, as its makers have it (sentence-transformers). Its tokenizer
is BERT's: words without accents and in lower case, taken apart into the longest pieces that are known
(WordPiece).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from agent.errors import EngineFault, ModelError
from agent.weights.catalogue import resolve
from audio import onnx

MODEL = "minilm"
"""What its weights are called in the catalogue."""
NEAR = 0.2
"""Likeness from which two texts have to do with each other."""
LONGEST = 128
"""Tokens of a text that are read."""
LONGEST_WORD = 100
"""Characters of a word that is taken apart; a longer one is unknown."""


class Meaning:
    """See `agent.tools.memory.notes.Similar`. weights: a folder of the model's .onnx and its tokenizer.json.

    Raises ModelError for other files.
    """

    def __init__(self, weights: Path) -> None:
        try:
            known = json.loads((weights / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
            self._pieces = WordPieces(known)
            self._network = onnx.session(weights / "model.onnx", 1)
        except (KeyError, *onnx.faults()) as error:
            raise ModelError(f"{weights} cannot be loaded as a sentence model ({error})") from error
        self._vectors: dict[str, npt.NDArray[np.float32]] = {}
        """Those of the texts that were compared with last, which most often are compared with again."""

    @classmethod
    def fetched(cls) -> Self:
        """With the weights of the catalogue, fetched where they are missing. Raises ModelError."""
        return cls(resolve(MODEL))

    def likeness(self, text: str, others: Sequence[str]) -> list[float]:
        """The cosines of the texts' vectors, less `NEAR`."""
        before, wanted = self._vectors, self.vector(text)
        self._vectors = {each: before[each] if each in before else self.vector(each) for each in others}
        return [float(wanted @ self._vectors[each]) - NEAR for each in others]

    def vector(self, text: str) -> npt.NDArray[np.float32]:
        """What a text means, of length 1, float32 (384,). Raises EngineFault."""
        ids = np.array([self._pieces.ids(text)], np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        names = {each.name for each in self._network.get_inputs()}
        try:
            (tokens, *_) = self._network.run(None, {name: given[name] for name in names})
        except onnx.faults() as error:
            raise EngineFault(f"the sentence model failed: {error}") from error
        mean: npt.NDArray[np.float32] = tokens[0].mean(axis=0)
        return mean / max(float(np.linalg.norm(mean)), 1e-9)


class WordPieces:
    """BERT's tokenizer, as of its uncased models. known: each piece and its number."""

    def __init__(self, known: dict[str, Any]) -> None:
        self._known = known
        self._first, self._last, self._unknown = (known[mark] for mark in ("[CLS]", "[SEP]", "[UNK]"))

    def ids(self, text: str) -> list[int]:
        """The numbers of a text's pieces, between those of its beginning and its end."""
        pieces = [number for word in _words(text) for number in self._taken_apart(word)]
        return [self._first, *pieces[: LONGEST - 2], self._last]

    def _taken_apart(self, word: str) -> list[int]:
        found, start = list[int](), 0
        while start < len(word) <= LONGEST_WORD:
            mark = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if mark + word[start:end] in self._known), None)
            if end is None:
                return [self._unknown]
            found.append(self._known[mark + word[start:end]])
            start = end
        return found or [self._unknown]


def _words(text: str) -> list[str]:
    """Its words and signs, in lower case and without accents; each sign and each ideograph is one."""
    spaced = "".join(f" {each} " if _ideograph(each) else each for each in text if not _unwritten(each))
    bare = "".join(e for e in unicodedata.normalize("NFD", spaced) if unicodedata.category(e) != "Mn")
    return "".join(f" {each} " if _sign(each) else each for each in bare.lower()).split()


def _unwritten(letter: str) -> bool:
    """Whether it is a control character or the like, but for white space."""
    return letter not in "\t\n\r" and (letter in "\0\ufffd" or unicodedata.category(letter)[0] == "C")


def _sign(letter: str) -> bool:
    """Whether it is punctuation, as BERT has it: all of ASCII's signs, and what Unicode calls so."""
    return unicodedata.category(letter)[0] == "P" or (33 <= ord(letter) <= 126 and not letter.isalnum())


def _ideograph(letter: str) -> bool:
    return any(low <= ord(letter) <= high for low, high in _IDEOGRAPHS)


_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
"""The blocks of Chinese characters that BERT's tokenizer sets apart."""
