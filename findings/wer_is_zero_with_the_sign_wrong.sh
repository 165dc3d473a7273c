#!/usr/bin/env bash
# The normaliser that word error rates are measured behind (OpenAI's for English; the package whisper-normalizer has
# it alone) hides the errors that hurt most, and makes some of what is right. It writes "minus five" as "-5" and then
# takes "-5" for 5, so the wrong sign is no error and the right one written in figures is. It joins numbers over a
# comma and a full stop, so "at two, five people came" is the same as 25 people; and the apostrophe of typography,
# which language models write, is none to it: "don’t" is two errors against "don't". jiwer's RemovePunctuation, the
# other usual way, makes 3.5 and 35 the same. Hurt: whoever picks a recogniser for figures by such a rate.
#
# Seen: whisper-normalizer 0.1.15 and jiwer 4.0.0, CPython 3.11. Compare numbers before they are normalised, too.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install whisper-normalizer==0.1.15 jiwer==4.0.0
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import jiwer
from whisper_normalizer.english import EnglishTextNormalizer

whisper = EnglishTextNormalizer()
usual = jiwer.Compose([jiwer.ToLowerCase(), jiwer.RemovePunctuation()])
print("whisper-normalizer", version("whisper-normalizer"), "jiwer", version("jiwer"))

for normal, reference, heard, expected in (
    (whisper, "It is -5 degrees outside.", "It is 5 degrees outside.", 0.0),
    (whisper, "It is minus five degrees outside.", "It is -5 degrees outside.", 0.2),
    (whisper, "At two, five people came.", "At 25 people came.", 0.0),
    (whisper, "I have thirty. Two are red.", "I have 32 are red.", 0.0),
    (whisper, "Room one, two beds.", "Room 12 beds.", 0.0),
    (whisper, "I don't know.", "I don’t know.", 0.5),
    (usual, "Take 3.5 mg of it.", "Take 35 mg of it.", 0.0),
    (usual, "It is -5 degrees outside.", "It is 5 degrees outside.", 0.0),
):
    rate = jiwer.wer(normal(reference), normal(heard))
    print(f"{reference!r} heard as {heard!r}: {normal(reference)!r}, {normal(heard)!r}: rate {rate:.2f}")
    assert abs(rate - expected) < 1e-9
PY
