"""Dates, times and years in English. Knows when four digits are a year."""

from __future__ import annotations

import re

from agent.text.normalization import Found, Said
from agent.text.normalization.english import numbers
from agent.text.normalization.english.patterns import (
    START,
    any_of,
    before,
    counts,
    determined,
    next_word,
    rule,
)
from agent.text.normalization.english.tables import (
    DAY_NAMES,
    IDIOMS,
    LOWER_WORDS,
    MONTH_NAMES,
    MONTHS,
    VERBS_OF_YEARS,
)

MONTH = rf"(?P<month>{any_of(MONTH_NAMES)})\b\.?"
DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
YEAR = r"(?P<year>1\d{3}|20\d\d)"
DAYS = any_of(DAY_NAMES)
MERIDIEM = r"(?P<half>[AaPp])(?:[Mm]\b|\.\s?[Mm]\b\.?)"
AGE = re.compile(
    r"\b(?:the|his|her|their|my|our|your|its|early|mid|late|lower|upper|low|high|and|or|to|"
    r"[a-z]+ties)[ -]$",
    re.I,
)
"""Before "20s": people's or a century's; else they are seconds."""
YEAR_CUE = re.compile(
    r"(?:\b(?:in|between|since|by|until|till|from|before|after|during|circa|around|through|year|years|of|to|"
    r"and|pre|post|mid|early|late|AD|CE|c\.|ca\.|spring|summer|autumn|fall|winter|class of|born|died|"
    r"est\.|established|founded|copyright|b\.|d\.)[ -]|©\s?|\((?:c\.|ca\.|b\.|d\.)? ?)$",
    re.I,
)
DATED = re.compile(
    r"\b(?:spring|summer|autumn|fall|winter|class|year|start|beginning|middle|end|early|late|half|quarter|season|"
    r"crisis|revolution|war|act|treaty|battle|fire|crash|depression|recession|flood|earthquake|constitution|"
    r"olympics|coup|election|rebellion|uprising|pandemic|version|vintage|model) of (?:the )?$",
    re.I,
)
CLASS_OF = re.compile(r"\b(?:[Cc]lass|[Ss]ummer|[Ww]inter|[Ss]pring|[Aa]utumn|[Ff]all) of $")
SURE_CUE = re.compile(r"\b(?:in|since|year|during|circa|by|until|till|year (?:is|was))[ -]$|©\s?$", re.I)
COUNTED_IN = re.compile(
    r"(?:\d|people|places|cases|cities|countries|days|words|steps|pieces|ways|years|hours|minutes|seconds|"
    r"locations|stores|homes|households|houses|units|schools|towns|languages|patients|villages)\b"
)
NAME_BEFORE = re.compile(r"\b[A-Z][a-z]+,? $|\b[QH][1-4] $|\b[A-Z]{2,} $")
ANOTHER = r"(?:1\d{3}|20\d\d)(?:,? (?:and|or|to|through|until|till|but) |, ?)"
YEARS_BEFORE = re.compile(rf"(?:{ANOTHER}){{1,9}}$")
YEARS_AFTER = re.compile(r"\A(?:(?:,? (?:and|or) |, ?)(?:1\d{3}|20\d\d)\b){1,9}")
"""The years before and after one in a list: "in 1850, 1900 and 1950"."""
PROPORTION = re.compile(
    r"\b(?:ratios?|dilut\w+|scale|odds|proportions?|concentration)\b[^.!?\d]{0,30}$|"
    r"\bmix(?:ed)? (?:it |them )?(?:at |in )?(?:an? )?$",
    re.I,
)
"""Before "1:10": a ratio, and no time."""
UNTIL_NOW = re.compile(r" to (?:the )?(?:present|today|now|date)\b")
DATE_ENDS = re.compile(rf"\b(?:{any_of(MONTH_NAMES)})\b\.?(?:,? \d{{4}})?$")
LIST_CUE = re.compile(r"\b(?:in|between|since|until|till|from|before|after|during|circa) $", re.I)
COUNT_OF_YEARS = re.compile(
    r"\b(?:years|decades|elections|seasons|editions|vintages|summers|winters)(?: of|[:,])? $", re.I
)
DATE_CUE = re.compile(
    r"\b(?:(?:week|night|evening|morning|as) of|on|by|since|until|till|before|after|from|due|dated?|"
    r"Mon(?:day)?|Tue(?:s|sday)?|Wed(?:nesday)?|"
    r"Thu(?:rs|rsday)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?)[,.]? $",
    re.I,
)


