#!/usr/bin/env bash
# Amounts, the way a language model writes them, as two speech pipelines say them. pipecat's VoiceFormatter as it comes
# and gruut, the text side of Larynx, Mimic 3 and some Coqui voices, both say "$1.5 million" as a dollar and fifty cents
# million. VoiceFormatter also says "€3,50", as half of Europe writes it, as "three euros,50", and "$5-10" as "five
# dollars-10"; with expand_numbers a hyphen between years is no pause, so that "1990-1995" becomes one number, "... and
# ninety-one thousand, nine hundred and ninety-five". gruut says "St. Paul" as "Street Paul", and leaves "kg".
# Hurt: who hears prices and years and does not see them. Write amounts out in the prompt, or normalise before.
#
# Seen: pipecat-ai 1.14.0 with num2words 0.5.14, gruut 2.4.0, CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/pipecat"
"$folder/pipecat/bin/pip" -q install pipecat-ai==1.14.0 num2words==0.5.14
"$folder/pipecat/bin/python" -W ignore - 2>/dev/null <<'PY'
import asyncio
from importlib.metadata import version

from pipecat.utils.text.transforms import VoiceFormatter

print(f"pipecat-ai {version('pipecat-ai')}")
for numbers, text, seen in (
    (False, "It cost $2.50.", "It cost two dollars and fifty cents."),
    (False, "It cost $1.5 million.", "It cost one dollar and fifty cents million."),
    (False, "It cost €3,50.", "It cost three euros,50."),
    (False, "It costs $5-10.", "It costs five dollars-10."),
    (False, "NASA did.", "N A S A did."),
    (True, "From 1990-1995.", "From one thousand, nine hundred and ninety-one thousand, nine hundred and ninety-five."),
):
    said = asyncio.run(VoiceFormatter(expand_numbers=numbers)(text, "sentence"))
    print(f"expand_numbers={numbers!s:5} {text!r} -> {said!r}")
    assert said == seen
PY
python3 -m venv "$folder/gruut"
"$folder/gruut/bin/pip" -q install gruut==2.4.0
"$folder/gruut/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import gruut

print(f"gruut {version('gruut')}")
for text, seen in {
    "It cost $1.5 million.": "It cost one dollar fifty cents million .",
    "In St. Paul it is 10 kg.": "In Street Paul it is ten kg .",
}.items():
    said = " ".join(word.text for sentence in gruut.sentences(text, lang="en-us") for word in sentence)
    print(f"{text!r} -> {said!r}")
    assert said == seen
PY
