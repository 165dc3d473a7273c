"""What a voice should say of a chunk of text, and where each character came from. Knows no voice.

Markdown and HTML marks, emoji, code blocks and addresses are dropped or said as a user would. Numbers,
money, times, units, signs and formulas become words, by `agent.text.normalization`.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from agent.text.normalization import Found, Language, Rule, language, parts

# What takes the place of a match: new words, or the part of it that stays.
Put = str | tuple[int, int]

LINES = re.compile(r"[^\n]*\n|[^\n]+")
MARKS = r"(?:#{1,6}[ \t]+|>(?![=$€£¥]?\.?\d|=)[ \t]?|[-*+][ \t]+|[•⁃][ \t]*|\[[ xX]\][ \t]+|\|[ \t]*)+"
FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})(?!.*`)")
RULE = re.compile(r"^[ \t]*+(?:([-*_=])[ \t]*(?:\1[ \t]*){2,}|(?:\|[ \t]*)?:?-{2,}:?[ \t|:-]*)$", re.M)
COMMENT = re.compile(r"<!--.*?-->", re.S)
AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^\s<>]+|[^\s<>@]+@[^\s<>@]+)>")
BREAK = re.compile(r"<(?:br|hr|/p|/div|/li|/tr|/h[1-6])[ \t]*/?>", re.I)
POWER = re.compile(r"(?<![^\W\d_]{4})<sup>([-−+]?\d{1,3})</sup>", re.I)
TAG = re.compile(r"</?([A-Za-z][\w-]*)(?:\s+[\w:-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'>]+))*\s*/?>")
INLINE = re.compile(
    "(?:a|abbr|acronym|b|bdi|big|cite|code|del|dfn|em|font|i|ins|kbd|mark|q|s|samp|small|span|strong|su[bp]|tt|u|var|wbr)",
    re.I,
)
"""Tags that may stand inside a word."""
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8}\d{0,2});")
LINK = re.compile(
    r"!?(?!\[\d+\]\[\d+\])\[([^\[\]]*)\](?:\([^()\s]*(?:\([^()\s]*\)[^()\s]*)?(?:\s+[\"'][^\"']*[\"'])?\)|\[[^\[\]]*\])"
)
FOOTNOTE = re.compile(r"\[\^[^\]\s]+\]:?|(?<![ \t])[ \t]*\[(?:\.\.\.|…)\]")
CODE = re.compile(r"(`+)(.+?)(?<!`)\1(?!`)", re.S)
SCHEME = r"(?:https?|s?ftps?|wss?|ssh|git|rtsp|grpc)://"
PORT = r":\d{1,5}(?!\d)"
PATH = r"(?P<path>(?:[/?#](?:[^\s<>\"”»]*[^\s<>\"”».,;:!?)\]}'*_])?)?)"
URL = re.compile(rf"(?:{SCHEME}|www\.)(?:www\.)?(?P<host>[\w-]+(?:\.[\w-]+)*(?<!_))(?P<port>{PORT})?" + PATH)
LABEL = "[A-Za-z0-9-]{1,63}"
DOMAIN = (
    rf"(?:{LABEL}\.){{1,9}}(?:(?:com|org|net|edu|gov|io|dev|ai|app|info|uk|de|fr|eu)\b|[a-z]{{2,6}}(?=/\w))"
)
ADDRESS = re.compile(
    rf"(?<![^\W_])(?<![.+&-])(?:(?P<mail>[^\W_][\w.+&-]{{0,63}}@{LABEL}(?:\.{LABEL}){{1,9}})|"
    rf"(?P<host>{DOMAIN}|localhost(?=:\d))(?P<port>{PORT})?{PATH})"
)
_WORD = r"(?:(?:[A-Z]?[a-z]++|[A-Z]++[a-z]*+){1,3}\d{0,4}|\d{1,6}[a-z]{0,2})"
WORDY = re.compile(rf"(?:/[@~]?{_WORD}(?:[-_.]{_WORD}){{0,7}}){{1,5}}/?")
LONGEST_PATH = 48
"""Characters of a path that a user can follow; beyond them, or in a machine's, the host is enough."""
LINE_MARKS = re.compile(rf"(?:^|(?<=\n))[ \t]*{MARKS}")
MARKED = re.compile(rf"[ \t]*(?:{MARKS}|(?:\d{{1,3}}|[A-Za-z])[.)][ \t])")
CELL = re.compile(r"(?<![ \t])[ \t]*\|[ \t]*")
LINE_END = re.compile(r"(?<![ \t])[ \t]*\n\s*")
BOLD_NUMBER = re.compile(r"[\d.,]+[^\W\d]{0,3}\*\*")
STARS = re.compile(r"\*+|~~+|_+")
LEFTOVER = re.compile(r"`+|[•⁃]")
ESCAPE = re.compile(r"\\(?=[^\w\s]|_)")
ONE = "[\u2190-\u21ff\u2300-\u23ff\u2500-\u27bf\u2900-\u297f\u2b00-\u2bff\U0001f000-\U0001faff]"
EMOJI = rf"(?:{ONE}(?:[\ufe0e\ufe0f\u20e3\u200d\U000e0020-\U000e007f]|{ONE})*+|[\ufe0f\u20e3]++)"
EMOJI_BEFORE_MARK = re.compile(
    rf"(?<![ \t])[ \t]*(?<![\ufe0e\ufe0f\u200d{ONE[1:-1]}]){EMOJI}(?=[ \t]*[.,!?])|[\ufe0f\u20e3]+"
)
ELLIPSIS = re.compile(r"(?<!\s)\s*(?:\.\.+|…|\.(?: \.)+)[.…]*")
STRAY = re.compile(r"^[\s.!?,;:…)\]}\"'”’»]+(?=\s)")
EDGES = re.compile(r"^\s+|\s+$")
BLANK = re.compile(r"\s+")
BLANK_BEFORE_PAUSE = re.compile(r" +(?=[,.;:!?](?![^\W_]))")
ADDRESS_BEGINS = re.compile(rf"{SCHEME}|www\.")
ADDRESS_GOES_ON = re.compile(r"[!-~]*")
CONTEXT = 60
"""Characters of the sentence so far that tell what a number in the next chunk is."""
SENTENCE_END = (".", "!", "?", "\n")
BEFORE = -1
"""The source of a character that is of an earlier chunk."""
UNKNOWN = Language(markup=(), text=(), rest=Rule(re.compile(r"\A(?!)"), lambda _: None), address=str)
"""A language without rules."""
PAUSES = ".!?:;,…。！？：；，、।؟"


