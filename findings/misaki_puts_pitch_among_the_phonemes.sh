#!/usr/bin/env bash
# misaki's Japanese by pyopenjtalk, one of its two readers, gives phonemes and behind them, in the same string, the pitch of
# each: "_" low, "-" high, "^" falling, and a "j" for a pause. Kokoro's alphabet, which misaki is made for, has "j" and
# "^" too, so the voice says them: nonsense behind each sentence. misaki's readers of other languages give phonemes
# alone. And pyopenjtalk prints on standard output, not standard error, that a prediction is off for want of ONNX
# Runtime. Hurt: whoever takes this reader: no error, a voice that babbles, and two lines in what a pipe was to carry.
#
# Seen: misaki 0.9.4 with pyopenjtalk-plus 0.4.1.post10, CPython 3.11. The phonemes are what comes before as many marks
# as there are phonemes: cut the string in half.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install misaki==0.9.4 pyopenjtalk-plus==0.4.1.post10
"$folder/venv/bin/python" - 2>/dev/null <<'PY'
from importlib.metadata import version

from misaki.ja import JAG2P

say = JAG2P(version="pyopenjtalk")  # prints
print(f"misaki {version('misaki')}, pyopenjtalk-plus {version('pyopenjtalk-plus')}")
for text, phonemes in {"三本のペン。": "saɴboɴno peɴ.", "こんにちは": "koɴniʨiwa"}.items():
    said = say(text)[0]
    print(f"{text} -> {said!r}, of which are phonemes {phonemes!r}")
    assert said.startswith(phonemes)
    assert set(said.removeprefix(phonemes)) <= set("_-^j") and len(said) == 2 * len(phonemes)
PY
