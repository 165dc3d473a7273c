"""Tokens to text as they come: whole characters, nothing of a stop string. Knows no model and no library."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from audio.stt.tokens import BYTE_LEVEL

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class TokenBytes:
    """The bytes of single tokens, read off the decoder of a `tokenizer.json`.

    decoder: that file's "decoder": byte-level, or made of the steps of a SentencePiece one.
    Raises ValueError for a decoder that works on anything but one token after the other.
    leading: spaces that the tokenizer puts before every text, and that its text therefore loses.
    """

    def __init__(self, decoder: Mapping[str, Any] | None) -> None:
        self.leading = 0
        self._byte_level = self._byte_fallback = False
        self._replace: list[tuple[str, str]] = []
        steps = list(_steps(decoder))
        if not steps:
            raise ValueError("it has no decoder")
        for step in steps:
            self._take(step)

    def _take(self, step: Mapping[str, Any]) -> None:
        match step:
            case {"type": "ByteLevel"}:
                self._byte_level = True
            case {"type": "ByteFallback"}:
                self._byte_fallback = True
            case {"type": "Fuse"}:
                pass
            case {"type": "Replace", "pattern": {"String": str(old)}, "content": str(new)}:
                self._replace.append((old, new))
            case {"type": "Strip", "content": " ", "start": int(start), "stop": 0}:
                self.leading += start
            case {"type": "Metaspace", "replacement": str(mark), **rest}:
                self._replace.append((mark, " "))
                self.leading += rest.get("prepend_scheme") != "never"
            case _:
                raise ValueError(f"its decoder has a step of an unknown kind, {step.get('type')}")

    def __call__(self, token: str) -> bytes:
        """The bytes that `token`, as the vocabulary writes it, stands for."""
        if self._byte_fallback and (byte := _BYTE_TOKEN.fullmatch(token)):
            return bytes([int(byte[1], 16)])
        for old, new in self._replace:
            token = token.replace(old, new)
        if self._byte_level and all(character in BYTE_LEVEL for character in token):
            return bytes(BYTE_LEVEL[character] for character in token)
        return token.encode(errors="ignore")


def _steps(decoder: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    if decoder is None:
        return
    if decoder.get("type") != "Sequence":
        yield decoder
        return
    for step in decoder["decoders"]:
        yield from _steps(step)


class TextStream:
    """Text out of tokens: each character as soon as its last byte is there, and nothing of a stop string.

    token_bytes: the bytes of a token's id. leading: spaces that the text loses at its very beginning.
    Bytes that are no UTF-8 are left out: no item ever holds a broken character.
    """

    def __init__(
        self, token_bytes: Callable[[int], bytes], stop: Sequence[str] = (), leading: int = 0
    ) -> None:
        self._bytes = token_bytes
        self._characters = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self._stops = StopStrings(stop)
        self._leading = leading

    @property
    def stopped(self) -> bool:
        """A stop string has come: nothing more will."""
        return self._stops.stopped

    def push(self, token: int) -> str:
        """The text that this token makes certain; empty where it ends inside a character or a stop string."""
        text = self._characters.decode(self._bytes(token))
        while text and self._leading:
            self._leading = self._leading - 1 if text[0] == " " else 0
            text = text.removeprefix(" ")
        return self._stops.push(text)

    def rest(self) -> str:
        """What was held back in case it became a stop string, and did not. Half a character is dropped."""
        return self._stops.rest()


class StopStrings:
    """Passes text on up to the first stop string, which may come in any number of parts."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(s for s in stop if s)
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """What is certain of the text so far; only the possible beginning of a stop string is held back."""
        if not self._stop:
            return text
        self._held += text
        found = [at for s in self._stop if (at := self._held.find(s)) >= 0]
        if found:
            self.stopped = True
            certain, self._held = self._held[: min(found)], ""
            return certain
        certain = len(self._held) - max(_overlap(self._held, s) for s in self._stop)
        text, self._held = self._held[:certain], self._held[certain:]
        return text

    def rest(self) -> str:
        """What is still held back."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` with which `stop` begins."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
