"""Regular expressions of tables and rules: made of words, and checked. Knows no key and no language."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Annotated

from pydantic import AfterValidator

from agent.text.normalization import Found, Rule, Said


def rule(pattern: str, read: Callable[[Found], Said]) -> Rule:
    """The rule that reads what the pattern finds."""
    return Rule(re.compile(pattern), read)


def any_of(words: Iterable[str]) -> str:
    """A pattern for any of these, the longest first; one that matches nothing where there are none."""
    found = sorted(filter(None, words), key=len, reverse=True)
    return "|".join(map(re.escape, found)) or r"(?!)"


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
"""A regular expression in a file."""


def template(*names: str) -> AfterValidator:
    """A check of texts that may have these names in braces, and no others."""

    def check(text: str) -> str:
        try:
            text.format(**dict.fromkeys(names, ""))
        except (LookupError, ValueError) as error:
            known = ", ".join(f"{{{name}}}" for name in names)
            raise ValueError(f"not in this manner: {error}; it may have {known}") from error
        return text

    return AfterValidator(check)
