"""The other side of a WebRTC call, by aiortc: says what a test wants, keeps what it hears and is told."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import deque
from collections.abc import Callable, Coroutine
from fractions import Fraction

import aiortc
import anyio
import httpx
import numpy as np
import serving
from aiortc.codecs.opus import OpusEncoder
from av import AudioFrame

RATE, FRAME = 48_000, 960


class Microphone(aiortc.MediaStreamTrack):
    """Silence, or what is put into it, 20 ms at a time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.waiting: deque[np.ndarray] = deque()
        self.given = 0
        self.began: float | None = None

    def say(self, samples: np.ndarray) -> None:
        """float32 at 48 kHz."""
        values = np.round(samples * 32767).astype(np.int16)
        self.waiting.extend(values[at : at + FRAME] for at in range(0, len(values) - FRAME + 1, FRAME))

    async def recv(self) -> AudioFrame:
        loop = asyncio.get_running_loop()
        self.began = loop.time() if self.began is None else self.began
        await asyncio.sleep(max(0.0, self.began + self.given / RATE - loop.time()))
        values = self.waiting.popleft() if self.waiting else np.zeros(FRAME, np.int16)
        frame = AudioFrame.from_ndarray(values[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.given, Fraction(1, RATE)
        self.given += FRAME
        return frame


class Client:
    """One call. more: whether it offers a camera before its microphone, and another microphone behind it."""

    def __init__(self, loss: float = 0.0, *, more: bool = False) -> None:
        self._loss, self._draw = loss, random.Random(1)
        self.connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        self.microphone = Microphone()
        if more:
            self.connection.addTransceiver("video")
        self._sender = self.connection.addTrack(self.microphone)
        if more:
            self.connection.addTransceiver("audio")
        self.channel = self.connection.createDataChannel("oai-events")
        self.told: list[dict] = []
        self.heard: list[np.ndarray] = []
        """What came, 48 kHz mono."""
        self.channel.on("message", lambda text: self.told.append(json.loads(text)))
        self.connection.on("track", self._listen)

    def _listen(self, track: aiortc.MediaStreamTrack) -> None:
        async def listen() -> None:
            while True:
                try:
                    frame = await track.recv()
                except aiortc.mediastreams.MediaStreamError:
                    return
                self.heard.append(frame.to_ndarray().reshape(-1, 2)[:, 0].astype(np.float32) / 32768)

        self._task = asyncio.ensure_future(listen())

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def accept(self, answer: str) -> None:
        """Take the answer; from here on a share of the packets that are sent is lost."""
        if self._loss:
            self._sender.transport._send_rtp = self._lossy(self._sender.transport._send_rtp)
        if (most := re.search(r"maxaveragebitrate=(\d+)", answer)) is not None:  # aiortc takes no notice
            encoder = OpusEncoder()
            encoder.codec.bit_rate = int(most[1])
            self._sender._RTCRtpSender__encoder = encoder
        await self.connection.setRemoteDescription(aiortc.RTCSessionDescription(answer, "answer"))

    def _lossy(self, carry: Callable[..., Coroutine]) -> Callable[..., Coroutine]:
        async def carried(packet: bytes) -> None:
            if self._draw.random() >= self._loss:
                await carry(packet)

        return carried

    def send(self, kind: str, **fields: object) -> None:
        self.channel.send(json.dumps({"type": kind, **fields}))

    def of(self, kind: str) -> list[dict]:
        return [event for event in self.told if event["type"] == kind]

    async def until(self, kind: str, count: int = 1) -> dict:
        while len(self.of(kind)) < count:
            await anyio.sleep(0.01)
        return self.of(kind)[count - 1]


def tone(seconds: float, hertz: float = 500.0) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def called(
    pool: serving.Scripted,
    main: Callable[[Client], Coroutine],
    loss: float = 0.0,
    *,
    more: bool = False,
) -> Client:
    """Hold a call; a deadlock fails, and so does a slot that is not given back."""
    found: list[Client] = []

    async def inside() -> None:
        with anyio.fail_after(30):
            async with serving.running(pool) as address, httpx.AsyncClient(base_url=address) as http:
                found.append(client := Client(loss, more=more))
                reply = await http.post(
                    "/v1/realtime/calls",
                    content=await client.offer(),
                    headers={"content-type": "application/sdp"},
                )
                assert reply.status_code == 201, reply.text
                assert reply.headers["location"].startswith("/v1/realtime/calls/rtc_")
                assert reply.headers["content-type"] == "application/sdp"
                await client.accept(reply.text)
                await main(client)
                await client.connection.close()
                while not pool.idle:
                    await anyio.sleep(0.01)

    anyio.run(inside, backend="asyncio")
    return found[0]
