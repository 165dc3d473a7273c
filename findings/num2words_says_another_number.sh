#!/usr/bin/env bash
# num2words says numbers between -1 and 0 without their sign in most languages: "-0.5" is "zero point five", while
# "-1.5" is right. And four languages lose zeros behind the decimal point: Bengali and Persian say 1.05 as 1.5 (in
# Persian it is "one and a half"), Turkish and Vietnamese say 1.005 as 1. Hurt: speech synthesis and what
# normalises for it, that is people who hear temperatures, balances and rates and don't see the figures.
#
# Seen: num2words 0.5.14: of 22 languages tried, 18 lose the sign of -0.5.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install num2words==0.5.14
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

from num2words import num2words

print("num2words", version("num2words"))
LANGUAGES = "ar cs da de en es fi fr he hu id it ja ko nl no pl pt ru sv uk vi".split()
lost = [code for code in LANGUAGES if num2words(-0.5, lang=code) == num2words(0.5, lang=code)]
kept = [code for code in LANGUAGES if code not in lost]
print(f"-0.5 is {num2words(-0.5)!r}, -1.5 is {num2words(-1.5)!r}")
print(f"-0.5 is said as 0.5 in {len(lost)} of {len(LANGUAGES)}: {' '.join(lost)}; not in {' '.join(kept)}")
assert "en" in lost and "minus" in num2words(-1.5) and "minus" in num2words(-1) and len(lost) == 18
for code, number, other in (("bn", 1.05, 1.5), ("fa", 1.05, 1.5), ("tr", 1.005, 1.0), ("vi", 1.005, 1.0)):
    said, meant = num2words(number, lang=code), num2words(other, lang=code)
    print(f"{code}: {number} is {said!r}, {other} is {meant!r}")
    assert said.startswith(meant) and len(said) - len(meant) < 8
PY
