"""A satellite of the Wyoming protocol: streams its microphone, plays what it is sent, says when it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import anyio
import numpy as np
from wyoming.audio import AudioChunk
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.snd import Played

from audio.frame import Samples
from audio.pcm import from_pcm16, pcm16
from audio.resampler import PromptResampler

RATE, BLOCK = 16_000, 320
"""Hz of its microphone, and samples of one chunk: 20 ms."""
PIPELINE = {"start_stage": "wake", "end_stage": "tts", "restart_on_end": True}


@dataclass
class Satellite:
    """One connection. Sound is played at its pace from the moment that it comes, `late` seconds behind.

    echo: how loud its speaker is in its microphone, heard `late` seconds after the sound has come.
    """

    client: AsyncTcpClient
    late: float = 0.0
    echo: float = 0.0
    told: list[Event] = field(default_factory=list)
    played: list[Samples] = field(default_factory=list)
    """What the room has heard, 20 ms at 16 kHz each; silence too."""
    drained: int = 0
    """How many replies it has played to the last sample that came of them."""
    over: bool = False
    """Whether the server has gone."""
    _waiting: list[Samples | None] = field(default_factory=list)
    _speech: list[Samples] = field(default_factory=list)
    _due: float = 0.0

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The data of what it was told, of one kind."""
        return [event.data for event in self.told if event.type == kind]

    @property
    def heard(self) -> float:
        """Seconds of speech that the room has heard."""
        return sum(float(np.abs(block).max() > 0) for block in self.played) * BLOCK / RATE

    async def begin(self, **more: Any) -> None:
        await self.client.write_event(Event("run-pipeline", {**PIPELINE, **more}))

    async def say(self, samples: Samples) -> None:
        """Somebody says this in the room (16 kHz), beginning now; waits for its end."""
        blocks = [samples[at : at + BLOCK] for at in range(0, len(samples), BLOCK)]
        self._speech += [np.pad(block, (0, BLOCK - len(block))) for block in blocks]
        while self._speech:
            await anyio.sleep(0.01)

    async def read(self) -> None:
        """Take in what the server says, until it goes."""
        resampler: PromptResampler | None = None
        while (event := await self.client.read_event()) is not None:
            self.told.append(event)
            if event.type == "audio-start":
                resampler, rest = PromptResampler(event.data["rate"], RATE), np.zeros(0, np.float32)
                if not self._waiting:
                    self._due = anyio.current_time() + self.late
            elif event.type == "audio-chunk" and resampler is not None:
                sound = from_pcm16(AudioChunk.from_event(event).audio)[:: event.data["channels"]]
                rest = np.concatenate([rest, resampler.feed(sound)])
                whole = len(rest) - len(rest) % BLOCK
                self._waiting += list(rest[:whole].reshape(-1, BLOCK))
                rest = rest[whole:]
            elif event.type == "audio-stop":
                self._waiting.append(None)
        self.over = True

    async def run(self) -> None:
        """The room: each 20 ms something is played, and heard by the microphone, for ever."""
        due = anyio.current_time()
        while not self.over:
            block = np.zeros(BLOCK, np.float32)
            if self._waiting and due >= self._due:
                if (first := self._waiting.pop(0)) is None:
                    self.drained += 1
                    await self.client.write_event(Played().event())
                else:
                    block = first
            self.played.append(block)
            heard = self.echo * block + (self._speech.pop(0) if self._speech else 0.0)
            chunk = AudioChunk(RATE, 2, 1, pcm16(np.asarray(heard, np.float32)))
            await self.client.write_event(chunk.event())
            due += BLOCK / RATE
            await anyio.sleep(max(0.0, due - anyio.current_time()))
