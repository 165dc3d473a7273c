#!/usr/bin/env bash
# A VBR MP3 that was streamed (so nobody could go back and write its Xing header) is read by libsndfile only up
# to a length guessed from the bit rate of its first frames, and what comes after that is dropped without a word.
# Whoever transcribes podcasts, voice mail or `ffmpeg ... pipe:` output with soundfile loses the end of it.
#
# Seen: soundfile 0.14.0 (libsndfile 1.2.2, mpg123 inside). 8 s of sound, the first half quiet noise and the
# second half silence or the other way round: with the Xing frame 128,000 samples; without it, fewer or more
# are promised, and reading stops at that promise. The sound itself is all there: MPEG frames are counted.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install soundfile==0.14.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import numpy as np
import soundfile as sf

print("soundfile", sf.__version__, sf.__libsndfile_version__)
rate, noise = 16_000, np.random.default_rng(0).normal(0, 0.3, 4 * 16_000)
loud_first = np.concatenate([noise, np.zeros(4 * rate)])
path = f"{sys.argv[1]}/vbr.mp3"
sf.write(path, loud_first, rate, bitrate_mode="VARIABLE")
data = open(path, "rb").read()


def frames(mp3: bytes) -> list[int]:
    """Where each MPEG-2 layer III frame begins (16 kHz: 72 * bit rate / 16,000 bytes each)."""
    kbits = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    at, found = 0, []
    while at + 4 <= len(mp3):
        assert mp3[at] == 0xFF, "not at a frame"
        found.append(at)
        at += 72 * kbits[mp3[at + 2] >> 4] * 1000 // rate + (mp3[at + 2] >> 1 & 1)
    return found


starts = frames(data)
assert b"Xing" in data[: starts[1]], "the first frame is the table of contents"
with open(path, "wb") as stream:
    stream.write(data[starts[1] :])
there = (len(starts) - 1) * 576 / rate  # 576 samples a frame
read = len(sf.read(path)[0]) / rate
print(f"frames hold {there:.2f} s, soundfile reads {read:.2f} s of them, without an error or a warning")
assert there > 8.0 and read < 0.8 * there
PY
