"""What goes wrong inside, caught in one place: clients are told a plain line with an id, the log the rest.

Nothing but a `RequestError` leaves this file: of every other error a client reads what that error's `public`
says, whatever engine or wire it comes from. The log has its whole text under the same id, without the words
of the conversation, which engines and other servers like to quote. Knows no wire.
"""

from __future__ import annotations

import logging
import re
import secrets
import traceback
import unicodedata
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from agent.errors import BackchatError, RequestError, leaves

log = logging.getLogger("backchat")

ROOT = Path(__file__).parents[2]
_WORD = re.compile(r"[^\W_]{4,}")
"""Shorter ones tell nothing by themselves, and errors are made of them."""
_OTHER_SCRIPT = re.compile("[^\\x00-\u024f\u1e00-\u1eff\u2000-\u2bff]+")
"""What is not in Latin letters is nobody's but a user's: errors are written in English. Such words cannot be
looked up, since many scripts set no blanks between them."""
_DATA = re.compile(r"[\w+/=%-]{80,}")
"""What has so many characters without a blank is a sound, a picture, or something else that was sent."""
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
LONGEST_WORD = 64
"""Characters in which a word is looked for that comes in pieces."""
LONGEST = 2000
"""Characters of an error that are logged; servers answer with whole pages."""
KEPT = 20_000
"""Different words of one session or request that are remembered; beyond that the oldest are forgotten."""

_words: ContextVar[dict[str, None] | None] = ContextVar("words", default=None)


@contextmanager
def told(what: str, *passing: type[BaseException]) -> Generator[None]:
    """Let what goes wrong in this block be an error that the client is told of, and not a bare end.

    what: what was being done, for the log. What was refused and `passing` go on as they are, alone also where
    a task group has wrapped them. Raises RequestError (500) for anything else, with an id that is in the log.
    """
    if _words.get() is None:
        _words.set({})
    try:
        yield
    except Exception as error:
        found = leaves(error)
        known = [leaf for leaf in found if isinstance(leaf, (RequestError, *passing))]
        if known:
            raise known[0] from None
        if ours := [leaf for leaf in found if isinstance(leaf, BackchatError)]:
            ours.sort(key=lambda leaf: leaf.theirs)
            if ours[0].theirs:
                raise RequestError(ours[0].public, code=ours[0].code) from None
            raise failure(what, str(ours[0]), ours[0].public, ours[0].code) from None
        name = _new_id()
        log.exception("unforeseen", extra={"data": {"id": name, "in": what}})
        text = f"{what}: a fault of the server's own, noted in its log; what was asked is not done"
        raise RequestError(f"{text} (error {name})", 500, "internal_error") from error


def failure(what: str, text: str, public: str, code: str) -> RequestError:
    """What a client is told of an error of ours with that text, which goes into the log.

    what: what was being done, for the log. public, code: as the error has them.
    """
    name = _new_id()
    log.error("failed", extra={"data": {"id": name, "in": what, "code": code, "text": wordless(text)}})
    return RequestError(f"{public} (error {name})", 500, code)


def said(text: str) -> None:
    """These words belong to the conversation that goes on here: no error that quotes them is logged so."""
    words = _words.get()
    if words is None:
        return
    for word in dict.fromkeys(_WORD.findall(unicodedata.normalize("NFC", text).casefold())):
        words.pop(word, None)
        words[word] = None
    while len(words) > KEPT:
        del words[next(iter(words))]


class Writing:
    """Words that come in pieces, as a language model writes them."""

    def __init__(self) -> None:
        self._last = ""

    def add(self, text: str) -> None:
        """So much more is written: it belongs to the conversation, with the word that it ends."""
        self._last = f"{self._last}{text}"[-max(LONGEST_WORD, len(text)) :]
        said(self._last)


def wordless(text: str) -> str:
    """`text` without the words of the conversation that goes on here."""
    words = _words.get() or {}
    text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text[:LONGEST])
    text = _DATA.sub("…", _OTHER_SCRIPT.sub("…", unicodedata.normalize("NFC", text)))
    return _WORD.sub(lambda found: "…" if found[0].casefold() in words else found[0], text)


def trace(error: BaseException) -> Iterable[str]:
    """Where each error of a chain or group comes from, and what it says, wordless; the first one first."""
    for leaf in leaves(error):
        if (before := leaf.__cause__ or leaf.__context__) is not None:
            yield from trace(before)
        for frame in traceback.extract_tb(leaf.__traceback__):
            path = Path(frame.filename)
            where = path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(*path.parts[-2:])
            yield f"{where}:{frame.lineno} {frame.name}"
        yield f"{type(leaf).__name__}: {wordless(str(leaf))}"


def _new_id() -> str:
    return secrets.token_hex(4)
