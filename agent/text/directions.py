"""Stage directions: "*smiles*", "[laughs]", "(sighs deeply)". Knows a phrase when it sees one, no stream.

Told by their form: a phrase of a gesture or a sound, alone between stars, underscores or brackets, where a
sentence begins or ends. Anything else between such marks is emphasis, an aside or a formula, and stays.
"""

from __future__ import annotations

import importlib.resources
import re
import tomllib
from dataclasses import dataclass
from functools import cache

LONGEST = 100
"""Characters that a stage direction may have."""
NOUN_WORDS = 5
"""Words that one without a verb may have."""
PAIRS = {"(": ")", "[": "]", "（": "）", "［": "］"}

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_INSIDE = re.compile(r"[^\d:;=<>{}()\[\]*_`/|\n]*")
_VOWEL = "aeiou"


@dataclass(frozen=True)
class Phrases:
    """The word lists of one language, as its file explains them."""

    verbs: frozenset[str]
    movements: frozenset[str]
    after: frozenset[str]
    sentence: frozenset[str]
    nouns: frozenset[str]
    alone: frozenset[str]
    acts: frozenset[str]
    openers: frozenset[str]
    manners: frozenset[str]
    before: frozenset[str]

    def fits(self, inside: str, *, starred: bool) -> bool:
        """Whether `inside`, the whole text between two marks, is a stage direction."""
        if not _INSIDE.fullmatch(inside) or len(inside) > LONGEST or "?" in inside:
            return False
        said = _words(inside)
        if not said or not self.sentence.isdisjoint(said):
            return False
        if not starred and len(said) == 1 and said[0] in self.manners:
            return True
        verb, *tail = said[self._leading(said) :] or [""]
        if verb in self.verbs and _plain(inside):
            return not tail or self._follows(tail[0])
        if verb in self.movements and _plain(inside):
            return (
                bool(tail) and self._follows(tail[0]) and not (verb.startswith("turn") and tail[0] == "out")
            )
        return self._noise(said)

    def may_fit(self, inside: str, *, starred: bool) -> bool:
        """Whether more text may yet make a stage direction of `inside`, which is not closed."""
        if not _INSIDE.fullmatch(inside) or len(inside) > LONGEST or inside[:1].isspace():
            return False
        said = _words(inside)
        known = said[:-1] if inside and _WORD.fullmatch(inside[-1]) else said
        rest = known[self._leading(known) :]
        if not rest:
            return len(said) <= 3 and (not inside or inside[0].isalpha())
        if rest[0] in self.verbs or rest[0] in self.movements:
            return len(rest) < 2 or self._follows(rest[1])
        if known[0] in self.manners and not starred:
            return len(said) == 1
        return (known[0] in self.openers or known[0] in self.nouns) and len(said) <= NOUN_WORDS

    def _leading(self, said: list[str]) -> int:
        """How many words stand before the verb."""
        count = 0
        while count < len(said) and (said[count] in self.before or _adverb(said[count])):
            count += 1
        return count

    def _follows(self, word: str) -> bool:
        return word in self.after or _adverb(word)

    def _noise(self, said: list[str]) -> bool:
        if len(said) == 1:
            return said[0] in self.alone
        if said[0] in self.nouns and said[1] in self.acts:
            return len(said) <= NOUN_WORDS
        return said[0] in self.openers and said[-1] in self.nouns and len(said) <= NOUN_WORDS


@cache
def phrases(code: str = "en") -> Phrases:
    """The word lists of that language; those of English where there are none."""
    folder = importlib.resources.files("agent.text")
    file = folder / f"directions_{code}.toml"
    data = tomllib.loads((file if file.is_file() else folder / "directions_en.toml").read_text("utf-8"))
    lists = {name: frozenset(words) for name, words in data.items()}
    for name in ("verbs", "movements"):
        lists[name] = frozenset(form for base in data[name] for form in (_third(base), _going(base)))
    return Phrases(**lists)


def _words(text: str) -> list[str]:
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]


def _plain(inside: str) -> bool:
    """Whether it is one phrase: commas, and at most one mark at its end."""
    return not re.search(r"[.!…][\"'”’]*\s*\w", inside)


def _adverb(word: str) -> bool:
    return len(word) > 4 and word.endswith("ly")


def _third(verb: str) -> str:
    """laugh, kiss, cry: laughs, kisses, cries."""
    if re.search(r"(?:s|x|z|ch|sh|o)$", verb):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if re.search(f"[^{_VOWEL}]y$", verb) else f"{verb}s"


def _going(verb: str) -> str:
    """laugh, smile, nod: laughing, smiling, nodding."""
    if re.search(r"[^eoy]e$", verb):
        return f"{verb[:-1]}ing"
    short = re.fullmatch(f"[^{_VOWEL}]*[{_VOWEL}][^{_VOWEL}wxy]", verb)
    return f"{verb}{verb[-1]}ing" if short else f"{verb}ing"
