#!/usr/bin/env bash
# A microphone that gives digital silence (muted by its driver, a virtual card) comes out of WebRTC's AEC3, as the
# livekit package ships it, as noise near -95 dBFS, and the level of that noise follows what the speaker plays. No
# echo can be in it, and yet whoever judges by correlation whether "the microphone hears the speaker" (to warn of
# missing headphones, to choose half duplex) finds a clear echo behind the canceller. Judge before it, or not
# below a floor of level.
#
# Seen: livekit 1.2.1, AudioProcessingModule with echo cancellation alone: zeros in, not zeros out; the levels of
# 10 ms frames, in dB, correlate with those of the far end at above 0.3 (silence against speech would give 0).
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install livekit==1.2.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
from livekit import rtc

RATE, FRAME = 16_000, 160
rng = np.random.default_rng(1)
seconds = 20
syllables = np.repeat(rng.uniform(0, 1, seconds * 4) ** 3, RATE // 4)  # 4 a second, loud and soft
far = (0.3 * syllables * rng.normal(0, 1, seconds * RATE)).clip(-1, 1)
far16 = (far * 32_767).astype(np.int16)
module = rtc.AudioProcessingModule(echo_cancellation=True)
out = []
for at in range(0, len(far16), FRAME):
    module.process_reverse_stream(rtc.AudioFrame(far16[at : at + FRAME].tobytes(), RATE, 1, FRAME))
    near = rtc.AudioFrame(bytes(2 * FRAME), RATE, 1, FRAME)
    module.process_stream(near)
    out.append(np.frombuffer(near.data, np.int16).astype(float) / 32_768)


def level(frames):
    """dBFS of each frame of 10 ms; -120 for zeros."""
    return 20 * np.log10(np.sqrt(np.mean(np.square(frames), axis=1)) + 1e-6)


played, heard = level(far.reshape(-1, FRAME))[200:], level(np.array(out))[200:]
best = max(np.corrcoef(played[: len(played) - lag or None], heard[lag:])[0, 1] for lag in range(40))
print(f"livekit {version('livekit')}: zeros in, {np.mean(np.any(out, axis=1)):.0%} of the frames out are not zero,")
print(f"mean level {heard.mean():.1f} dBFS; correlation with what was played: {best:.2f}")
assert np.any(out) and heard.max() < -80 and best > 0.3
PY
