#!/usr/bin/env bash
# soxr's streams give sound out in blocks that it chooses, whatever the size of what comes in: telephone sound
# (8 kHz) on its way to a recogniser (16 kHz) waits up to 115 ms at the default quality and comes in bursts, and so
# does a voice on its way back. The wait is no delay of the filter (which is short) and is not where one looks for
# it: 48 -> 16 kHz waits 37 ms, the simplest ratios wait most, and MQ waits no less than HQ. Only QQ (cubic, it
# aliases) gives at once. Hurt: latency and interruption of voice agents, in every wrapper of the library.
#
# Seen: soxr 1.1.0 (Python), chunks of 20 ms: the longest that sound which came in had not come out.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install soxr==1.1.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import soxr

print("soxr", soxr.__version__, soxr.__libsoxr_version__)
SECONDS = 4


def held(rate: int, to: int, quality: str) -> tuple[float, int]:
    """How long sound waits at the most, ms, and how many of the chunks of 20 ms bring nothing out."""
    stream = soxr.ResampleStream(rate, to, 1, dtype="float32", quality=quality)
    chunk, came, went, waits, empty = rate // 50, 0, 0, [], 0
    for _ in range(SECONDS * 50):
        out = len(stream.resample_chunk(np.zeros(chunk, np.float32)))
        came, went, empty = came + chunk, went + out, empty + (out == 0)
        waits.append(1000 * (came / rate - went / to))
    return max(waits), empty


for rate, to in ((8_000, 16_000), (16_000, 8_000), (24_000, 48_000), (48_000, 16_000)):
    row = {quality: held(rate, to, quality) for quality in ("QQ", "LQ", "MQ", "HQ", "VHQ")}
    told = ", ".join(f"{quality} {wait:.0f} ms ({empty} empty)" for quality, (wait, empty) in row.items())
    print(f"{rate} -> {to}: {told} of {SECONDS * 50} chunks")
    assert row["QQ"][0] < 1 and row["MQ"][0] >= row["HQ"][0] - 1
    assert row["HQ"][0] > (110 if 8_000 in (rate, to) else 35) and row["HQ"][1] > 50
PY
