#!/usr/bin/env bash
# wyoming's AudioChunkConverter makes mono of stereo by adding the channels, not by their mean: where both carry
# the same voice (a stereo microphone, a mono file saved as stereo) it comes out 6 dB louder, and all that was
# above half scale is clipped flat. One channel alone keeps its level, so a test with sound on one side is fine.
# Hurt: speech recognition and wake words of Home Assistant satellites that send stereo: distorted, without an error.
#
# Seen: wyoming 1.10.2: a sine with its peak at 24,000 in both channels, read back as mono.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install wyoming==1.10.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
from wyoming.audio import AudioChunk, AudioChunkConverter

print("wyoming", version("wyoming"))
RATE = 16_000
sine = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)


def as_mono(left, right):
    """What the converter makes of a second of stereo, 16 bit."""
    stereo = np.stack([left, right], axis=1).astype(np.int16)
    chunk = AudioChunk(rate=RATE, width=2, channels=2, audio=stereo.tobytes())
    return np.frombuffer(AudioChunkConverter(channels=1).convert(chunk).audio, np.int16)


for name, peak, right in (("both", 8_000, 1), ("both", 24_000, 1), ("left alone", 24_000, 0)):
    mono = as_mono(peak * sine, right * peak * sine)
    clipped = np.mean(np.abs(mono.astype(int)) >= 32_767)
    print(f"{name}, peak {peak}: peak {mono.max()} of the mono, {clipped:.0%} of its samples at full scale")
    if right == 0:
        assert abs(mono.max() - peak) < 2 and clipped == 0
    else:
        assert abs(mono.max() - min(2 * peak, 32_767)) < 3 and (clipped > 0.4) == (peak == 24_000)
PY
