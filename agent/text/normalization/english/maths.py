"""Signs, fractions, ranges and scores in English: what stands between numbers. Knows no units."""

from __future__ import annotations

import re

from agent.text.normalization import Found, Said
from agent.text.normalization.english import numbers
from agent.text.normalization.english.measures import fraction
from agent.text.normalization.english.patterns import NUMBER, START, any_of, before, rule
from agent.text.normalization.english.tables import BOOKS, GREEK, IDIOMS, SIGNS

SCORE = re.compile(
    r"\b(?:won|win|wins|winning|lost|lose|lead|leads|led|beat|beats|score|scored|tied|drew|draw|ratio|odds|scale|"
    r"aspect|final|defeated|victory|defeat|mixed?)\b[^.!?]{0,40}$",
    re.I,
)
PART_OF = re.compile(
    r"\b(?:step|page|part|slide|question|lesson|lap|round|day|week|item|task|episode|exercise|photo) $",
    re.I,
)
"""Before "1/4": one of four, and no quarter."""
SHARED = re.compile(r" (?:split|rule|mix|blend|share|chance|division|ownership|partnership)s?\b")
"""After "60-40"."""
DENOMINATORS = {*range(2, 13), 16, 20, 25, 30, 32, 50, 60, 64, 100, 1000}
PRESSURE = re.compile(r"\b(?:pressure|BP)\b[^.!?]{0,30}$", re.I)
TWO_WAYS = re.compile(r"\s*(?:=|[-+−*×÷^<>≤≥≠≈] ?\d|equals\b)")
EXPRESSION = re.compile(r"(?:[=+*×÷^<>≤≥≠≈−]|\bminus|\bplus|\btimes|\bequals|\bby) ?\(?$")


def _slash(found: Found) -> Said:
    """`1/2`, `3/4`; `10/2 = 5` is a division; `8/10` a mark; `80/20` shares."""
    top, bottom = found[1], found[2]
    rest = found.string[found.end() :]
    if PART_OF.search(before(found)) and int(top) <= int(bottom):
        return f"{numbers.cardinal(top)} of {numbers.cardinal(bottom)}"
    if int(top) + int(bottom) == 100 and min(len(top), len(bottom)) == 2:
        return f"{numbers.cardinal(top)} {numbers.cardinal(bottom)}"
    exact = int(bottom) == 0 or TWO_WAYS.match(rest) or EXPRESSION.search(before(found))
    if exact and not (0 < int(top) < int(bottom) and int(bottom) in DENOMINATORS):
        return f"{numbers.cardinal(top)} divided by {numbers.cardinal(bottom)}"
    if (
        int(bottom) in (10, 100)
        and not exact
        and int(top) > 1
        and not re.match(r" of\b| [a-z]+s?\b of\b", rest)
    ):
        return f"{numbers.cardinal(top)} out of {numbers.cardinal(bottom)}"
    if (int(top) < int(bottom) and int(bottom) in DENOMINATORS) or (
        int(bottom) in (2, 3, 4) and int(top) < 4 * int(bottom) and int(top) % int(bottom)
    ):
        return fraction(top, bottom)
    if rest.lstrip().startswith("mmHg") or PRESSURE.search(before(found)):
        return f"{numbers.house(top)} over {numbers.house(bottom)}"
    if int(top) == int(bottom):
        return f"{numbers.cardinal(top)} out of {numbers.cardinal(bottom)}"
    over = "divided by" if int(top) > int(bottom) else "over"
    return f"{numbers.cardinal(top)} {over} {numbers.cardinal(bottom)}"


def _verse(found: Found) -> Said:
    """`John 3:16`, `Corinthians 13:4-7`."""
    said = f"{found[1]}{numbers.cardinal(found[2])} {numbers.cardinal(found[3])}"
    return f"{said} to {numbers.cardinal(found[4])}" if found[4] else said


