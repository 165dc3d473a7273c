#!/usr/bin/env bash
# A WebRTC call that aiortc receives is later for ever after a single lost packet. Its jitter buffer gives out at
# most one frame for each packet that comes in; while it waits for the lost one nothing comes out, then it drops a
# stretch, and from there on every frame is given as much later as the buffer is deep. Whoever answers voices with
# aiortc answers 0.2 s later for the rest of the call, and 14 more packets of speech are gone: nobody is told.
#
# Seen: aiortc 1.16.0, the buffer as its receiver makes it for sound (16 packets, 4 before the first): without a
# loss 80 ms behind and 196 of 200 frames; with packet 50 lost, 280 ms behind to the end and 181 frames.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install aiortc==1.16.0
"$folder/venv/bin/python" - <<'PY'
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket

TICKS, MS = 960, 20  # 20 ms at 48 kHz, as Opus has them


def received(lost: set[int]) -> tuple[int, int]:
    """How late the last frame is given out (ms), and how many were, of 200 packets of which some are lost."""
    buffer, given = JitterBuffer(capacity=16, prefetch=4), []
    for number in range(200):
        if number in lost:
            continue
        packet = RtpPacket(payload_type=96, sequence_number=number, timestamp=TICKS * number)
        packet._data = bytes([number])
        _, frame = buffer.add(packet)
        if frame is not None:
            given.append((number, frame.data[0]))
    now, last = given[-1]
    return MS * (now - last), len(given)


for lost in (set(), {50}):
    late, frames = received(lost)
    print(f"lost {sorted(lost)}: at the end {late} ms late, {frames} of 200 frames")
    assert (late, frames) == ((80, 196) if not lost else (280, 181))
PY
