#!/usr/bin/env bash
# noisereduce makes "not a number" of digital silence, the sound of a muted microphone or of a pause in a file that a
# voice wrote: every sample of it by its usual way (non-stationary), and not one by the other (stationary=True). With
# sound in the same call it does not, and 16 bit sound comes back as 16 bit, in which it is 0: so neither a whole file
# nor a test with integers shows it. All that is said is numpy's warning of a division. Hurt: pipelines that hand over
# piece by piece, in float: level meters, voice detectors and encoders behind it take NaN, some for ever after, for
# filters remember it. Add a sound too faint to hear, or replace NaN by 0.
#
# Seen: noisereduce 3.0.3, numpy 2.4.6, scipy 1.17.1, CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install noisereduce==3.0.3 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import noisereduce
import numpy as np

RATE = 16_000
chance = np.random.default_rng(0)
silence = np.zeros(2 * RATE, np.float32)
sound = (0.1 * chance.standard_normal(2 * RATE)).astype(np.float32)
faint = (1e-7 * chance.standard_normal(2 * RATE)).astype(np.float32)


def lost(samples, **more):
    return float(np.isnan(noisereduce.reduce_noise(y=samples, sr=RATE, **more).astype(float)).mean())


seen = {
    "silence": lost(silence),
    "silence, stationary": lost(silence, stationary=True),
    "sound": lost(sound),
    "sound, then silence": lost(np.concatenate([sound, silence])),
    "something too faint to hear": lost(faint),
    "silence of 16 bit": lost(silence.astype(np.int16)),
}
print(f"noisereduce {version('noisereduce')}: which share is not a number")
for name, share in seen.items():
    print(f"{name:28} {share:.3f}")
assert seen["silence"] == 1
assert seen["sound, then silence"] == 0
assert {share for name, share in seen.items() if "silence" not in name} == {0}
assert seen["silence, stationary"] == seen["silence of 16 bit"] == 0
PY