def _day(text: str) -> str:
    return numbers.ordinal(str(int(text)))


def _calendar(year: str, month: str, day: str) -> str | None:
    """A date from numbers; None where there is none such. `year` may be empty, or of two digits."""
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return None
    if len(year) == 2:
        year = ("19" if int(year) >= 70 else "20") + year
    said = f"{MONTHS[int(month) - 1]} {_day(day)}"
    return f"{said}, {numbers.year(year)}" if year else said


def _days(found: Found) -> Said:
    """`Mon-Fri`."""
    return f"{DAY_NAMES[found[1]]} to {DAY_NAMES[found[2]]}"


def _iso(found: Found) -> Said:
    said = _calendar(found["year"], found["month"], found["day"])
    if said is None or not found["hour"]:
        return said
    return f"{said}, {_clock(found['hour'], found['minute'])}" + (" U T C" if found["zone"] else "")


def _slashed(found: Found) -> Said:
    """`3/14/2025`, in the order of the United States where both are possible."""
    first, second, year = found["first"], found["second"], found["year"]
    return _calendar(year, first, second) or _calendar(year, second, first)


def _dotted(found: Found) -> Said:
    """`24.12.2025`, as it is written in much of Europe: the day comes first."""
    return _calendar(found["year"], found["month"], found["day"])


def _month_and_day(found: Found) -> Said:
    if found["month"] in LOWER_WORDS and not (found["year"] or found["nth"]):
        return None
    said = f"{MONTH_NAMES[found['month']]} {_day(found['day'])}"
    if found["end"]:
        said += f" to {_day(found['end'])}"
    return f"{said}, {numbers.year(found['year'])}" if found["year"] else said


def _day_and_month(found: Found) -> Said:
    if found["month"] in LOWER_WORDS and not found["year"] and "th of" not in found[0]:
        return None
    the = "" if re.search(r"\bthe $", before(found), re.I) else "the "
    days = " to ".join(f"{the}{_day(day)}" for day in (found["begin"], found["day"]) if day)
    year = f" {numbers.year(found['year'])}" if found["year"] else ""
    return f"{days} of {MONTH_NAMES[found['month']]}{year}"


def _month_and_year(found: Found) -> Said:
    if found["month"] in LOWER_WORDS and counts(found):
        return None
    return f"{MONTH_NAMES[found['month']]} {numbers.year(found['year'])}"


def _numbered_month(found: Found) -> Said:
    """`05/2019`."""
    return f"{MONTHS[int(found[1]) - 1]} {numbers.year(found[2])}"


def _bare_date(found: Found) -> Said:
    """`12/25` where a day is meant."""
    if found[0] in IDIOMS and not re.match(r"\s*=", found.string[found.end() :]):
        return IDIOMS[found[0]]
    month, day = int(found[1]), int(found[2])
    cued = (DATE_CUE.search(before(found)) and not counts(found)) or next_word(found) in ("at", "from")
    if found[2][0] == "0" or cued or (month <= 12 and day in (13, 14, 15, 17, 18, 19, *range(21, 32))):
        if re.match(r"\s*[=+*×÷]| of\b", found.string[found.end() :]):
            return None
        return _calendar("", found[1], found[2])
    return None


