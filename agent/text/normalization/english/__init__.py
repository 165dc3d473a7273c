"""English: which rules there are, and in which order. The classes have a file each."""

from __future__ import annotations

import unicodedata

from agent.text.normalization import Found, Language, Said
from agent.text.normalization.english.dates import DATES, DECADES, TIMES, YEARS
from agent.text.normalization.english.formulas import FORMULAS
from agent.text.normalization.english.identifiers import IDENTIFIERS
from agent.text.normalization.english.maths import MATHS, SCRIPTURE
from agent.text.normalization.english.measures import MEASURES, PRODUCTS
from agent.text.normalization.english.money import MONEY
from agent.text.normalization.english.patterns import rule, spelled
from agent.text.normalization.english.words import (
    ABBREVIATED,
    ALPHANUMERIC,
    ARROWS,
    CARDINALS,
    LATIN,
    ROMANS,
    SLASHES,
    SYMBOLS,
)


def _grouped(found: Found) -> Said:
    """`20 000`."""
    return "".join(char for char in found[0] if char.isdigit())


def _plain_digits(found: Found) -> Said:
    return "".join(str(unicodedata.decimal(char)) for char in found[0])


def _raised(found: Found) -> Said:
    """Superscript digits are a power."""
    return "^" + unicodedata.normalize("NFKC", found[0]).replace("−", "-")


def _compatible(found: Found) -> Said:
    """`①`, `Ⅻ`, `₂`: what they stand for."""
    return unicodedata.normalize("NFKC", found[0])


SPELLING = [
    rule(r"(?:(?![0-9])\d)+", _plain_digits),
    rule(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+", _raised),
    rule(r"\u2044", "/"),
    rule(r"[₀-₉①-⑳⓪Ⅰ-ⅿ]", _compatible),
    rule(r"(?<![\w.,:+/-])(?<!\d )[1-9]\d{0,2}(?: \d{3})++(?![\w]|[-.:/]\d| \d)", _grouped),
]
ENGLISH = Language(
    markup=[*ARROWS, *FORMULAS],
    text=[
        *LATIN,
        *SPELLING,
        *SYMBOLS,
        *ABBREVIATED,
        *ROMANS,
        *DATES,
        *IDENTIFIERS,
        SCRIPTURE,
        *TIMES,
        *PRODUCTS,
        *MONEY,
        *DECADES,
        *MEASURES,
        *YEARS,
        *MATHS,
        *ALPHANUMERIC,
        *CARDINALS,
        *SLASHES,
    ],
    rest=rule(r"\A\d+", lambda found: spelled(found[0])),
    dot=" dot ",
    at=" at ",
)
