"""Text normalization by tables: the rules of every language that has a `text.toml`. Knows no language.

The classes are those of `agent.text.normalization`, in the order in which they are tried; what is said of
each is in the language's tables, so that a language is written without any code.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError

from agent import languages
from agent.errors import ConfigError
from agent.text.normalization import Found, Language, Rule, Said
from agent.text.normalization.tables import Numbers, Table, Words


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


def _template(*names: str) -> AfterValidator:
    def check(text: str) -> str:
        try:
            text.format(**dict.fromkeys(names, ""))
        except (LookupError, ValueError) as error:
            known = ", ".join(f"{{{name}}}" for name in names)
            raise ValueError(f"not in this manner: {error}; it may have {known}") from error
        return text

    return AfterValidator(check)


Pattern = Annotated[str, AfterValidator(_pattern)]
"""A regular expression."""

FILE = "text.toml"
"""What a language's folder calls the file that is read here."""


class Dates(Table):
    """How days are said. numeric: a day in digits, with `{day}`, `{month}`, `{year}`."""

    months: Annotated[tuple[str, ...], Field(min_length=12, max_length=12)]
    first: str
    numeric: Annotated[str, _template("day", "month", "year")]


class Times(Table):
    """How the clock is said: `full` and `minutes` with `{hour}`, `{hours}` and `{minute}`.

    hours: the unit for one and for more, and its gender. marks: what stands between both, a pattern; lone:
    what stands behind an hour alone; after: words behind a time in digits that are said with it.
    """

    full: Annotated[str, _template("hour", "hours")]
    minutes: Annotated[str, _template("hour", "hours", "minute")]
    hours: tuple[str, str, str]
    marks: Pattern
    lone: Pattern
    after: tuple[str, ...]


class Money(Table):
    """units: for each sign one unit, more, its gender, one part of a hundred, more, and their gender."""

    units: dict[str, tuple[str, str, str, str, str, str]]
    cents: Annotated[str, _template("amount", "part", "bare", "cents")]
    scales: tuple[str, ...]
    scaled: Annotated[str, _template("amount", "scale", "unit")]


class Ordinals(Table):
    """words: for each mark behind a number the ordinals from one on."""

    words: dict[str, tuple[str, ...]]


class Romans(Table):
    """Words after which roman numerals are numbers."""

    after: tuple[str, ...]


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


class File(Table):
    """What a language's file has; what each key is for is said in `languages/es/text.toml`."""

    sentences: Sentences
    numbers: Numbers
    dates: Dates
    times: Times
    money: Money
    ordinals: Ordinals
    romans: Romans
    units: dict[str, tuple[str, str, str]]
    fractions: dict[str, str]
    signs: dict[str, str]
    between: dict[Pattern, str]
    abbreviations: dict[str, str]
    feminine: tuple[str, ...]
    masculine: tuple[str, ...]
    uncounted: tuple[str, ...]
    telephone: tuple[str, ...]
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


def load(name: str) -> Language | None:
    """The rules of that language; None where it has no tables. Raises as `read` does."""
    file = tables(name)
    return _Rules(file, Words(file.numbers)).language() if file else None


