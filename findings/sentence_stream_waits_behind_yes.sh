#!/usr/bin/env bash
# sentence-stream, with which Home Assistant cuts a model's answer into sentences to speak them while the rest is
# written, takes any word of a capital and one or two letters at the end of a sentence for an abbreviation. "Yes.",
# "No.", "Hi.", "OK.", "Sí.", "Да." and "I met Bob." are held back until the sentence after them is complete, "Sure."
# is not: just the answers that could be heard at once come late. And it drops single asterisks, so that "2 * 3 is 6"
# is said as "2 3 is 6". Hurt: who waits for a voice, and who hears sums. Say "Yes," or "Yes!" in the prompt's examples.
#
# Seen: sentence-stream 1.3.0 with regex 2026.11.19, CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install sentence-stream==1.3.0 regex==2026.11.19
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

from sentence_stream import SentenceBoundaryDetector

print("sentence-stream", version("sentence-stream"))


def heard(answer: str) -> list[tuple[int, str]]:
    """Each sentence with how many characters had been written when it came."""
    detector = SentenceBoundaryDetector()
    out = [(n, sentence) for n, letter in enumerate(answer, 1) for sentence in detector.add_chunk(letter)]
    return [*out, (len(answer), detector.finish())]


REST = " It is open until eight in the evening. Anything else?"
for opener in ("Sure.", "Yes!", "Open.", "Yes.", "No.", "Hi.", "OK.", "I met Bob.", "Sí.", "Да."):
    when, first = heard(opener + REST)[0]
    late = when - len(opener)
    print(f"{opener!r} comes {late} characters after it was written, as {first!r}")
    if opener in ("Sure.", "Yes!", "Open."):
        assert first == opener and late <= 2
    else:
        assert first == opener + REST.removesuffix(" Anything else?") and late > 35
(_, sum_said), _ = heard("Well: 2 * 3 is 6 and 4 * 5 is 20. Good.")
print(repr(sum_said))
assert sum_said == "Well: 2  3 is 6 and 4  5 is 20."
PY
