#!/usr/bin/env bash
# libsndfile puts the time of day into a WAV or AIFF of floating-point samples (the PEAK chunk, whole seconds), and a
# serial number made anew into each Ogg. So the same samples, written twice by soundfile, are the same bytes if both
# fall into one second, and other bytes else; an Ogg never. WAV of integers, FLAC, MP3, CAF, W64 and RF64 are the same
# each time, the last three of floats too. Hurt: whoever knows sound by the hash of its file (a cache of spoken
# sentences, a test against a golden file, a reproducible build): it passes on a fast machine and fails on a slow one.
#
# Seen: soundfile 0.14.0 with libsndfile 1.2.2, numpy 2.4.6, CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install soundfile==0.14.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import io
import time

import numpy as np
import soundfile

SAMPLES = (0.3 * np.sin(np.arange(24_000) / 9)).astype(np.float32)
KINDS = "WAV/PCM_16 WAV/FLOAT AIFF/PCM_16 AIFF/FLOAT CAF/FLOAT W64/FLOAT RF64/FLOAT FLAC/PCM_16 MP3/MPEG_LAYER_III " \
    "OGG/VORBIS OGG/OPUS"


def written(kind):
    file = io.BytesIO()
    form, subtype = kind.split("/")
    soundfile.write(file, SAMPLES, 24_000, format=form, subtype=subtype)
    return file.getvalue()


def until_a_second_begins():
    time.sleep(1.02 - time.time() % 1)


until_a_second_begins()
first = {kind: written(kind) for kind in KINDS.split()}
again = {kind: written(kind) for kind in KINDS.split()}
until_a_second_begins()
later = {kind: written(kind) for kind in KINDS.split()}
print(f"soundfile {soundfile.__version__}, {soundfile.__libsndfile_version__}")
for kind, data in first.items():
    print(f"{kind:20} at once {'same' if data == again[kind] else 'other':5}  a second later "
          f"{'same' if data == later[kind] else 'other'}")
assert {kind for kind in first if first[kind] != again[kind]} == {"OGG/VORBIS", "OGG/OPUS"}
assert {kind for kind in first if first[kind] != later[kind]} == {"OGG/VORBIS", "OGG/OPUS", "WAV/FLOAT", "AIFF/FLOAT"}
wav = first["WAV/FLOAT"]
assert [i for i in range(len(wav)) if wav[i] != later["WAV/FLOAT"][i]] == [wav.index(b"PEAK") + 12]  # its time
PY
