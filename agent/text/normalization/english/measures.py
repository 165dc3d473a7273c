"""Numbers with units in English: lengths, weights, temperatures, angles, percentages, times so many."""

from __future__ import annotations

import re

from agent.text.normalization import Found, Said
from agent.text.normalization.english import numbers
from agent.text.normalization.english.patterns import (
    DASH,
    MINUS,
    NUMBER,
    START,
    any_of,
    before,
    counts,
    next_word,
    qualifies,
    rule,
    signed,
)
from agent.text.normalization.english.tables import (
    AFTER_SLASH,
    DEGREES,
    LENGTHS,
    ONLY_APART,
    ONLY_WITH_SLASH,
    QUARTERS,
    SCALE_WORDS,
    SCALES,
    UNITS,
    VULGAR,
)

POWER = {"2": "square", "3": "cubic"}
TO_POWER = {"2": " squared", "3": " cubed", "4": " to the fourth"}
RANGE = rf"(?P<first>{MINUS}(?:{NUMBER})(?:{DASH})(?=[\d.]))?(?P<number>{MINUS}(?:{NUMBER}))"
FRACTION = any_of(VULGAR)
UNIT = any_of(UNITS)
LENGTH = any_of([*LENGTHS, "px", '"', "″"])
BELOW = any_of(AFTER_SLASH)
TO = r"(?:\^?[234](?!\d))?"
"""A unit's power, "m2" or "m^2"."""
TIMES = "[·⋅∙*]"
PERIOD = rf"(?:{any_of(word for word in AFTER_SLASH if len(word) > 1 or word in 'shdL')})"
ABOVE = (
    rf"(?:{any_of(word for word in UNITS if len(word) > 1 and word[-1].isalpha())}){TO}|m(?=/s|/min)|"
    rf"[mgJWVNK](?=/(?:{any_of(word for word in AFTER_SLASH if len(word) > 1)}))"
)
"""Units that are known as such without a number before them."""
COUNTED = {"req": "requests", "reqs": "requests", "msgs": "messages", "revs": "revolutions"}
FACTOR = re.compile(rf"(?P<stroke>/)?[ ·⋅∙*(/]{{0,3}}(?P<unit>{BELOW})(?:\^?(?P<power>-?[1-4]))?")
PICTURES = ("2", "4", "5", "8")
"""Thousands of pixels: "4K"."""
MANY = re.compile(r"(?:people|men|women|children|[a-z]*[a-rt-z]s)\b")
"""After "60m": a million of them, and no meters."""
EVENTS = re.compile(r"(?:dash|sprint|relay|hurdles|freestyle|backstroke|butterfly|breaststroke|medley)\b")
SO_MANY = re.compile(
    r"\b(?:hit|hits|reach|reached|reaches|exceeds?|exceeded|surpassed|topped|total(?:l?ed|s)?|over|about|nearly|"
    r"almost|around|roughly|approximately|than|worth|to|from|raised|was|is) $"
)
"""Before "8B": billions, and no model's size."""
RACES = re.compile(r"(?:run|race|runner|walk|jog|swim|row|training|time|finish|event|course|route)\b")
RUN = re.compile(
    r"\b(?:run|ran|running|race|raced|jog|jogged|walk|walked|(?:first|fast|slow|charity|every|an?|the)) $"
)
LASTING = re.compile(r"\b(?:for|in|after|every|about|takes?|took|than|within|wait|last(?:s|ed)?) $", re.I)
"""Before "5s": seconds, and no plural."""
PLURAL = re.compile(
    r"(?:\b(?:the|all|of|and|or|both|two|three|four|five|six|seven|eight|nine|ten|many|some|these|those|more|no|"
    r"only|any|are|pair|rolled|got|straight|were|my|your|his|her|their|'|’)|\d|[A-Z]\w*) $",
)
OF_LENGTH = re.compile(
    r"(?:tall|long|deep|wide|high|away|run|dash|race|sprint|above|below|apart|thick|pool|hurdles)\b"
)


def _numbers(found: Found) -> str:
    """One number, or the range of two."""
    first = found["first"]
    return (f"{signed(re.sub(DASH + '$', '', first))} to " if first else "") + signed(found["number"])


