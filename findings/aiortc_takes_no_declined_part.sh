#!/usr/bin/env bash
# aiortc cannot take an answer that declines a part of its offer. RFC 3264 (6) declines one by the port 0, and nothing
# else of it need be there (RFC 9429, 5.3.1: no ICE credentials, no fingerprint); browsers do so. aiortc as the one
# who offers raises "ICE username fragment or password is missing", and the whole call is lost, sound and data too.
# Hurt: servers that take sound and decline a camera. Answer such a part as inactive, with the credentials in it.
#
# Seen: aiortc 1.16.0: refused with the port 0; the same answer with the part whole and inactive is taken.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install aiortc==1.16.0
"$folder/venv/bin/python" - <<'PY'
import asyncio
import re

import aiortc


async def answered(decline) -> str:
    """What becomes of an offer of sound and video whose video is declined so."""
    ours, theirs = (aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[])) for _ in range(2))
    for kind in ("audio", "video"):
        ours.addTransceiver(kind)
    await ours.setLocalDescription(await ours.createOffer())
    await theirs.setRemoteDescription(ours.localDescription)
    theirs.getTransceivers()[1].direction = "inactive"
    await theirs.setLocalDescription(await theirs.createAnswer())
    sdp = decline(theirs.localDescription.sdp)
    try:
        await ours.setRemoteDescription(aiortc.RTCSessionDescription(sdp, "answer"))
        return ours.getTransceivers()[1].currentDirection
    except ValueError as error:
        return f"ValueError: {error}"
    finally:
        await ours.close()
        await theirs.close()


def by_port(sdp: str) -> str:
    """The part as RFC 3264 declines it."""
    head, video = sdp.split("m=video", 1)
    mid = re.search(r"a=mid:\S+", video)[0]
    head = re.sub(r"(a=group:BUNDLE \S+).*", r"\1", head)
    kind = video.split("\r\n", 1)[0].split(" ", 2)[2]
    return f"{head}m=video 0 {kind}\r\nc=IN IP4 0.0.0.0\r\n{mid}\r\na=inactive\r\n"


async def main() -> None:
    whole, declined = await answered(lambda sdp: sdp), await answered(by_port)
    print(f"aiortc {aiortc.__version__} | inactive: {whole} | port 0: {declined}")
    assert whole == "inactive"
    assert declined == "ValueError: ICE username fragment or password is missing"


asyncio.run(main())
PY
