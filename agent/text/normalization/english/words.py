"""Words with numbers or signs in them, in English: abbreviations, roman numerals, letters beside digits."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

from agent.text.normalization import Found, Said
from agent.text.normalization.english import numbers
from agent.text.normalization.english.measures import fraction
from agent.text.normalization.english.patterns import before, rule, spelled, stop
from agent.text.normalization.english.tables import BOOKS_SHORT, NUMBERED, REGNAL

BEFORE_NUMBER = {
    "no": "number",
    "nos": "numbers",
    "p": "page",
    "pg": "page",
    "pp": "pages",
    "vol": "volume",
    "vols": "volumes",
    "fig": "figure",
    "figs": "figures",
    "ch": "chapter",
    "chap": "chapter",
    "sec": "section",
    "eq": "equation",
    "art": "article",
    "ver": "version",
    "approx": "approximately",
    "ca": "circa",
    "c": "circa",
    "ext": "extension",
    "op": "opus",
    "tel": "telephone",
    "min": "minimum",
    "max": "maximum",
    "est": "established",
}
ABBREVIATIONS = {
    "vs": "versus",
    "etc": "et cetera",
    "approx": "approximately",
    "w/o": "without",
    "w/": "with",
    "dept": "department",
    "govt": "government",
    "incl": "including",
    "avg": "average",
    "excl": "excluding",
}
TITLES = {
    "Dr": "Doctor",
    "Mr": "Mister",
    "Mrs": "Missis",
    "Ms": "Miz",
    "Prof": "Professor",
    "St": "Saint",
    "Gen": "General",
    "Sen": "Senator",
    "Gov": "Governor",
    "Lt": "Lieutenant",
    "Sgt": "Sergeant",
    "Capt": "Captain",
    "Col": "Colonel",
    "Rev": "Reverend",
}
SAID = re.compile(r"\b(?:say|says|said|saying|answer(?:s|ed)?|is|was|means?) $")
"""Before a "no" that is no number."""
TITLE = "|".join(TITLES)
ROMAN = r"(?=[IVXLCDM])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
SMALL_ROMAN = r"(?=[IVX])X{0,2}(?:IX|IV|V?I{0,3})"
VERB = r"(?= (?:was|is|ruled|reigned|died|became|had|of|and|in|succeeded|married)\b|[,.;:)!?]|['’]s|$)"


def _abbreviated(found: Found) -> Said:
    """`No. 5`, `pp. 5-10`; "No. 5 of them came." says no, and "Vitamin C. 2 pills" is no circa."""
    word = found[1]
    if word == "no" and SAID.search(before(found)):
        return None
    if word == "C" or (word in ("min", "sec", "c") and before(found)[-2:-1].isdigit()):
        return None
    if word == "No" and re.match(r"\d+ (?:of|people|more|are|were|will|out)\b", found.string[found.end() :]):
        return None
    said = BEFORE_NUMBER[word.lower()]
    return f"{said.capitalize() if word[0].isupper() else said} "


def _abbreviation(found: Found) -> Said:
    said = ABBREVIATIONS[found[1].lower()]
    return said + (stop(found) if found[1].lower() != "vs" else "")


def _ampersand(found: Found) -> Said:
    """`Q&A`."""
    return " and ".join("eh" if letter == "A" else letter for letter in found.groups())


def _monarch(found: Found) -> Said:
    value = numbers.roman(found[2])
    if not value:
        return None
    if found[2] == "I":
        lead = before(found)
        titled = re.search(
            r"(?:^|[.!?:;,(]|\b(?:Queen|King|Emperor|Pope|Tsar|Czar|Kaiser|of|to|by|and|Saint|St\.))\s*$",
            lead,
        )
        if not titled:
            return None
    return f"{found[1]} the {numbers.ordinal(str(value))}"


def _numbered(found: Found) -> Said:
    value = numbers.roman(found[2])
    if not value or (
        found[2] == "I"
        and re.match(r" (?:am|will|would|can|have|think|was|[a-z]+ed)\b", found.string[found.end() :])
        and not found[1].startswith("World")
    ):
        return None
    return f"{found[1]} {numbers.cardinal(str(value))}"


def _roman(found: Found) -> Said:
    value = numbers.roman(found[0])
    return numbers.cardinal(str(value)) if value else None


def _long_roman(found: Found) -> Said:
    """`MMXXIV`, `CDXLIV`; one of four digits is a year."""
    value = numbers.roman(found[1])
    return (numbers.year if 1100 < value < 2100 else numbers.cardinal)(str(value)) if value else None


def _sequel(found: Found) -> Said:
    """`Rocky IV`, `Type II`: after a name, letters that can only be a number."""
    value = (
        0 if found[2] in ("IV", "XX", "XXX") and found[1] in ("An", "The", "A") else numbers.roman(found[2])
    )
    return f"{found[1]} {numbers.cardinal(str(value))}" if value else None


def _world_war(found: Found) -> Said:
    return f"World War {numbers.cardinal(found[1] if found[1].isdigit() else str(len(found[1])))}"


def _another(found: Found) -> Said:
    """`Parts I and II`: after one numeral, which is in words by now, another."""
    after_number = re.search(
        r"\b(?:[A-Z][a-z]+s?) (?:one|two|three|four|five|six|seven|eight|nine|ten)$", before(found)
    )
    value = numbers.roman(found[2]) if after_number else 0
    return f"{' to ' if found[1] in '–-' else found[1]}{numbers.cardinal(str(value))}" if value else None


def _listed(found: Found) -> Said:
    """`(iv)`."""
    value = numbers.roman(found[1].upper())
    return numbers.cardinal(str(value)) if value else None


def _letter_range(found: Found) -> Said:
    """`A–Z`."""
    return " to ".join("eh" if letter == "A" else letter for letter in found.groups())


def _century(found: Found) -> Said:
    value = numbers.roman(found[1])
    return numbers.ordinal(str(value)) if value else None


def _letters_and_digits(found: Found) -> Said:
    """`A4`, `B2B`, `COVID-19`, `GPT-4o`, `F-16s`: the letters stay, the digits are said as a name's."""
    said: list[str] = []
    pieces = re.findall(r"[^\W\d_]+|\d+(?:\.\d+)?", found[0])
    for piece in pieces:
        if piece[0].isdecimal():
            said.append(numbers.named(piece))
        elif piece == "s" and said and pieces[-1] is piece:
            said[-1] = numbers.plural(said[-1])
        else:
            # A lone "A" is an article to the voices, "eh" is the letter.
            said.append("eh" if piece in ("A", "a") else piece)
    return " ".join(said)


