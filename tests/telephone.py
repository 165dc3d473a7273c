"""Twilio's side of a Media Stream: sends the caller's sound, plays what it is sent, and keeps a recording."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from audio.frame import Samples
from audio.g711 import MU_LAW
from audio.pcm import from_pcm16
from audio.resampler import PromptResampler

RATE, FRAME = 8000, 160
SILENCE = MU_LAW.encode(np.zeros(FRAME, np.float32))
FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": RATE, "channels": 1}


def from_24k(sound: bytes) -> Samples:
    """16 bit at 24 kHz as the telephone has it."""
    return PromptResampler(24_000, RATE).feed(from_pcm16(sound))


@dataclass
class Twilio:
    """One call. Sound is played at its pace from the moment that it comes, as a telephone does.

    late: seconds that a message takes to Twilio, and its marks back.
    """

    socket: ClientConnection
    late: float = 0.0
    recording: list[dict] = field(default_factory=list)
    """What Twilio sent, as it is replayed."""
    told: list[dict] = field(default_factory=list)
    marks: list[tuple[str, bool]] = field(default_factory=list)
    """Marks that it sent back, and whether because their sound was played."""
    played: list[bytes] = field(default_factory=list)
    """Sound that the caller heard."""
    _waiting: list[bytes | str] = field(default_factory=list)
    _number: int = 0

    async def send(self, event: str, **fields: object) -> None:
        self._number += 1
        message = {"event": event, "sequenceNumber": str(self._number), "streamSid": "MZ1", **fields}
        self.recording.append(message)
        await self.socket.send(json.dumps(message))

    async def begin(self, **parameters: str) -> None:
        await self.socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        start = {"accountSid": "AC1", "callSid": "CA1", "streamSid": "MZ1", "tracks": ["inbound"]}
        await self.send("start", start={**start, "mediaFormat": FORMAT, "customParameters": parameters})

    async def sound(self, data: bytes) -> None:
        """20 ms of what the caller says, in mu-law."""
        chunk = {"track": "inbound", "chunk": str(self._number), "timestamp": "0"}
        await self.send("media", media={**chunk, "payload": base64.b64encode(data).decode()})

    async def say(self, samples: Samples) -> None:
        """At the pace of a telephone."""
        data, due = MU_LAW.encode(samples), anyio.current_time()
        for start in range(0, len(data), FRAME):
            await self.sound(data[start : start + FRAME])
            due += 0.02
            await anyio.sleep_until(due)

    async def read(self) -> None:
        """Take in what the agent sends, until it hangs up."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._play)
            self._tasks = tasks
            with suppress(ConnectionClosed):
                async for raw in self.socket:
                    message = json.loads(raw)
                    self.told.append(message)
                    tasks.start_soon(self._take, message)
            tasks.cancel_scope.cancel()

    async def _take(self, message: dict) -> None:
        await anyio.sleep(self.late)
        match message["event"]:
            case "media":
                data = base64.b64decode(message["media"]["payload"])
                self._waiting += [data[at : at + 8] for at in range(0, len(data), 8)]
            case "mark":
                self._waiting.append(message["mark"]["name"])
            case "clear":
                names = [each for each in self._waiting if isinstance(each, str)]
                self._waiting.clear()
                for name in names:
                    self._tasks.start_soon(self._back, name, False)

    async def _play(self) -> None:
        due = anyio.current_time()
        while True:
            while self._waiting:
                if isinstance(first := self._waiting.pop(0), str):
                    self._tasks.start_soon(self._back, first, True)
                    continue
                self.played.append(first)
                due += len(first) / RATE
                if due > anyio.current_time():
                    await anyio.sleep_until(due)
            await anyio.sleep(0.005)
            due = max(due, anyio.current_time())

    async def _back(self, name: str, played: bool) -> None:
        self.marks.append((name, played))
        await anyio.sleep(self.late)
        with suppress(ConnectionClosed):
            await self.send("mark", mark={"name": name})

    def of(self, event: str) -> list[dict]:
        return [message for message in self.told if message["event"] == event]
