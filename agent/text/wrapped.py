"""An answer that a model has wrapped in JSON, `{"response": "Hello."}`: what is inside. Pure, incremental.

Small models do so once they have been told of tools, whose calls are JSON, and have nothing to call.
"""

from __future__ import annotations

import json
import re
from typing import Literal

KEYS = ("response", "answer", "reply", "text", "message", "content", "speech", "output", "result", "say")
"""What models call what they want to say."""

_OPENINGS = tuple(f'{fence}{{"{key}":"' for fence in ("", "```json", "```") for key in KEYS)
_OPENING = re.compile(rf'\s*(?:```(?:json)?\s*)?(?P<brace>\{{)\s*"(?:{"|".join(KEYS)})"\s*:\s*"')
_FENCE = re.compile(r"\s*```[ \t]*")
_ESCAPE = re.compile(r'\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt])')
_DECODER = json.JSONDecoder(strict=False)


class Unwrapped:
    """One answer as it comes, without such a wrapping; any other passes as it is, at once.

    Only the beginning of an answer is looked at. However the text is split, the result is the same.
    """

    def __init__(self) -> None:
        self._held = ""
        self._whole = ""
        """The object so far, as it was written."""
        self._state: Literal["begins", "inside", "behind", "plain"] = "begins"
        self._fenced = False

    def feed(self, text: str) -> str:
        """What is certain by now of what is to be said."""
        self._held += text
        said = ""
        if self._state == "begins":
            self._begin()
        if self._state == "inside":
            said += self._inside()
        if self._state == "behind":
            self._behind()
        if self._state == "plain":
            said, self._held = said + self._held, ""
        return said

    def rest(self) -> str:
        """What was held back, when no more comes: of an object that breaks off, nothing."""
        held, self._held = self._held, ""
        return held if self._state in ("begins", "plain") else ""

    def _begin(self) -> None:
        bare = re.sub(r"\s+", "", self._held)
        if found := _OPENING.match(self._held):
            self._state, self._fenced = "inside", "`" in found[0]
            self._whole, self._held = found[0][found.start("brace") :], self._held[found.end() :]
        elif not any(opening.startswith(bare) for opening in _OPENINGS):
            self._state = "plain"

    def _inside(self) -> str:
        """The text of the string up to where it ends, or to an escape that is not whole yet."""
        at = 0
        while at < len(self._held) and self._held[at] != '"':
            if self._held[at] != "\\":
                at += 1
            elif escape := _ESCAPE.match(self._held, at):
                end = escape.end()
                if escape[0].lower().startswith(("\\ud8", "\\ud9", "\\uda", "\\udb")):  # half of a character
                    other = _ESCAPE.match(self._held, end)
                    if other is None and len(self._held) < end + 6:
                        break
                    end = other.end() if other is not None else end
                at = end
            elif len(self._held) - at < 6:
                break
            else:  # no escape of JSON's: it stays as it is
                at += 1
        text, self._held = self._held[:at], self._held[at:]
        self._whole += text
        if self._held.startswith('"'):
            self._whole, self._held, self._state = self._whole + '"', self._held[1:], "behind"
        return _ESCAPE_RUN.sub(_character, text)

    def _behind(self) -> None:
        """Pass over what else the object has; what stands behind it is text again."""
        try:
            _, end = _DECODER.raw_decode(self._whole + self._held)
        except ValueError:
            return
        held = self._held[end - len(self._whole) :]
        if self._fenced:
            if (fence := _FENCE.match(held)) is None:
                return
            held = held[fence.end() :]
        self._held, self._state = held, "plain"


_ESCAPE_RUN = re.compile(r'(?:\\u[0-9a-fA-F]{4})+|\\["\\/bfnrt]')


def _character(found: re.Match[str]) -> str:
    """Escapes as the characters that they stand for; half of a pair is "�"."""
    return json.loads(f'"{found[0]}"').encode("utf-16", "surrogatepass").decode("utf-16", "replace")
