"""Text normalization by tables: the rules of every language that has a `text.toml`. Knows no language.

The classes are those of `agent.text.normalization`, in the order in which they are tried; what is said of
each is in the language's tables, so that a language is written without any code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from agent.languages.scripts import UNSPACED
from agent.text.normalization import Found, Language, Rule, Said
from agent.text.normalization.file import File, tables
from agent.text.normalization.patterns import any_of, rule
from agent.text.normalization.romans import Romans
from agent.text.normalization.tables import Words, ended

LETTER = rf"[^\W{UNSPACED}]"
"""A letter or digit of a script with blanks between words: in others a letter ends none."""
FIRST, LAST = rf"(?<!{LETTER})", rf"(?!{LETTER})"
"""Where a word begins, and ends."""
_FULL_WIDTH = str.maketrans("％：．／－＋～", "%:./-+~")
_CUE = 30
"""Characters in which a word before a number may say what it is."""


def load(name: str) -> Language | None:
    """The rules of that language; None where it has no tables. Raises as `file.read` does."""
    file = tables(name)
    return rules(file) if file else None


def rules(file: File) -> Language:
    """The rules that a language's tables make."""
    return _Rules(file).language()


@dataclass(frozen=True)
class _Rules:
    """Makes the rules. A method a class; each says None where its match is none of its class."""

    file: File

    @cached_property
    def words(self) -> Words:
        """How numbers are said."""
        return Words(self.file.numbers, self.file.ordinals)

    def language(self) -> Language:
        """All rules in order."""
        text = [
            *self._as_written(),
            *Romans(self.file, self.words).rules(),
            *self._dates(),
            *self._times(),
            *self._telephone(),
            *self._fractions(),
            *self._between(),
            *self._money(),
            *self._ordinals(),
            *self._measures(),
            *self._numbers(),
        ]
        rest = rule(r"\A\d+", lambda found: self.words.digits(found[0]))
        return Language(markup=[], text=text, rest=rest, address=self._address)

    def _as_written(self) -> Iterable[Rule]:
        """Digits of other scripts, signs of full width, and abbreviations."""
        yield rule(r"(?:(?![0-9])\d)+", lambda found: "".join(str(int(digit)) for digit in found[0]))
        yield rule(
            r"(?<=\d)(?:[％：．／－＋～](?=\d)|％)|[－＋](?=\d)",
            lambda found: found[0].translate(_FULL_WIDTH),
        )
        yield rule(rf"{FIRST}[’‘'](?=\d\d(?!\d))", lambda _: "")
        yield rule(rf"{FIRST}(?:{any_of(self._abbreviations)}){LAST}", self._abbreviation)
        attached = self.file.attached
        yield rule(rf"(?<=[^\W\d_])(?:{any_of(attached)}){LAST}", lambda found: attached[found[0]])

    @cached_property
    def _abbreviations(self) -> dict[str, str]:
        """As they are in the file, and with the other letter that may begin them."""
        own = self.file.abbreviations
        small = {key[0].lower() + key[1:]: said for key, said in own.items() if key[1:2].islower()}
        return {_capital(key): _capital(said) for key, said in own.items()} | small | own

    def _abbreviation(self, found: Found) -> Said:
        """Where it ends its sentence, the full stop stays."""
        said, sentences = self._abbreviations[found[0]], self.file.sentences
        counted = {*self.file.units, *self.file.money.units}
        if found[0] in counted and re.search(r"\d ?$", found.string[: found.start()]):
            return None
        bare = found[0].rstrip(".").lower().replace(" ", "")
        if not found[0].endswith(".") or bare in sentences.going_on:
            return said
        following = re.match(r"\s*(?:$|[\"“„«¿¡]?([^\W\d_]+))", found.string[found.end() :])
        word = following and following[1]
        begins = not word or (
            word[0].isupper() and (not self.file.capitalised or word.lower() in sentences.starters)
        )
        return f"{said}." if following and begins else said

    def _dates(self) -> Iterable[Rule]:
        dates = self.file.dates
        months = any_of(dates.months)
        before = rf"{FIRST}(?<![.,/-])"
        yield rule(rf"{before}(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d){LAST}(?![/-])", self._date)
        yield rule(
            rf"{before}(?P<day>\d{{1,2}})(?P<mark>[/.-])(?P<month>\d{{1,2}})(?P=mark)(?P<year>\d{{4}}|\d{{2}})"
            rf"{LAST}(?![/-])",
            self._date,
        )
        if dates.year_first:
            yield rule(
                rf"{before}(?P<year>\d{{4}})(?P<mark>[/.])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}}){LAST}"
                r"(?![/-])",
                self._date,
            )
        if dates.ordinal:
            yield rule(rf"{before}(?P<day>\d{{1,2}})\.(?P<month>\d{{1,2}})\.(?![./]?\d)", self._day_and_month)
        if dates.first or dates.ordinal:
            marks = r"[º°.]|er|ᵉʳ"
            days = r"\d{1,2}" if dates.ordinal else "1"
            joint = "|".join(re.escape(f"{word} ") for word in dates.joints)
            yield rule(rf"{before}(?P<day>{days})(?:{marks})?(?= (?:{joint})?(?:{months}){LAST})", self._day)
        years = any_of([*dates.months, *dates.years])
        cue = rf"(?P<cue>{FIRST}(?i:{years}),? (?:{any_of(dates.joints)} )?)" if years else ""
        if self.words.table.year_hundreds or self.words.table.year_digits:
            yield rule(rf"{cue}(?P<year>\d{{3,4}}){LAST}(?![.,]\d)", self._year)
            yield rule(rf"{FIRST}(?<![.,])(?P<year>\d{{3,4}})(?={dates.year_mark or '(?!)'})", self._year)

    def _day_and_month(self, found: Found) -> Said:
        day, month = int(found["day"]), int(found["month"])
        if not (1 <= day <= 31 and 1 <= month <= 12):
            return None
        return f"{self._day_said(day, found)} {self.file.dates.months[month - 1]}{self._stop(found)}"

    def _date(self, found: Found) -> Said:
        day, month, dates = int(found["day"]), int(found["month"]), self.file.dates
        if not (1 <= day <= 31 and 1 <= month <= 12):
            return None
        return dates.numeric.format(
            day=self._day_said(day, found),
            month=dates.months[month - 1],
            year=self.words.year(int(found["year"])),
        )

    def _day(self, found: Found) -> Said:
        day = int(found["day"])
        return self._day_said(day, found) if 1 <= day <= 31 else None

    def _day_said(self, day: int, found: Found) -> str:
        dates = self.file.dates
        if dates.ordinal:
            return self.words.ordinal(day, [self._case(found, "m", bare=True)])
        return dates.first if day == 1 and dates.first else self.words.cardinal(day)

    def _year(self, found: Found) -> Said:
        return found.groupdict("").get("cue", "") + self.words.year(int(found["year"]))

    def _case(self, found: Found, gender: str, *, bare: bool = False) -> tuple[tuple[str, str], ...]:
        """How an ordinal ends after the word that stands before it. bare: that may be no article."""
        cases, word = self.file.cases, self._word_before(found)
        if word in cases.oblique or (gender == "f" and word in cases.oblique_feminine):
            return cases.ordinals
        if gender == "m" and word in cases.undetermined:
            return cases.bare
        return cases.bare if bare and word not in cases.determined else ()

    def _word_before(self, found: Found) -> str:
        """The word before a number; of several that are joined ("vom 1. bis 3. Juli"), before the first."""
        before = found.string[max(0, found.start() - 2 * _CUE) : found.start()]
        joints = any_of(self.file.cases.joints)
        before = re.sub(rf"(?:\d+\.(?: [^\W\d_]+)?(?:,| (?:{joints})) )+$", "", before)
        word = re.search(r"([^\W\d_]+)[\s(]*$", before)
        return word[1].lower() if word else ""

    def _times(self) -> Iterable[Rule]:
        times, blank = self.file.times, self.words.table.blank
        range_said = next((said for of, said in self.file.between.items() if re.fullmatch(of, "-")), None)
        if range_said and times.marks:
            yield rule(
                rf"(?<=\d\d) ?[–-] ?(?=\d{{1,2}}(?:{times.marks})\d\d(?!\d))",
                lambda _: f"{blank}{range_said}{blank}",
            )
        marks = "|".join(filter(None, [times.marks, r"(?P<dot>\.)" if times.before or times.after else ""]))
        yield rule(
            rf"{FIRST}(?<![.,:/])(?P<hour>[01]?\d|2[0-4])(?:(?:{marks})(?P<minute>[0-5]\d)"
            rf"(?P<after> ?(?:{any_of(times.after)}){LAST})?|{times.lone or '(?!)'}){LAST}(?!:|[.,]\d)",
            self._time,
        )

    def _time(self, found: Found) -> Said:
        times, hour, minute = self.file.times, int(found["hour"]), int(found["minute"] or 0)
        if found.groupdict().get("dot") and not (found["after"] or self._cued(found, times.before, r"\W*$")):
            return None
        one, many, gender = times.hours
        return (times.minutes if minute else times.full).format(
            hour=self.words.counting(hour, gender),
            hours=one if hour == 1 or (self.words.table.singular_below_two and not hour) else many,
            minute=self.words.cardinal(minute),
        )

    def _cued(self, found: Found, cues: Iterable[str], between: str = "") -> bool:
        """Whether one of these words stands before the match. between: all that may be between both."""
        before = found.string[max(0, found.start() - _CUE) : found.start()]
        return re.search(rf"{FIRST}(?i:{any_of(cues)}){LAST}{between}", before) is not None

    def _telephone(self) -> Iterable[Rule]:
        yield rule(
            rf"{FIRST}(?<![.,])(?:\+ ?\d{{1,3}}(?:[ /-]\(?\d{{1,8}}\)?){{1,6}}|0\d(?:\.\d\d){{4}}|"
            rf"(?:00)?\(?\d{{1,5}}\)?(?:[ /-]\d{{2,8}}){{1,5}}|\d{{7,12}})(?![,.-]\d){LAST}",
            self._phone,
        )

    def _phone(self, found: Found) -> Said:
        groups = re.findall(r"\d+", found[0])
        marked = found[0][0] in "+0(" and len(groups) > 1
        announced = self._cued(found, self.file.telephone)
        grouped = all(len(group) == 3 for group in groups[1:]) and " " in self.file.numbers.group
        several = len(groups) > 2 and "/" not in found[0] and not grouped
        if len("".join(groups)) < 7 or not (marked or announced or several):
            return None
        plus = f"{self.file.signs.get('+', '')}{self.words.table.blank}" if found[0][0] == "+" else ""
        return plus + self.file.telephone_joint.join(map(self._telephone_group, groups))

    def _telephone_group(self, digits: str) -> str:
        paired = self.file.telephone_pairs and len(digits) == 2 and digits[0] != "0"
        return self.words.cardinal(int(digits)) if paired else self.words.digits(digits)

    def _fractions(self) -> Iterable[Rule]:
        before, after = rf"{FIRST}(?<![,./])", rf"{LAST}(?![,./]\d)(?!/)"
        if self.file.half[0]:
            yield rule(rf"{before}(?:1/2|½){after}", self._half)
        yield rule(rf"{before}(?P<fraction>{any_of(self.file.fractions)}){after}", self._fraction)
        yield rule(rf"{before}(?P<above>\d{{1,2}})/(?P<below>\d{{1,3}}){after}", self._divided)

    def _half(self, found: Found) -> Said:
        gender = self._gender(found.string[found.end() :])
        return self.file.half[gender == "f"] if gender else None

    def _fraction(self, found: Found) -> Said:
        return self.file.fractions[found["fraction"]]

    def _divided(self, found: Found) -> Said:
        above, below = int(found["above"]), int(found["below"])
        if not 0 < above < below:
            return None
        if self.file.fraction:
            return self.file.fraction.format(
                above=self.words.cardinal(above), below=self.words.cardinal(below)
            )
        if (names := self.file.denominators.get(found["below"])) is None:
            return None
        return f"{self.words.counting(above, 'm')} {names[above > 1]}"

    def _between(self) -> Iterable[Rule]:
        blank = self.words.table.blank
        for between, said in self.file.between.items():
            yield rule(rf"(?<=\d){between}(?=[-−]?\d)", lambda _, said=said: f"{blank}{said}{blank}")

    @cached_property
    def _number(self) -> str:
        """A pattern for numbers as they are written: a million digits cost a million steps."""
        table = self.file.numbers
        upper = r"\d{2,3}" if table.group_pairs else r"\d{3}"
        groups = "|".join(
            rf"\d{{1,3}}(?:{re.escape(mark)}{upper}(?={re.escape(mark)}))*{re.escape(mark)}\d{{3}}(?!\d)"
            for mark in table.group
        )
        points = "".join(map(re.escape, table.points))
        return rf"(?:{FIRST}(?<![)\]%°])[-−–])?(?:{groups}|\d++)(?:[{points}]\d++)?"

    def _money(self) -> Iterable[Rule]:
        money, of = self.file.money, any_of(word.strip() for word in self.file.numbers.of)
        signs, scales = any_of(money.units), any_of(money.scales)
        number = rf"(?P<number>{self._number})(?: ?(?P<scale>{scales}){LAST})?"
        yield rule(rf"{FIRST}(?P<sign>{signs}) ?{number}", self._amount)
        yield rule(
            rf"{FIRST}(?<![,.])(?P<minus>[-−–]?){number}(?: (?:{of}))? ?(?P<sign>{signs}){LAST}", self._amount
        )

    def _amount(self, found: Found) -> Said:
        return self._amount_said(found) + self._stop(found)

    def _stop(self, found: Found) -> str:
        """The full stop of an abbreviation that ends the text, which ends its sentence as well."""
        return "." if found[0].endswith(".") and not found.string[found.end() :].strip() else ""

    def _amount_said(self, found: Found) -> str:
        money, text, blank = self.file.money, found["number"], self.words.table.blank
        one, many, gender, cent, cents, cent_gender = money.units[found["sign"]]
        if found["scale"]:
            thousand = found["scale"] == self.words.table.thousand.strip()
            of = "" if thousand else self.words.table.of[many[0].lower() in "aeiouyé"]
            return blank.join([self.words.written(text, gender), found["scale"], of + many])
        minus = f"{self.words.table.minus}{blank}" if text[0] in "-−–" else ""
        whole, mark, after = self.words.parts(text.lstrip("-−–"))
        units = int(whole)
        if not cent or len(after) != 2:
            after = after.rstrip("0")
            bare = f"{units}{mark}{after}" if after else ""
            if after:
                return f"{minus}{self.words.written(bare, gender)}{blank}{many}"
        amount = f"{minus}{self._things(units, one, many, gender)}"
        if not (hundredths := int(after or 0)):
            return amount
        part = self.words.counting(hundredths, cent_gender)
        name = cent if hundredths == 1 else cents
        if not units:
            return f"{minus}{part}{blank}{name}"
        bare = self.words.cardinal(hundredths)
        return money.cents.format(amount=amount, part=part, bare=bare, cents=name)

    def _things(self, number: int, one: str, many: str, gender: str) -> str:
        """So many of them."""
        thing = one if number == 1 else many
        counted = self.words.counting(number, gender)
        return f"{counted}{self.words.table.blank}{self.words.of(number, thing)}{thing}"

    def _ordinals(self) -> Iterable[Rule]:
        if marks := any_of(self.file.ordinals.marks):
            yield rule(
                rf"{FIRST}(?<![.,])(?P<number>\d{{1,4}})(?P<mark>{marks}){LAST}(?!\.?\d)", self._ordinal
            )

    def _ordinal(self, found: Found) -> Said:
        number, mark, rest = int(found["number"]), found["mark"], found.string[found.end() :]
        gender = self._gender(rest)
        if mark in self.file.units and not gender:
            return None
        stays = ""
        if mark == "." and not self.goes_on(found):
            if rest.strip() or not self._case_known(found):
                return None
            stays = "."
        changed = [self.file.ordinals.marks[mark], self._case(found, gender)]
        return self.words.ordinal(number, changed) + stays if number else None

    def goes_on(self, found: Found) -> bool:
        """Whether the sentence goes on after a number with a full stop.

        Before a capital only where a word before the number opens a noun: a sentence begins with one, too.
        """
        following = re.match(r" +([^\W\d_]+)", found.string[found.end() :])
        if following is None or following[1].lower() in self.file.sentences.starters:
            return following is not None and following[1][0].islower()
        opens = self._case_known(found) or self._word_before(found) in self.file.cases.undetermined
        return opens or following[1][0].islower()

    def _case_known(self, found: Found) -> bool:
        cases, word = self.file.cases, self._word_before(found)
        return word in {*cases.oblique, *cases.determined, *cases.oblique_feminine}

    def _measures(self) -> Iterable[Rule]:
        units = any_of(self.file.units)
        yield rule(rf"{FIRST}(?<![,])(?P<number>{self._number}) ?(?P<unit>{units}){LAST}", self._measure)

    def _measure(self, found: Found) -> Said:
        one, many, gender = self.file.units[found["unit"]]
        text = found["number"]
        whole, _, after = self.words.parts(text.lstrip("-−–"))
        single = int(whole) == 1 and not after
        if self.file.numbers.singular_below_two:
            single = int(whole) < 2
        thing, stop = one if single else many, self._stop(found)
        said = self.words.written(text, gender)
        if "{}" in thing:
            return thing.format(said) + stop
        of = "" if after else self.words.of(int(whole), thing)
        return f"{said}{self.words.table.blank}{of}{thing}{stop}"

    def _numbers(self) -> Iterable[Rule]:
        suffixes = self.file.suffixes
        yield rule(
            rf"{FIRST}(?<![,.])(?P<number>\d{{1,6}})(?P<suffix>{any_of(suffixes)}){LAST}",
            lambda found: self.words.cardinal(int(found["number"])) + suffixes[found["suffix"]],
        )
        yield rule(rf"{FIRST}(?<![.,])(?P<number>\d++(?:\.\d++){{2,}}){LAST}", self._version)
        yield rule(rf"{FIRST}(?<![,.])(?P<number>{self._number}){LAST}(?P<gap> ?)", self._counted)
        yield rule(r"\d+", lambda found: self._apart(found, self.words.written(found[0])))
        for sign, said in self.file.signs.items():
            yield rule(re.escape(sign), lambda found, said=said: self._apart(found, said))

    def _apart(self, found: Found, said: str) -> str:
        """The words, with blanks between them and letters or numbers beside them."""
        blank = self.words.table.blank
        before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
        head = blank if before.isalnum() else ""
        return f"{head}{said}{blank if after.isalnum() else ''}"

    def _version(self, found: Found) -> Said:
        point = self.file.numbers.points.get(".") or self.file.address["."]
        whole, mark, after = self.words.parts(found["number"])
        if not mark and not after and "." not in whole:
            return None  # a number in groups
        blank = self.words.table.blank
        return f"{blank}{point}{blank}".join(self.words.written(part) for part in found["number"].split("."))

    def _counted(self, found: Found) -> Said:
        """A number, and the blank before what it counts, if anything."""
        text, gap, rest = found["number"], found["gap"], found.string[found.end() :]
        gender = self._gender(gap + rest)
        noun = re.match(r"[^\W\d_]+", rest) if gap else None
        counts = gender and noun and (noun[0][0].isupper() or not self.file.capitalised)
        if len(text) == 4 and text.isdigit() and not counts and self.words.table.year_hundreds:
            return self.words.year(int(text)) + gap
        if found.string[: found.start()].endswith(self.file.ordinals.prefixes or ("\0",)):
            gender = ""
        said = self.words.written(text, gender)
        if not (gender and noun):
            return said + gap
        word = noun[0].lower()
        table, cases = self.file.numbers, self.file.cases
        if gender == "m" and table.keeps and re.match(table.keeps, word):
            said = self.words.written(text)
        if self._word_before(found) in {*cases.oblique, *cases.governing}:
            changed = cases.feminine if gender == "f" else cases.masculine
            said = ended(self.words.written(text), changed) if changed else said
        elif gender == "f" and word[0] in "aeiouàèéìòù":
            return ended(said + gap, table.elided)
        whole, _, after = self.words.parts(text.lstrip("-−–"))
        joined = after or rest.startswith(tuple(of for of in table.of if of))
        return said + gap + ("" if joined else self.words.of(int(whole), word))

    def _gender(self, rest: str) -> str:
        """Of the noun that a number stands before: "" where none follows, or the language has no genders."""
        following = re.match(r" ([^\W\d_]+)" if self.words.table.blank else r" ?([^\W\d_])", rest)
        genders = self.file.feminine or self.file.masculine
        if not (following and genders) or following[1].lower() in self.file.uncounted:
            return ""
        if self.file.capitalised:  # adjectives may come first
            following = re.match(r"(?: [^\W\d_A-ZÄÖÜ][^\W\d_]*){0,3} ([A-ZÄÖÜ][^\W\d_]*)", rest) or following
        elif following[1][0].isupper():
            return ""
        word = following[1].lower()
        masculine = any(word.endswith(ending.lower()) for ending in self.file.masculine)
        feminine = any(word.endswith(ending.lower()) for ending in self.file.feminine)
        return "f" if feminine and not masculine else "m"

    def _address(self, text: str) -> str:
        """An address of mail or of the web, as one reads it out."""
        said = self.file.address
        return " ".join(
            said.get(part, part)
            for part in re.split(rf"([{re.escape(''.join(said))}])", text)
            if part.strip()
        )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
