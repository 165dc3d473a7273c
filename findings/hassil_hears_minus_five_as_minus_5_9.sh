#!/usr/bin/env bash
# Told "minus five degrees", hassil, by which Home Assistant understands commands, sets -5.9. Where a list of numbers
# has a range below zero and fractions (tenths), it matches what was said against the words for each number, and those
# it has from unicode-rbnf, which leaves the fraction out behind a minus: -5, -5.1 ... -5.9 are all "minus five", -0.5
# is "minus" alone, and of those alike the last wins. "Minus five point five" is not understood at all; in figures, or
# above zero, all is right. In Polish, Russian, Kazakh and Kyrgyz unicode-rbnf says nought for every digit behind the
# point. Nothing is raised. Hurt: freezers, heat pumps, sounds' levels in dB, and voices that read such numbers out.
#
# Seen: hassil 3.12.1 with unicode-rbnf 2.4.1, CPython 3.11. Leave fractions out of ranges that go below zero.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install hassil==3.12.1 unicode-rbnf==2.4.1 PyYAML==6.0.4
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

from hassil.intents import Intents
from hassil.recognize import recognize
from unicode_rbnf import RbnfEngine

print("hassil", version("hassil"), "unicode-rbnf", version("unicode-rbnf"))


def heard(said: str, fractions: str | None) -> float | None:
    """The number that is understood, where the range is -30 to 30 with those fractions."""
    limits = {"from": -30, "to": 30} | ({"fractions": fractions} if fractions else {})
    sentences = {"data": [{"sentences": ["set the freezer to {degrees} degrees"]}]}
    lists = {"degrees": {"range": limits}}
    intents = Intents.from_dict({"language": "en", "intents": {"Set": sentences}, "lists": lists})
    found = recognize(f"set the freezer to {said} degrees", intents)
    return found.entities["degrees"].value if found else None


for said, fractions, expected in (
    ("minus five", None, -5),
    ("five", "tenths", 5),
    ("five point nine", "tenths", 5.9),
    ("-5", "tenths", -5),
    ("minus five", "halves", -5.5),
    ("minus five", "tenths", -5.9),
    ("minus five point five", "tenths", None),
):
    number = heard(said, fractions)
    print(f"{said!r} with fractions {fractions}: {number}")
    assert number == expected
for language, number, expected in (
    ("en", "5.9", "five point nine"),
    ("en", "-5.9", "minus five"),
    ("en", "-0.5", "minus"),
    ("pl", "3.5", "trzy przecinek zero"),
):
    words = RbnfEngine.for_language(language).format_number(number).text
    print(f"{number} in {language}: {words!r}")
    assert words == expected
PY
