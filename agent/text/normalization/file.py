"""What a language's `text.toml` holds, read and checked. Knows no rule."""

from __future__ import annotations

import json
import tomllib
from functools import cache, cached_property
from typing import Annotated

from pydantic import Field, ValidationError

from agent import languages
from agent.errors import ConfigError
from agent.text.normalization.patterns import Pattern, template
from agent.text.normalization.tables import Ending, Numbers, Ordinals, Table

FILE = "text.toml"
"""What a language's folder calls the file that is read here."""


class Dates(Table):
    """How days are said. numeric: a day in digits, with `{day}`, `{month}`, `{year}`."""

    months: Annotated[tuple[str, ...], Field(min_length=12, max_length=12)]
    first: str
    numeric: Annotated[str, template("day", "month", "year")]
    ordinal: bool = False
    joints: tuple[str, ...] = ()
    years: tuple[str, ...] = ()
    year_mark: Pattern = ""
    year_first: bool = False


class Times(Table):
    """How the clock is said: `full` and `minutes` with `{hour}`, `{hours}` and `{minute}`."""

    full: Annotated[str, template("hour", "hours")]
    minutes: Annotated[str, template("hour", "hours", "minute")]
    hours: tuple[str, str, str]
    marks: Pattern
    lone: Pattern
    before: tuple[str, ...] = ()
    after: tuple[str, ...]


class Money(Table):
    """units: for each sign one unit, more, its gender, one part of a hundred, more, and their gender."""

    units: dict[str, tuple[str, str, str, str, str, str]]
    cents: Annotated[str, template("amount", "part", "bare", "cents")]
    scales: tuple[str, ...]


class RomanNumerals(Table):
    """Beside which words roman numerals are numbers, and which of them are ordinals."""

    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    rulers: tuple[str, ...] = ()
    queens: tuple[str, ...] = ()
    ordinals: int = 0
    feminine: tuple[Ending, ...] = ()
    article: tuple[str, str] = ("", "")


class Cases(Table):
    """How one and ordinals end by the word before them, in languages whose nouns have cases."""

    oblique: tuple[str, ...] = ()
    oblique_feminine: tuple[str, ...] = ()
    governing: tuple[str, ...] = ()
    determined: tuple[str, ...] = ()
    undetermined: tuple[str, ...] = ()
    joints: tuple[str, ...] = ()
    masculine: tuple[Ending, ...] = ()
    feminine: tuple[Ending, ...] = ()
    ordinals: tuple[Ending, ...] = ()
    bare: tuple[Ending, ...] = ()


class Sentences(Table):
    """Which words a full stop belongs to, and what opens a clause: the fields of `abbreviations.Writing`."""

    titles: tuple[str, ...]
    leading: tuple[str, ...]
    references: tuple[str, ...]
    trailing: tuple[str, ...]
    short: tuple[str, ...]
    starters: tuple[str, ...]
    clause: tuple[str, ...]
    phrase: tuple[str, ...]

    @cached_property
    def going_on(self) -> frozenset[str]:
        """Abbreviations that end no sentence."""
        return frozenset((*self.titles, *self.leading, *self.references))


class File(Table):
    """What a language's file has; what each key is for is said in `languages/es/text.toml`."""

    sentences: Sentences
    numbers: Numbers
    ordinals: Ordinals
    dates: Dates
    times: Times
    money: Money
    romans: RomanNumerals
    cases: Cases = Cases()
    units: dict[str, tuple[str, str, str]]
    half: tuple[str, str] = ("", "")
    fractions: dict[str, str]
    denominators: dict[str, tuple[str, str]] = Field(default_factory=dict[str, tuple[str, str]])
    fraction: Annotated[str, template("above", "below")] = ""
    signs: dict[str, str]
    between: dict[Pattern, str]
    abbreviations: dict[str, str]
    attached: dict[str, str] = Field(default_factory=dict[str, str])
    suffixes: dict[str, str] = Field(default_factory=dict[str, str])
    feminine: tuple[str, ...]
    masculine: tuple[str, ...]
    uncounted: tuple[str, ...]
    capitalised: bool = False
    telephone: tuple[str, ...]
    telephone_pairs: bool = False
    telephone_joint: str = ", "
    address: dict[str, str]


def read(code: str, data: bytes) -> File:
    """A language's file. Raises ConfigError that names the file, the key and what is wrong."""
    where = f"languages/{code}/{FILE}"
    try:
        return File.model_validate_json(json.dumps(tomllib.loads(data.decode()), default=str))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"{where}: {key}: {first['msg']}; languages/es/text.toml explains each key"
        ) from None


@cache
def tables(name: str) -> File | None:
    """The tables of that language; None where it has none. Raises as `read` does."""
    data = languages.data(name, FILE)
    return read(languages.code(name), data) if data is not None else None
