"""Numbers in the words of a language that is described by tables. Knows no sign and no text.

Up to 99 every number has its word in the table, for languages build those in every manner there is
("quatre-vingt-dix-neuf", "ventuno", "einundzwanzig"); above, they are put together from groups of three
digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

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
    one_thousand: str
    thousand: str
    thousand_joint: str
    thousand_short_joint: str
    before_thousand: tuple[Ending, ...] = ()
    scales: tuple[tuple[int, str, str], ...]
    before_scale: tuple[Ending, ...] = ()
    masculine: tuple[Ending, ...] = ()
    feminine: tuple[Ending, ...] = ()
    year_hundreds: str = ""
    minus: str
    group: str
    points: dict[str, str]
    fraction_digits: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """Says numbers by a table."""

    table: Numbers

    def cardinal(self, number: int) -> str:
        """A whole number, not negative, as one counts."""
        table = self.table
        if number >= 10**LONGEST:
            return self.digits(str(number))
        for power, one, many in table.scales:
            count, rest = divmod(number, 10**power)
            if count:
                head = one if count == 1 else f"{_ended(self.cardinal(count), table.before_scale)} {many}"
                short = table.thousand_short_joint if _short(rest) else table.thousand_joint
                return head + (f" {short.strip()} ".replace("  ", " ") + self.cardinal(rest) if rest else "")
        count, rest = divmod(number, 1000)
        if not count:
            return self._below_thousand(rest)
        many = _ended(self._below_thousand(count), table.before_thousand) + table.thousand
        head = table.one_thousand if count == 1 else many
        joint = table.thousand_short_joint if _short(rest) else table.thousand_joint
        return head + (joint + self._below_thousand(rest) if rest else "")

    def _below_thousand(self, number: int) -> str:
        table = self.table
        hundreds, rest = divmod(number, 100)
        if not hundreds:
            return table.below_hundred[rest]
        if not rest:
            return table.hundreds[hundreds - 1]
        return table.hundreds_before[hundreds - 1] + table.hundred_joint + table.below_hundred[rest]

    def year(self, number: int) -> str:
        """A year; in languages that count its hundreds so ("neunzehnhundert")."""
        hundreds, rest = divmod(number, 100)
        if self.table.year_hundreds and 11 <= hundreds <= 19:
            tail = self.table.below_hundred[rest] if rest else ""
            return self.table.below_hundred[hundreds] + self.table.year_hundreds + tail
        return self.cardinal(number)

    def counting(self, number: int, gender: str) -> str:
        """A number before what it counts. gender: "m", "f" or "" where that is not known."""
        said = self.cardinal(number)
        if gender == "f" and self.table.feminine:
            return "".join(_feminine(word, self.table.feminine) for word in _split(said))
        return _ended(said, self.table.masculine) if gender else said

    def digits(self, text: str) -> str:
        """Digits one by one."""
        return " ".join(self.table.below_hundred[int(digit)] for digit in text)

    def written(self, text: str, gender: str = "") -> str:
        """A number as it is written in the language: with groups, a decimal mark, a minus."""
        if text[0] in "-−–":
            return f"{self.table.minus} {self.written(text[1:], gender)}"
        whole, mark, after = self.parts(text)
        if not mark:
            spelled = len(whole) > 1 and whole[0] == "0"
            return self.digits(whole) if spelled else self.counting(int(whole), gender)
        zeros = len(after) - len(after.lstrip("0"))
        if self.table.fraction_digits or len(after) > 3 or zeros == len(after):
            fraction = self.digits(after)
        else:
            fraction = " ".join(filter(None, (self.digits("0" * zeros), self.cardinal(int(after)))))
        return f"{self.cardinal(int(whole))} {self.table.points[mark]} {fraction}"

    def parts(self, text: str) -> tuple[str, str, str]:
        """The digits before the decimal mark, the mark, and those after it; "" where it has none.

        A mark that also groups digits is decimal where what follows it are not three digits.
        """
        decimal = next(iter(self.table.points))
        bare = text
        for mark in self.table.group:
            head, *groups = bare.split(mark)
            if groups and len(head) <= 3 and all(len(g.partition(decimal)[0]) == 3 for g in groups):
                bare = bare.replace(mark, "")
        for mark in self.table.points:
            whole, found, after = bare.partition(mark)
            if found:
                return whole, mark, after
        return bare, "", ""


def _short(rest: int) -> bool:
    """Whether what follows is one word's worth of its unit: below a hundred of it, or whole hundreds."""
    while rest >= 1000 and rest % 1000 == 0:
        rest //= 1000
    return rest < 100 or (rest < 1000 and rest % 100 == 0)


def _ended(said: str, endings: tuple[Ending, ...]) -> str:
    """The words with their last ending changed."""
    for old, new in endings:
        if said.endswith(old):
            return said.removesuffix(old) + new
    return said


def _split(said: str) -> list[str]:
    """The words with the blanks after them."""
    words = said.split(" ")
    return [f"{word} " for word in words[:-1]] + words[-1:]


def _feminine(word: str, endings: tuple[Ending, ...]) -> str:
    bare = word.rstrip(" ")
    return _ended(bare, endings) + word[len(bare) :]
