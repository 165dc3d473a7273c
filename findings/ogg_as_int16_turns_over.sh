#!/usr/bin/env bash
# A lossy codec gives back peaks that are a little higher than those it was given. Read as int16 by soundfile, the
# peaks of Ogg Opus and Ogg Vorbis above full scale are not clipped but turn over: +1.02 becomes about -0.98, a loud
# click. MP3 is clipped, as one expects. Read as float it is all right. Hurt: whoever reads loud speech or mastered
# music straight to int16 (for a recogniser, a VAD, a sound card); files at moderate levels never show it.
#
# Seen: soundfile 0.14.0 (libsndfile 1.2.2): a sine with its peak at 0.99, and one limited to that.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install soundfile==0.14.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import numpy as np
import soundfile as sf

print("soundfile", sf.__version__, sf.__libsndfile_version__)
RATE = 48_000
tone = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
for name, loud in (("sine", 0.99 * tone), ("limited", np.clip(1.5 * tone, -0.99, 0.99))):
    for kind, subtype in (("OGG", "OPUS"), ("OGG", "VORBIS"), ("MP3", None)):
        path = f"{sys.argv[1]}/{name}.{subtype or kind}"
        sf.write(path, loud, RATE, format=kind, subtype=subtype)
        as_float, as_int16 = sf.read(path)[0], sf.read(path, dtype="int16")[0]
        over = np.abs(as_float) > 1.001
        turned = over & (np.sign(as_float) != np.sign(as_int16))
        print(f"{name} {subtype or kind}: peak {np.abs(as_float).max():.2f}, {over.sum()} samples above full scale;")
        print(f"  as int16, {turned.sum()} of them have the other sign")
        assert turned.sum() == 0 if kind == "MP3" else turned.sum() == over.sum() > 10
PY
