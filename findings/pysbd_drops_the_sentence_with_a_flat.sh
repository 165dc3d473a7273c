#!/usr/bin/env bash
# pysbd, which cuts text into sentences before many voices speak it, keeps marks of its own in the text while it works:
# the flat sign of music, a note, some others. Where the text itself has one, "The key is B♭ major. It
# is sad." becomes the one sentence "It is sad.": the other is not in the list, and nothing says so. With clean=True it
# is there, as "B: major" (and "♬" is an Arabic comma). Without a flat all sentences come back, and join to the text.
# Hurt: who hears of music, subtitles or phonetics from a voice that asks pysbd what to say. Compare the joined
# sentences with the text.
#
# Seen: pysbd 0.3.4, CPython 3.11, language "en".
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pysbd==0.3.4
"$folder/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import pysbd

TEXTS = {
    "The key is B natural. It is sad.": ["The key is B natural. ", "It is sad."],
    "The key is B♭ major. It is sad.": ["It is sad."],
    "First the tune. It begins on E♭. Then it falls.": ["First the tune. ", "Then it falls."],
    "He sang ♬ all day. Then he left.": ["Then he left."],
    "The key is B♯ major. It is sad.": ["The key is B♯ major. ", "It is sad."],
}
CLEANED = {
    "The key is B♭ major. It is sad.": ["The key is B: major.", "It is sad."],
    "He sang ♬ all day. Then he left.": ["He sang ، all day.", "Then he left."],
}
print(f"pysbd {version('pysbd')}")
for clean, texts in ((False, TEXTS), (True, CLEANED)):
    cut = pysbd.Segmenter(language="en", clean=clean)
    for text, seen in texts.items():
        sentences = cut.segment(text)
        print(f"clean={clean!s:5} {text!r} -> {sentences}")
        assert sentences == seen
PY