@dataclass(frozen=True, slots=True)
class Spoken:
    """What to say of a chunk.

    text: the words for the voice; empty where nothing is to be said.
    sources: for each character of `text` the index in the chunk that it came from, never decreasing.
    length: how many characters the chunk has.
    """

    text: str
    sources: tuple[int, ...]
    length: int

    def source_range(self, start: int, end: int) -> tuple[int, int]:
        """The half-open range of the chunk that was said with `text[start:end]`.

        Characters that are not spoken go with the spoken ones before them (at the beginning, after
        them), so neighbouring ranges meet and the whole text gives the whole chunk.
        """
        return self._edge(start), self._edge(end)

    def _edge(self, at: int) -> int:
        if at <= 0:
            return 0
        return self.sources[at] if at < len(self.text) else self.length


class TextNormalizer:
    """Turns the chunks of one reply, in order, into what a voice should say of them.

    Remembers from chunk to chunk whether a code block is open, whether a line begins, how the sentence
    began, and whether an address or a number that is too long for one chunk goes on.
    code: the language that the voice reads, as "en"; where that has no rules, its numbers
    and signs are left to the voice.
    """

    def __init__(self, code: str = "en") -> None:
        self._rules = language(code) or UNKNOWN
        self._fence = ""
        self._line = True
        self._last = ""
        self._address = False
        self._context = ""

    def say(self, chunk: str) -> Spoken:
        """Return the words to say of `chunk`, with the way back to it.

        Lists, headings and table rows get a full stop where they end without a pause. Code blocks are
        silent, and of an address only what a user can follow is said. Prose comes back as it is, but for
        white space.
        """
        begins_line = self._line
        text = _Text(chunk, self._after_address(chunk, self._outside_fences(chunk)))
        for rule in self._rules.markup:
            text.read(rule)
        for pattern, put in STEPS:
            text.replace(pattern, put)
        for pattern in (URL, ADDRESS):
            text.replace(pattern, lambda found: _address(found, self._rules))
        text.replace(CELL, lambda found: _cell(found, begins_line))
        text.replace(LINE_END, lambda found: _line_end(found, begins_line))
        text.replace(LINE_MARKS, lambda found: "" if found.start() or begins_line else found.span())
        going_on, self._last = self._last.isdecimal(), chunk[-1:] or self._last
        if not any(letter.isalnum() or letter == "∞" for letter in text.text):
            return Spoken("", (), len(chunk))
        for pattern, put in (*MARKS_OF_WORDS, (BLANK, _blank)):
            text.replace(pattern, put)
        self._normalize(text, going_on)
        for pattern, put in WORD_STEPS:
            text.replace(pattern, put)
        return Spoken(text.text, tuple(text.sources), len(chunk))

    def _normalize(self, text: _Text, going_on: bool) -> None:
        """Numbers and signs as words. What was said before tells what they are, and is not said again."""
        said = "" if self._context.rstrip(" \"'”’)*_").endswith(SENTENCE_END) else self._context
        self._context = (said + text.text)[-CONTEXT:]
        if going_on:
            text.read(self._rules.rest)
        text.sources = [BEFORE] * len(said) + text.sources
        text.text = said + text.text
        for rule in self._rules.text:
            text.read(rule)
        begin = bisect_right(text.sources, BEFORE)
        text.text, text.sources = text.text[begin:], text.sources[begin:]

    def _after_address(self, chunk: str, kept: list[int]) -> list[int]:
        """The indices without those of an address that began in the chunk before."""
        rest = ADDRESS_GOES_ON.match(chunk) if self._address else None
        begin = rest.end() if rest else 0
        token = chunk[begin:].rsplit(maxsplit=1)[-1:] if chunk[-1:].isascii() else []
        inside = bool(token) and not chunk[-1:].isspace() and bool(ADDRESS_BEGINS.search(token[0]))
        self._address = inside or (bool(chunk) and begin == len(chunk))
        return [at for at in kept if at >= begin] if begin else kept

    def _outside_fences(self, chunk: str) -> list[int]:
        """The indices of the characters that are in no fenced code block."""
        kept: list[int] = []
        for line in LINES.finditer(chunk):
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
    """A text that knows where in the chunk each of its characters came from."""

    def __init__(self, chunk: str, sources: list[int]) -> None:
        self.text = "".join([chunk[at] for at in sources])
        self.sources = sources

    def read(self, rule: Rule) -> None:
        """Put the words of a rule in place of its matches.

        Half a number is another number, so its words come from the place where it begins: only with the
        last of them is it said.
        """
        chunks: list[str] = []
        sources: list[int] = []
        at = 0
        for found in rule.pattern.finditer(self.text):
            said = rule.read(found)
            if said is None:
                continue
            begin = found.start()
            if self.sources[begin] == BEFORE and self._only_blanks_are_new(*found.span()):
                continue
            chunks.append(self.text[at:begin])
            sources += self.sources[at:begin]
            for end, words in parts(said, len(found[0])):
                old = self.sources[begin : found.start() + end]
                source = next((place for place in old if place != BEFORE), BEFORE)
                chunks.append(words)
                sources += old if words == self.text[begin : found.start() + end] else [source] * len(words)
                begin = found.start() + end
            at = found.end()
        if at:
            self.text = "".join([*chunks, self.text[at:]])
            self.sources = [*sources, *self.sources[at:]]

    def _only_blanks_are_new(self, begin: int, end: int) -> bool:
        """Whether of a match that began in an earlier chunk this one has no more than white space."""
        return not self.text[bisect_right(self.sources, BEFORE, begin, end) : end].strip()

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


