"""Numbers in the words of a language that is described by tables. Knows no sign and no text.

Up to 99 every number has its word in the table, for languages build those in every manner there is
("quatre-vingt-dix-neuf", "ventuno", "einundzwanzig"); above, they are put together from groups of three
digits, or of the language's own scales ("万", "लाख").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from agent.text.normalization.patterns import Pattern

LONGEST = 15
"""Digits of the longest number that is said as one; longer ones are read digit by digit."""

Ending = tuple[str, str]
"""How a number's words end, and what takes the place of that; the first that fits counts."""


class Table(BaseModel):
    """A group of keys of a language's file; refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Numbers(Table):
    """How numbers are said; what each key is for is said in `languages/es/text.toml`."""

    below_hundred: Annotated[tuple[str, ...], Field(min_length=100, max_length=100)]
    hundreds: Annotated[tuple[str, ...], Field(min_length=9, max_length=9)]
    hundreds_before: Annotated[tuple[str, ...], Field(min_length=9, max_length=9)]
    hundred_joint: str
    contracted: tuple[Ending, ...] = ()
    before_teens: str = ""
    one_thousand: str
    thousand: str
    thousand_joint: str
    thousand_short_joint: str
    before_thousand: tuple[Ending, ...] = ()
    scales: tuple[tuple[int, str, str], ...]
    before_scale: tuple[Ending, ...] = ()
    of: tuple[str, str] = ("", "")
    blank: str = " "
    zero: str = ""
    masculine: tuple[Ending, ...] = ()
    feminine: tuple[Ending, ...] = ()
    keeps: Pattern = ""
    elided: tuple[Ending, ...] = ()
    year_hundreds: str = ""
    year_digits: bool = False
    minus: str
    group: str
    group_pairs: bool = False
    points: Annotated[dict[str, str], Field(min_length=1)]
    fraction_digits: bool = False
    singular_below_two: bool = False


class Ordinals(Table):
    """How a place in a row is said; what each key is for is said in `languages/es/text.toml`."""

    words: tuple[str, ...] = ()
    endings: tuple[Ending, ...] = ()
    tens: tuple[str, ...] = ()
    hundreds: tuple[str, ...] = ()
    marks: dict[str, tuple[Ending, ...]] = Field(default_factory=dict[str, tuple[Ending, ...]])
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Words:
    """Says numbers by a table."""

    table: Numbers
    ordinals: Ordinals

    def cardinal(self, number: int) -> str:
        """A whole number, not negative, as one counts."""
        table = self.table
        if number >= 10**LONGEST:
            return self.digits(str(number))
        for power, one, many in table.scales:
            count, rest = divmod(number, 10**power)
            if count:
                counted = ended(self.cardinal(count), table.before_scale)
                head = one if count == 1 else f"{counted}{table.blank}{many}"
                return head + (self._after_scale(rest, power) if rest else "")
        count, rest = divmod(number, 1000)
        if not count:
            return self._below_thousand(rest)
        many = ended(self._below_thousand(count), table.before_thousand) + table.thousand
        head = table.one_thousand if count == 1 else many
        joint = table.thousand_short_joint if _short(rest) else table.thousand_joint
        return head + (joint + self._after(rest, 100) if rest else "")

    def _after_scale(self, rest: int, power: int) -> str:
        table = self.table
        joint = (table.thousand_short_joint if _short(rest) else table.thousand_joint).strip()
        between = f"{table.blank}{joint}{table.blank}" if joint else table.blank
        zero = table.zero if table.zero and rest < 10 ** (power - 1) else ""
        said = self.cardinal(rest)
        if 10 <= rest < 20:
            said = table.before_teens + said
        return between + zero + said

    def _after(self, rest: int, unit: int) -> str:
        """What follows thousands (unit 100) or hundreds (10), with the zero for a digit that is none."""
        table = self.table
        said = self._below_thousand(rest)
        if 10 <= rest < 20:
            said = table.before_teens + said
        return (table.zero if rest < unit else "") + said

    def _below_thousand(self, number: int) -> str:
        table = self.table
        hundreds, rest = divmod(number, 100)
        if not hundreds:
            return table.below_hundred[rest]
        if not rest:
            return table.hundreds[hundreds - 1]
        said = table.hundreds_before[hundreds - 1] + table.hundred_joint + self._after(rest, 10)
        for full, short in table.contracted:
            said = said.replace(full, short)
        return said

    def ordinal(self, number: int, changed: Sequence[Sequence[Ending]] = ()) -> str:
        """The place in a row that a number from one on is. changed: how each of its words ends, in turn."""
        table = self.ordinals
        hundreds, tens, units = number // 100, number // 10 % 10, number % 10
        if 1 <= number <= len(table.words):
            said = table.words[number - 1]
        elif table.tens and 0 < number < 1000:
            said = " ".join(
                names[digit - 1]
                for names, digit in ((table.hundreds, hundreds), (table.tens, tens), (table.words, units))
                if digit
            )
        elif table.endings:
            said = ended(self.cardinal(number), table.endings)
        else:
            return self.cardinal(number)
        for endings in changed:
            said = each_ended(said, endings)
        return said

    def year(self, number: int) -> str:
        """A year; in languages that count its hundreds so ("neunzehnhundert"), or read its digits."""
        if self.table.year_digits:
            return self.digits(str(number))
        hundreds, rest = divmod(number, 100)
        if self.table.year_hundreds and 11 <= hundreds <= 19:
            tail = self.table.below_hundred[rest] if rest else ""
            return self.table.below_hundred[hundreds] + self.table.year_hundreds + tail
        return self.cardinal(number)

    def counting(self, number: int, gender: str) -> str:
        """A number before what it counts. gender: "m", "f" or "" where that is not known."""
        said = self.cardinal(number)
        if not gender:
            return said
        scale = min((power for power, *_ in self.table.scales), default=LONGEST)
        if (rest := number % 10**scale) != number:  # scales are nouns themselves, and have their own gender
            said_of_rest = self.cardinal(rest) if rest else ""
            return said.removesuffix(said_of_rest) + (self.counting(rest, gender) if rest else "")
        if gender == "f" and self.table.feminine:
            return each_ended(said, self.table.feminine)
        return ended(said, self.table.masculine)

    def of(self, number: int, thing: str) -> str:
        """What stands between a number and what it counts, besides the blank: "un millón de euros"."""
        if not self.table.scales or number < 10**6 or number % 10 ** self.table.scales[-1][0]:
            return ""
        return self.table.of[thing[:1].lower() in VOWELS]

    def digits(self, text: str) -> str:
        """Digits one by one."""
        return self.table.blank.join(self.table.below_hundred[int(digit)] for digit in text)

    def written(self, text: str, gender: str = "") -> str:
        """A number as it is written in the language: with groups, a decimal mark, a minus."""
        blank = self.table.blank
        if text[0] in "-−–":
            return f"{self.table.minus}{blank}{self.written(text[1:], gender)}"
        whole, mark, after = self.parts(text)
        if not mark:
            spelled = len(whole) > 1 and whole[0] == "0"
            return self.digits(whole) if spelled else self.counting(int(whole), gender)
        zeros = len(after) - len(after.lstrip("0"))
        if self.table.fraction_digits or len(after) > 3 or zeros == len(after):
            fraction = self.digits(after)
        else:
            fraction = blank.join(filter(None, (self.digits("0" * zeros), self.cardinal(int(after)))))
        return f"{self.cardinal(int(whole))}{blank}{self.table.points[mark]}{blank}{fraction}"

    def parts(self, text: str) -> tuple[str, str, str]:
        """The digits before the decimal mark, the mark, and those after it; "" where it has none.

        A mark that also groups digits is decimal where what follows it are not three digits.
        """
        decimal = next(iter(self.table.points))
        bare = text
        for mark in self.table.group:
            head, *groups = bare.split(mark)
            *upper, last = [group.partition(decimal)[0] for group in groups] or [""]
            above = (2, 3) if self.table.group_pairs else (3,)
            if len(head) <= 3 and len(last) == 3 and all(len(group) in above for group in upper):
                bare = bare.replace(mark, "")
        for mark in self.table.points:
            whole, found, after = bare.partition(mark)
            if found:
                return whole, mark, after
        return bare, "", ""


VOWELS = frozenset("aeiouàáâãäåæèéêëìíîïòóôõöœùúûüh")
"""Letters before which a word is elided; an h as well, for most are silent in languages that elide."""


def _short(rest: int) -> bool:
    """Whether what follows is one word's worth of its unit: below a hundred of it, or whole hundreds."""
    while rest >= 1000 and rest % 1000 == 0:
        rest //= 1000
    return rest < 100 or (rest < 1000 and rest % 100 == 0)


def ended(said: str, endings: Sequence[Ending]) -> str:
    """The words with their last ending changed."""
    for old, new in endings:
        if said.endswith(old):
            return said.removesuffix(old) + new
    return said


def each_ended(said: str, endings: Sequence[Ending]) -> str:
    """Each of the words with its ending changed."""
    return " ".join(ended(word, endings) for word in said.split(" ")) if endings else said
