"""Digits that identify, in English: telephone numbers, codes, versions, addresses of machines and houses."""

from __future__ import annotations

import re

from agent.text.normalization import Found, Part, Said
from agent.text.normalization.english import numbers
from agent.text.normalization.english.addresses import HOUSE
from agent.text.normalization.english.patterns import START, before, counts, rule, spelled
from agent.text.normalization.english.tables import DIGITS, HOUSES, LONG_DIGITS, VERSIONED

CALL = re.compile(
    r"\b(?:call|calls|dial|phone|ring|text|telephone|tel|fax|mobile|cell|hotline|number|reach|at)\b", re.I
)
VERSION_CUE = re.compile(r"\b(?:version|release|build|update|firmware|driver|Chrome|Windows|v\.?) $", re.I)
GAP = r"[ .\-\u2010-\u2013/]"


def _dashed(found: Found) -> Said:
    """`555-010-0199`, `978-3-16-148410-0`: digits; `4-4-2`: small numbers."""
    groups = re.split(r"\D", found[0])
    if all(len(group) < 3 and group[0] != "0" for group in groups):
        return ", ".join(numbers.cardinal(group) for group in groups)
    return spelled(found[0])


def _local(found: Found) -> Said:
    """`555-0199`: a telephone number, where it is no range."""
    first, last = found[1], found[2]
    telephone = last[0] == "0" or first == "555" or CALL.search(before(found)) or last[-1] != "0"
    return spelled(found[0]) if telephone or int(first) > int(last) else None


def _letters_too(found: Found) -> Said:
    """`1-800-FLOWERS`, `1-800-GO-2-HAUL`."""
    head, rest = found[1], re.split(r"-", found[2])
    said = " ".join(numbers.digits(part) if part.isdigit() else part for part in rest)
    return [*spelled(head)[:-1], (len(found[0]), f"{spelled(head)[-1][1]}, {said}")]


def _chained(found: Found) -> Said:
    """`1-413-te-b-1-5`, `0-8044-2957-X`: no ranges; but those are, in `3-4-day` and `2-3-year-olds`."""
    groups = found[0].split("-")
    if re.fullmatch(r"\d+-\d+(?:-[a-z]{3,})+", found[0]) and int(groups[0]) < int(groups[1]):
        return None
    said: list[Part] = []
    end = 0
    for group in groups:
        words = numbers.named(group) if group.isdigit() else "eh" if group in ("A", "a") else group
        end += len(group)
        said.append((end, f" {words}" if said else words))
        end += 1
    return [*said[:-1], (len(found[0]), said[-1][1])]


def _dialled(found: Found) -> Said:
    number = found[2]
    return (
        None
        if number != "911" and counts(found)
        else [(len(found[1]), found[1]), *_shifted(number, len(found[1]))]
    )


def _dialled_after(found: Found) -> Said:
    """`account ending in 4321`."""
    return [(len(found[1]), found[1]), *_shifted(found[2], len(found[1]))]


def _shifted(text: str, by: int) -> list[tuple[int, str]]:
    return [(end + by, words) for end, words in spelled(text)]


def _identifies(found: Found) -> Said:
    """`PIN is 0042`, `ZIP code 02134`, `account number 12345`."""
    lead, number = found["lead"], found["number"]
    if re.search(r"(?:status|error|HTTP|exit|response) code", before(found) + lead, re.I) and number.endswith(
        "00"
    ):
        return None
    beside = " " if lead[-1:].isalpha() else ""  # "flight BA2490"
    return [(len(lead), lead + beside), *_shifted(number, len(lead))]


def _house(found: Found) -> Said:
    return found[1] + numbers.house(found[2])


def _version(found: Found) -> Said:
    """`1.2.3`, `v2.0.1`, `Python 3.10`: each part is a number."""
    lead = {"v": "version ", "V": "version "}.get(found["lead"], found["lead"])
    return lead + " point ".join(numbers.cardinal(part) for part in found["number"].split("."))


