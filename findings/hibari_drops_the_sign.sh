#!/usr/bin/env bash
# hibari says nothing for signs that it does not know, where espeak-ng says their names. With the minus of good
# typography (U+2212), which language models and weather services write, "−5 °C" is said as 5 °C; "≠" and "≤" vanish,
# so "a ≠ b" is said as "a b"; a version, 3.5.1, loses its dots (1.234 keeps it). Hurt: who hears figures and does
# not see them, and whoever changes the engine behind one interface and expects the same words.
#
# Seen: hibari-tts 0.2.1 beside piper-tts 1.8.0 (espeak-ng): the phonemes of each text.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install hibari-tts==0.2.1 piper-tts==1.8.0 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

from hibari.g2p import G2P
from piper.phonemize_espeak import EspeakPhonemizer

print("hibari-tts", version("hibari-tts"), "piper-tts", version("piper-tts"))
hibari, espeak = G2P(), EspeakPhonemizer()


def words(phonemes: str) -> str:
    return " ".join(phonemes.split())


texts = {"-5 °C": "5 °C", "−5 °C": "5 °C", "a ≠ b": "a b", "a ≤ b": "a b", "3.5.1": "3 5 1"}
for text, without in texts.items():
    said, same = words(hibari(text)), words(hibari(without))
    beside = ["".join("".join(part) for part in espeak.phonemize("en-us", each)) for each in (text, without)]
    print(f"{text}: hibari {said!r} ({without}: {same!r}), espeak {beside[0]!r}")
    assert (said == same) == (text != "-5 °C") and beside[0] != beside[1]
PY
