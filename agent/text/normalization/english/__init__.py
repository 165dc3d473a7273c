"""English: which rules there are, and in which order. The classes have a file each."""

from __future__ import annotations

import re
import unicodedata

from agent.text.normalization import Found, Language, Said
from agent.text.normalization.english.addresses import POSTAL, address
from agent.text.normalization.english.dates import DATES, DECADES, TIMES, YEARS
from agent.text.normalization.english.formulas import FORMULAS
from agent.text.normalization.english.identifiers import IDENTIFIERS
from agent.text.normalization.english.maths import MATHS, SCRIPTURE
from agent.text.normalization.english.measures import MEASURES, PRODUCTS
from agent.text.normalization.english.money import MONEY
from agent.text.normalization.english.patterns import any_of, before, rule, spelled
from agent.text.normalization.english.symbols import ARROWS, SYMBOLS
from agent.text.normalization.english.tables import MONTH_NAMES
from agent.text.normalization.english.words import (
    ABBREVIATED,
    ALPHANUMERIC,
    CARDINALS,
    LATIN,
    ROMANS,
    SLASHES,
)


def _grouped(found: Found) -> Said:
    """`20 000`, `1 234,56`, `1'000`, `1_000`, `1,00,000`."""
    whole, _, after = found[0].rpartition(found["point"]) if found["point"] else (found[0], "", "")
    digits = "".join(char for char in whole if char.isdigit())
    return f"{digits}.{after}" if after else digits


def _plain_digits(found: Found) -> Said:
    return "".join(str(unicodedata.decimal(char)) for char in found[0])


def _raised(found: Found) -> Said:
    """Superscript digits are a power; with a sign at their end they are an ion's charge."""
    text = unicodedata.normalize("NFKC", found[0]).replace("−", "-")
    if text[-1] in "+-":
        return f" {text[:-1]} {'plus' if text[-1] == '+' else 'minus'}".replace("  ", " ")
    return f"^{text}"


def _decimal_comma(found: Found) -> Said:
    """`3,5 kg`, `36,6`, `0,125`, `1.234,56`: the comma of most of Europe. "3,500" and "1,2,3" are others."""
    whole, after = found["whole"], found["after"]
    grouped = (len(after) == 3 and whole != "0" and "." not in whole) or len(after) > 3 < len(whole)
    listed = LISTED.search(before(found)) or re.match(r" (?:and|or|to) \d", found.string[found.end() :])
    paired = before(found)[-1:] in tuple("([{<") and found.string[found.end() :][:1] in tuple(")]}>")
    if grouped or listed or paired or (len(after) == 4 and AFTER_MONTH.search(before(found))):
        return None
    end = len(whole)
    return [(end, whole.replace(".", "")), (end + 1, "."), (end + 1 + len(after), after)]


def _compatible(found: Found) -> Said:
    """`①`, `Ⅻ`, `₂`: what they stand for."""
    return unicodedata.normalize("NFKC", found[0])


LISTED = re.compile(
    r"\b(?:chapters|pages|pp\.|lines|rows|columns|items|steps|questions|numbers|verses|rooms|tables|figures|"
    r"sections|parts|lessons|levels|options|days|players|channels|ports|digits) $",
    re.I,
)
"""Before numbers that a comma keeps apart."""
AFTER_MONTH = re.compile(rf"\b(?:{any_of(MONTH_NAMES)})\b\.? $")
"""Before a day, whose year a comma keeps apart."""
SPELLING = [
    rule(r"(?:(?![0-9])\d)+", _plain_digits),
    rule(r"(?<![\w.,])\d{1,2}(?:,\d{2})+,\d{3}(?![\d,])(?P<point>)", _grouped),
    rule(r"(?<![\w.,])\d{1,3}(?:(?:['’]\d{3})++|(?:_\d{3})++)(?![\w'’])(?P<point>)", _grouped),
    rule(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+", _raised),
    rule(r"\u2044", "/"),
    rule(r"[₀-₉①-⑳⓪Ⅰ-ⅿ]", _compatible),
    rule(
        r"(?<![\w.,:/+-])(?<!\d )[1-9]\d{0,2}(?: \d{3})++"
        r"(?:(?P<point>[.,])\d{1,2}(?![.,:/-]?\d)|(?![\w]|[-.:/]\d| \d))",
        _grouped,
    ),
    rule(
        r"(?<![\w.,:/])(?P<whole>\d{1,3}(?:\.\d{3}){1,4}|\d{1,6}),(?P<after>\d{1,9})"
        r"(?!\d|[.,:/]\d)",
        _decimal_comma,
    ),
]
ENGLISH = Language(
    markup=[*ARROWS, *FORMULAS],
    text=[
        *LATIN,
        *SPELLING,
        *POSTAL,
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
    address=address,
)