def _slashes(found: Found) -> Said:
    """`123/261788/2021`: numbers beside each other, where it is no sum."""
    if TWO_WAYS.match(found.string[found.end() :]) or EXPRESSION.search(before(found)) or found[0] in IDIOMS:
        return None
    groups = found[0].split("/")
    return ", ".join(numbers.cardinal(part) if len(part) < 5 else numbers.digits(part) for part in groups)


def _part(found: Found) -> Said:
    """`1/10th`."""
    return fraction(found[1], found[2])


def _letters(found: Found) -> Said:
    """`1/x`, `a/b = 3`."""
    sums = TWO_WAYS.match(found.string[found.end() :]) or EXPRESSION.search(before(found))
    glued = found[1].isdigit() and " " not in found[0]
    return f"{found[1]} over {found[2]}" if glued or sums else None


def _marks(found: Found) -> Said:
    """`4.5/5`."""
    return f"{numbers.decimal(found[1])} out of {numbers.decimal(found[2])}"


def _ratio(found: Found) -> Said:
    """`3:2`, `16:9`."""
    return " to ".join(numbers.decimal(part) for part in found[0].split(":"))


def _dash(found: Found) -> Said:
    """A dash between two numbers: "3-5 people", "won 3-2", "7 - 2 = 5"."""
    first, dash, last = found["first"], found["dash"], found["last"]
    rest = found.string[found.end("last") :]
    apart = dash != dash.strip()
    first_value, last_value = (float(value.replace(",", "") or 0) for value in (first, last))
    if first_value + last_value == 100 and SHARED.match(rest):
        return f"{first} "
    subtraction = "−" in dash or TWO_WAYS.match(rest) or EXPRESSION.search(before(found))
    if not subtraction and apart and "-" in dash:
        subtraction = first_value >= last_value and not SCORE.search(before(found, 80))
    return f"{first} minus " if subtraction else f"{first} to "


def _power(found: Found) -> Said:
    """`x^2`, `2^10`, `10^-3`, `2**8`."""
    power = found[1].strip("{}()")
    plain = {"2": " squared", "3": " cubed"}.get(power)
    if plain:
        return plain
    sign = "minus " if power[0] in "-−" else ""
    power = power.lstrip("-−+")
    return f" to the power of {sign}{numbers.decimal(power) if power[0].isdigit() else power}"


def _exponent(found: Found) -> Said:
    """`1e6`, `1.5E-3`."""
    sign = "minus " if found[2] == "-" else ""
    power = numbers.cardinal(str(int(found[3])))
    return f"{numbers.decimal(found[1])} times ten to the power of {sign}{power}"


def _sign(found: Found) -> Said:
    return f" {SIGNS[found[0].strip()]} "


def _minus(found: Found) -> Said:
    return "minus "


def _letter_a(found: Found) -> Said:
    """A lone "A" is an article to the voices."""
    return f"{found[1] or ''}eh"


def _factorial(found: Found) -> Said:
    return " factorial"


OPERATORS = "=≤≥≠≈+×÷^∈∉⊂√±∓∪∩∝≡"
SIGNS_OF_TWO = {
    "+/-": "plus or minus",
    "+-": "plus or minus",
    "<=": "is less than or equal to",
    ">=": "is greater than or equal to",
    "!=": "is not equal to",
    "<>": "is not equal to",
    "==": "equals",
    "===": "equals",
    "~=": "is approximately",
    "->": "to",
    "=>": "to",
}