def _ordinal(found: Found) -> Said:
    return numbers.ordinal(found[1].replace(",", ""))


def _plural(found: Found) -> Said:
    """`the 747s`, `two 5's`, `1s and 0s`."""
    text = found[1]
    return numbers.plural(
        numbers.house(text) if len(text) == 3 and not text.endswith("00") else numbers.cardinal(text)
    )


def _numeral(found: Found) -> Said:
    """A number in one character that no other rule knows, of any script but the Chinese words."""
    if unicodedata.category(found[0]) not in ("Nd", "Nl", "No"):
        return None
    value = Fraction(unicodedata.numeric(found[0])).limit_denominator(1000)
    said = numbers.cardinal(str(abs(value.numerator)))
    if value.denominator > 1:
        said = fraction(str(abs(value.numerator)), str(value.denominator))
    return f" minus {said} " if value < 0 else f" {said} "


def _number(found: Found) -> Said:
    """What no other class has taken: a cardinal, or a decimal; one that is too long, digit by digit."""
    text = found[0]
    after = " " if found.string[found.end() : found.end() + 1].isalpha() else ""
    whole = text.partition(".")[0]
    if len(whole) > numbers.LONGEST and numbers.cardinal(whole) == numbers.digits(whole) and "." not in text:
        return spelled(text)
    return numbers.decimal(text) + after


