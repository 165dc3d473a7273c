"""Where running text may be cut, and how well. Knows sentences; not when to cut, nor what a voice says.

The rules look at the word before a mark and at what follows it, in the manner of rule-based sentence
splitters (Pragmatic Segmenter's golden rules are the yardstick), but on text that is still growing: where
what follows is not there yet, and matters, the scan ends and is made again with more text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from agent.text.abbreviations import BANG_NAMES, ENGLISH, Writing

FULL_STOPS = "。！？｡।॥؟۔։።။។"
BULLETS = "•⁃◦▪"
MARK = re.compile(
    r"(?P<line>[^\S\n]*\n(?:[^\S\n]*\n)*)|(?P<space>\s+)|(?P<stop>[.!?‽…]+(?:[ \u00a0]\.+(?!\w))*)"
    rf"|(?P<full>[{FULL_STOPS}]+)|(?P<code>`+)|(?P<bracket>[(\[{{（【《)\]}}）】》])"
    r"|(?P<quote>[\"“”„«»「」『』])|(?P<pause>[,;:،؛，、；：—–-])"
)
CLOSERS = re.compile(r"[\"'”’»」』)\]}）】》*_~]*")
FOLLOWING = re.compile(r"(?P<gap>\s*)(?P<lead>[\"'“‘„«「『(\[{（【《*_]*)(?P<word>\S*)")
OPENING = re.compile(
    rf"\s*(?:(?:#{{1,6}}|[-*+>])\s+|[{BULLETS}]\s*)*"
    r"(?:(?:\*\*)?(?P<label>\d{1,3}|[A-Za-z])(?P<mark>\.\)|[.)])(?:\*\*)?(?=\s))?"
)
STRUCTURE = re.compile(rf"\s*(?:#{{1,6}}\s|[-*+>{BULLETS}|`]|(?:\d{{1,3}}|[A-Za-z])[.)]\s)")
FENCE = re.compile(r"\s*(?P<fence>`{3,}|~{3,})[^`\n]*(?P<end>\n?)")
SINGLE_QUOTE = re.compile(r"(?:^|\s)['‘]\w")
BESIDE_NUMBER = re.compile(r"\d\S?$|(?<!\S)[A-Z]$")
"""What needs the words after it: a number, and a letter by itself, which may be a roman one."""
INITIALS = re.compile(r"(?<![A-Za-z])(?:[A-Za-z]\.)*[A-Za-z]$")
NO_WORD = re.compile(r"[\s–—]")
NUMBER_ENDS = re.compile(r"\d(?:st|nd|rd|th)?$|\b(?:Mon|Tue|Tues|Wed|Thu|Thurs|Fri|Sat|Sun)\.?$")
LETTER_ENDS = re.compile(r"(?<![\w'’])[a-z]$")
FARTHEST = 240


class Rank(IntEnum):
    """How good a place to cut is: beside a number, whose neighbours tell how it is said; between words,
    phrases, clauses, a sentence inside a quote, sentences.
    """

    NUMBER = 0
    SPACE = 1
    PHRASE = 2
    CLAUSE = 3
    INNER = 4
    SENTENCE = 5


@dataclass(frozen=True, slots=True)
class Context:
    """What came before the text: all that a scan must know of it.

    fresh: a sentence begins. line: a line begins. quoted: a double quote is open. successor: the label
    that would begin the next list item ("2."). fence: the mark of the open code fence.
    """

    fresh: bool = True
    line: bool = True
    quoted: bool = False
    successor: str = ""
    fence: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """A place to cut: before the character at `at`. `context` is that of the text that follows."""

    at: int
    rank: Rank
    context: Context


def cuts(
    text: str, start: int, context: Context, *, patient: bool, done: bool, writing: Writing = ENGLISH
) -> Iterator[Cut]:
    """Yield the places to cut `text[start:]`, in order, up to where only more text can tell.

    `patient`: look at the character after every full stop, even a certain one, so that a quote, bracket
    or second mark that follows stays with its sentence. `done`: no more text will come.
    """
    fence = FENCE.match(text, start)
    if context.fence or (fence and (context.line or "\n" in text[start : fence.start("fence")])):
        yield from _code_line(text, start, context.fence, fence)
        return
    scan = _Scan(text, start, context, patient, done, writing)
    yield from (cut for cut in scan.run() if start < cut.at <= len(text))


def _code_line(text: str, start: int, open_fence: str, opening: re.Match[str] | None) -> Iterator[Cut]:
    """The end of the line of code that begins at `start`, once it is there."""
    end = text.find("\n", opening.start("fence") if opening and not open_fence else start) + 1
    if not end:
        return
    line = text[start:end].strip()
    if not open_fence and opening:
        yield Cut(end, Rank.SENTENCE, Context(fresh=False, fence=opening["fence"]))
    elif line.startswith(open_fence) and not line.strip(open_fence[0]):
        yield Cut(end, Rank.SENTENCE, Context())
    else:
        yield Cut(end, Rank.SENTENCE, Context(fresh=False, fence=open_fence))


class _Scan:
    """One pass over a piece of text that is still growing."""

    def __init__(
        self, text: str, start: int, context: Context, patient: bool, done: bool, writing: Writing
    ) -> None:
        self.text, self.start, self.patient, self.done = text, start, patient, done
        self.writing = writing
        self.quoted = context.quoted
        self.depth = 0
        self.successor = context.successor
        self.body = start
        if context.fresh and (opening := OPENING.match(text, start)):
            self.body = opening.end()
            # The cells of a table row belong together: its line end alone ends it, as if in brackets.
            self.depth = int(text.startswith("|", self.body))
            if label := opening["label"]:
                following = str(int(label) + 1) if label.isdecimal() else chr(ord(label) + 1)
                self.successor = following + opening["mark"]

    def run(self) -> Iterator[Cut]:
        at = self.body
        while found := MARK.search(self.text, at):
            at = found.end()
            match found.lastgroup:
                case "space":
                    yield self._space(found)
                case "pause":
                    if self._pauses(found):
                        yield self._cut(at, Rank.CLAUSE)
                case "quote":
                    self._quote(found.start())
                case "bracket":
                    self._bracket(found.start())
                case "code":
                    yield self._cut(found.start(), Rank.SPACE)
                    close = self._code_end(found)
                    if close is None:
                        return
                    at = close
                case "line":
                    if not self.text[self.start : found.start()].strip():
                        continue
                    decision = self._line(found)
                    if decision is None:
                        return
                    if decision:
                        yield self._cut(at, Rank.SENTENCE)
                    else:
                        yield self._cut(found.start(), Rank.SPACE)
                case _:
                    stop = self._stop(found)
                    if stop is None:
                        return
                    at, rank = stop
                    if rank:
                        yield self._cut(at, rank)

    def _cut(self, at: int, rank: Rank) -> Cut:
        if rank is Rank.SENTENCE:
            return Cut(at, rank, Context(line=self.text[at - 1] == "\n"))
        return Cut(at, rank, Context(False, False, self.quoted, self.successor))

    def _space(self, found: re.Match[str]) -> Cut:
        """The cut before white space: the end of a list item, of a clause, or of a word."""
        text, after = self.text, found.end()
        if text.startswith(tuple(BULLETS), after):
            return self._cut(found.start(), Rank.SENTENCE)
        if self.successor and text.startswith(self.successor, after):
            next_item = after + len(self.successor)
            if text[next_item : next_item + 1].isspace():
                return self._cut(found.start(), Rank.SENTENCE)
        if BESIDE_NUMBER.search(text, max(self.start, found.start() - 2), found.start()) or (
            text[after : after + 1].isdigit()
        ):
            return self._cut(found.start(), Rank.NUMBER)
        joint = None if self.depth else self.writing.joint.match(text, after)
        if not joint or (self.patient and not joint["known"]):  # in a hurry, a token is taken for a word
            return self._cut(found.start(), Rank.SPACE)
        return self._cut(found.start(), Rank.CLAUSE if joint["CLAUSE"] else Rank.PHRASE)

    def _pauses(self, found: re.Match[str]) -> bool:
        """Whether a comma, colon or dash ends a clause."""
        text, at, mark = self.text, found.end(), found.group()
        if self.depth:
            return False
        if mark in "،؛，、；：":
            return True
        before, after = text[found.start() - 1 : found.start()], text[at : at + 1]
        rest = text[at : at + 20].lstrip()
        lead = text[max(0, found.start() - 20) : found.start()].rstrip()
        digit = NUMBER_ENDS.search(lead)
        if mark in "-–":  # none in "7 - 2 = 5", "a - b"
            operand = digit or rest[:1].isdigit() or LETTER_ENDS.search(lead)
            return before.isspace() and after.isspace() and bool(rest) and not operand
        if mark == "," and digit:  # none in "March 5, 2025"
            return after.isspace() and bool(rest) and not rest[0].isdigit()
        if mark == "—":
            return not before.isdigit()
        return after.isspace() or (not after and mark != ":" and before.isalpha() and not self.quoted)

    def _quote(self, at: int) -> None:
        mark, before = self.text[at], self.text[at - 1 : at] if at else ""
        opens = mark in "“„«「『" or (mark == '"' and (not before or before.isspace() or before in "([—*_"))
        self.quoted = opens

    def _bracket(self, at: int) -> None:
        if self.text[at] in ")]}）】》":
            self.depth = max(0, self.depth - 1)
        elif self.text[at - 1 : at] not in (":", ";"):
            self.depth += 1

    def _code_end(self, found: re.Match[str]) -> int | None:
        """The end of an inline code span; of its mark alone where that is never closed; None: unknown."""
        text, at, ticks = self.text, found.end(), found.group()
        line = text.find("\n", at)
        stop = len(text) if line < 0 else line
        close = re.compile(rf"(?<!`){ticks}(?!`)").search(text, at, stop)
        if close:
            return close.end()
        return at if self.done or line >= 0 or stop - at > FARTHEST else None

    def _line(self, found: re.Match[str]) -> bool | None:
        """Whether a line's end ends a sentence: all do but those inside hard-wrapped prose."""
        text, at = self.text, found.end()
        if found.group().count("\n") > 1 or STRUCTURE.match(text, self.start):
            return True
        rest = FOLLOWING.match(text, at)
        if not rest or rest.end("gap") == len(text):
            return True if self.done else None
        return not text[rest.end("gap")].islower() or bool(STRUCTURE.match(text, at))

    def _stop(self, found: re.Match[str]) -> tuple[int, Rank | None] | None:
        """Where a full stop with all that closes after it ends, and what it ends; None: unknown."""
        text = self.text
        marks, closed = found.group(), CLOSERS.match(text, found.end())
        after = closed.end() if closed else found.end()
        quiet = self._quiet(found.start()) and after == found.end()
        for at in range(found.end(), after):
            if text[at] in ")]}）】》":
                self._bracket(at)
            elif text[at] in '"”»」』':
                self.quoted = False
        word = self._word(found.start())
        certain = quiet and (found.lastgroup == "full" or self.writing.certain_stop(word, marks))
        if after == len(text) and not self.done:
            return (after, Rank.SENTENCE) if certain and not self.patient else None
        if found.lastgroup == "full":
            ends: bool | None = after == found.end() or not text[after : after + 1].isalpha()
        elif marks[0] == "." and " " in marks and word:
            return self._stop_and_ellipsis(found, after)
        else:
            ends = self._ends(word, marks, text[found.end() : after], after, certain and not self.patient)
        if ends is None:
            return None
        return after, (Rank.INNER if self.quoted else Rank.SENTENCE) if ends and not self.depth else None

    def _stop_and_ellipsis(self, found: re.Match[str], after: int) -> tuple[int, Rank | None] | None:
        """`compounds. . . . The`: a full stop, then an ellipsis that begins the next sentence."""
        rest = FOLLOWING.match(self.text, after)
        first = rest["word"][:1] if rest else ""
        if not first and not self.done:
            return None
        if first.isupper() and not self.depth and not self.quoted:
            return found.start() + 1, Rank.SENTENCE
        return after, None

    def _word(self, end: int) -> str:
        """The word before a mark, without the quotes and brackets that open it."""
        begin = end
        while begin > max(self.start, end - FARTHEST) and not NO_WORD.match(self.text[begin - 1]):
            begin -= 1
        return self.text[begin:end].lstrip("\"'“‘„«([{*_").rstrip("*_")

    def _quiet(self, end: int) -> bool:
        """Whether nothing is open that may close right after the mark at `end`."""
        body = self.text[self.body : end]
        return not (
            self.depth
            or self.quoted
            or body.count("*") % 2
            or body.count("**") % 2
            or SINGLE_QUOTE.search(body)
        )

    def _ends(self, word: str, marks: str, closers: str, after: int, hurried: bool) -> bool | None:
        """Whether marks after `word`, closed by `closers`, end a sentence; None: more text must tell."""
        rest = FOLLOWING.match(self.text, after)
        if not rest or after == len(self.text):
            return True
        if not rest["gap"]:
            initials = marks == "." and INITIALS.search(word)
            return self.text[after] > "\u2190" and marks not in ("…", "……", "...") and not initials
        following = rest["word"]
        if not following and not self.done:
            return True if hurried or "\n" in rest["gap"] else None
        if not following or "\n" in rest["gap"]:
            return True
        if following[0] in "=≠≈≤≥":  # "5! = 120"
            return False
        lower, upper = following[0].islower(), following[0].isupper()
        if "!" in marks or "?" in marks:
            return not lower or not (closers.strip("*_~") or word in BANG_NAMES)
        if len(marks) > 1 or marks == "…":
            spaced = " " in marks or (not word and len(marks) < 4)
            return not lower and not (spaced and marks.count(".") < 4) and following != "I"
        if lower:
            return not closers.strip("*_~") and self.writing.ordinary(word)
        if following[0] in "-–—&/+=,;:":
            return False
        if not upper and not following[0].isalnum():  # letters without case may begin a sentence, too
            return True
        opening = self.text[self.body : after].strip()
        return self.writing.stop_ends(
            word, following, opening, complete=self.done or rest.end() < len(self.text)
        )
