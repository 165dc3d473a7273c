#!/usr/bin/env bash
# "Wait... what" and "Wait… what" lose more than their pause on the way to a Piper voice: no blank is left either,
# so two words become one ("waitwhat"). espeak-ng ends a clause at an ellipsis without naming a terminator, and
# Piper puts a blank between clauses only behind a comma, a colon or a semicolon. Language models write ellipses
# where a speaker would hesitate, so just there the voice slurs. Hurt: whoever feeds answers to Piper as written
# (a comma or a dash with blanks around it keeps the words apart).
#
# Seen: piper-tts 1.8.0, voice en-us: phonemes of each text, "_" for a blank.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install piper-tts==1.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

from piper import espeakbridge
from piper.phonemize_espeak import EspeakPhonemizer

print("piper-tts", version("piper-tts"))
phonemizer = EspeakPhonemizer()
texts = {"Wait, what": 1, "Wait — what": 1, "Wait what": 1, "Wait... what": 0, "Wait… what": 0, "Wait … what": 0}
for text, blanks in texts.items():
    (sentence,) = phonemizer.phonemize("en-us", text)
    phonemes = "".join(sentence)
    clauses = [(said, terminator) for said, terminator, _ in espeakbridge.get_phonemes(text)]
    print(f"{text!r}: {phonemes.replace(' ', '_')}  (clauses: {clauses})")
    assert phonemes.count(" ") == blanks
PY
