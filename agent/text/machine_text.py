"""Tells what a model writes for the user from what it writes for itself or a program. Pure, incremental.

Ordinary text passes in the call that brings it. Only what may be the beginning of a mark waits, until it is
known; and however the text is split, the result is the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from agent.text import calls, directions, marks
from agent.text.marks import Kind, Mark

_OPENING = re.compile(r"[<\[(（［*_{`◁]")
_MAY_BE = re.compile(r"[<\[◁]")
_QUOTES = {"`": "`", '"': '"', "'": "'", "“": "”", "‘": "’"}
_BEFORE = ".!?…:;,—–-\"'”’)]*"
"""A direction may stand behind these; behind the last letters only if a sentence begins after it."""
_STRONG = ".!?…:;\"'”’)]"


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of what a model wrote. kind: whom it is for; see `marks.Kind`."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class _Cut:
    """What the text that waits begins with: `length` characters of `kind`, and what comes of them.

    mark: it is no text, and does this. fence: a code block opens or closes.
    """

    length: int
    kind: Kind | Literal["dropped"] = "text"
    mark: Mark | None = None
    fence: bool = False


class MachineText:
    """One answer, in parts as they come.

    spoken: calls without a mark and stage directions are taken out too; otherwise only thoughts and the
    marks of a template, as for who asked for the text itself. calls: such calls are taken out all the same.
    language: of the stage directions.
    """

    def __init__(self, *, spoken: bool = True, calls: bool = False, language: str = "en") -> None:
        self._spoken, self._calls = spoken, calls or spoken
        self._phrases = directions.phrases(language)
        self._held = ""
        self._inside: Mark | None = None
        self._header = ""
        """The mark whose header is being read."""
        self._fence = False
        self._last = self._solid = ""
        """The last visible character, and the last that is no blank."""
        self._line = True
        """Nothing but blanks stands on the line so far."""
        self._gap = False
        """Something was taken out right here."""
        self._glue = True
        self._parts: list[Part] = []

    def feed(self, text: str) -> list[Part]:
        """What is certain by now of the text so far, in order."""
        self._held += text
        return self._run(done=False)

    def rest(self) -> list[Part]:
        """What was held back, when no more comes."""
        return self._run(done=True)

    def apart(self) -> None:
        """Something that is not in the text was taken from this place."""
        self._gap = True

    def _run(self, *, done: bool) -> list[Part]:
        while self._held and (self._read_header(done) if self._header else self._read(done)):
            pass
        parts, self._parts = self._parts, []
        return parts

    def _read(self, done: bool) -> bool:
        """Take one stretch of the text that waits; False where more text must tell."""
        if self._inside is not None:
            return self._read_hidden(self._inside, done)
        opening = re.search("`", self._held) if self._fence else _OPENING.search(self._held)
        at = opening.start() if opening else len(self._held)
        if at:
            self._show(self._take(at))
            return True
        cut = self._cut(done)
        if cut is None:
            return False
        text = self._take(cut.length)
        if cut.mark is not None:
            self._enter(cut.mark, text)
        elif cut.kind == "text":
            self._fence ^= cut.fence
            self._show(text)
        else:
            self._hide(cut.kind, text)
        return True

    def _read_hidden(self, mark: Mark, done: bool) -> bool:
        """Inside something that is not for the user, up to its end."""
        assert mark.end is not None
        if found := mark.end.search(self._held):
            self._hide(mark.kind, self._take(found.start()))
            self._take(found.end() - found.start())
            self._inside = None
            return True
        # An end, or what an end looks ahead to, begins with one of these and is no longer than a mark.
        begun = [m.start() for m in _MAY_BE.finditer(self._held, max(0, len(self._held) - marks.LONGEST))]
        at = len(self._held) if done or not begun else begun[0]
        self._hide(mark.kind, self._take(at))
        return at > 0

    def _read_header(self, done: bool) -> bool:
        end = marks.header(self._header)
        found = end.search(self._held)
        if found is None and not done and len(self._held) <= marks.LONGEST:
            return False
        if found is None:  # no header after all, or nothing behind it
            self._header = ""
            return True
        mark = marks.headed(self._header, self._held[: found.start()])
        if mark.kind == "machine" and self._last and "channel" not in self._header:
            mark = (
                marks.OTHERS
            )  # who answers in somebody else's name has ended, whatever is made up after that
        self._header = ""
        self._enter(mark, self._take(found.end()))
        return True

    def _cut(self, done: bool) -> _Cut | None:
        """What begins where an opening character stands; None where more text must tell."""
        text, first = self._held, self._held[0]
        waits = False
        if first in "<[◁":
            found = marks.at_start(text, done=done)
            if isinstance(found, tuple):
                return self._unless_quoted(*found, done)
            waits = found == "more"
        if self._calls and self._line and first in "{[`" and not waits:
            call = calls.at_start(text, done=done)
            if isinstance(call, int):
                return _Cut(call, "machine")
            waits = call == "more"
        if first == "`":
            return None if waits else self._backticks(done)
        if self._spoken and first in "([（［*_":
            found = self._direction(done)
            if isinstance(found, int):
                return _Cut(found, "dropped")
            waits = waits or found == "more"
        if waits:
            return None
        return _Cut(len(text) - len(text.lstrip(first)) if first in "*_" else 1)

    def _unless_quoted(self, length: int, mark: Mark, done: bool) -> _Cut | None:
        """A mark between quotes is spoken about, not used."""
        closing = _QUOTES.get(self._last) if not self._gap else None
        if closing is not None and len(self._held) == length and not done:
            return None
        quoted = closing is not None and self._held[length : length + 1] == closing
        return _Cut(length) if quoted else _Cut(length, mark=mark)

    def _backticks(self, done: bool) -> _Cut | None:
        run = len(self._held) - len(self._held.lstrip("`"))
        if run == len(self._held) and run < 3 and self._line and not done:
            return None
        return _Cut(run, fence=self._line and run >= 3)

    def _direction(self, done: bool) -> int | Literal["more"] | None:
        """Length of the stage direction here; "more" where more text must tell."""
        text, first = self._held, self._held[0]
        starred = first in "*_"
        opening = text[: len(text) - len(text.lstrip(first))] if starred else first
        if len(opening) > 3 or self._last.isalnum():
            return None
        if len(opening) == len(text):
            return None if done else "more"
        closing = opening if starred else directions.PAIRS[first]
        end = text.find(closing, len(opening))
        if end < 0:
            inside = text[len(opening) :]
            tail = next((n for n in range(len(closing) - 1, 0, -1) if inside.endswith(closing[:n])), 0)
            open_yet = self._phrases.may_fit(inside[: len(inside) - tail], starred=starred)
            return "more" if open_yet and not done else None
        inside = text[len(opening) : end]
        if not self._phrases.fits(inside, starred=starred):
            return None
        length = end + len(closing)
        after = text[length:].lstrip(" ")
        begins = not self._solid or self._line or self._solid in _STRONG
        if first in "[［" or (begins and (not starred or inside[0].islower())):
            return length
        if not after and not done:
            return "more"
        ends = not after or after[0] == "\n"
        opens = ends or after[0].isupper() or not after[0].isalnum()
        leans = begins or self._solid in _BEFORE
        placed = ends or (leans and opens) if starred else leans or opens
        return length if placed else None

    def _take(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        return text

    def _enter(self, mark: Mark, text: str) -> None:
        if mark.effect in ("channel", "role"):
            self._header = text
        elif mark.effect == "open":
            self._inside = mark
            self._glue = False
        self._gap = True

    def _hide(self, kind: Kind | Literal["dropped"], text: str) -> None:
        self._gap = True
        self._glue = False
        if text:
            self._parts.append(Part("machine" if kind == "dropped" else kind, text))

    def _show(self, text: str) -> None:
        if self._gap and (not self._last or self._last.isspace()):
            text = text.lstrip()
        elif self._gap and not self._glue and text[:1].isalnum() and not self._last.isspace():
            text = f" {text}"  # what was taken out stood between two words
        if not text:
            return
        self._gap, self._glue = False, True
        self._parts.append(Part("text", text))
        self._last = text[-1]
        self._solid = (text.rstrip() or self._solid)[-1:]
        line = text.rpartition("\n")[2]
        self._line = not line.strip() and (self._line or "\n" in text)
