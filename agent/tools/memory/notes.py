"""What the user wants remembered: one readable text of theirs, a note a line. Knows no conversation."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Protocol, TypeAlias
from weakref import WeakKeyDictionary

from agent.errors import ToolError
from agent.settings import ToolsConfig
from agent.text.cleaning import cleaned
from agent.tools.memory.keeping import Keeping, Kept
from agent.tools.stems import stems
from agent.tools.tool import Tool, ToolContext, tool

FILE = "notes.md"
LONGEST, MOST = 500, 500
"""Characters of a note, and notes."""
TOLD = 600
"""Characters of notes that are told unasked: each is read anew with every turn."""
FOUND = 20
"""Notes that are told at once."""
OWN = 1 / 3
"""Of the words of a note, how many must be the user's own: a model says some of them in its way."""
_DATE = re.compile(r" \(\d{4}-\d\d-\d\d\)$")
"""When it was noted, at its end."""
NOT_SAID = "The user did not say that, and it is not noted. What they said is: {}"
_EVERYTHING = ("everything", "all", "all of it")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Letters of Thai, Lao, Japanese and Chinese."""
_USUAL = stems(
    "user like love want need prefer favorite name live work have get go make take day time year thing"
)
"""What so many notes and conversations say that it tells nothing of what either is about."""


class Similar(Protocol):
    """How near texts are in what they mean."""

    def likeness(self, text: str, others: Sequence[str]) -> list[float]:
        """Of `text` to each of the others: above 0 where they have to do with each other, 1 for the same."""
        ...


class Notes:
    """The notes of one user. Raises ToolError where they cannot be read or written.

    similar: finds notes by what they mean, instead of by the words that they share.
    """

    def __init__(self, kept: Kept, similar: Similar | None = None) -> None:
        self._kept, self._similar = kept, similar
        self.until = kept.until

    def all(self) -> list[str]:
        """Each note, the oldest first. A line that is no list item is none, and stays there."""
        return [line[2:].strip() for line in self._lines() if line.startswith("- ")]

    def add(self, note: str) -> None:
        """One more."""
        if len(self.all()) >= MOST:
            raise ToolError(f"There are {MOST} notes already; forget one first.")
        self._write([*self._lines(), f"- {note}"])

    def drop(self, notes: Sequence[str]) -> None:
        """Take these out."""
        self._write(
            [line for line in self._lines() if not (line.startswith("- ") and line[2:].strip() in notes)]
        )

    def about(self, what: str) -> list[str]:
        """The notes that have to do with `what`, the best first; all of them where it says nothing."""
        notes, wanted = self.all(), stems(what)
        if not wanted or not notes:
            return notes
        scores = [float(len(wanted & stems(note))) for note in notes]
        if self._similar is not None:
            near = self._similar.likeness(what, [_DATE.sub("", note) for note in notes])
            scores = [max(near, 0.0) + 0.1 * shared for near, shared in zip(near, scores, strict=True)]
        found = sorted(zip(scores, notes, strict=True), key=lambda each: -each[0])
        return [note for score, note in found if score]

    def _lines(self) -> list[str]:
        return self._kept.read().splitlines()

    def _write(self, lines: list[str]) -> None:
        self._kept.write("".join(f"{line}\n" for line in lines))


Of: TypeAlias = Callable[[ToolContext], Notes]
"""The notes of whom a conversation is with."""


def notes(config: ToolsConfig) -> list[Tool]:
    """The set. Raises ModelError for weights that are missing."""
    similar: Similar | None = None
    if config.recall == "meaning":
        from agent.tools.memory.meaning import Meaning

        similar = Meaning.fetched()
    keeping = Keeping(config, FILE)

    def of(conversation: ToolContext) -> Notes:
        return Notes(keeping.of(conversation), similar)

    def tells(conversation: ToolContext) -> str:
        return known(of(conversation).all())

    # The note that "that" is in each conversation: what was remembered or recalled last.
    meant: WeakKeyDictionary[ToolContext, str] = WeakKeyDictionary()

    return [
        tool(_remember(of, meant), effect="changes", name="remember"),
        replace(tool(_recall(of, meant), effect="reads", name="recall"), tells=tells),
        tool(_forget(of, meant), effect="changes", name="forget"),
    ]


def known(notes: Sequence[str]) -> str:
    """What a model is told of the user unasked: all notes as long as they are few, or the newest of many."""
    newest, left = list[str](), TOLD
    for note in reversed(notes):
        left -= len(note)
        if left < 0:
            break
        newest.insert(0, note)
    return f"What the user wanted remembered: {'; '.join(newest)}." if newest else ""


def _remember(of: Of, meant: WeakKeyDictionary[ToolContext, str]) -> Callable[..., str]:
    def remember(conversation: ToolContext, note: str) -> str:
        """Write a note of what the user wants remembered. Only when they ask for it."""
        line = " ".join(cleaned(note).split())
        if not line or len(line) > LONGEST:
            raise ToolError(f"A note has 1 to {LONGEST} characters.")
        if (said := conversation.user_said) is not None and not grounded(line, said):
            raise ToolError(NOT_SAID.format(said[-1] if said else ""))
        meant[conversation] = dated = f"{line} ({date.fromtimestamp(conversation.time()).isoformat()})"
        of(conversation).add(dated)
        return f"Remembered: {line}{of(conversation).until}"

    return remember


def _recall(of: Of, meant: WeakKeyDictionary[ToolContext, str]) -> Callable[..., str]:
    def recall(conversation: ToolContext, about: str = "") -> str:
        """Look up what is known about the user: what they like, can or cannot eat, family, things, plans."""
        store = of(conversation)
        found = store.about(about) or store.all()
        if found and stems(about):
            meant[conversation] = found[0]
        return "\n".join(found[:FOUND]) or "Nothing has been remembered."

    return recall


def _forget(of: Of, meant: WeakKeyDictionary[ToolContext, str]) -> Callable[..., str]:
    def forget(conversation: ToolContext, about: str = "") -> str:
        """Delete a note for good. Only when the user says that something is to be forgotten.

        about: words of it; empty for what was spoken of last ("forget that").
        """
        store = of(conversation)
        there, wanted = store.all(), about.strip().lower().rstrip(".!")
        newest = [note for note in (meant.get(conversation), *reversed(there)) if note in there]
        last = _spoken_of(newest, conversation)
        found = there if wanted in _EVERYTHING else _named(store, about) if stems(about) else last
        if not found:
            raise ToolError(f"No note has that. There are: {'; '.join(there) or 'none'}.")
        dropped = found if wanted in _EVERYTHING else found[:1]
        store.drop(dropped)
        conversation.forget(about_any(dropped))
        return f"Forgotten: {len(dropped)} note{'s' if len(dropped) != 1 else ''}."

    return forget


def grounded(note: str, said: Sequence[str]) -> bool:
    """Whether a note is of what the user has said, and not made up: it has a word of theirs that tells what
    it is about, enough of its words are theirs, and no number where they said none.
    """
    words, own = _spelled(note), _spelled(" ".join(said))
    shared, telling = words & own, words - _USUAL or words
    numbers = any(word.isdigit() for word in words) and not any(word.isdigit() for word in own)
    return not numbers and not telling.isdisjoint(own) and len(shared) >= OWN * len(words)


def _spelled(text: str) -> frozenset[str]:
    """The words that tell what a text is about; of a script without blanks, its letters."""
    return stems(_UNSPACED.sub(r" \g<0> ", text))


def _spoken_of(notes: Sequence[str], conversation: ToolContext) -> list[str]:
    """The notes, what was spoken of last first: a note is told unasked, and nobody recalls it before."""
    said = stems(" ".join([conversation.last_said, *(conversation.user_said or ())[-2:]])) - _USUAL
    return sorted(notes, key=lambda note: -len(said & stems(_DATE.sub("", note))))


def _named(store: Notes, about: str) -> list[str]:
    """The notes that share a telling word with `about`, the best first.

    Raises ToolError where one is only near in meaning: that is enough for recalling it, not for deleting it.
    """
    words, near = stems(about), store.about(about)
    telling = words - _USUAL or words
    found = [note for note in near if not telling.isdisjoint(stems(_DATE.sub("", note)))]
    if near and not found:
        raise ToolError(f"No note has these words. Ask the user whether this is the one: {near[0]}")
    return found


def about_any(notes: Sequence[str]) -> Callable[[str], bool]:
    """Tells of a text whether it has to do with one of these notes: it has a word that tells what it is."""
    words = [stems(_DATE.sub("", note)) for note in notes]
    telling = frozenset[str]().union(*(each - _USUAL or each for each in words))
    return lambda text: not telling.isdisjoint(stems(text))
