#!/usr/bin/env bash
# aiortc sends Opus at 96,000 bit/s, in stereo, whatever the other side asks for: "maxaveragebitrate=16000;stereo=0"
# in the offer (RFC 7587: the receiver's own limits) is repeated in its answer nowhere and changes no packet. A mono
# track of speech takes the same 96 kbit/s. Hurt: whoever sends speech over mobile links: with IP, UDP and RTP it is
# some 115 kbit/s where 32 would do, and a link below that loses packets all the time. What helps is to set
# `codec.bit_rate` and `codec.options` of the sender's encoder by hand.
#
# Seen: aiortc 1.16.0 with av 18.1.0, CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install aiortc==1.16.0 av==18.1.0
"$folder/venv/bin/python" - <<'PY'
import asyncio
import re

import aiortc
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.codecs.opus import OpusEncoder
from aiortc.mediastreams import AudioStreamTrack

SECONDS, WISH = 4, "maxaveragebitrate=16000;stereo=0;sprop-stereo=0"


class Tone(AudioStreamTrack):
    """A mono tone with noise in it, 20 ms a frame."""

    async def recv(self):
        frame = await super().recv()
        plane = frame.planes[0]
        plane.update(bytes((i * i * 7919 + (i % 97) * 31) % 256 for i in range(plane.buffer_size)))
        return frame


async def main():
    ours, theirs = RTCPeerConnection(), RTCPeerConnection()
    theirs.addTransceiver("audio", direction="recvonly")
    ours.addTrack(Tone())
    await theirs.setLocalDescription(await theirs.createOffer())
    number = re.search(r"a=rtpmap:(\d+) opus", theirs.localDescription.sdp)[1]
    offer = theirs.localDescription.sdp.replace(
        f"a=rtpmap:{number} opus/48000/2\r\n", f"a=rtpmap:{number} opus/48000/2\r\na=fmtp:{number} {WISH}\r\n"
    )
    await ours.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await ours.setLocalDescription(await ours.createAnswer())
    await theirs.setRemoteDescription(ours.localDescription)
    await asyncio.sleep(SECONDS)
    (sent,) = [each for each in (await ours.getStats()).values() if each.type == "outbound-rtp"]
    await ours.close()
    await theirs.close()
    return offer, ours.localDescription.sdp, sent


offer, answer, sent = asyncio.run(main())
rate = sent.bytesSent * 8 / (sent.packetsSent * 0.02)
print(f"aiortc {aiortc.__version__}: asked for {WISH!r}, sent {rate / 1000:.0f} kbit/s in {sent.packetsSent} packets;",
      f"the encoder has {OpusEncoder().codec.bit_rate} bit/s, {OpusEncoder().codec.layout.name}")
assert WISH in offer and "maxaveragebitrate" not in answer and rate > 64_000
assert OpusEncoder().codec.bit_rate == 96_000 and OpusEncoder().codec.layout.name == "stereo"
PY