def _clock(hour: str, minute: str) -> str:
    """An hour and its minutes, as on a clock of twelve or of twenty-four hours."""
    if int(minute) == 0:
        if int(hour) > 12:
            return f"{numbers.cardinal(str(int(hour)))} hundred"
        return f"{numbers.cardinal(str(int(hour)))} o'clock" if int(hour) else "midnight"
    minutes = f"oh {numbers.digits(minute[1])}" if minute[0] == "0" else numbers.cardinal(minute)
    return f"{numbers.cardinal(str(int(hour)))} {minutes}"


def _time(found: Found) -> Said:
    hour, minute, second, half = found["hour"], found["minute"], found["second"], found["half"]
    if int(hour) > 24 or (half and int(hour) > 12) or (not half and PROPORTION.search(before(found))):
        return None
    stop = "." if half and found[0].endswith(".") and _sentence_ends(found) else ""
    tail = f" {half.upper()}M{stop}" if half else ""
    if second and half:
        seconds = numbers.cardinal(str(int(second)))
        exact = f"{_clock(hour, minute) if int(minute) else numbers.cardinal(str(int(hour)))}"
        return exact + (f" and {seconds} second{'s' * (seconds != 'one')}" if int(second) else "") + tail
    if second:
        return _lasting(hour, minute, second) + tail
    if minute is None or (half and minute == "00"):
        return numbers.cardinal(str(int(hour))) + tail
    return _clock(hour, minute) + tail


def _sentence_ends(found: Found) -> bool:
    """Whether the full stop of "a.m." at the end of a match is that of its sentence as well."""
    return re.match(r"\s*$|\s+(?:[A-Z][a-z'’]|[AI] |[\"“])", found.string[found.end() :]) is not None


def _lap(found: Found) -> Said:
    """`1:23.456`."""
    minutes = numbers.cardinal(str(int(found[1])))
    return f"{minutes} minute{'s' * (minutes != 'one')} {numbers.decimal(found[2].lstrip('0'))} seconds"


def _zone(found: Found) -> Said:
    """`GMT-3`, `UTC+05:30`."""
    minutes = f" {_minutes(found[4])}" if found[4] and int(found[4]) else ""
    sign = "plus" if found[2] == "+" else "minus"
    return f"{found[1]} {sign} {numbers.cardinal(str(int(found[3])))}{minutes}"


def _lasting(hour: str, minute: str, second: str) -> str:
    words = [
        f"{numbers.cardinal(str(int(value)))} {unit}{'' if int(value) == 1 else 's'}"
        for value, unit in ((hour, "hour"), (minute, "minute"), (second, "second"))
        if int(value) or unit == "second"
    ]
    return " ".join([*words[:-1], "and", words[-1]]) if len(words) > 1 else words[0]


def _hours(found: Found) -> Said:
    """`7-9pm`: the first hour of a range whose second has its half of the day."""
    if int(found[1]) > 12:
        return None
    return f"{numbers.cardinal(str(int(found[1])))}" + (f" {_minutes(found[2])}" if found[2] else "") + " to "


def _minutes(text: str) -> str:
    return f"oh {numbers.digits(text[1])}" if text[0] == "0" else numbers.cardinal(text)


def _decade(found: Found) -> Said:
    """`1990s`, `'90s`, `90s`, `2000s`."""
    digits = found[1]
    if len(digits) == 2 and found[0][0].isdigit() and not AGE.search(before(found)):
        return None
    if len(digits) == 2:
        return numbers.plural(numbers.cardinal(digits))
    if digits.endswith("00") and digits != "2000":
        return f"{numbers.cardinal(digits[:2])} hundreds"
    return numbers.plural(numbers.year(digits))


def _years(found: Found) -> Said:
    """`1914-1918`, `2024/25`."""
    first, last = found[1], found[3]
    if len(last) == 4 and int(last) < int(first):
        return None
    if len(last) == 2 and found[2].strip() != "/" and int(last) <= int(first[2:]):
        return None
    return f"{numbers.year(first)}{' ' if found[2] == '/' else ' to '}{_any_year(last)}"


