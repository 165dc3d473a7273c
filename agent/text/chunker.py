"""LLM tokens in, speakable chunks out, as early as is safe. Knows when to cut; boundaries.py knows where.

The trade-off: while less than `HURRY` seconds of speech wait to be heard, silence threatens. Then the first
clause that is long enough is a chunk (before the reply's first sound and with less than `URGENT` ahead, a
phrase), and a certain full stop ends its sentence with the very token that brings it; a closing quote or a
second mark ("!!") that arrives as a later token then opens the next chunk. With more speech ahead there is
time: chunks are whole sentences, and each full stop waits for the character after it.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass

from agent.text.abbreviations import writing
from agent.text.boundaries import Context, Cut, Rank, cuts

HURRY, URGENT = 1.0, 0.35
LATER_PIECE = 16
"""Characters from which a clause or phrase is long enough for a chunk that does not open the reply."""
LETTERS_A_SECOND = 15.0
TYPED = 4


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A part of the reply that can be spoken by itself.

    text: exactly the reply's characters `start` to `end` (half-open), or what is said aside, at one point of
    it. final: it ends a sentence.
    """

    text: str
    start: int
    end: int
    final: bool

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where in the reply these characters of `text` are: what is no part of the reply is at one point."""
        return min(self.start + start, self.end), min(self.start + end, self.end)


class Chunker:
    """Cuts one reply into chunks; joined, their texts are the reply to the character.

    first_chunk: characters from which a phrase is long enough to open the reply. longest_chunk: characters
    after which a chunk is cut at the best place there is. A wide (Chinese, Japanese, Korean) character
    takes as long to say as three letters and counts as three. White space opens the chunk after it, except
    that a line's end closes its line. Code in a fence comes line by line and is final at its end only.
    language: whose abbreviations and joints count.
    """

    def __init__(self, first_chunk: int = 8, longest_chunk: int = 240, language: str = "en") -> None:
        self._writing = writing(language)
        self._first, self._longest = first_chunk, longest_chunk
        self._pending = ""
        self._offset = 0
        self._context = Context()
        self._typed = 0

    def feed(self, token: str, ahead: float = 0.0) -> list[TextChunk]:
        """Add `token` and return the chunks that are now safe to speak, in order.

        `ahead`: seconds of speech already made, or under way, that are not yet heard, less what it takes to
        make more. Costs time in proportion to the token and the pending chunk, not to the reply.
        """
        self._pending += token
        # Text that comes letter by letter is typed, or a test: there, one more character costs no token.
        typed = self._typed >= TYPED
        self._typed = self._typed + 1 if len(token) == 1 and token.isascii() else 0
        return self._chunks(ahead, typed, done=False)

    def flush(self, aside: str = "") -> list[TextChunk]:
        """Return the rest of the reply as chunks; the chunker is then as new, but for the offset.

        aside: what is said in this place and is no part of the reply.
        """
        chunks = self._chunks(math.inf, True, done=True)
        self._context = Context()
        if self._pending:
            chunks.append(self._chunk(self._pending, final=True))
            self._pending = ""
        return [*chunks, TextChunk(aside, self._offset, self._offset, True)] if aside else chunks

    def _chunks(self, ahead: float, typed: bool, done: bool) -> list[TextChunk]:
        chunks: list[TextChunk] = []
        begin = 0
        while begin < len(self._pending):
            cut = self._next(begin, ahead, typed, done)
            if cut is None:
                break
            final = cut.rank is Rank.SENTENCE and not cut.context.fence
            chunks.append(self._chunk(self._pending[begin : cut.at], final))
            ahead += (cut.at - begin) / LETTERS_A_SECOND
            begin, self._context = cut.at, cut.context
        self._pending = self._pending[begin:]
        return chunks

    def _chunk(self, text: str, final: bool) -> TextChunk:
        chunk = TextChunk(text, self._offset, self._offset + len(text), final)
        self._offset = chunk.end
        return chunk

    def _next(self, begin: int, ahead: float, typed: bool, done: bool) -> Cut | None:
        """The cut that ends the chunk beginning at `begin`, if it is safe by now."""
        text, hurry = self._pending, ahead < HURRY
        reach = _reach(text, begin, self._longest)
        opening = self._offset + begin == 0
        early = _reach(text, begin, self._first if opening else max(self._first, LATER_PIECE))
        # A break inside a clause sounds a little odd; silence there, or before the reply, is worse.
        enough = Rank.PHRASE if opening else Rank.CLAUSE
        fallback: Cut | None = None
        makeshift: Cut | None = None
        patient = not hurry or typed
        for cut in cuts(text, begin, self._context, patient=patient, done=done, writing=self._writing):
            if cut.context.fence or self._context.fence:
                return cut
            if cut.at > reach:
                break
            if joined(text, cut.at):
                continue
            if cut.rank is Rank.SENTENCE:
                return cut
            long_enough = cut.at >= early + _blanks(text, begin)
            if hurry and long_enough and cut.rank >= enough:
                return cut
            if ahead < URGENT and long_enough and cut.rank is Rank.PHRASE:
                makeshift = cut
            if fallback is None or cut.rank >= fallback.rank or fallback.at - begin < (reach - begin) // 3:
                fallback = cut
        if makeshift is not None:
            return makeshift
        if reach >= len(text) or self._context.fence:
            return None
        return fallback or _between_letters(text, begin, reach, self._context)


def joined(text: str, at: int) -> bool:
    """Whether cutting before `at` would split what a reader sees as one character.

    The common part of Unicode's grapheme clusters (UAX 29): marks, joiners, variation selectors, skin
    tones, tags, pairs of regional indicators, conjoining Hangul, and CR LF.
    """
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if after in "\u200d\u0e33\u0eb3" or before == "\u200d" or (before, after) == ("\r", "\n"):
        return True
    if unicodedata.category(after) in ("Mn", "Me", "Mc") or "\U0001f3fb" <= after <= "\U0001f3ff":
        return True
    if "\u1160" <= after <= "\u11ff" and "\u1100" <= before <= "\u11ff":
        return True
    if "\U000e0020" <= after <= "\U000e007f":
        return True
    flags = 0
    while flags < at and "\U0001f1e6" <= text[at - 1 - flags] <= "\U0001f1ff":
        flags += 1
    return flags % 2 == 1 and "\U0001f1e6" <= after <= "\U0001f1ff"


def _reach(text: str, begin: int, budget: int) -> int:
    """The index up to which `text[begin:]` fills `budget` letters; past the end where it does not."""
    end = min(len(text), begin + budget)
    if text[begin:end].isascii():
        return begin + budget
    for at in range(begin, end):
        budget -= 3 if unicodedata.east_asian_width(text[at]) in "WF" else 1
        if budget < 0:
            return at
    return end + budget


def _blanks(text: str, begin: int) -> int:
    """How many characters of white space `text[begin:]` opens with."""
    rest = text[begin : begin + 100]
    return len(rest) - len(rest.lstrip())


def _between_letters(text: str, begin: int, reach: int, context: Context) -> Cut | None:
    """A cut where there is no better place: between two characters as a reader counts them."""
    at = reach
    while at > begin and joined(text, at):
        at -= 1
    if at == begin:
        at = max(reach, begin + 1)
        while joined(text, at):
            at += 1
    after = Context(False, False, context.quoted, context.successor)
    return Cut(at, Rank.SPACE, after) if at < len(text) else None
