#!/usr/bin/env bash
# pyspeex-noise makes silence of all that it is given, with its defaults and as its README says to call it: speech of
# half of full scale comes out as samples of -1, 0 and 1. Its automatic gain is a number that speex reads as a float;
# the package passes the address of a double, of which the lower half is what speex sees. Of every whole number that
# half is 0, so the level to be reached is none. Nothing is raised: a recogniser or a wake word behind it just never
# hears a thing. Hurt: satellites and pipelines that turn on the gain. Only auto_gain=0 (no gain) lets sound through;
# a number whose double happens to have 4000.0f as its lower half gives the level that was meant, as below.
#
# Seen: pyspeex-noise 2.0.1 (2.0.0 too), x86_64 (as on every little-endian machine), numpy 2.4.6, CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pyspeex-noise==2.0.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import struct
from importlib.metadata import version

import numpy as np
from pyspeex_noise import AudioProcessor

RATE, CHUNK = 16_000, 160  # 10 ms, as it wants them
time = np.arange(3 * RATE) / RATE
voiced = sum(np.sin(2 * np.pi * 130 * k * time) / k for k in range(1, 20))
speech = (8_000 * voiced * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * time))).astype(np.int16)  # four syllables a second


def cleaned(*args: float) -> np.ndarray:
    """What a processor that is made with these arguments gives out for the speech, behind its first second."""
    processor = AudioProcessor(*args)
    chunks = speech.reshape(-1, CHUNK)
    out = b"".join(processor.process_10ms(chunk.tobytes()) for chunk in chunks)
    return np.frombuffer(out, np.int16)[RATE:].astype(int)


print("pyspeex-noise", version("pyspeex-noise"), "- the peak of the speech is", np.abs(speech).max())
(meant,) = struct.unpack("<d", struct.pack("<ff", 4_000.0, 1.0))  # a double with the float 4000 in its lower half
for args, silent in (((), True), ((4_000, -30), True), ((8_000, 0), True), ((0, -30), False), ((meant, -30), False)):
    peak = np.abs(cleaned(*args)).max()
    print(f"AudioProcessor{args}: peak {peak}")
    assert (peak <= 2) == silent and (silent or peak > 1_000)
PY
