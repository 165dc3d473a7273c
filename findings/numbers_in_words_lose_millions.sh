#!/usr/bin/env bash
# The two libraries that turn spoken numbers into figures do not know how recognisers write large ones. word2number
# makes 2,301,300 of "two million three hundred thousand" (the hundred counts twice), 1 of "one point five million" and
# 1,000,000 of "2.5 million", which is how Whisper writes it; the sign of "minus five" is gone, "nineteen ninety nine"
# is 1719 and "five six seven" 37, and all of it comes as a plain int. text2num, which is newer and knows these, makes
# "1.5 1000000" of "one point five million", which is read as two numbers. Hurt: whoever acts on amounts that were
# spoken: payments, quantities, years, numbers said digit by digit.
#
# Seen: word2number 1.1, text2num 3.1.0, CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install word2number==1.1 text2num==3.1.0
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

from text_to_num import alpha2digit
from word2number.w2n import word_to_num

print("word2number", version("word2number"), "text2num", version("text2num"))

for said, as_word2number, as_text2num in (
    ("two million three hundred and one thousand three hundred", 2_301_300, "2301300"),
    ("two million three hundred thousand", 2_301_300, "2300000"),
    ("one point five million", 1, "1.5 1000000"),
    ("2.5 million", 1_000_000, "2.5 1000000"),
    ("5 hundred", 100, "5 100"),
    ("minus five", 5, "minus 5"),
    ("nineteen ninety nine", 1719, "19 99"),
    ("five six seven", 37, "5 6 7"),
):
    number, text = word_to_num(said), alpha2digit(said, "en")
    print(f"{said!r}: word2number {number:,}, text2num {text!r}")
    assert (number, text) == (as_word2number, as_text2num)
PY
