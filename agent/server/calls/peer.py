"""One WebRTC connection: an offer answered, sound both ways, a channel of texts. The one file with aiortc."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from fractions import Fraction
from typing import Any, cast

import anyio
import numpy as np

from agent.errors import MissingExtra, RequestError
from agent.server.calls.ice import ice_servers
from agent.server.calls.packets import Packet, Packets
from agent.settings import ServerConfig
from agent.transports.playout import BLOCK, RATE
from audio.frame import Samples, silence
from audio.pcm import from_int16, to_int16

CHANNEL = "oai-events"
"""The data channel on which the protocol's events are."""
LONGEST_OFFER, MOST_CANDIDATES, MOST_PARTS = 65_536, 20, 8
NEEDED = ("a=fingerprint:", "a=ice-ufrag:", "a=ice-pwd:")
"""Lines without which nobody can connect."""
STEP = BLOCK / RATE
"""Seconds of a block. aiortc gives all packets of a longer one the same time, so that they are lost."""
LATE = 0.2
"""Seconds by which the clock of what is said may be behind before it begins anew."""
FILLED = 0.5
"""Seconds of lost sound that are made up for by silence; more is the jitter buffer's concern."""
BITRATE = 24_000
"""Bits of Opus a second, both ways, without 20,000 of headers: 50,000 are to be enough for a call."""
LOSS = 10
"""Percents of its packets that an encoder is told will be lost: so much of each is repeated in the next one,
from which browsers make up for one that is lost (RFC 6716, 2.1.7)."""
UNREAD = 1000
"""Events of the client that may wait."""
BACKED_UP = 32_768
"""Bytes on their way to a client after which it is waited for."""
LOOK = 0.02
"""Seconds between two looks at them."""


WRONG = (ValueError, LookupError, AssertionError, AttributeError, TypeError)
"""What aiortc raises for an offer that says what it does not expect."""


class Gone(Exception):
    """The other side has gone."""


class OutgoingAudio:
    """What is to be said: a block of 20 ms whenever one is due, of silence where there is nothing."""

    def __init__(self) -> None:
        self._waiting: deque[Samples] = deque()
        self._due: float | None = None
        self._empty = anyio.Event()

    def put(self, samples: Samples) -> None:
        """One block more, float32 (480,) at 24 kHz."""
        self._waiting.append(samples)
        self._empty = anyio.Event()

    def clear(self) -> None:
        """Say nothing of what waits."""
        self._waiting.clear()
        self._empty.set()

    async def said(self) -> None:
        """Wait until nothing waits to be said."""
        if self._waiting:
            await self._empty.wait()

    async def next(self) -> Samples:
        """The next block, once it is due."""
        now = anyio.current_time()
        self._due = now if self._due is None or self._due < now - LATE else self._due + STEP
        await anyio.sleep(max(0.0, self._due - now))
        if not self._waiting:
            return silence(STEP, RATE)
        block = self._waiting.popleft()
        if not self._waiting:
            self._empty.set()
        return block