def _one(found: Found) -> bool:
    return not found["first"] and found["number"].lstrip("-−–") == "1"


def _unit(found: Found) -> Said:
    """A number and its unit, "5 km", "60 km/h", "9.8 m/s^2", "20 m^2", "4 W/(m·K)", "20 m s^-1"."""
    unit, gap = found["unit"], found["gap"]
    if _is_no_unit(found, unit, gap):
        return None
    one = _one(found) or qualifies(found) or gap == "-" or EVENTS.match(next_word(found))
    scale = found["scale"]
    return f"{_numbers(found)} {scale + ' ' if scale else ''}{_compound(found['units'], one=bool(one))}"


def _compound(text: str, *, one: bool) -> str:
    """A unit made of others, in words: only the last one above the first stroke has a plural."""
    above: list[tuple[str, str]] = []
    below: list[tuple[str, str]] = []
    over = False
    for found in FACTOR.finditer(text):
        over = over or found["stroke"] is not None
        power = found["power"] or ""
        under = over or power[:1] == "-"
        (below if under else above).append((found["unit"], power.lstrip("-")))
    last = len(above) - 1
    said = " ".join(_factor(*factor, int(at == last and not one)) for at, factor in enumerate(above))
    joint = " per " if text.count("/") > 1 else " "
    return said + (f" per {joint.join(_factor(unit, power, 0) for unit, power in below)}" if below else "")


def _factor(unit: str, power: str, many: int) -> str:
    """One unit to its power; many: 1 for its plural."""
    name = AFTER_SLASH[unit][many]
    if power in POWER and unit in LENGTHS:
        return f"{POWER[power]} {name}"
    return f"{name}{TO_POWER.get(power, '')}"


def _is_no_unit(found: Found, unit: str, gap: str) -> bool:
    """Whether a letter after a number is something else than the unit that is written so."""
    if len(unit) > 1:
        return False
    if unit in ONLY_WITH_SLASH:
        return found["units"] == unit
    if unit in ONLY_APART:
        return gap == "" or (unit == "K" and (counts(found) or found["number"] in PICTURES))
    if gap == "" and re.search("[A-Z]-$", before(found)):  # "F-16s"
        return True
    if unit == "s" and gap == "":
        return "." not in found["number"] and len(found["number"]) < 2 and _plural_of_digit(found)
    if unit == "m" and gap == "" and found["units"] == unit:
        return _million(found)
    return False


def _plural_of_digit(found: Found) -> bool:
    """`two 5s`, `1s and 0s`, `iPhone 4s`; else "4s" is so many seconds."""
    if re.match(r" (?:and|or) \d+s\b", found.string[found.end() :]):
        return True
    lead = before(found)
    return bool(PLURAL.search(lead)) and not LASTING.search(lead)


def _million(found: Found) -> bool:
    """`60m people`, but `a 30m rope`, `the 110m hurdles`."""
    word = next_word(found)
    return counts(found) and MANY.match(word) is not None and not OF_LENGTH.match(word)


def _degrees(found: Found) -> Said:
    """`20 °C`, `90°`, `40° N`, `40° 26′ 46″ N`."""
    said = f"{_numbers(found)} {'degree' if _one(found) or qualifies(found) else 'degrees'}"
    for value, one, many in ((found["minute"], "minute", "minutes"), (found["second"], "second", "seconds")):
        if value:
            said += f" {numbers.decimal(value)} {one if value == '1' else many}"
    if found["scale"]:
        said += f" {(DEGREES | QUARTERS)[found['scale']]}"
    return said + (f" per {_factor(found['per'], '', 0)}" if found["per"] else "")


def _lasting(found: Found) -> Said:
    """`2h30m`, `1h 5min 20s`."""
    return " ".join(
        f"{numbers.cardinal(str(int(value)))} {unit}{'' if int(value) == 1 else 's'}"
        for value, unit in zip(found.groups(), ("hour", "minute", "second"), strict=True)
        if value
    )


def _powered(found: Found) -> Said:
    """`10^8 m/s`: the unit; the power is said later."""
    return f"{found[1]} {UNITS[found[2]][1]}" + (f" per {AFTER_SLASH[found[3]][0]}" if found[3] else "")


