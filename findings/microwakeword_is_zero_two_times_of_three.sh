#!/usr/bin/env bash
# pymicro-wakeword's `process_streaming_prob` gives a probability for each 10 ms of features, and two of each three are
# 0.0: not "no wake word", but "not asked", since the model looks at three rows at a time. Nothing marks them. Whoever
# draws the value, smooths it, or arms the detector again when it falls below a half does so in every third of a word:
# a mean is a third of what it should be, and one spoken word counts many times. `process_streaming` says False there.
#
# Seen: pymicro-wakeword 2.5.0 with pymicro-features 2.0.2 and numpy 2.4.6, CPython 3.11, its own model hey_jarvis.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pymicro-wakeword==2.5.0 pymicro-features==2.0.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

model = MicroWakeWord.from_builtin(Model.HEY_JARVIS)
sound = np.random.default_rng(0).integers(-3000, 3000, 48_000, dtype=np.int16)  # three seconds at 16 kHz
rows = list(MicroWakeWordFeatures().process_streaming(sound.tobytes()))
values = [model.process_streaming_prob(row) for row in rows]
asked = np.flatnonzero(values)
print(f"pymicro-wakeword {version('pymicro-wakeword')}: {len(rows)} rows, {len(asked)} values that are not 0.0,",
      f"{sorted(set(np.diff(asked).tolist()))} rows apart; the first: {values[asked[0] : asked[0] + 7]}")
assert len(asked) > 5 and set(np.diff(asked)) == {3}  # never two in a row, and never another third
PY