def _any_year(text: str) -> str:
    return numbers.year(text) if len(text) == 4 else _short_year(text)


def _short_year(text: str) -> str:
    return _minutes(text)


def _year(found: Found) -> Said:
    """Four digits that are a year: after "in", before a verb or a name, not where they count something."""
    return numbers.year(found[1]) if _is_year(found, before(found, 120)) else None


def _is_year(found: Found, lead: str) -> bool:
    """Whether a number is a year. lead: what stands before it, or before the list of years that it ends."""
    rest = found.string[found.end() :]
    listed = YEARS_BEFORE.search(lead)
    if listed:
        first = lead[: listed.start()]
        cued = LIST_CUE.search(first) or COUNT_OF_YEARS.search(first)
        if cued or (_opens(first) and _recent(found[1])):
            return not counts(found)
    if re.search(r"\d by $", lead):
        return False
    if determined(found) and _recent(found[1]) and not found[1].endswith("00"):
        return True
    if CLASS_OF.search(lead) and _recent(found[1]):
        return True
    if COUNT_OF_YEARS.search(lead):
        return not counts(found)
    if SURE_CUE.search(lead):
        if re.search(r"\bin[ -]$", lead, re.I):
            return not COUNTED_IN.match(next_word(found))
        return not _many(found)
    if YEAR_CUE.search(lead) or NAME_BEFORE.search(lead):
        joined = re.search(r"\b(?:to|and|of) $", lead)
        return not counts(found) and (not joined or bool(DATED.search(lead)))
    opens = _opens(lead) or lead.rstrip()[-1:] in ";,"
    listed = _opens(lead) and _recent(found[1]) and re.match(r", ?(?:\d{4}\b|and|or|$)", rest)
    return opens and (_tells_of_years(found) or bool(listed))


def _opens(lead: str) -> bool:
    """Whether a sentence begins after that."""
    return lead.strip(' ("“')[-1:] in ("", ".", "!", "?", ":", "\n")


def _tells_of_years(found: Found) -> bool:
    """Whether what follows is said of a year: "1984 was", "1984's", "1999, 2000 and 2001 were"."""
    rest = YEARS_AFTER.sub("", found.string[found.end() :], count=1)
    word = re.match(r" ([a-z]+)", rest)
    return (
        rest[:2] in ("'s", "’s")
        or UNTIL_NOW.match(rest) is not None
        or (word is not None and word[1] in VERBS_OF_YEARS)
    )


def _many(found: Found) -> bool:
    return counts(found) and not _recent(found[1])


def _recent(text: str) -> bool:
    return "1700" <= text <= "2100"


def _era(found: Found) -> Said:
    year = found[2].replace(",", "")
    said = numbers.year(year) if len(year) in (3, 4) else numbers.cardinal(year)
    return f"{found[1]} {said}" if found[1] else f"{said} {found[3].replace('.', '')}"


def _era_first(found: Found) -> Said:
    """`AD 79`, `AD 30–33`."""
    years = [year for year in (found[2], found[3]) if year]
    said = " to ".join(numbers.year(year) if len(year) > 2 else numbers.cardinal(year) for year in years)
    return f"{found[1].replace('.', '')} {said}"


def _abbreviated_year(found: Found) -> Said:
    return _short_year(found[1])


