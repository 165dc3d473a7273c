#!/usr/bin/env bash
# misaki's Chinese, with which Kokoro speaks it, reads a hyphen between numbers as "minus" (fù): pages 3-5 are "page three
# minus five", the date 2026-11-28 is "2026 minus 11 minus 28", and a telephone number is ten minus twelve million. (It
# is cn2an that turns them into words first; of "1-2个" it knows better.) And what is written in Latin letters comes
# out among the phonemes as it is: "iPhone" is said letter by letter as if it were IPA. Nothing is raised or logged.
# Hurt: whoever lets a Chinese voice say what a language model writes, which is full of dates, ranges and names.
#
# Seen: misaki 0.9.4 with cn2an 0.5.24, CPython 3.11. What to do: say ranges, dates and numbers in words before, and
# give foreign words to another reader.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install "misaki[zh]==0.9.4" cn2an==0.5.24
"$folder/venv/bin/python" - 2>/dev/null <<'PY'
from importlib.metadata import version

import cn2an
from misaki.zh import ZHG2P

MINUS = {
    "第3-5页": "第三负五页",
    "2026-11-28": "二千零二十六负十一负二十八",
    "010-12345678": "十负一千二百三十四万五千六百七十八",
}
say = ZHG2P()
print(f"misaki {version('misaki')}, cn2an {version('cn2an')}")
for text, words in MINUS.items():
    phonemes = say(text)[0]
    print(f"{text} -> {cn2an.transform(text, 'an2cn')} -> {phonemes}")
    assert cn2an.transform(text, "an2cn") == words and "fu↘" in phonemes
assert cn2an.transform("1-2个", "an2cn") == "一到二个"
print(f"iPhone手机 -> {say('iPhone手机')[0]}")
assert say("iPhone手机")[0].startswith("iPhone")
PY
