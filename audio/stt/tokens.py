"""Whisper's tokens as words: which open a transcription, what text the others are. Knows no model."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

from audio.errors import ConfigError

_OWN_BYTES = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
"""Bytes that byte-level vocabularies write as the character of that number."""

BYTE_LEVEL: dict[str, int] = {chr(byte): byte for byte in _OWN_BYTES} | {
    chr(0x100 + place): byte
    for place, byte in enumerate(byte for byte in range(0x100) if byte not in set(_OWN_BYTES))
}
"""The 256 characters of byte-level vocabularies (GPT-2's table) and the byte that each stands for."""

MULTILINGUAL = 51_865
"""Tokens of the smallest vocabulary that knows languages; the English-only one has one less."""


def prompt(language: str, multilingual: bool, names: Container[str]) -> list[str]:
    """The control tokens that open a transcription; raises ConfigError for an unknown language.

    language: ISO code, or "auto"; where the model is to find out, its second token stands for any.
    names: the vocabulary, as a mapping or as text.
    """
    if language == "auto":
        language = "en"
    if not multilingual:
        if language != "en":
            raise ConfigError(
                f"stt.language: this Whisper model knows English only, not {language!r}; "
                "choose a multilingual one with stt.model"
            )
        return ["<|startoftranscript|>", "<|notimestamps|>"]
    spoken = f"<|{language}|>"
    if not is_language(spoken) or spoken not in names:
        raise ConfigError(f"stt.language: Whisper does not know {language!r}; give a code like 'en' or 'de'")
    return ["<|startoftranscript|>", spoken, "<|transcribe|>", "<|notimestamps|>"]


def is_control(token: str) -> bool:
    """Whether a token is no text but says what to do, what is spoken, or when: `<|...|>`."""
    return token.startswith("<|") and token.endswith("|>")


def is_language(token: str) -> bool:
    """Whether a token says what language is spoken, as `<|en|>` does."""
    return re.fullmatch(r"<\|[a-z]{2,3}\|>", token) is not None


def detokenise(tokens: Sequence[str]) -> str:
    """The text of byte-level tokens, stripped; control tokens are left out."""
    plain = "".join(t for t in tokens if not is_control(t))
    # A decode that the token limit ended may stop inside a character: those bytes are no text.
    return bytes(BYTE_LEVEL[c] for c in plain if c in BYTE_LEVEL).decode("utf-8", "ignore").strip()