DATES = [
    rule(
        rf"\b({DAYS})\.?\s?[-–—]\s?({DAYS})\b\.?",
        _days,
    ),
    rule(
        r"\b(Tues|Thurs|Thur)\b\.?|\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\.(?=,)",
        lambda found: DAY_NAMES[found[1] or found[2]],
    ),
    rule(
        rf"\b(?=[A-Z])({any_of(MONTH_NAMES)})\.?\s?[-–—]\s?"
        rf"(?=[A-Z])({any_of(MONTH_NAMES)})\b\.?(?! \d\d?(?!\d))",
        lambda found: f"{MONTH_NAMES[found[1]]} to {MONTH_NAMES[found[2]]}",
    ),
    rule(rf"\b({DAYS})\b\.?(?=,? (?:\d|(?:{any_of(MONTH_NAMES)})\b))", lambda found: DAY_NAMES[found[1]]),
    rule(
        rf"(?:(?<=\d)|(?<=\d(?:st|nd|rd|th)))\s?[-–—]\s?(?=(?:{any_of(MONTH_NAMES)})\b\.? \d)",
        " to ",
    ),
    rule(
        r"\b([QH][1-4]) ?['’](\d\d)\b",
        lambda found: f"{found[1]} {_short_year(found[2])}",
    ),
    rule(
        r"\b([1-4])Q ?['’]?(\d\d|20\d\d)\b",
        lambda found: f"{numbers.ordinal(found[1])} quarter {_any_year(found[2])}",
    ),
    rule(
        rf"\s?[–—]\s?(?={DAY}(?: of)? (?:{any_of(MONTH_NAMES)})\b)",
        lambda found: " to " if DATE_ENDS.search(before(found)) else None,
    ),
    rule(START + r"(0[1-9]|1[0-2])/((?:19|20)\d\d)(?![\w/-]|\.\d)", _numbered_month),
    rule(rf"(?<![\w-]){MONTH}-{DAY}(?:-{YEAR})?(?P<end>)(?P<nth>)(?![\w-]|\.\d)", _month_and_day),
    rule(rf"(?<![\w-])(?P<begin>){DAY}-{MONTH}-{YEAR}(?![\w-]|\.\d)", _day_and_month),
    rule(
        START + r"(?P<year>1\d{3}|20\d\d)([-/])(?P<month>0?[1-9]|1[0-2])\2(?P<day>0?[1-9]|[12]\d|3[01])"
        r"(?![\w/-]|\.\d)",
        _dotted,
    ),
    rule(
        START + r"(?P<year>\d{4})([-/.])(?P<month>0[1-9]|1[0-2])\2(?P<day>0[1-9]|[12]\d|3[01])"
        r"(?:[T ](?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d)(?::[0-5]\d(?:\.\d++)?)?"
        r"(?P<zone>Z\b)?)?(?![\w-]|\.\d)",
        _iso,
    ),
    rule(
        START + r"(?P<first>\d{1,2})/(?P<second>\d{1,2})/(?P<year>\d{4}|\d\d)(?![\w/]|\.\d)",
        _slashed,
    ),
    rule(START + r"(?P<day>\d{1,2})\. ?(?P<month>\d{1,2})\. ?(?P<year>\d{4})(?!\w|[.]\d)", _dotted),
    rule(
        START + r"(?P<day>\d{1,2})-(?P<month>\d{1,2})-(?P<year>(?:19|20)\d\d)(?![\w-])",
        lambda found: _slashed_like(found),
    ),
    rule(
        rf"\b{MONTH} (?P<day>0?[1-9]|[12]\d|3[01])(?P<nth>st|nd|rd|th)?"
        r"(?:\s?[-–—]\s?(?P<end>[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?(?![\w:]))?"
        r"(?:(?:,? |,)(?P<year>1\d{3}|20\d\d))?"
        r"(?![\w%:°]|[.,/-]\d)",
        _month_and_day,
    ),
    rule(
        START + rf"(?:(?P<begin>[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?\s?[-–—]\s?)?{DAY}(?: of)? {MONTH}"
        rf"(?:[ ,]{YEAR}(?!\w|[.,:]\d))?",
        _day_and_month,
    ),
    rule(rf"\b{MONTH}[ ,]{YEAR}(?!\w|[.,:]\d)", _month_and_year),
    rule(START + r"(0?[1-9]|[1-9]\d)/(\d\d?)(?![\w/]|[.,]\d)", _bare_date),
]


def _slashed_like(found: Found) -> Said:
    """`14-03-2025`: the day first, where it can be."""
    return _calendar(found["year"], found["month"], found["day"]) or _calendar(
        found["year"], found["day"], found["month"]
    )


