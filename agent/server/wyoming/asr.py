"""`transcribe`: sound in while it is spoken, its words out, each stretch as soon as it is understood."""

from __future__ import annotations

import anyio
import numpy as np

from agent.errors import RequestError
from agent.server.pool import Pool
from agent.server.wyoming import requests
from agent.server.wyoming.caller import Caller
from agent.server.wyoming.library import domain
from agent.server.wyoming.wire import Received
from agent.transports.transcription import Segment, Understanding, together
from audio.frame import HEARING_RATE, Frame, Samples
from audio.resampler import Resampler
from audio.stt import Transcript


async def transcribe(caller: Caller, first: Received) -> None:
    """Sound, up to `audio-stop`. Raises RequestError, Busy, EngineFault.

    A place at the engines is taken for each stretch that is understood, so that who speaks slowly keeps none.
    """
    pool, types = caller.reception.pool, domain("asr")
    if first.type == "transcribe":
        asked = requests.read(requests.Transcribe, first)
        pool.check("stt", asked.name)
        check_language(pool, asked.language)
    pool.expect_shared_slot()
    told = list[str]()

    async def hear(segment: Segment) -> None:
        if segment.text:
            chunk = f" {segment.text}" if told else segment.text
            start = () if told else (types.TranscriptStart(),)
            told.append(segment.text)
            await caller.send(*start, types.TranscriptChunk(chunk))

    async def understood(audio: Frame) -> Transcript:
        with pool.shared_slot() as slot:
            stt, runner = slot.engines.stt, slot.runner(background=True)
            return await runner.call("stt", lambda: stt.transcribe(audio), pool.config.limits.stt)

    understanding = Understanding(understood, hear)
    if not await _listen(caller, understanding):
        return
    caller.whole()
    heard = await understanding.finish()
    start = () if told else (types.TranscriptStart(),)
    await caller.send(*start, types.Transcript(together(heard)), types.TranscriptStop())


async def _listen(caller: Caller, understanding: Understanding) -> bool:
    """Take in what is said; whether it came to its end. Raises RequestError."""
    limits = caller.reception.pool.config.server
    sound, began = Sound(limits.max_audio), anyio.current_time()
    while (event := await caller.next(limits.client_timeout)) is not None:
        if anyio.current_time() - began > limits.longest:
            text = f"nothing may be said for longer than {limits.longest:g} s at once (server.longest)"
            raise RequestError(text, 408, "timeout")
        if event.type == "audio-chunk":
            await understanding.feed(sound.feed(*requests.samples(event)))
        elif event.type == "audio-stop":
            await understanding.feed(sound.finish())
            return True
    return False


class Sound:
    """What comes in as 16 kHz, however its rate changes. longest: seconds of it."""

    def __init__(self, longest: float) -> None:
        self._longest, self._seconds = longest, 0.0
        self._resampler = Resampler(HEARING_RATE, HEARING_RATE)

    def feed(self, samples: Samples, rate: int) -> Samples:
        """What is ready of it with these, (n,) at `rate` Hz. Raises RequestError for too much."""
        self._seconds += len(samples) / rate
        if self._seconds > self._longest:
            text = f"more than {self._longest:g} s of sound (server.max_audio)"
            raise RequestError(text, 413, "too_large")
        if self._resampler.source == rate:
            return self._resampler.feed(samples)
        rest, self._resampler = self._resampler.finish(), Resampler(rate, HEARING_RATE)
        return np.concatenate([rest, self._resampler.feed(samples)])

    def finish(self) -> Samples:
        """The rest."""
        return self._resampler.finish()


def check_language(pool: Pool, name: str | None) -> None:
    """Raise RequestError for a language that is not understood; where it is found out, any may be named.

    Home Assistant always names one: that of the pipeline.
    """
    if pool.config.stt.language != "auto":
        pool.hearing(name)