@dataclass(frozen=True, slots=True)
class _Rules:
    """Makes the rules. A method a class; each says None where its match is none of its class."""

    file: File
    words: Words

    def language(self) -> Language:
        """All rules in order."""
        return Language(markup=[], text=list(self._all()), rest=self._rest(), address=self._address)

    def _all(self) -> Iterable[Rule]:
        file, number = self.file, self._number()
        signs = _any_of(file.money.units)
        units, marks = _any_of(file.units), _any_of(file.ordinals.words)
        scales = _any_of(file.money.scales)
        yield _rule(r"(?:(?![0-9])\d)+", lambda found: "".join(str(int(digit)) for digit in found[0]))
        yield _rule(rf"(?<!\w)(?:{_any_of(file.abbreviations)})(?!\w)", self._abbreviation)
        yield _rule(
            rf"(?i:\b(?P<word>{_any_of(file.romans.after)}) )(?P<roman>[IVXLC]{{1,7}})\b", self._roman
        )
        yield _rule(r"(?<![\w.,/-])(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?![\w/-])", self._date)
        yield _rule(
            r"(?<![\w.,/-])(?P<day>\d{1,2})(?P<mark>[/.-])(?P<month>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})"
            r"(?![\w/-])",
            self._date,
        )
        if file.dates.first:
            months = _any_of(file.dates.months)
            yield _rule(
                rf"(?<![\w.,/-])1(?:[º°.]|er|ᵉʳ)?(?= (?:de )?(?:{months})\b)", lambda _: file.dates.first
            )
        times = file.times
        yield _rule(
            rf"(?<![\w.,:/])(?P<hour>[01]?\d|2[0-4])(?:(?:{times.marks})(?P<minute>[0-5]\d)"
            rf"(?: ?(?:{_any_of(times.after)})\b)?|{times.lone})(?![\w:]|[.,]\d)",
            self._time,
        )
        yield _rule(
            r"(?<![\w.,])(?:\+ ?\d{1,3}(?:[ -]\(?\d{1,4}\)?){2,6}|(?:00)?\(?\d{1,4}\)?(?:[ -]\d{2,5}){2,5})"
            r"(?![\w,.-]\d|\w)",
            self._phone,
        )
        yield _rule(rf"(?<![\w,./])(?P<fraction>{_any_of(file.fractions)})(?![\w,./])", self._fraction)
        for between, said in file.between.items():
            yield _rule(rf"(?<=\d){between}(?=\d)", lambda _, said=said: f" {said} ")
        yield _rule(
            rf"(?<!\w)(?P<sign>{signs}) ?(?P<number>{number})(?: (?P<scale>{scales})\b)?", self._money
        )
        yield _rule(
            rf"(?<!\w)(?P<number>{number})(?: (?P<scale>{scales}))? ?(?P<sign>{signs})(?!\w)", self._money
        )
        if marks:
            yield _rule(rf"(?<![\w.,])(?P<number>\d{{1,2}})(?P<mark>{marks})(?!\w)", self._ordinal)
        yield _rule(rf"(?<![\w,])(?P<number>{number}) ?(?P<unit>{units})(?!\w)", self._measure)
        yield _rule(r"(?<![\w.,])(?P<number>\d++(?:\.\d++){2,})(?!\w)", self._version)
        yield _rule(rf"(?<![\w,.])(?P<number>{number})(?!\w)", self._counted)
        yield _rule(r"\d+", lambda found: self._apart(found, self.words.written(found[0])))
        for sign, said in file.signs.items():
            yield _rule(re.escape(sign), lambda found, said=said: self._apart(found, said))

    def _number(self) -> str:
        """A pattern for numbers as they are written: a million digits cost a million steps."""
        table = self.file.numbers
        groups = "|".join(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})++(?!\d)" for mark in table.group)
        points = "".join(map(re.escape, table.points))
        return rf"(?:(?<![\w)\]%°])[-−–])?(?:{groups}|\d++)(?:[{points}]\d++)?"

    def _rest(self) -> Rule:
        return _rule(r"\A\d+", lambda found: self.words.digits(found[0]))

    def _apart(self, found: Found, said: str) -> str:
        """The words, with blanks between them and letters or numbers beside them."""
        before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
        head = " " if before.isalnum() else ""
        return f"{head}{said}{' ' if after.isalnum() else ''}"

    def _abbreviation(self, found: Found) -> Said:
        said = self.file.abbreviations[found[0]]
        rest = found.string[found.end() :]
        ends = found[0].endswith(".") and re.match(r"\s*$|\s+[\"“«¿¡]?[A-ZÁÉÍÓÚÀÈÄÖÜÇ]", rest)
        # A title is followed by a name; of what ends a sentence the full stop stays.
        return f"{said}." if ends and found[0].rstrip(".").islower() else said

    def _roman(self, found: Found) -> Said:
        number = _roman(found["roman"])
        return f"{found['word']} {self.words.cardinal(number)}" if number else None

    def _date(self, found: Found) -> Said:
        day, month, dates = int(found["day"]), int(found["month"]), self.file.dates
        if not (1 <= day <= 31 and 1 <= month <= 12):
            return None
        said = dates.first if day == 1 and dates.first else self.words.cardinal(day)
        year = self.words.year(int(found["year"]))
        return dates.numeric.format(day=said, month=dates.months[month - 1], year=year)

    def _time(self, found: Found) -> Said:
        times, hour, minute = self.file.times, int(found["hour"]), int(found["minute"] or 0)
        one, many, gender = times.hours
        return (times.minutes if minute else times.full).format(
            hour=self.words.counting(hour, gender),
            hours=one if hour == 1 else many,
            minute=self.words.cardinal(minute),
        )

    def _phone(self, found: Found) -> Said:
        digits = re.findall(r"\d+", found[0])
        grouped = all(len(group) == 3 for group in digits[1:]) and found[0][0] not in "+0("
        announced = re.search(
            rf"(?i:\b(?:{_any_of(self.file.telephone)})\b)", found.string[: found.start()][-30:]
        )
        if len("".join(digits)) < 7 or (grouped and " " in self.file.numbers.group and not announced):
            return None
        plus = f"{self.file.signs.get('+', '')} " if found[0][0] == "+" else ""
        return plus + ", ".join(self.words.digits(group) for group in digits)

    def _money(self, found: Found) -> Said:
        money, text = self.file.money, found["number"]
        one, many, gender, cent, cents, cent_gender = money.units[found["sign"]]
        if found["scale"]:
            return money.scaled.format(
                amount=self.words.written(text, gender), scale=found["scale"], unit=many
            )
        whole, _, after = self.words.parts(text.lstrip("-−–"))
        minus = f"{self.file.numbers.minus} " if text[0] in "-−–" else ""
        units = int(whole)
        amount = f"{minus}{self.words.counting(units, gender)} {one if units == 1 else many}"
        if len(after) != 2 or not cent:
            return f"{self.words.written(text, gender)} {many}" if after.strip("0") else amount
        if not (hundredths := int(after)):
            return amount
        part = self.words.counting(hundredths, cent_gender)
        if not units:
            return f"{minus}{part} {cent if hundredths == 1 else cents}"
        return money.cents.format(
            amount=amount,
            part=part,
            bare=self.words.cardinal(hundredths),
            cents=cent if hundredths == 1 else cents,
        )

    def _ordinal(self, found: Found) -> Said:
        words, number = self.file.ordinals.words[found["mark"]], int(found["number"])
        return words[number - 1] if 1 <= number <= len(words) else self.words.cardinal(number)

    def _measure(self, found: Found) -> Said:
        one, many, gender = self.file.units[found["unit"]]
        said = self.words.written(found["number"], gender)
        return f"{said} {one if found['number'].lstrip('-−–') == '1' else many}"

    def _fraction(self, found: Found) -> Said:
        return self.file.fractions[found["fraction"]]

    def _version(self, found: Found) -> Said:
        point = self.file.numbers.points.get(".") or self.file.address["."]
        whole, mark, after = self.words.parts(found["number"])
        if not mark and not after and "." not in whole:
            return self.words.cardinal(int(whole))
        return f" {point} ".join(self.words.written(part) for part in found["number"].split("."))

    def _counted(self, found: Found) -> Said:
        return self.words.written(found["number"], self._gender(found.string[found.end() :]))

    def _gender(self, rest: str) -> str:
        """Of the noun that a number stands before: "" where none follows, or the language has no genders."""
        following = re.match(r" ([^\W\d_]+)", rest)
        if not following:
            return ""
        word = following[1].lower()
        if word in self.file.uncounted or not following[1][0].islower():
            return ""
        masculine = any(word.endswith(ending) for ending in self.file.masculine)
        return "f" if not masculine and word.endswith(self.file.feminine) else "m"

    def _address(self, text: str) -> str:
        """An address of mail or of the web, as one reads it out."""
        said = self.file.address
        return " ".join(
            said.get(part, part)
            for part in re.split(rf"([{re.escape(''.join(said))}])", text)
            if part.strip()
        )


def _rule(pattern: str, said: Callable[[Found], Said]) -> Rule:
    return Rule(re.compile(pattern), said)


def _any_of(signs: Iterable[str]) -> str:
    """A pattern for any of these, the longest first; one that matches nothing where there are none."""
    return "|".join(re.escape(sign) for sign in sorted(signs, key=len, reverse=True)) or r"(?!)"


_ROMAN = re.compile(r"(?=.)(?:C{0,3})(X[LC]|L?X{0,3})(I[XV]|V?I{0,3})")
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}


def _roman(text: str) -> int:
    """The value of a roman numeral; 0 where it is none."""
    if not _ROMAN.fullmatch(text):
        return 0
    values = [_VALUES[letter] for letter in text]
    return sum(-v if v < following else v for v, following in zip(values, [*values[1:], 0], strict=True))