TIMES = [
    rule(r"\bT-(?=\d{1,3} ?(?:s|secs?|seconds?|mins?|minutes?|hours?|days?)\b)", "T minus "),
    rule(r"(?<=\d:[0-5]\d) ?h\b", ""),
    rule(
        r"\b([Nn]oon|[Mm]idnight|[Nn]ow|[Tt]oday|[Dd]awn|[Ss]unrise)\s?[-–—]\s?(?=\d|noon|midnight|dusk|sunset)",
        lambda found: f"{found[1]} to ",
    ),
    rule(
        r"(?:(?<=\d)|(?<=[ap]m)|(?<=[AP]M)|(?<=m\.))\s?[-–—]\s?(?=(?:noon|midnight|present|now|today|dusk|sunset|close)\b)",
        " to ",
    ),
    rule(START + r"(\d{1,2}):([0-5]\d\.\d{1,3})(?!\w|[.:,]\d)", _lap),
    rule(r"\b(UTC|GMT) ?([-−–+])(\d{1,2})(?::([0-5]\d))?(?!\w|[:.]\d)", _zone),
    rule(
        r"(?<=\d[AaPp][Mm])\s?[-–—]\s?(?=\d)|(?<=\d [AaPp][Mm])\s?[-–—]\s?(?=\d)|"
        r"(?<=[AaPp]\.[Mm]\.)\s?[-–—]\s?(?=\d)",
        " to ",
    ),
    rule(r"(?<=\d:[0-5]\d)\s?[-–—]\s?(?=\d{1,2}:[0-5]\d)", " to "),
    rule(
        START + rf"(\d{{1,2}})(?:[:.]([0-5]\d))?\s?[-–—]\s?(?=\d{{1,2}}(?:[:.][0-5]\d)?\s?{MERIDIEM})",
        _hours,
    ),
    rule(
        START
        + rf"(?P<hour>\d{{1,2}})(?:[:.](?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?)?\s?{MERIDIEM}(?![^\W_])",
        _time,
    ),
    rule(
        START
        + r"(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?P<half>)"
        + r"(?!\w|[:.]\d|,\d{3})",
        _time,
    ),
]

DECADES = [
    rule(r"(?<=\d0s)\s?[-–—]\s?(?=['‘’]?\d{1,3}0s\b)", " to "),
    rule(r"(?<!\w)['‘’](\d0)s\b", _decade),
    rule(r"(?<![^\W_])(?<!\d[.,])(1[0-9]\d0|20\d0|[2-9]0)'?s\b(?!['’]?\w)", _decade),
    rule(r"(?<!\w)['‘’](\d\d)(?!\w)", _abbreviated_year),
]
YEARS = [
    rule(r"\A(1[1-9]\d\d|20\d\d)(?=[.!?]?\s*\Z)", lambda found: numbers.year(found[1])),
    rule(START + r"(1\d{3}|20\d\d)(\s?[-–—]\s?|/)(1\d{3}|20\d\d|\d\d)(?![\w%]|[-.,:/]\d)", _years),
    rule(
        r"\b(AD|A\.D\.|CE) (\d{1,4})\b(?:\s?[-–—]\s?(\d{1,4})\b)?",
        _era_first,
    ),
    rule(r"(?<=\d)( (?:BCE?|AD|CE))\s?[-–—]\s?(?=\d|AD )", lambda found: f"{found[1]} to "),
    rule(START + r"()(\d{1,4}|\d{1,2},\d{3}) ?(BCE?|B\.C\.(?:E\.?)?|B\.C|AD|A\.D\.?|CE)(?![^\W_])", _era),
    rule(
        r"(?<!\w)(?<!\d[.,:/-])(?<![+−$€£#/])(?<![^a-z]-)(1\d{3}|20\d\d)"
        r"(?!\w|[.,:/]\d|[-–—]\d|%| ?(?:[=+*×÷^<>≤≥]|[-−–] ?\d))",
        _year,
    ),
]
