"""What the agent's last words ask of the user, and whether the user's words answer that. Pure.

A question, an offer or a request is the first half of what conversation analysis calls an adjacency pair
(Schegloff and Sacks 1973, "Opening up closings"). What the user says next is its second half, an answer,
whatever the same words would be elsewhere: a back-channel or a command.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from agent.languages import scripts
from agent.text.sentences import Sentence, sentences
from agent.turns.phrases import Kind, Language, Phrase

Asking = Literal["nothing", "yes_no", "open"]
"""What is asked for: "yes_no" is put to the user and may be agreed to, "open" is any other question."""

Phase = Literal["speaking", "just_silent", "silent"]
"""What the agent does when the user begins: it speaks, has only just ended, or has been silent a second."""

LOOKED_BACK = 3
"""Sentences at the end of what the agent said that may ask: "Shall I? It takes a minute. It is nice."."""
REACH = 600
"""Characters before and after that are looked at: far more than those sentences have."""
BRIEF = 3
"""Words up to which a question is put to the user although it names nobody: "More?", "Is that right?"."""

_QUOTED = re.compile(r"[\"“«][^\"”»]*[.!?,。！？，][\"”»]")
"""What somebody else says: a clause in quotes, with its mark. A word alone in quotes is the agent's own."""
_CLAUSE = re.compile(r"[,;:–—…，；：،؛]|\s-\s")


@dataclass(frozen=True, slots=True)
class Elicitation:
    """What an agent asks for, and how long it has been silent.

    mentioned: the words of what it asked with, for they name what may be chosen ("save it or cancel it").
    """

    asking: Asking = "nothing"
    mentioned: Phrase = ()
    phase: Phase = "just_silent"

    def kind(self, text: str, language: Language, *, doubtful: bool = False) -> Kind:
        """What the user's words are: an answer, wherever they can be one.

        doubtful: the sound may have been no voice at all.
        """
        plain = language.kind(text, doubtful=doubtful)
        if plain == "words":  # it is no less, whatever was asked
            return plain
        said = language.words(text)
        if self.asking != "nothing" and plain != "nothing" and self._names(said, language):
            return "words"
        match plain:
            case "backchannel":
                return "words" if self.phase == "silent" or self._agreed(said, language) else plain
            case "stop":
                return "words" if self._refused(said, language) else plain
            case _:
                return plain

    def answered(self, text: str, language: Language) -> bool:
        """Whether the words begin with an answer to what was asked."""
        said = language.words(text)
        if self.asking == "nothing":
            return False
        return language.is_answer(text) or self._names(said, language) or self._refused(said, language)

    def _agreed(self, said: Phrase, language: Language) -> bool:
        """Whether it is more than a sound, and what is asked for may be given so."""
        fits = self.asking == "yes_no" or (self.asking == "open" and self.phase != "speaking")
        return fits and language.answers_within(said)

    def _refused(self, said: Phrase, language: Language) -> bool:
        """Whether it says no to what was asked, or to what was done, with no voice there to stop."""
        if self.phase == "silent" and language.orders(said, language.declines):
            return True
        asked = self.phase != "speaking" and self.asking != "nothing"
        return asked and language.orders(said, language.refusals)

    def _names(self, said: Phrase, language: Language) -> bool:
        """Whether the words are taken from the question, but for a "please"."""
        said = tuple(word for word in said if (word,) not in language.softeners)
        return bool(said) and any(
            said == self.mentioned[i : i + len(said)] for i in range(len(self.mentioned) - len(said) + 1)
        )


NOTHING_ASKED = Elicitation()


def elicitation(said: str, language: Language, phase: Phase, unsaid: str = "") -> Elicitation:
    """What the agent asks for that has said `said` since the user last spoke.

    unsaid: what comes after that, while it is speaking. Silent, it asks with its last sentence, or with one
    of the two before where that is put to the user. Speaking, it asks with the sentence it is in, from half
    of it on, or with the one before where that is put to the user.
    """
    said, unsaid = said[-REACH:], unsaid[:REACH]
    speaking = phase == "speaking"
    past, last_word = _speaking(said, unsaid, language) if speaking else (_sentences(said, language), True)
    looked_back = LOOKED_BACK - 1 if speaking else LOOKED_BACK
    found: Asking = "nothing"
    mentioned: list[str] = []
    for age, sentence in enumerate(reversed(past[-looked_back:])):
        mentioned = [*language.words(sentence.text), *mentioned]
        loosely = not speaking or (last_word and age == 0)
        asking, addressed = _asks(sentence.text, language, loosely=loosely)
        if found == "nothing" and asking != "nothing" and (age == 0 or addressed):
            found = asking
    return Elicitation(found, tuple(mentioned) if found != "nothing" else (), phase)