LATIN = [
    rule(r"\b([Ee])\.\s?g\.(?=[\s,]|$)", lambda found: "For example" if found[1] == "E" else "for example"),
    rule(r"\b([Ii])\.\s?e\.(?=[\s,]|$)", lambda found: "That is" if found[1] == "I" else "that is"),
    rule(r"\b([A-Z])&([A-Z])\b", _ampersand),
    rule(r" ?&++ ?", " and "),
    rule(r"(?<!\w)([A-Z])(?:\s?–\s?|-(?=Z))([A-Z])(?![\w-])", _letter_range),
    rule(r"\b(Cl|Br|OH|NO3|HCO3|NO₃|HCO₃)-(?=[\s.,;:)]|\Z)", lambda found: f"{found[1]} minus"),
]
ABBREVIATED = [
    rule(r"\bPh\.\s?D\b\.?", lambda found: f"PhD{stop(found)}"),
    rule(rf"\b({'|'.join(BOOKS_SHORT)})\b\.?(?= \d{{1,3}}:\d)", lambda found: BOOKS_SHORT[found[1]]),
    rule(r"(?<=\d) ea\b\.?", " each"),
    rule(
        rf"(?<![\w.°])({'|'.join(sorted(BEFORE_NUMBER, key=len, reverse=True))})\.\s?(?=\d|AD \d)",
        _abbreviated,
        re.I,
    ),
    rule(r"\bNo (?=\d{1,3}\b(?! [a-z]))(?<=[a-z] No )", "number "),
    rule(
        r"(?<![\w.])(vs|etc|approx|avg|dept|govt|incl|excl)\.(?!\w)|(?<![\w.])(?=(vs)\b)vs\b(?!\.)",
        lambda found: _abbreviation(found) if found[1] else "versus",
        re.I,
    ),
    rule(r"(?<![\w.])(w/o|w/)(?=\s)", _abbreviation),
    rule(
        rf"(?<![\w.])(?:({TITLE})\. ?(?=[A-Z][\w'’])|(Mr|Mrs|Prof)\. ?|(Mr|Mrs|Ms|Dr|Prof) (?=[A-Z][\w'’]))",
        lambda found: f"{TITLES[found[1] or found[2] or found[3]]} ",
    ),
]
ROMANS = [
    rule(rf"\b(?=[IVX]{{2}}|[VX])({ROMAN})(?:st|nd|rd|th)?(?= [Cc]entur)", _century),
    rule(r"\bWW ?(I{1,3}|[123])\b", _world_war),
    rule(rf"\b({REGNAL}) ({SMALL_ROMAN})\b(?<! )(?<! I)(?!['’]m|\.\w)", _monarch),
    rule(rf"\b({REGNAL}) (I)\b{VERB}", _monarch),
    rule(rf"\b({NUMBERED}|{NUMBERED.upper()}) ({ROMAN})\b(?<! )(?!['’](?!s\b)|\.\w)", _numbered),
    rule(rf"\b((?:{NUMBERED})s) ({ROMAN})\b(?<! )(?= (?:and|or|to|through) |[,–-])", _numbered),
    rule(
        rf"(?<=[a-z])( and | or | to | through |, |[–-])(?=[IVX]{{2}}|[VX])({ROMAN})\b(?!['’.]\w)", _another
    ),
    rule(r"\b(?=[IVXLCDM]{4})([IVXLCDM]+)\b(?!['’](?!s\b))", _long_roman),
    rule(r"\b(?!XXX)(?=[IVX]{3})([IVX]+)\b(?!['’](?!s\b))", _roman),
    rule(r"\b([A-Z][A-Za-z]{1,30}) ([IVX]{2,6})(?![\w/&])(?!['’](?!s\b))", _sequel),
    rule(
        r"(?:(?:\A|(?<=\n))(?=[IVX]{1,5}\.)|(?<=[.!?] )(?=[IVX]{2,5}\.))([IVX]+)(?=\. [A-Z][a-z])|"
        r"\A([IVX]{2,5})(?=\.$)",
        _roman,
    ),
    rule(r"(?<=(?<!\w)\()(ii|iii|iv|vi{1,3}|ix|xi{1,2})(?=\))", _listed),
]
ALPHANUMERIC = [
    rule(r"(?<=iPhone )(\d)s\b", lambda found: f"{numbers.cardinal(found[1])} s"),
    rule(r"(?<=\d(?:st|nd|rd|th))\s?[-–—]\s?(?=\d{1,4}(?:st|nd|rd|th)\b)", " to "),
    rule(r"\b(([A-Z]{1,2})\d{1,4})\s?[-–—]\s?(?=\2\d{1,4}(?![^\W_]))", lambda found: f"{found[1]} to "),
    rule(r"(?<!\w)(?<!\d[.,])(\d{1,3}(?:,\d{3})*+|\d{1,15})(?:st|nd|rd|th|ˢᵗ|ⁿᵈ|ʳᵈ|ᵗʰ)(?![^\W_])", _ordinal),
    rule(r"(?<!\w)(?<!-)(?<!\d[.,])(\d{1,9})['’]?s\b", _plural),
    rule(
        r"(?<!\w)(\d{3,4})([pi])(\d{2,3})?(?!\w)",
        lambda found: f"{numbers.house(found[1])} {found[2]} {found[3] or ''}".rstrip(),
    ),
    rule(r"(?<!\w)(\d{3})\(([a-z])\)", lambda found: f"{numbers.house(found[1])} {found[2]}"),
    rule(
        r"(?<![^\W_])(?<!\d[.,])(?:[^\W\d_]{1,20}[-‐‑]?(?=\d)|(?=\d{1,9}[-‐‑]?[^\W\d_]))"
        r"(?:\d{1,9}(?:\.\d{1,3}(?!\d))?|[^\W\d_]{1,20}|[-‐‑](?=[^\W_])){1,20}",
        _letters_and_digits,
    ),
]
CARDINALS = [
    rule(r" ?\bmmHg\b", " millimeters of mercury"),
    rule(r"(?<=\d),(?=\d{1,2}(?!\d)|\d{4})", ", "),
    rule(r"[^\x00-\x7f]", _numeral),
    rule(r"\d{1,3}(?:,\d{3})++(?!\d)(?:\.\d++)?|\d++(?:\.\d++)?|(?<![\d.])\.\d++", _number),
]
SLASHES = [
    rule(r"(?<=\w) / (?=\w)", ", "),
    rule(r"(?<=[A-Za-z)])/(?=[A-Za-z(])|(?<!\S)/(?=\w)", " "),
]
