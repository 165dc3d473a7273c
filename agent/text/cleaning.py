"""Text without what breaks or fools the next reader: half characters, controls, hidden marks. Pure.

Used where text comes in, from whoever: typed, sent, read from a file, written by a model. What has passed
can be tokenized, encoded as UTF-8 and shown at a terminal.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

LONGEST = 256
"""Characters of a terminal's command beyond which it is none, but text behind a stray control character."""

_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]")
_FLAG = "\U0001f3f4[\U000e0020-\U000e007e]{1,16}\U000e007f"
"""England, Scotland, Wales: a black flag and letters that are invisible, and allowed nowhere else."""
_COMMAND = (
    # colours, the cursor:
    rf"(?:\x1b\[|\x9b)[0-?]{{0,{LONGEST}}}[ -/]{{0,9}}[@-~]"
    # titles, links:
    rf"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{{0,{LONGEST}}}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]{0,9}[0-~]"
)
"""What a terminal takes as a command: ECMA-48, sections 5.3 to 5.6 and 8.3.89."""
_LINE_END = "\r\n?|[\x0b\x0c\x85\u2028\u2029]"
_HIDDEN = (
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufdd0-\ufdef"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)
"""Controls, marks of direction, marks of no width but the joiners that scripts and emoji need, tags."""
_POISON = re.compile(f"({_FLAG})|({_LINE_END})|(?:{_COMMAND})|{_HIDDEN}", re.DOTALL)
_UNSURE = re.compile(
    rf"(?:\r|\U0001f3f4[\U000e0020-\U000e007e]{{0,16}}|(?:\x1b\[|\x9b)[0-?]{{0,{LONGEST}}}[ -/]{{0,9}}"
    rf"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{{0,{LONGEST}}}\x1b?|\x1b[ -/]{{0,9}})\Z",
    re.DOTALL,
)
"""An end of text that may be the beginning of one of these."""


def cleaned(text: str) -> str:
    """`text` as it can be kept, sent, logged and shown; most often the same.

    The halves of a surrogate pair become their character, a lone one U+FFFD. Every kind of line end becomes a
    line feed. Terminal commands, control characters but tabs and line feeds, byte order marks, marks that
    turn the direction of writing and characters that are there without being seen are taken out.
    """
    if text.isascii() and text.isprintable():
        return text
    return _POISON.sub(_put, _SURROGATES.sub(_whole, text))


def cleaned_data(value: Any) -> Any:
    """JSON data with each text in it cleaned, the names of fields too."""
    if isinstance(value, str):
        return cleaned(value)
    if isinstance(value, list):
        return [cleaned_data(each) for each in cast(list[Any], value)]
    if isinstance(value, dict):
        return {cleaned(str(key)): cleaned_data(each) for key, each in cast(dict[Any, Any], value).items()}
    return value


def json_text(data: Any) -> str:
    """`data` as JSON that can be encoded whatever is in it: half a character stays an escape (`\\ud83d`)."""
    return json.dumps(data, ensure_ascii=False).encode(errors="backslashreplace").decode()


class Cleaner:
    """The same for a text that comes in parts, however it is split.

    Only what may be half of something is held back: half a character, or an unfinished terminal command.
    """

    def __init__(self) -> None:
        self._half = self._unsure = ""

    def feed(self, part: str) -> str:
        """What is certain of the text so far."""
        if not (self._half or self._unsure) and part.isascii() and part.isprintable():
            return part
        text = self._half + part
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        text = self._unsure + _SURROGATES.sub(_whole, text.removesuffix(self._half))
        end = found.start() if (found := _begun(text)) else len(text)
        self._unsure = text[end:]
        return _POISON.sub(_put, text[:end])

    def rest(self) -> str:
        """What was held back, when no more comes."""
        text, self._half, self._unsure = self._unsure + self._half, "", ""
        return cleaned(text)


def _begun(text: str) -> re.Match[str] | None:
    """Where something begins that more text may complete; not inside what is complete."""
    for found in _UNSURE.finditer(text):
        inside = (whole for whole in _POISON.finditer(text) if whole.start() < found.start() < whole.end())
        if not any(inside):
            return found
    return None


def _whole(found: re.Match[str]) -> str:
    pair = found.group()
    return pair.encode("utf-16", "surrogatepass").decode("utf-16") if len(pair) == 2 else "\ufffd"


def _put(found: re.Match[str]) -> str:
    if found[1]:
        return found[1]
    return "\n" if found[2] else ""