SCRIPTURE = rule(rf"\b((?:{BOOKS}) )(\d{{1,3}}):(\d{{1,3}})(?:[-–](\d{{1,3}}))?(?!\w|[:.,]\d)", _verse)
MATHS = [
    rule(r"(?<=\d)\s?[–—]\s?(?=[-−]\d)", " to "),
    rule(rf"\b[aA]\b(?= ?(?:[{OPERATORS}]|!=|==))|(?<=[{OPERATORS}])( ?)[aA]\b(?!['’])", _letter_a),
    rule(r"(?<![^\W_])([A-Za-z])_(?=\w(?!\w))", lambda found: "eh " if found[1] in "aA" else f"{found[1]} "),
    rule(r"(?<![\w)\]%^])[-–](?=\.?\d)", _minus),
    rule(START + r"(\d{1,15}(?:\.\d{1,15})?)[eE]([-+]?)(\d{1,3})(?!\w)", _exponent),
    rule(r"(?:\^|(?<=[\w)])\*\*)(\{[-−+]?\w{1,9}\}|\([-−+]?\w{1,9}\)|[-−+]?(?:\d{1,9}|[A-Za-z]\b))", _power),
    rule(rf" ?(?:{any_of(SIGNS_OF_TWO)}) ?", lambda found: f" {SIGNS_OF_TWO[found[0].strip()]} "),
    rule(START + r"(\d{1,6}\.\d)/(10|5|100)(?![\w/]|[.,]\d)", _marks),
    rule(rf"(?<!\w)(?:{any_of(IDIOMS)})(?![\w%]|\s?[=/-])", lambda found: IDIOMS[found[0]]),
    rule(START + r"(\d{1,3})/(\d{1,3})(?:th|rd|nd)s?\b", _part, re.I),
    rule(
        START
        + r"(\d{1,2})/(2|4|8|16)(?= (?:time|meter|metre|rhythm|beat|bars?|signature|groove|feel|waltz)\b)",
        lambda found: f"{numbers.cardinal(found[1])} {numbers.cardinal(found[2])}",
    ),
    rule(START + r"\d{1,9}(?:/\d{1,9}){2,6}(?![\w/]|[.,]\d)", _slashes),
    rule(START + r"(\d{1,9})/(\d{1,9})(?![\w/]|[.,]\d)", _slash),
    rule(r"(?<![\w/])(\d{1,9}|[A-Za-z]) ?/ ?([A-Za-z])(?![\w/])", _letters),
    rule(START + r"\d{1,5}(?::(?:\d{1,3}(?:,\d{3})+|\d{1,5})){1,3}(?![\w:]|[.,]\d)", _ratio),
    rule(
        rf"(?<![^\W_])(?<!\d[.,:/])(?P<first>{NUMBER})(?P<dash>\s?[-‐‑–—−]\s?)(?=(?P<last>{NUMBER})(?!\w))",
        _dash,
    ),
    rule(r"( squared| cubed) ?/ ?(?=[\w(])", lambda found: f"{found[1]} over "),
    rule(r"(?:(?<=\d)|(?<=\b[a-z]))!(?=\s?[=+*/×÷-])", _factorial),
    rule(r"(?<=\d) ?/ ?(?=[\d(])|(?<=[)\]]) ?/ ?(?=[\w(])", " divided by "),
    rule(r"(?<=[^\W_]) ?\* ?(?=[\w(])|(?<=[)\]]) ?\* ?(?=[\w(])", " times "),
    rule(r"(?<=[\w)\]]) [-–] (?=[\w(]{1,12}\s?=)", " minus "),
    rule(
        r"(?<![^\s(|])([a-z]) [-–] (?=\d|[a-z],?\s?[|)=≤≥<>≠≈+*/×÷^])",
        lambda found: f"{'eh' if found[1] == 'a' else found[1]} minus ",
    ),
    rule(r"(?<=\d) [-–] (?=[a-z](?![^\W_]))", " minus "),
    rule(r"(?<![\w-])(?:([xyzk])-(?=\d)|(n)-(?=[12]\b))", lambda found: f"{found[1] or found[2]} minus "),
    rule(
        r"\b([A-Za-z])(['′’]{1,2}|″)(?=\()",
        lambda found: f"{found[1]} {'prime' if found[2] in '′’' or found[2] == chr(39) else 'double prime'} ",
    ),
    rule(r"(?<![\w)\]] )[<>](?! ?[\d.(−-])|[<>](?![\w(−]| [\w(.−-])", " "),
    rule(rf" ?[{re.escape(''.join(SIGNS))}] ?", _sign),
    rule(rf"[{''.join(GREEK)}]", lambda found: f" {GREEK[found[0]]} "),
]