class Peer:
    """The connection. `outgoing`: what the client hears."""

    def __init__(self, connection: Any, limits: ServerConfig) -> None:
        self._connection, self._limits = connection, limits
        self.outgoing = OutgoingAudio()
        self._track: Any = None
        self._channel: Any = None
        self.opened, self.gone = anyio.Event(), anyio.Event()
        """Set when the channel is open or never will be, and when the other side is not there any more."""
        self._put, self._texts = anyio.create_memory_object_stream[str | bytes](UNREAD)
        connection.on("datachannel", self._meet)
        connection.on("connectionstatechange", self._look)

    def _meet(self, channel: Any) -> None:
        if channel.label == CHANNEL and self._channel is None:
            self._channel = channel
            channel.on("message", self._take)
            channel.on("close", self.leave)
            self.opened.set()

    def _look(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self.leave()

    def leave(self) -> None:
        """There is nobody any more."""
        self.gone.set()
        self.opened.set()
        self._put.close()

    def _take(self, text: str | bytes) -> None:
        try:
            if len(text) > self._limits.message:
                self.leave()
            else:
                self._put.send_nowait(text)
        except anyio.WouldBlock:  # who sends faster than it is read is not waited for: nothing holds it back
            self.leave()
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass  # it came behind the end

    async def answer(self, offer: str) -> str:
        """The answer to an offer (SDP), which declines all but the first sound in it and the channel.

        Raises RequestError for what is none.
        """
        import aiortc
        from aiortc.exceptions import InvalidAccessError, InvalidStateError, OperationError

        try:
            await self._connection.setRemoteDescription(
                aiortc.RTCSessionDescription(_checked(offer), "offer")
            )
            heard, *declined = sorted(self._connection.getTransceivers(), key=lambda it: it.kind != "audio")
            self._track = heard.receiver.track
            _unheld(heard.receiver, self._full)
            sender = self._connection.addTrack(_track(self.outgoing))
            _narrow(heard, sender)
            for each in declined:
                each.direction = "inactive"
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except (*WRONG, InvalidAccessError, InvalidStateError, OperationError) as error:
            raise RequestError(f"the offer cannot be answered: {str(error)[:100]}", param="sdp") from error
        return str(self._connection.localDescription.sdp)

    def _full(self) -> bool:
        return self._track is not None and self._track._queue.qsize() * STEP > self._limits.max_buffer

    async def texts(self) -> AsyncIterator[str | bytes]:
        """What the client writes, until it goes."""
        async for text in self._texts:
            yield text

    async def write(self, text: str) -> None:
        """Send a text; waits while much is on its way. Raises Gone."""
        while not self.gone.is_set() and self._channel.bufferedAmount > BACKED_UP:
            await anyio.sleep(LOOK)
        if self.gone.is_set() or self._channel.readyState != "open":
            raise Gone
        self._channel.send(text)

    async def sound(self) -> AsyncIterator[tuple[Samples, int]]:
        """What the client says, mono, and its rate (Hz); where packets were lost there is silence."""
        from aiortc.mediastreams import MediaStreamError

        expected: int | None = None
        while self._track is not None:  # a client that only listens has none
            try:
                frame = await self._track.recv()
            except MediaStreamError:
                return
            values = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
            samples: Samples = from_int16(values).mean(axis=1, dtype=np.float32)
            lost = 0 if expected is None else frame.pts - expected
            if 0 < lost <= FILLED * frame.sample_rate:
                samples = np.concatenate([np.zeros(lost, np.float32), samples])
            expected = frame.pts + frame.samples
            yield samples, frame.sample_rate


@asynccontextmanager
async def connected(limits: ServerConfig) -> AsyncGenerator[Peer]:
    """A new connection, closed at the end of the block. Raises RequestError where aiortc is missing.

    No server is asked for an address but `server.ice_servers`: aiortc by itself would ask one of Google's.
    """
    try:
        import aiortc
    except ImportError as error:
        missing = MissingExtra("WebRTC's library is missing", "webrtc")
        raise RequestError(str(missing), 501, "webrtc_missing") from error
    servers = [aiortc.RTCIceServer(**each) for each in ice_servers(limits)]
    connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=servers))
    peer = Peer(connection, limits)
    try:
        yield peer
    finally:
        peer.leave()
        with anyio.CancelScope(shield=True), anyio.move_on_after(limits.client_timeout), suppress(*WRONG):
            await connection.close()  # one whose offer was wrong may be half made, which it stumbles over


