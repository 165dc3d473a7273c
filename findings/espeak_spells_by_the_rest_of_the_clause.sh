#!/usr/bin/env bash
# Whether espeak-ng says a short word in capitals or spells it hangs on the letters around it, up to the next mark:
# where small ones are more than capitals it is spelled, else said. So one word is read in two ways: "The VAT is
# ten" has V-A-T, "VAT: ten" has "vat", and "your VAT: ten" is spelled, "Your VAT: ten" is not. And plain words of
# three letters that a language model stresses are spelled amid a sentence: "turn it O-F-F", "the N-E-W one" (NOT,
# NOW, ALL are said). Hurt: who hears prices, switches, warnings; and whoever speaks while the text is still written,
# for where it is cut changes how a word is read.
#
# Seen: piper-tts 1.8.0 (the espeak-ng in it), voice en-us, by the phonemes of each text.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install piper-tts==1.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

from piper.phonemize_espeak import EspeakPhonemizer

print("piper-tts", version("piper-tts"))
phonemizer = EspeakPhonemizer()


def phonemes(text: str) -> str:
    """The phonemes of a text, without stress and without the glides between vowels."""
    joined = "".join(phone for sentence in phonemizer.phonemize("en-us", text) for phone in sentence)
    return joined.translate(dict.fromkeys(map(ord, "ˈˌʲ")))


def spelled(text: str) -> bool:
    """Whether the word in capitals is spelled; otherwise it is said as it is in small letters."""
    (word,) = [part.strip(":,") for part in text.split() if part.isupper()]
    as_word, as_letters = phonemes(word.lower()), phonemes(".".join(word) + ".").rstrip(".")
    found = phonemes(text)
    print(f"{text!r}: {found}")
    assert (as_word in found) != (as_letters in found), (as_word, as_letters)
    return as_letters in found


for text in ("The VAT is ten", "your VAT: ten", "Turn it OFF now", "This is the NEW one", "The answer YES is right"):
    assert spelled(text)
for text in ("VAT: ten", "Your VAT: ten", "It, the VAT, is ten", "Do it: OFF", "The NEW", "This is NOT right"):
    assert not spelled(text)
PY