def _tag(found: Found) -> Put:
    """`go<pause/>home` is two words, `<b>H</b>ello` one."""
    text, (begin, end) = found.string, found.span()
    between = text[begin - 1 : begin].isalnum() and text[end : end + 1].isalnum()
    return " " if between and not INLINE.fullmatch(found[1]) else ""


def _address(found: Found, rules: Language) -> Put:
    """`https://www.example.com/help` and `me@my-site.com`, as a user would read them out."""
    parts = found.groupdict("")
    path = parts["path"].rstrip("/")
    if len(path) > LONGEST_PATH or not WORDY.fullmatch(path):
        path = ""
    host = (parts.get("mail") or parts["host"]) + parts.get("port", "")
    if host[0].isdigit() and not re.search("[A-Za-z]", host):
        return host + rules.address(path)
    return rules.address(host + path)


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
        power = before.isdigit() or ((before == ")" or before.isalpha()) and not BOLD_NUMBER.match(text, end))
        stays = mark == "**" and after.isdigit() and power
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
    (POWER, lambda found: f"^{found[1]}"),
    (TAG, _tag),
    (ENTITY, _entity),
    (EMOJI_BEFORE_MARK, _silent),
    (re.compile(EMOJI), _blank),
    (FOOTNOTE, _silent),
    # Twice, for an image inside a link.
    (LINK, _group(1)),
    (LINK, _group(1)),
    (CODE, _group(2)),
]
MARKS_OF_WORDS: list[tuple[re.Pattern[str], Callable[[Found], Put]]] = [(LEFTOVER, _silent), (STARS, _stars)]
WORD_STEPS: list[tuple[re.Pattern[str], Callable[[Found], Put]]] = [
    (ELLIPSIS, _ellipsis),
    (BLANK, _blank),
    (BLANK_BEFORE_PAUSE, _silent),
    (STRAY, _silent),
    (EDGES, _silent),
]
