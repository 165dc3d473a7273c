#!/usr/bin/env bash
# Two Ogg files one after the other are one valid Ogg file (RFC 3533 calls it a chained stream; internet radio and
# recorders that are paused write it). soundfile reads the first link and says that this was all: no error, and
# `frames` agrees with what was read. Whoever joins or receives such recordings loses all but the first part.
#
# Seen: soundfile 0.14.0 (libsndfile 1.2.2), Vorbis and Opus alike: 2 s + 2 s are read as 2 s.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install soundfile==0.14.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import io

import numpy as np
import soundfile as sf

print("soundfile", sf.__version__, sf.__libsndfile_version__)
tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * 16_000) / 16_000)
for subtype in ("VORBIS", "OPUS"):
    links = []
    for part in (tone, 0.5 * tone):  # an encoder numbers its stream at random, as the format asks for
        file = io.BytesIO()
        sf.write(file, part, 16_000, format="OGG", subtype=subtype)
        links.append(file.getvalue())
    serials = {link[14:18] for link in links}
    chained = io.BytesIO(b"".join(links))
    read = len(sf.read(chained)[0]) / 16_000
    told = sf.info(io.BytesIO(b"".join(links))).frames / 16_000
    print(f"{subtype}: {len(serials)} serial numbers, told {told:.2f} s, read {read:.2f} s of 4")
    assert abs(read - 2.0) < 0.05 and abs(told - 2.0) < 0.05
PY