def _machine(found: Found) -> Said:
    """`192.168.0.1`, with its port or the size of its network; not `version 1.2.3.4`."""
    if VERSION_CUE.search(before(found)):
        return None
    said = " dot ".join(numbers.digits(part) for part in found[1].split("."))
    if found[3]:
        said += (" port " if found[2] == ":" else " slash ") + numbers.cardinal(found[3])
    return said


def _wireless(found: Found) -> Said:
    """`802.11ac`."""
    letters = " ".join("eh" if letter == "a" else letter for letter in found[2])
    return f"eight oh two dot {numbers.cardinal(found[1])} {letters}".rstrip()


def _hexadecimal(found: Found) -> Said:
    """`fe80::1`, `00:1A:2B:3C:4D:5E`, `0x80070005`, a UUID: each digit and each letter."""
    said: list[str] = []
    for group in re.findall(r"[0-9a-fA-F]+|:+|/\d+|[xX-]", found[0]):
        if group[0] == "/":
            said.append(f"slash {numbers.cardinal(group[1:])}")
        elif group in ("x", "X"):
            said.append("x")
        elif group != "-":
            colons = " ".join("colon" for _ in group)
            said.append(colons if group[0] == ":" else numbers.hexadecimal(group))
    return " ".join(said)


HEXES = r"[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6}"
IDENTIFIERS = [
    rule(
        rf"(?<![\w:.])(?=[a-fA-F:]{{0,40}}\d)(?:(?:[0-9a-fA-F]{{1,4}}:){{7}}[0-9a-fA-F]{{1,4}}|"
        rf"(?:{HEXES})?::(?:{HEXES})?)(?:/\d{{1,3}})?(?![\w:])",
        _hexadecimal,
    ),
    rule(r"(?<![\w:-])[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}(?![\w:-])", _hexadecimal),
    rule(r"(?<!\w)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?!\w)", _hexadecimal),
    rule(r"(?<!\w)0[xX][0-9a-fA-F]{1,16}(?!\w)", _hexadecimal),
    rule(
        START + r"((?:\d{1,3}\.){3}\d{1,3})(?:([:/])(\d{1,5}))?(?!\w|[.]\d)",
        _machine,
    ),
    rule(START + r"\d{3}([. ])\d{3}\1\d{4}(?!\w|[.,]\d)", lambda found: spelled(found[0])),
    rule(START + r"\d{1,3}(?:\.000){2,5}(?!\w|[.,]\d)", lambda found: found[0].replace(".", "")),
    rule(
        r"\b802\.(\d{1,2})([a-z]{0,2})(?!\w)",
        _wireless,
    ),
    rule(r"\b([A-Z])\.(\d{3})(?!\w|[.,]\d)", lambda found: f"{found[1]} {numbers.house(found[2])}"),
    rule(r"(?<=\d)-(?=(?:rc|beta|alpha|dev|pre|post)[.-]?\d{0,4}(?![^\W_]))", " "),
    rule(r"(?<!\w)(?P<lead>[vV]|)(?P<number>\d{1,9}(?:\.\d{1,9}){2,})(?!\w)", _version),
    rule(
        r"(?<!slash )\b(?!V(?:6|8|10|12)(?![\w.]))(?P<lead>[vV])\.? ?"
        r"(?P<number>\d{1,9}(?:\.\d{1,9})?)(?![^\W_]|[.,]\d)",
        _version,
    ),
    rule(
        rf"\b(?P<lead>(?:{VERSIONED})[ -]v?)"
        rf"(?P<number>\d{{1,4}}\.\d{{1,4}})(?![^\W_]|[.,%]\d|%| ?(?:million|billion))",
        _version,
    ),
    rule(
        r"(?<!\w)\(?\+(?=(?:\D{0,3}\d){7})[1-9]\d{0,2}\)?(?:" + GAP + r"?\(?\d{1,5}\)?){2,8}(?![\w%])",
        lambda found: [(1, "plus "), *_shifted(found[0][1:], 1)] if found[0][0] == "+" else spelled(found[0]),
    ),
    rule(
        r"(?<![\w.,])(?:1" + GAP + r")?\(\d{3}\)[ -]?\d{3}" + GAP + r"?\d{4}(?!\w)",
        lambda found: spelled(found[0]),
    ),
    rule(r"(?<!\w)\(0\d{1,5}\)(?:[ /-]?\d{2,8}){1,5}(?!\w|[.,]\d)", lambda found: spelled(found[0])),
    rule(
        START + r"((?:1[- ])?(?:8\d\d|900)-)(?=[\dA-Z-]{0,20}[A-Z])"
        r"((?:[A-Z]{1,10}|\d{1,4})(?:-(?:[A-Z]{1,10}|\d{1,4})){0,4})\b(?!-)",
        _letters_too,
    ),
    rule(
        r"(?<![\w-])(?=[\w-]{0,99}\d-\d)(?=[\d-]{0,99}[^\W\d_])"
        r"(?:[^\W\d_]{1,12}|\d{1,15})(?:-(?:[^\W\d_]{1,12}|\d{1,15})){2,12}(?![\w%]|-\w)",
        _chained,
    ),
    rule(START + r"(?<!-)(?<!−)\d{1,15}(?:[-\u2010\u2011]\d{1,15}){2,}(?![\w%])", _dashed),
    rule(
        r"\b10\.(\d{4,9})/(?=\w)",
        lambda found: f"{numbers.decimal(f'10.{found[1]}')} slash ",
    ),
    rule(
        r"\b((?:ISO|IEC|EN|DIN|ASTM|IEEE|BS)(?:[ /](?:IEC|EN|ISO))? )(\d{1,6}(?:-\d{1,3})?)"
        r":((?:19|20)\d\d)(?!\d)",
        lambda found: f"{found[1]}{found[2]}, {numbers.year(found[3])}",
    ),
    rule(START + r"\d{4}(?: \d{4}){2,4}(?![\w,.]\d|\w)", lambda found: spelled(found[0])),
    rule(START + r"0\d{1,5}(?:[ /-]\d{2,8}){1,5}(?!\w|[.,]\d)", lambda found: spelled(found[0])),
    rule(START + r"(\d{3})[-\u2010\u2011](\d{4})(?![\w%]|[-.,]\d)", _local),
    rule(
        r"\b([Cc]all(?:ing)? |[Dd]ial(?:ing|ling)? |[Pp]ress |"
        r"(?:[Tt]ext|[Ss]end) (?:[\"“']?[A-Z]{1,12}[\"”']? )?(?:to )?)(\d{2,15})(?!\w|[.,:/-]\d)",
        _dialled,
    ),
    rule(
        rf"\b(?P<lead>(?i:{DIGITS})(?: ?(?:is|was|are|:|=|#|no\.?|number))*:? "
        rf"(?:[A-Z]{{1,3}} ?)?)(?P<number>\d++(?:-\d++){{0,4}})(?!\w|[.,:/-]\d|-[A-Za-z])",
        _identifies,
    ),
    rule(
        rf"\b(?P<lead>(?i:{LONG_DIGITS})(?: ?(?:is|was|:|=|#))*:? "
        rf"(?:[A-Z]{{1,3}} ?)?)(?P<number>\d{{5,}})(?!\w|[.,:/-]\d)",
        _identifies,
    ),
    rule(
        r"(?P<lead>(?<!\w)#)(?P<number>\d{5,})(?!\w)",
        lambda found: [(1, "number "), *_shifted(found["number"], 1)],
    ),
    rule(rf"\b((?:{HOUSES}) (?:number |no\. )?)(\d{{2,4}})(?![^\W_]|[.,:/-]\d)", _house),
    rule(r"\b((?:Boeing|Airbus|Embraer|Fokker) )(\d{3})(?=-\d)", _house),
    HOUSE,
    rule(START + r"911(?![\w%]|[.,:/-]\d)(?! (?:people|times)\b)", "nine one one"),
    rule(r"\b((?:HTTP|[Ee]rror|[Ss]tatus)(?: code)?(?:[: ]| is ))(\d{3})(?!\w|[.,:/-]\d)", _house),
    rule(
        r"\b((?:account|card|number|phone)s? (?:ending|that ends) (?:in|with) )(\d{3,6})(?!\w|[.,:/-]\d)",
        _dialled_after,
    ),
]
