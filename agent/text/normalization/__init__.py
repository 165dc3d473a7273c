"""Text normalization: what a voice reads of numbers, signs and formulas, as words, by language.

The classes are those of Kestrel (Ebden and Sproat 2015, "The Kestrel TTS text normalization system"):
cardinals, ordinals, decimals, fractions, money, measures, dates, times, telephone numbers, digits that
identify, addresses, and signs. English is a module here; other languages are tables, `text.toml` in their
folder of `agent.languages`, read by `written`. Text in a language without any is left as it is: its voice
knows better than another language's rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from agent import languages

Found = re.Match[str]
Part = tuple[int, str]
"""Where a part ends, counted from the beginning of its match, and what is said of it."""
Said = str | Sequence[Part] | None
"""What is said of a match: words, for all of it at once; parts, each with its words; None: as it stands."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One class of what is written otherwise than it is said: `read` gives the words of each match.

    The words may have digits and signs in them, for the rules that follow.
    """

    pattern: re.Pattern[str]
    read: Callable[[Found], Said]


@dataclass(frozen=True, slots=True)
class Language:
    """How one language is read.

    markup: rules for the text as it was written, before its marks are taken out: formulas.
    text: rules for running text, in order; after the last one no digit is left.
    rest: the digits at the beginning of a text that go on a number too long to be in one text.
    address: what is said of an address of mail or of the web.
    """

    markup: Sequence[Rule]
    text: Sequence[Rule]
    rest: Rule
    address: Callable[[str], str]


@cache
def language(name: str) -> Language | None:
    """The rules for a language by its code, as "en" or "en-us"; None where there are none. Raises ConfigError
    for a file of tables that is not as it must be.
    """
    if languages.code(name) == "en":
        return import_module("agent.text.normalization.english").ENGLISH
    from agent.text.normalization.written import load

    return load(name)


def parts(said: str | Sequence[Part], length: int) -> Iterable[Part]:
    """`said` of a match of that length, as parts."""
    return [(length, said)] if isinstance(said, str) else said


def normalized(text: str, code: str = "en") -> str:
    """`text`, plain and without marks, as the words that are said of it."""
    rules = language(code)
    return spoken(text, rules) if rules else text


def spoken(text: str, rules: Language) -> str:
    """`text`, plain and without marks, as the words that these rules say of it."""
    for rule in rules.text:
        text = rule.pattern.sub(lambda found, rule=rule: _words(found, rule), text)
    return text


def _words(found: Found, rule: Rule) -> str:
    said = rule.read(found)
    return found[0] if said is None else "".join(words for _, words in parts(said, len(found[0])))
