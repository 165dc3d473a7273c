"""What the English rules share: how a number is written, and what the words around it say of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from agent.text.normalization import Found, Part, Rule, Said
from agent.text.normalization.english import numbers
from agent.text.normalization.english.tables import FUNCTION_WORDS

# Every quantifier over digits is possessive or bounded, so that a million digits cost a million steps.
NUMBER = r"(?:\d{1,3}(?:,\d{3})++(?![\d])|\d++)(?:\.\d++)?|\.\d++"
START = r"(?<![^\W_])(?<!\d[.,:/])(?<![^\W_]_)(?<!\^)(?<!\^[-−])"
"""No number, letter or part of either stands before."""
MINUS = r"(?:(?<![\w)\]%°$€£])[-−–](?=[\d.$€£¥]))?"
"""A minus that belongs to the number after it, or nothing."""
DASH = r"\s?[-–—]\s?"

_NEXT_WORD = re.compile(r" ([A-Za-z]\S*)")
_ARTICLE = re.compile(
    r"(?:\b(?:an?|the|this|that|every|each|my|your|our|his|her|another|per)|[A-Za-z]['’]s|[a-z]s['’]) $", re.I
)
_FEW_ARTICLES = re.compile(
    r"\b(?:an?|another|every|each|\d{1,3}|one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|several|"
    r"dozen) $",
    re.I,
)


def rule(pattern: str, read: Callable[[Found], Said] | str, flags: int = 0) -> Rule:
    """A rule from a pattern and what is said of its matches: words, or a function that gives them."""
    return Rule(re.compile(pattern, flags), (lambda _: read) if isinstance(read, str) else read)


def any_of(signs: Iterable[str]) -> str:
    """A pattern for any of these, the longest first."""
    return "|".join(re.escape(sign) for sign in sorted(signs, key=len, reverse=True))


def signed(text: str) -> str:
    """A number with its sign, in words."""
    negative = text[:1] in "-−–" and text
    return f"minus {numbers.decimal(text[1:])}" if negative else numbers.decimal(text)


def spelled(text: str) -> list[Part]:
    """Digits said one by one; what stands between them is a short pause. Each is a part of its own."""
    said: list[Part] = []
    pause = False
    for at, char in enumerate(text):
        if char.isdigit():
            gap = ", " if pause else " " if said else ""
            said.append((at + 1, gap + numbers.digits(char)))
            pause = False
        else:
            pause = bool(said)
    return [*said[:-1], (len(text), said[-1][1])] if said else [(len(text), "")]


def before(found: Found, length: int = 40) -> str:
    """What stands before a match, as far as it matters."""
    return found.string[max(0, found.start() - length) : found.start()]


def next_word(found: Found) -> str:
    """The word after a match and a space, "" where there is none."""
    following = _NEXT_WORD.match(found.string, found.end())
    return following[1] if following else ""


def counts(found: Found) -> bool:
    """Whether the number of a match counts the word after it: "1984 apples", not "1984 was"."""
    word = next_word(found)
    return word[:1].islower() and word.rstrip(".,;:!?)\"'”’") not in FUNCTION_WORDS


def qualifies(found: Found) -> bool:
    """Whether a measure stands before a noun and so in the singular: "a $5 bill", "a 5 km run"."""
    return bool(_FEW_ARTICLES.search(before(found, 12))) and counts(found)


def determined(found: Found) -> bool:
    """Whether an article or a pronoun stands before the match: "the 1984 Olympics"."""
    return bool(_ARTICLE.search(before(found, 12)))


def stop(found: Found) -> str:
    """A full stop where that of an abbreviation, the last of a match, is that of its sentence as well."""
    ends = found[0].endswith(".") and re.match(r"\s*$|\s+[A-Z\"“]", found.string[found.end() :])
    return "." if ends else ""
