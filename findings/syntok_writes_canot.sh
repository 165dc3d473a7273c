#!/usr/bin/env bash
# syntok puts what it cuts together again into another text: "I can't stop." is "I canot stop.", "Won't you?" is "Wonot
# you?", "Don't go." is "Donot go.". It writes "not" for "n't" unless it is told otherwise, and the spacing that it
# keeps for putting a sentence together is that of "n't". The offsets are those of the original all the same, so that
# "not" lies on three characters that say something else. Tokenizer(replace_not_contraction=False) leaves the text, but
# syntok.segmenter.process, which its manual shows, takes no such wish. Hurt: voices that say sentence by sentence what
# came back, and word times and captions by offset.
#
# Seen: syntok 1.4.4, regex 2026.11.19, CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install syntok==1.4.4 regex==2026.11.19
"$folder/venv/bin/python" - <<'PY'
import inspect
from importlib.metadata import version

from syntok import segmenter
from syntok.tokenizer import Tokenizer


def sentences(text):
    return ["".join(t.spacing + t.value for t in s).strip() for p in segmenter.process(text) for s in p]


print(f"syntok {version('syntok')}")
for text, seen in {
    "I can't stop. Won't you?": ["I canot stop.", "Wonot you?"],
    "Don't go. It isn’t late.": ["Donot go.", "It isnot late."],
    "We cannot stop. It's late.": ["We cannot stop.", "It's late."],
}.items():
    print(f"{text!r} -> {sentences(text)}")
    assert sentences(text) == seen
(no,) = [t for t in Tokenizer().tokenize("I can't stop.") if t.value == "not"]
print(f"'not' lies at {no.offset}, where the text has {'I can' + chr(39) + 't stop.'!r}")
assert "I can't stop."[no.offset : no.offset + 3] == "n't"
kept = Tokenizer(replace_not_contraction=False).tokenize("I can't stop.")
assert "".join(t.spacing + t.value for t in kept) == "I can't stop."
assert "replace_not_contraction" not in inspect.signature(segmenter.process).parameters
PY