def _checked(offer: str) -> str:
    """An offer that is one. Raises RequestError.

    Names of the client's own network (`.local`) are left out: to look them up the network would be asked. And
    it is never taken for complete, since browsers send it before they know their addresses.
    """
    if len(offer) > LONGEST_OFFER:
        raise RequestError(f"sdp: more than {LONGEST_OFFER} characters", 413, "too_large", param="sdp")
    lines = offer.splitlines()
    kinds = sorted(line[2:].partition(" ")[0] for line in lines if line.startswith("m="))
    if len(kinds) > MOST_PARTS:
        raise RequestError(f"sdp: more than {MOST_PARTS} media", 413, "too_large", param="sdp")
    if (
        "audio" not in kinds
        or kinds.count("application") != 1
        or {*kinds} - {"application", "audio", "video"}
    ):
        raise RequestError(
            f"sdp: audio and one data channel ({CHANNEL!r}) are spoken here; this has "
            f"{', '.join(kinds)[:80] or 'nothing'}",
            param="sdp",
        )
    if missing := [each for each in NEEDED if not any(line.startswith(each) for line in lines)]:
        raise RequestError(f"sdp: no line {missing[0]}", param="sdp")
    named = [line.removeprefix("a=mid:").strip() for line in lines if line.startswith("a=mid:")]
    bundles = [line.split()[1:] for line in lines if line.startswith("a=group:BUNDLE ")]
    if [sorted(each) for each in bundles] != [sorted(named)] or len(set(named)) != len(kinds):
        raise RequestError("sdp: all are to be in one bundle (a=group:BUNDLE)", param="sdp")
    candidates = [line for line in lines if line.startswith("a=candidate:")]
    dropped = {line for line in candidates if ".local " in line} | {"a=end-of-candidates"}
    if len(candidates) > MOST_CANDIDATES:
        raise RequestError(f"sdp: more than {MOST_CANDIDATES} candidates", 413, "too_large", param="sdp")
    return "\r\n".join([*(line for line in lines if line not in dropped), ""])


def _track(outgoing: OutgoingAudio) -> Any:
    """What is said, as aiortc reads it."""
    from aiortc import MediaStreamTrack
    from av import AudioFrame

    base: Any = MediaStreamTrack

    class Track(base):
        """It is asked for the next frame as soon as it has given one."""

        kind = "audio"
        given = 0

        async def recv(self) -> Any:
            """20 ms, when they are due."""
            samples = await outgoing.next()
            frame: Any = AudioFrame.from_ndarray(to_int16(samples)[np.newaxis], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, self.given, Fraction(1, RATE)
            self.given += len(samples)
            return frame

    return Track()


def _narrow(transceiver: Any, sender: Any) -> None:
    """Have speech take `BITRATE`, ours and the client's: aiortc takes 96,000, and has no setting for that."""
    from aiortc.codecs.opus import OpusEncoder

    opus = [codec for codec in transceiver._codecs if codec.mimeType.lower() == "audio/opus"]
    for codec in opus:
        codec.parameters = {"minptime": 10, "useinbandfec": 1, "maxaveragebitrate": BITRATE}
    if opus[:1] == transceiver._codecs[:1]:
        encoder: Any = OpusEncoder()
        encoder.codec.bit_rate = BITRATE
        encoder.codec.options = {"application": "voip", "fec": "1", "packet_loss": str(LOSS)}
        sender._RTCRtpSender__encoder = encoder


def _unheld(receiver: Any, full: Callable[[], bool]) -> None:
    """Have a receiver decode each packet at once: aiortc has no setting for that."""
    from aiortc.jitterbuffer import JitterFrame

    inner = "_RTCRtpReceiver__"
    codecs, queue = getattr(receiver, f"{inner}codecs"), getattr(receiver, f"{inner}decoder_queue")
    times = getattr(receiver, f"{inner}timestamp_mapper")

    def decode(packet: Packet) -> None:
        got = cast(Any, packet)
        if not full():
            frame = JitterFrame(data=got._data, timestamp=times.map(got.timestamp))
            queue.put((codecs[got.payload_type], frame))

    setattr(receiver, f"{inner}jitter_buffer", Packets(decode))
