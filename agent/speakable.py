"""What a voice should say of a piece of text, and where each character came from. Knows no voice.

Markdown and HTML marks, emoji, code blocks and addresses are dropped or said as a person would; numbers,
money, times and units are left to the voice.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

Found = re.Match[str]
# What takes the place of a match: new words, or the part of it that stays.
Put = str | tuple[int, int]

LINES = re.compile(r"[^\n]*\n|[^\n]+")
MARKS = r"(?:#{1,6}[ \t]+|>[ \t]?|[-*+][ \t]+|[•⁃][ \t]*|\[[ xX]\][ \t]+|\|[ \t]*)+"
FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})(?!.*`)")
RULE = re.compile(r"^[ \t]*(?:([-*_=])[ \t]*(?:\1[ \t]*){2,}|\|?[ \t]*:?-{2,}:?[ \t|:-]*)$", re.M)
COMMENT = re.compile(r"<!--.*?-->", re.S)
AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^\s<>]+|[^\s<>@]+@[^\s<>@]+)>")
BREAK = re.compile(r"<(?:br|hr|/p|/div|/li|/tr|/h[1-6])[ \t]*/?>", re.I)
TAG = re.compile(r"</?[A-Za-z][\w-]*(?:\s+[\w:-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'>]+))*\s*/?>")
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8}\d{0,2});")
LINK = re.compile(
    r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\([^()\s]*\)[^()\s]*)?(?:\s+[\"'][^\"']*[\"'])?\)|\[[^\[\]]*\])"
)
FOOTNOTE = re.compile(r"\[\^[^\]\s]+\]:?|[ \t]*\[(?:\.\.\.|…)\]")
CODE = re.compile(r"(`+)(.+?)(?<!`)\1(?!`)", re.S)
URL = re.compile(
    r"(?:https?://|www\.)(?:www\.)?([\w-]+(?:\.[\w-]+)*)(?::\d+)?(?:[/?#](?:[^\s<>\"”»]*[^\s<>\"”».,;:!?)\]}'*_])?)?"
)
DOMAIN = r"(?:[A-Za-z0-9-]+\.)+(?:com|org|net|edu|gov|io|dev|ai|app|info|uk|de|fr|eu)\b"
ADDRESS = re.compile(rf"\b(?:[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|{DOMAIN})")
LINE_MARKS = re.compile(rf"(?:^|(?<=\n))[ \t]*{MARKS}")
MARKED = re.compile(rf"[ \t]*(?:{MARKS}|(?:\d{{1,3}}|[A-Za-z])[.)][ \t])")
CELL = re.compile(r"[ \t]*\|[ \t]*")
LINE_END = re.compile(r"[ \t]*\n\s*")
STARS = re.compile(r"\*+|~~+|_+")
LEFTOVER = re.compile(r"`+|[•⁃]")
ESCAPE = re.compile(r"\\(?=[^\w\s]|_)")
ONE = "[\u2190-\u21ff\u2300-\u23ff\u2500-\u27bf\u2900-\u297f\u2b00-\u2bff\U0001f000-\U0001faff]"
EMOJI = rf"(?:{ONE}(?:[\ufe0e\ufe0f\u20e3\u200d\U000e0020-\U000e007f]|{ONE})*|[\ufe0f\u20e3]+)"
EMOJI_BEFORE_MARK = re.compile(rf"[ \t]*{EMOJI}(?=[ \t]*[.,!?])|[\ufe0f\u20e3]+")
ARROW = re.compile(r"\s*[→⇒]\s*")
FOR_EXAMPLE = re.compile(r"\b([Ee])\.\s?g\.(?=[\s,]|$)")
THAT_IS = re.compile(r"\b([Ii])\.\s?e\.(?=[\s,]|$)")
AND = re.compile(r"\s*&+\s*")
ELLIPSIS = re.compile(r"\s*(?:\.\.+|…|\.(?: \.)+)[.…]*")
STRAY = re.compile(r"^[\s.!?,;:…)\]}\"'”’»]+(?=\s)")
EDGES = re.compile(r"^\s+|\s+$")
BLANK = re.compile(r"\s+")
PAUSES = ".!?:;,…。！？：；，、।؟"


@dataclass(frozen=True, slots=True)
class Spoken:
    """What to say of a piece.

    text: the words for the voice; empty where nothing is to be said.
    sources: for each character of `text` the index in the piece that it came from, never decreasing.
    length: how many characters the piece has.
    """

    text: str
    sources: tuple[int, ...]
    length: int

    def source_range(self, start: int, end: int) -> tuple[int, int]:
        """The half-open range of the piece that was said with `text[start:end]`.

        Characters that are not spoken go with the spoken ones before them (at the beginning, after
        them), so neighbouring ranges meet and the whole text gives the whole piece.
        """
        return self._edge(start), self._edge(end)

    def _edge(self, at: int) -> int:
        if at <= 0:
            return 0
        return self.sources[at] if at < len(self.text) else self.length


class Speakable:
    """Turns the pieces of one reply, in order, into what a voice should say of them.

    Remembers from piece to piece whether a code block is open and whether a line begins.
    """

    def __init__(self) -> None:
        self._fence = ""
        self._line = True

    def say(self, piece: str) -> Spoken:
        """Return the words to say of `piece`, with the way back to it.

        Lists, headings and table rows get a full stop where they end without a pause. Code blocks are
        silent. Prose without marks comes back as it is, but for white space.
        """
        begins_line = self._line
        text = _Text(piece, self._outside_fences(piece))
        for pattern, put in STEPS:
            text.replace(pattern, put)
        text.replace(CELL, lambda found: _cell(found, begins_line))
        text.replace(LINE_END, lambda found: _line_end(found, begins_line))
        text.replace(LINE_MARKS, lambda found: "" if found.start() or begins_line else found.span())
        if not any(letter.isalnum() for letter in text.text):
            return Spoken("", (), len(piece))
        for pattern, put in WORD_STEPS:
            text.replace(pattern, put)
        return Spoken(text.text, tuple(text.sources), len(piece))

    def _outside_fences(self, piece: str) -> list[int]:
        """The indices of the characters that are in no fenced code block."""
        kept: list[int] = []
        for line in LINES.finditer(piece):
            text = line.group()
            if self._fence:
                if self._line and text.strip().startswith(self._fence) and not text.strip(" \t\n`~"):
                    self._fence = ""
            elif self._line and (opening := FENCE.match(text)):
                self._fence = opening[1]
            else:
                kept.extend(range(line.start(), line.end()))
            self._line = text.endswith("\n") or (self._line and text.isspace())
        return kept


class _Text:
    """A text that knows where in the piece each of its characters came from."""

    def __init__(self, piece: str, sources: list[int]) -> None:
        self.text = "".join([piece[at] for at in sources])
        self.sources = sources

    def replace(self, pattern: re.Pattern[str], put: Callable[[Found], Put]) -> None:
        """Put `put(match)` in place of every match of `pattern`."""
        parts: list[str] = []
        sources: list[int] = []
        at = 0
        for found in pattern.finditer(self.text):
            begin, end = found.span()
            parts.append(self.text[at:begin])
            sources += self.sources[at:begin]
            new = put(found)
            if isinstance(new, str):
                # The new words are spread over the old ones, so that half of them heard is half said.
                old = self.sources[begin:end]
                parts.append(new)
                sources += [old[i * len(old) // len(new)] for i in range(len(new))]
            else:
                parts.append(self.text[slice(*new)])
                sources += self.sources[slice(*new)]
            at = end
        if at:
            self.text = "".join([*parts, self.text[at:]])
            self.sources = [*sources, *self.sources[at:]]


def _silent(found: Found) -> Put:
    return ""


def _blank(found: Found) -> Put:
    return " "


def _group(number: int) -> Callable[[Found], Put]:
    return lambda found: found.span(number)


def _entity(found: Found) -> Put:
    return html.unescape(found.group())


def _address(found: Found) -> Put:
    """`https://www.example.com/a` and `me@example.com`, as a person would read them out."""
    name = found[1] if found.re is URL else found.group()
    return name.replace(".", " dot ").replace("@", " at ")


def _cell(found: Found, begins_line: bool) -> Put:
    """A pipe between the cells of a table row is a short pause; one elsewhere stays."""
    text, (begin, end) = found.string, found.span()
    line = text.rfind("\n", 0, begin) + 1
    row = text[line:].lstrip(" \t").startswith("|") and (begins_line or line > 0)
    if row and not text[line:begin].strip(" \t"):
        return found.span()
    if row and (end == len(text) or text[end] == "\n"):
        return ""
    return ", " if row or len(found.group()) > 2 else found.span()


def _line_end(found: Found, begins_line: bool) -> Put:
    """A full stop where a heading, list item, table row or paragraph ends without a pause."""
    text, begin = found.string, found.start()
    line = text.rfind("\n", 0, begin) + 1
    said = text[line:begin].rstrip("*_~`\"'”’)]} \t")
    marked = MARKED.match(text, line) and (begins_line or line > 0)
    ends = marked or found.group().count("\n") > 1 or found.end() == len(text)
    if ends and said and said[-1] not in PAUSES and any(letter.isalnum() for letter in said):
        return ".\n"
    return "\n"


def _stars(found: Found) -> Put:
    """Emphasis is silent; a sign of arithmetic and the underscore inside a name stay."""
    text, (begin, end) = found.string, found.span()
    before, after = text[begin - 1 : begin], text[end : end + 1]
    mark = found.group()
    inside = before.isalnum() and after.isalnum()
    if mark[0] == "_":
        stays = inside
    elif mark == "*":
        stays = inside or (before.isspace() and after.isspace())
    else:
        stays = mark == "**" and before.isdigit() and after.isdigit()
    return found.span() if stays else ""


def _ellipsis(found: Found) -> Put:
    text, (begin, end) = found.string, found.span()
    before, after = text[:begin].rstrip()[-1:], text[end : end + 1]
    pause = "" if not before.isalnum() or after in tuple(",.;:!?") else ","
    return pause + (" " if after.isalnum() else "")


STEPS: list[tuple[re.Pattern[str], Callable[[Found], Put]]] = [
    (ESCAPE, _silent),
    (RULE, _silent),
    (COMMENT, _silent),
    (AUTOLINK, _group(1)),
    (BREAK, lambda _: "\n\n"),
    (TAG, _silent),
    (ENTITY, _entity),
    (ARROW, lambda _: " to "),
    (EMOJI_BEFORE_MARK, _silent),
    (re.compile(EMOJI), _blank),
    (FOOTNOTE, _silent),
    # Twice, for an image inside a link.
    (LINK, _group(1)),
    (LINK, _group(1)),
    (CODE, _group(2)),
    (URL, _address),
    (ADDRESS, _address),
]
WORD_STEPS: list[tuple[re.Pattern[str], Callable[[Found], Put]]] = [
    (LEFTOVER, _silent),
    (STARS, _stars),
    (FOR_EXAMPLE, lambda found: "For example" if found[1] == "E" else "for example"),
    (THAT_IS, lambda found: "That is" if found[1] == "I" else "that is"),
    (AND, lambda _: " and "),
    (ELLIPSIS, _ellipsis),
    (BLANK, _blank),
    (STRAY, _silent),
    (EDGES, _silent),
]
