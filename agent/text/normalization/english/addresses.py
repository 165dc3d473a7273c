"""Addresses in English: of mail and web; of houses, with streets, directions, states and numbers."""

from __future__ import annotations

import re

from agent.text.normalization import Found, Said
from agent.text.normalization.english import numbers
from agent.text.normalization.english.patterns import START, any_of, before, counts, rule, spelled, stop
from agent.text.normalization.english.tables import ADDRESS_SIGNS, STATES, words

ROAD_NAMES = {
    "St": "Street",
    "Ave": "Avenue",
    "Av": "Avenue",
    "Rd": "Road",
    "Blvd": "Boulevard",
    "Ln": "Lane",
    "Dr": "Drive",
    "Ct": "Court",
    "Pl": "Place",
    "Sq": "Square",
    "Hwy": "Highway",
    "Pkwy": "Parkway",
    "Expy": "Expressway",
    "Expwy": "Expressway",
    "Fwy": "Freeway",
    "Tpke": "Turnpike",
    "Cir": "Circle",
    "Ter": "Terrace",
    "Terr": "Terrace",
    "Trl": "Trail",
    "Plz": "Plaza",
    "Aly": "Alley",
    "Xing": "Crossing",
}
NO_WORDS = ("Ave", "Rd", "Blvd", "Ln", "Hwy", "Pkwy", "Expy", "Expwy", "Fwy", "Tpke", "St")
"""Those that are no words in small letters either."""
ROAD_SHORTS = ROAD_NAMES | {short.lower(): ROAD_NAMES[short] for short in NO_WORDS}
ROADS = "|".join([*dict.fromkeys(ROAD_NAMES.values()), "Way", "Row", "Close", "Crescent", "Loop", "Pike"])
QUARTERS = {
    "N": "North",
    "S": "South",
    "E": "East",
    "W": "West",
    "NE": "Northeast",
    "NW": "Northwest",
    "SE": "Southeast",
    "SW": "Southwest",
}
QUARTER = any_of([*QUARTERS, "N.E", "N.W", "S.E", "S.W"])
TOWARDS = rf"(?:(?:{QUARTER})\.? |(?:{any_of(QUARTERS.values())}) )?"
NAMES = r"(?:[A-Z][a-z'’]+ |\d{1,3}(?:st|nd|rd|th) )"
"""One word of a street's name."""
BESIDE = r"\b(?:on|at|of|near|off|from|to|down|up|and|along|corner of|across) "
ROAD_LEAD = re.compile(
    rf"(?<!\w)\d+[A-Za-z]?(?:-\d+)? (?:the )?{TOWARDS}{NAMES}{{1,3}}$|"
    rf"{BESIDE}(?:the )?{TOWARDS}{NAMES}{{1,2}}$|"
    r"\b(?:First|Second|Third|Fourth|Fifth|Sixth|Seventh|Eighth|Ninth|Tenth|Main|Park|Wall|Broad) $|"
    r"\d(?:st|nd|rd|th) $"
)
CITY = re.compile(r"\b[A-Z][\w.'’-]*$")
IN_CITY = re.compile(r"\b(?:in|near|around|outside|from|to|at|of) (?:[A-Z][\w.'’-]+ ){0,2}[A-Z][\w.'’-]+$")
WORDS_TOO = words("AL AR CO CT DC DE GA HI ID IN LA MA MD ME MO MS MT NE OH OK OR PA PR SD VA VI")
"""States whose letters may stand for something else: those need a ZIP code, or a place, before."""


def address(text: str) -> str:
    """What is said of an address of mail or of the web: its signs count, and numbers are names' ones."""
    said = ""
    for found in re.finditer(r"[^\W_]+|[\W_]", text):
        part: str = found[0]
        if part.isdecimal() and not said.endswith(ADDRESS_SIGNS[":"]):
            said += numbers.named(part)
        else:
            # A lone "a" is an article to the voices, "eh" is the letter.
            said += "eh" if part in ("a", "A") else ADDRESS_SIGNS.get(part, part)
    return said


def _road_name(found: Found) -> Said:
    """`1428 Elm St.`, `Fifth Ave.`; "St." before a name is a saint, and "Dr." a doctor."""
    if not ROAD_LEAD.search(before(found)):
        return None
    return ROAD_SHORTS[found[1]] + stop(found)


def _direction(found: Found) -> Said:
    """`12 N. Oak Street`, `5th Avenue SW`."""
    return [(len(found[1]), found[1]), (len(found[0]), QUARTERS[found[2].replace(".", "")])]


def _state(found: Found) -> Said:
    """`Santa Clara, CA 95051`, `Austin, TX`; not "Sure, OK."."""
    lead, code = before(found, 60), found[0]
    city = lead.rstrip(" ,")
    zipped = re.match(r",? \d{5}(?!\d)", found.string[found.end() :])
    sure = zipped or (lead[-2:] == ", " and (code not in WORDS_TOO or IN_CITY.search(city)))
    return STATES[code] if sure and CITY.search(city) else None


def _zip(found: Found) -> Said:
    """`NY 10001`, `California 95051`."""
    if len(found[1]) > 4 and counts(found):
        return None
    return [(len(found[1]), found[1]), *((end + len(found[1]), said) for end, said in spelled(found[2]))]


def _road(found: Found) -> Said:
    return numbers.house(found[1]) + (" " if found.string[found.end()].isalpha() else "")


POSTAL = [
    rule(
        rf"(?<=[a-z] )({any_of(ROAD_SHORTS)})\b(\.?)(?! ?[A-Z][a-z]+ ?[A-Z])",
        _road_name,
    ),
    rule(
        rf"(\b\d+[A-Z]? |\b[a-z]+ )({QUARTER})\b\.?(?= {NAMES}{{1,3}}(?:{ROADS})\b)",
        _direction,
    ),
    rule(rf"((?:[A-Z][a-z]+|\dth|\dst|\dnd|\drd) (?:{ROADS}) )({QUARTER})\b\.?(?![\w'’-])", _direction),
    rule(
        r"\b((?:I|US|SR|CR|U\.S\.|Route|Hwy|Highway|Interstate)[- ]\d{1,4} )([NSEW])\b(?![\w.'’-]\w)",
        _direction,
    ),
    rule(r"\bHwy\.? (?=\d)", "Highway "),
    rule(r"\b([Aa])pt\.? #?(?=\d{1,5}[A-Z]?\b|[A-Z]\b)", lambda found: f"{found[1]}partment "),
    rule(r"\bSte\.? #?(?=\d)", "Suite "),
    rule(r"\bBldg\.? #?(?=\d|[A-Z]\b)", "Building "),
    rule(rf"(?:(?<=[a-z.] )|(?<=[a-z.], ))(?:{any_of(STATES)})\b(?!['’.-]\w)", _state),
    rule(
        rf"\b((?:[A-Z]{{2}}|{any_of(STATES.values())}),? )(\d{{5}}(?:-\d{{4}})?)(?!\w|[.,:/-]\d)",
        _zip,
    ),
]
HOUSE = rule(
    START + rf"([1-9]\d{{2,4}})(?=[A-Z]? {TOWARDS}{NAMES}{{1,3}}(?:{ROADS})\b)",
    _road,
)