def _each(found: Found) -> Said:
    """`80 beats/min`, `20 req/s`, `people/km^2`."""
    count = len(found["count"])
    per = _compound("/" + found["per"], one=True)
    return [(count, found["count"]), (len(found[0]), COUNTED.get(found["what"], found["what"]) + per)]


def _per(found: Found) -> Said:
    """`12/kg`, `5/day`."""
    number = found["number"]
    return [(len(number), number), (len(found[0]), _compound("/" + found["per"], one=True))]


def _alone(found: Found) -> Said:
    """`km/h`, `mg/dL` without a number."""
    return _compound(found[0], one=False)


def _square(found: Found) -> Said:
    """`km²` without a number."""
    return f"{POWER[found[2]]} {AFTER_SLASH[found[1]][1]}"


def _percent(found: Found) -> Said:
    words = "per thousand" if found["sign"] == "‰" else "percent"
    return f"{_numbers(found)} {words}"


def _height(found: Found) -> Said:
    feet, inches = found[1], found[2]
    return f"{numbers.cardinal(feet)} foot {numbers.cardinal(inches)}"


def _inches(found: Found) -> Said:
    """`12"`, where no quotation ends."""
    if found.string.count('"', 0, found.start()) % 2:
        return None
    return f"{signed(found[1])} {'inch' if found[1] == '1' or qualifies(found) else 'inches'}"


def _inches_by(found: Found) -> Said:
    """`4" x 6"`."""
    return " by ".join(f"{numbers.decimal(side)} inches" for side in found.groups())


def _inch(found: Found) -> Said:
    """`5 in tall`: "in" that is a unit; the number is said by another rule."""
    return " inch" if re.search(r"(?<![\d.,/])1$", before(found)) else " inches"


def _points(found: Found) -> Said:
    """`up 2 pp`: no pages."""
    return [
        (len(found[1]), found[1]),
        (len(found[0]), " percentage point" + ("s" if found[2] != "1" else "")),
    ]


def _scaled(found: Found) -> Said:
    """`10k`, `1.5M`, `2bn`; "4K" is a picture, "7B" a model."""
    number, letter = found["number"], found["scale"]
    if letter == "m" and "." not in number and not _million(found):
        return None
    if letter == "k" and (number == "401" or next_word(found)[:4] == "gold" or _is_race(found)):
        return f"{numbers.house(number)} k"
    if letter in "BT" and "." not in number and not (counts(found) or SO_MANY.search(before(found))):
        return None
    if letter == "K" and number in PICTURES:
        return None
    return f"{_numbers(found)} {SCALES[letter]}"


def _is_race(found: Found) -> bool:
    """`a 10k run`, `ran a 5k`."""
    if found["number"] not in ("3", "5", "8", "10", "15", "20") or found["first"]:
        return False
    word = next_word(found)
    return bool(RACES.match(word)) or (not counts(found) and bool(RUN.search(before(found))))


def _times(found: Found) -> Said:
    """`5x faster`, but `2x + 3`."""
    if re.match(r"\s?[-+−*/^=<>)≤≥²³\d(]|\s?[×÷]", found.string[found.end() :]) or re.search(
        r"[-+−*/^=<>(≤≥×÷]\s?$", before(found)
    ):
        return f"{numbers.decimal(found[1])} x"
    return f"{numbers.decimal(found[1])} times"


def _by(found: Found) -> Said:
    """`3x4`, `1920 x 1080`, `3 × 4 × 5` as sizes; a product where it has a result."""
    rest = found.string[found.end() :]
    if rest.startswith("10^") or re.match(rf"\d+(?:\.\d+)? ?(?!(?:{LENGTH})(?!\w))(?:{UNIT})(?!\w)", rest):
        return " times "
    if "×" in found[0] and " " in found[0] and not re.match(rf"\d+(?:\.\d+)? ?(?:{UNIT})\b", rest):
        return " times "
    if re.match(r"[^=.]{0,40}=", rest) or re.search(r"=\s?(?:\d+\s?[x×]\s?)*$", before(found)):
        return " times "
    return " by "


