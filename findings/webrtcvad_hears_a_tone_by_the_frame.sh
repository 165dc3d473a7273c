#!/usr/bin/env bash
# What webrtcvad says of one and the same steady tone hangs on the length of the frames, on the sample rate, on the mode
# and on the loudness, and not the way one would think: 1 kHz at 48 kHz is speech for ever in frames of 10 ms and never
# in 20 or 30; at 16 kHz it is in all three; 200 Hz is silence when loud and speech 20 dB softer, in 20 and 30 ms;
# 400 Hz is speech in 20 and 30 ms and not in 10, at the strictest mode; 200 Hz in 10 ms frames is speech at the
# mildest and not at the strictest mode. Hurt: whoever takes shorter frames for a quicker answer, or hears telephone
# lines and humming machines: an end of speech that never comes, or a detector that turns deaf after such a change.
#
# Seen: webrtcvad-wheels 2.0.14.post1 (the maintained build of webrtcvad 2.0.10), numpy 2.4.6, CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install webrtcvad-wheels==2.0.14.post1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import webrtcvad


def speech(hertz, level, rate, mode):
    """The share of frames that are speech, after the first second, in frames of 10, 20 and 30 ms."""
    tone = level * np.sin(2 * np.pi * hertz * np.arange(4 * rate) / rate)
    data = np.round(tone * 32767).astype("<i2").tobytes()
    shares = []
    for milliseconds in (10, 20, 30):
        detector, size = webrtcvad.Vad(mode), 2 * rate * milliseconds // 1000
        frames = [data[at : at + size] for at in range(0, len(data) - size + 1, size)]
        said = [detector.is_speech(frame, rate) for frame in frames]
        shares.append(round(sum(said[len(said) // 4 :]) / len(said[len(said) // 4 :]), 2))
    return shares


SEEN = {  # hertz, amplitude, rate, mode: shares for 10, 20, 30 ms
    (1000, 0.3, 48_000, 3): [1, 0, 0],
    (1000, 0.3, 16_000, 3): [1, 1, 1],
    (1500, 0.3, 16_000, 3): [1, 0, 0],
    (200, 0.3, 16_000, 3): [0, 0, 0],
    (200, 0.03, 16_000, 3): [0, 1, 1],
    (400, 0.3, 16_000, 3): [0, 1, 1],
    (200, 0.3, 16_000, 0): [1, 0, 0],
}
for (hertz, level, rate, mode), expected in SEEN.items():
    found = speech(hertz, level, rate, mode)
    print(f"{hertz:5} Hz at {20 * np.log10(level):4.0f} dBFS, {rate} Hz, mode {mode}: speech in 10/20/30 ms {found}")
    assert np.allclose(found, expected, atol=0.05), (found, expected)
PY
