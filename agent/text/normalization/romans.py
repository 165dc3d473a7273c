"""Roman numerals as words, by a language's tables: of centuries, chapters, kings and popes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from agent.text.normalization import Found, Rule, Said
from agent.text.normalization.file import File
from agent.text.normalization.patterns import any_of, rule
from agent.text.normalization.tables import Words

_ROMAN = re.compile(r"(?=.)(?:C{0,3})(X[LC]|L?X{0,3})(I[XV]|V?I{0,3})")
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}


@dataclass(frozen=True, slots=True)
class Romans:
    """Makes the rules for them. A method a class; each says None where its match is none of its class."""

    file: File
    words: Words

    def rules(self) -> Iterable[Rule]:
        """After words that say it; before nouns; with the mark of an ordinal; after names."""
        romans, letters = self.file.romans, r"[IVXLC]{1,7}"
        marks = any_of(mark for mark in self.file.ordinals.marks if mark != ".")
        yield rule(rf"(?i:\b(?P<word>{any_of(romans.after)}) )(?P<roman>{letters})\b", self._numbered)
        yield rule(rf"\b(?P<roman>{letters})\.?(?= (?i:{any_of(romans.before)})\b)", self._placed)
        yield rule(rf"\b(?P<roman>[IVX]|[IVXLC]{{2,7}})(?P<mark>{marks})(?!\w)", self._placed)
        dot = r"\.?" if "." in self.file.ordinals.marks else ""
        yield rule(
            rf"\b(?P<word>{any_of(romans.rulers + romans.queens)}) (?P<roman>{letters})\b{dot}", self._ruler
        )
        yield rule(r"\b(?P<word>[^\W\d_]{2,}) (?P<roman>[IVX]{2,6})\b", self._named)

    def _numbered(self, found: Found) -> Said:
        number = value(found["roman"])
        return f"{found['word']} {self.words.cardinal(number)}" if number else None

    def _named(self, found: Found) -> Said:
        return self._numbered(found) if found["word"][0].isupper() else None

    def _placed(self, found: Found) -> Said:
        changed = self.file.ordinals.marks.get(found.groupdict().get("mark") or "", ())
        number = value(found["roman"])
        return self.words.ordinal(number, [changed]) if number else None

    def _ruler(self, found: Found) -> Said:
        romans, name, number = self.file.romans, found["word"], value(found["roman"])
        if not number:
            return None
        stop = "." if found[0].endswith(".") and not found.string[found.end() :].strip() else ""
        if number > romans.ordinals:
            return f"{name} {self.words.cardinal(number)}{stop}"
        queen = name in romans.queens
        said = self.words.ordinal(number, [romans.feminine] if queen else [])
        if article := romans.article[queen]:
            said = f"{article} {said.capitalize()}"
        return f"{name} {said}{stop}"


def value(text: str) -> int:
    """What a roman numeral stands for, up to 399; 0 where it is none."""
    if not _ROMAN.fullmatch(text):
        return 0
    values = [_VALUES[letter] for letter in text]
    return sum(-v if v < following else v for v, following in zip(values, [*values[1:], 0], strict=True))
