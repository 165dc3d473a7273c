#!/usr/bin/env bash
# kokoro-onnx gives espeak's marks of a language switch to the voice as sounds. For a French sentence with English
# words espeak writes "(en)" and "(fr)" around them; brackets and letters are in Kokoro's vocabulary, so that they
# become tokens like any phoneme, and the voice says something there that nobody wrote. Whoever reads French with
# "week-end" or "New York" in it hears that; phonemizer would leave the marks out if it were asked to (language_switch="remove-flags").
#
# Seen: kokoro-onnx 0.6.1 with phonemizer 3.4.0: "le week-end à New York" -> "lə (en)wˈiːkˈɛnd(fr) a
# (en)njˈuː jˈɔːk(fr)", a token for every character of it.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install kokoro-onnx==0.6.1 phonemizer==3.4.0
"$folder/venv/bin/python" - <<'PY'
from kokoro_onnx.tokenizer import Tokenizer

tokenizer = Tokenizer()
phonemes = tokenizer.phonemize("le week-end à New York", "fr-fr")
tokens = tokenizer.tokenize(phonemes)
print(phonemes, len(tokens))
assert "(en)" in phonemes and "(fr)" in phonemes
assert len(tokens) == len(phonemes)
PY