def _speaking(said: str, unsaid: str, language: Language) -> tuple[list[Sentence], bool]:
    """The sentences that count for words over the agent's, and whether it says no more after them."""
    text, end = said + unsaid, len(said.rstrip())
    whole = _sentences(text, language)
    past = [each for each in whole if each.end <= end]
    coming = whole[len(past) :]
    if not coming or coming[0].start >= end:
        return past, not coming
    begun = coming[0]
    if 2 * len(language.words(text[begun.start : end])) < len(language.words(begun.text)):
        return past, False
    return [*past, begun], len(coming) == 1


def _asks(sentence: str, language: Language, *, loosely: bool) -> tuple[Asking, bool]:
    """What a sentence asks for, and whether it is put to the user.

    loosely: imperatives ask as well, and a brief question is put to whoever listens; within a story they are
    often a part of it ("Take a large pan.", "Isn't that amazing?").
    """
    marked = scripts.asks(sentence)
    found: Asking = "yes_no" if marked else "nothing"
    addressed = marked and _put(language.words(sentence), language, loosely=loosely)
    for clause in _CLAUSE.split(sentence):
        said = language.words(clause)
        addressed = addressed or not language.addressing.isdisjoint(said)
        opened = next((i for i, word in enumerate(said) if word not in language.openings), 0)
        asking = _question(said[opened:], marked, language)
        if loosely and asking == "nothing" and (request := _request(said, opened, language)):
            asking, addressed = request, True
        found = asking if asking != "nothing" else found
    return found, addressed


def _put(said: Phrase, language: Language, *, loosely: bool) -> bool:
    """Whether a question that names nobody is put to the user: of opinion, permission or choice.

    A story asks questions as well, and answers them: of what was, of him or her, of what, why and how. One
    that points at what was just said ("How does that sound?") is put to the user while the agent goes on.
    """
    opened = next((i for i, word in enumerate(said) if word not in language.openings), 0)
    said = said[opened:]
    if not said or said[0] in language.exclaiming:
        return loosely and len(said) <= BRIEF
    if not language.pointing.isdisjoint(said[1:3]) or _begins(said, language.agreeable):
        return True
    if not loosely or len(said) <= BRIEF:
        return loosely
    if said[0] in language.open_words:
        return not language.choosing.isdisjoint(said)
    return language.telling.isdisjoint(said[:2])


def _question(said: Phrase, marked: bool, language: Language) -> Asking:
    """What a clause asks by its first words. marked: a question mark ends its sentence."""
    if not said or _begins(said, language.requests):
        return "nothing"
    if _begins(said, language.agreeable):
        return "yes_no"
    auxiliaries = language.question_words - language.open_words
    if language.in_place and marked and not language.open_words.isdisjoint(said):
        return "open"
    first, second = said[0], said[1] if len(said) > 1 else ""
    if first in language.open_words:
        whole = not _begins(said, language.halves) and second not in language.subjects
        inverted = second in auxiliaries or (whole and not auxiliaries.isdisjoint(said[1:]))
        return "open" if marked or inverted else "nothing"
    if first in auxiliaries and (marked or second in language.addressing):
        return "yes_no"
    return "nothing"


def _request(said: Phrase, opened: int, language: Language) -> Asking | None:
    """What a clause asks for by an imperative at its beginning, or after a word like "please" or "then"."""
    for at in range(opened, len(said)):
        led = at == opened or said[at - 1] in language.openings or (said[at - 1],) in language.softeners
        if led and _begins(said[at:], language.requests):
            return "yes_no" if _begins(said[at:], language.agreeable) else "open"
    return None


def _begins(said: Phrase, phrases: frozenset[Phrase]) -> bool:
    return any(said[:n] in phrases for n in range(1, 5))


def _sentences(text: str, language: Language) -> list[Sentence]:
    """Its sentences that have words, with what is said in quotes taken out of them."""
    bare = _QUOTED.sub(lambda quoted: " " * len(quoted[0]), text)
    return [each for each in sentences(bare, language.code) if language.words(each.text)]