def _mixed(found: Found) -> Said:
    """`2½`, `½`, `1 1/2`."""
    top, bottom = VULGAR[found["sign"]].split("/") if found["sign"] else (found["top"], found["bottom"])
    part = fraction(top, bottom)
    minus = "minus " if found["minus"] else ""
    unit = f" {UNITS[found['unit']][bool(found['whole'])]}" if found["unit"] else ""
    if not found["whole"]:
        return minus + part + unit
    return f"{minus}{numbers.cardinal(found['whole'])} and {'a' + part[3:] if top == '1' else part}{unit}"


def fraction(top: str, bottom: str) -> str:
    """A fraction of two whole numbers, in words."""
    names = {2: "half", 4: "quarter"}
    name = names.get(int(bottom)) or numbers.ordinal(bottom)
    if int(top) != 1:
        name = "halves" if int(bottom) == 2 else f"{name}s"
    return f"{numbers.cardinal(top)} {name}"


PRODUCTS = [
    rule(
        r"(?<=\d)( ?(?:mcg|µg|mg|g|IU|mmol))/(?=\d+(?:\.\d+)? ?(?:mL|ml|L|dL|kg|h|hr|min)\b)",
        lambda found: f"{found[1]} per ",
    ),
    rule(
        rf"(?<=\d)( ?(?:°[CFK]|{UNIT}))(?:\s?[–—]\s?|-)(?=[-−]?\d+(?:[.,]\d+)? ?(?:°|{UNIT}))",
        lambda found: f"{found[1]} to ",
    ),
    rule(START + r"(\d{1,4}(?:\.\d{1,3})?)[\"″] ?[x×] ?(\d{1,4}(?:\.\d{1,3})?)[\"″](?!\w)", _inches_by),
    rule(rf"(?<=\d)( ?(?:{LENGTH}))\s?[x×]\s?(?=\d)", lambda found: f"{found[1]} by "),
    rule(
        r"(?<![\w.,])(\d{1,2}) ?[x×] ?(\d{1,2})s\b",
        lambda found: f"{numbers.cardinal(found[1])} by {numbers.plural(numbers.cardinal(found[2]))}",
    ),
    rule(r"(?<=\d)\s?[x×✕✖]\s?(?=[$€£]?\d)", _by),
    rule(r"(?<=[%°])\s?[-–—]\s?(?=\d)|(?<=\d[kKmMbB])\s?[-–—]\s?(?=[$€£]?\d)", " to "),
    rule(
        rf"(?<=\d)( ?(?:mn|mln|bn|bln|tn|trn|T|{SCALE_WORDS}))\s?[-–—]\s?(?=[$€£¥₹]?\d)",
        lambda found: f"{found[1]} to ",
    ),
    rule(r"(?<![^\W_])(?<!\d )[Ll]/100 ?km\b", "liters per hundred kilometers"),
]
OF_FRACTION = rf"(?: ?(?P<unit>{any_of(unit for unit in UNITS if len(unit) > 1 or unit in '″′')})(?![^\W_]))?"
TALL = r" (?:x|by|long|wide|tall|deep|high|thick)\b"
MEASURES = [
    rule(rf"(?:(?<=/\d)|(?<=/\d\d)) ?in\b(?=[.,;:)]|{TALL})", " inches"),
    rule(
        r"\b((?:up|down|by|of|rose|fell|gained|lost|grew) (?:[-−+]?)(\d{1,3}(?:\.\d{1,3})?)) ?pp\b",
        _points,
    ),
    rule(
        START + r"(\d{1,2})/(\d{1,2})(?=[a-z](?!\w))",
        lambda found: f"{fraction(found[1], found[2])} " if int(found[1]) < int(found[2]) else None,
    ),
    rule(START + r"(\d{1,3})h ?([0-5]?\d)(?:m|min)?(?: ?([0-5]?\d)s(?:ec)?)?(?![^\W_])", _lasting),
    rule(
        START
        + rf"(?P<minus>(?<![\w)])[-−])?(?:(?P<whole>\d{{1,6}})\s?)?(?P<sign>{FRACTION})(?P<top>)(?P<bottom>)"
        + OF_FRACTION,
        _mixed,
    ),
    rule(
        START + r"(?P<minus>)(?P<sign>)(?P<whole>[1-9]\d{0,3})[ -](?P<top>[1-9]\d?)/"
        r"(?P<bottom>2|3|4|5|6|8|10|16|32|64)(?![\d/]|[.,]\d)" + OF_FRACTION,
        _mixed,
    ),
    rule(
        START + r"(?P<minus>)(?P<sign>)(?P<whole>)(?P<top>[1-9]\d?)/(?P<bottom>[1-9]\d?)" + OF_FRACTION[:-1],
        _mixed,
    ),
    rule(
        rf"(\^[-−]?\d{{1,3}}) ?({UNIT})(?:/({any_of(AFTER_SLASH)}))?(?!['’]?[^\W_]|[/^&])",
        _powered,
    ),
    rule(
        START + RANGE + r" ?(?:°|º|degrees? ?(?=[CFNSEW]\b))"
        r"(?: ?(?P<minute>\d{1,2})[′'](?: ?(?P<second>\d{1,2}(?:\.\d{1,4})?)[″\"])?)?"
        rf"(?: ?(?P<scale>[CFKNSEW])\b)?(?:/(?P<per>{any_of(AFTER_SLASH)})(?![^\W_]|[/^]))?",
        _degrees,
    ),
    rule(
        START + RANGE + r" ?(?P<scale>[℃℉])",
        lambda found: f"{_numbers(found)} degrees {'Celsius' if found['scale'] == '℃' else 'Fahrenheit'}",
    ),
    rule(START + RANGE + r" ?(?P<sign>[%‰％])", _percent),
    rule(
        START + rf"(?P<number>{NUMBER})/(?P<per>{PERIOD}{TO})(?![^\W_]|[/^]|\s?[=+])",
        _per,
    ),
    rule(START + r"(\d{1,2}) ?ft\.? (\d{1,2}) ?in\b\.?", _height),
    rule(
        rf"(?<=\d) ?in\b\.?(?={TALL}| ?=|/{PERIOD}\b)",
        _inch,
    ),
    rule(START + r"(\d{1,2})['′’] ?(\d{1,2})(?:\"|″|''|”|(?!\w))", _height),
    rule(
        START + RANGE + rf"(?P<gap>[ -]?)(?:(?P<scale>{SCALE_WORDS}) )?(?P<units>(?P<unit>{UNIT}){TO}"
        rf"(?:{TIMES}(?:{UNIT}){TO}|[ ·⋅∙*](?:{UNIT})\^-[123](?!\d)){{0,3}}"
        rf"(?:/(?:{BELOW}){TO}|/\((?:{UNIT}){TO}(?:{TIMES}(?:{UNIT}){TO}){{1,2}}\)){{0,2}})"
        r"(?!['’]?[^\W_]|[/^&·⋅](?!\d))"
        r"(?:\.(?= [a-z]))?",
        _unit,
    ),
    rule(
        START + rf"(?P<count>(?:{NUMBER}) )(?P<what>[a-z]{{3,15}})/(?P<per>{PERIOD}{TO})(?![^\W_]|[/^])",
        _each,
    ),
    rule(
        rf"\b(?P<count>)(?P<what>[a-z]{{2,14}}s|people) ?/ ?(?P<per>{PERIOD}{TO})(?![\w/^])",
        _each,
    ),
    rule(rf"(?<![^\W_])(?<![\d.,/^-])(?<!\d )(?:{ABOVE})/(?:{PERIOD}){TO}(?![^\W_]|[/^(])", _alone),
    rule(r"(?<![\w/.-])(km|cm|mm|ft|mi|yd|in)\^?([23])(?![\w^])", _square),
    rule(r"(?<![\w.])°([CF])\b", lambda found: f"degrees {DEGREES[found[1]]}"),
    rule(START + r"(\d{1,3})['′](?= ?(?:tall|long|wide|deep|high|by|x)\b)", lambda found: f"{found[1]} feet"),
    rule(START + r"(\d{1,3}(?:\.\d{1,3})?)\"(?!\w)", _inches),
    rule(
        START
        + r"(?<!\w-)"
        + RANGE
        + rf" ?(?P<scale>{any_of([s for s in SCALES if s != 'mm'])})(?!\w|[-'’]\w)",
        _scaled,
    ),
    rule(START + r"(\d{1,6}(?:\.\d{1,6})?)[xX×](?!\w)", _times),
]
