"""Whisper's tokens as words: which open a transcription, what text the others are. Knows no model."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Container, Mapping, Sequence
from itertools import accumulate

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


def prompt(language: str, multilingual: bool, names: Container[str], among: Sequence[str] = ()) -> list[str]:
    """The control tokens that open a transcription; raises ConfigError for an unknown language.

    language: ISO code, or "auto"; where the model is to find out, its second token stands for any, or for
    one of `among`. names: the vocabulary, as a mapping or as text.
    """
    for code in among:
        prompt(code, multilingual, names)
    if language == "auto":
        language = "en"
    if not multilingual:
        if language != "en":
            raise ConfigError(
                f"stt.language: this Whisper model knows English only, not {language!r}; "
                "choose a multilingual one with stt.model"
            )
        return ["<|startoftranscript|>", "<|notimestamps|>"]
    spoken = spoken_token(language)
    if not is_language(spoken) or spoken not in names:
        raise ConfigError(f"stt.language: Whisper does not know {language!r}; give a code like 'en' or 'de'")
    return ["<|startoftranscript|>", spoken, "<|transcribe|>", "<|notimestamps|>"]


def spoken_token(language: str) -> str:
    """The token that says that this language, an ISO code, is spoken."""
    return f"<|{language}|>"


def is_control(token: str) -> bool:
    """Whether a token is no text but says what to do, what is spoken, or when: `<|...|>`."""
    return token.startswith("<|") and token.endswith("|>")


def is_language(token: str) -> bool:
    """Whether a token says what language is spoken, as `<|en|>` does."""
    return re.fullmatch(r"<\|[a-z]{2,3}\|>", token) is not None


def languages(names: Sequence[str]) -> list[str]:
    """The languages that a vocabulary has a token for, as ISO codes."""
    return [token[2:-2] for token in names if is_language(token)]


def unwritten(language: str, names: Mapping[str, int]) -> list[int]:
    """The tokens that are not to be written in that language: for Chinese the traditional letters, which
    Whisper mixes with the simplified ones at random. Other languages have none.
    """
    if language != "zh":
        return []
    return [number for token, number in names.items() if any(map(_traditional, detokenise([token])))]


def _traditional(letter: str) -> bool:
    """Whether Taiwan's character set (Big5) has it and that of simplified Chinese (GB 2312) has not."""
    return _within("big5", letter) and not _within("gb2312", letter)


def _within(encoding: str, letter: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def tokenise(text: str, names: Container[str]) -> list[str]:
    """Byte-level tokens of `text`, the longest that fit: the vocabulary's own merges are not at hand."""
    known = {byte: character for character, byte in BYTE_LEVEL.items()}
    found: list[str] = []
    for word in re.findall(r" ?[^\W\d_]+| ?\d+| ?[^\s\w]+|\s+|_+", text):
        rest = "".join(known[byte] for byte in word.encode())
        while rest:
            size = next((n for n in range(len(rest), 1, -1) if rest[:n] in names), 1)
            found.append(rest[:size])
            rest = rest[size:]
    return found


_ALONE = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Characters of Japanese and Chinese, which are written without blanks."""
_WORD = re.compile(rf"[{_ALONE}]|[^\W_{_ALONE}](?:[^\s{_ALONE}]*[^\W_{_ALONE}])?")


def spans(tokens: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """The words in `detokenise(tokens)`: first character and the one after the last, and the same of tokens.

    A word is what stands between blanks, without the punctuation around it.
    """
    pieces = written(tokens)
    text = b"".join(pieces).decode("utf-8", "ignore")
    ahead = len(text) - len(text.lstrip())  # behind half a character
    ends = list(accumulate(map(len, pieces)))
    found: list[tuple[int, int, int, int]] = []
    for match in _WORD.finditer(text):
        begin, end = (len(text[:place].encode()) for place in match.span())
        first, last = bisect_right(ends, begin), bisect_left(ends, end)
        found.append((match.start() - ahead, match.end() - ahead, first, last + 1))
    return found


def written(tokens: Sequence[str]) -> list[bytes]:
    """What each of them is of `detokenise(tokens)`, in bytes: nothing of a control token."""
    pieces = [bytes(BYTE_LEVEL[c] for c in token if c in BYTE_LEVEL) for token in tokens]
    pieces = [b"" if is_control(token) else piece for token, piece in zip(tokens, pieces, strict=True)]
    for places, strip in ((range(len(pieces)), bytes.lstrip), (reversed(range(len(pieces))), bytes.rstrip)):
        for place in places:
            pieces[place] = strip(pieces[place])
            if pieces[place]:
                break
    return pieces


def detokenise(tokens: Sequence[str]) -> str:
    """The text of byte-level tokens, stripped; control tokens are left out."""
    plain = "".join(t for t in tokens if not is_control(t))
    # A decode that the token limit ended may stop inside a character: those bytes are no text.
    return bytes(BYTE_LEVEL[c] for c in plain if c in BYTE_LEVEL).decode("utf-8", "ignore").strip()
