"""The words in a whole sound, piece by piece and in memory that its length does not change. Knows no wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from agent.errors import AudioFileError, AudioTooLong, MissingExtra, RequestError
from agent.runner import Runner
from agent.settings import Config, STTConfig
from agent.text.cleaning import cleaned
from agent.transports.disclosure import said
from agent.transports.slot import SessionSlot
from audio.files import stream_bytes
from audio.frame import HEARING_RATE, Frame, Samples, silence
from audio.resampler import Resampler
from audio.stt import DetectsLanguage, Transcriber, Transcript, behind, likeliest, scored, strung
from audio.stt.shortwindow import Cutter

STEP = 1 << 20
"""Samples of an utterance that are resampled at a time."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a sound from `start` to `end` (s), and what was said in it."""

    start: float
    end: float
    said: Transcript

    @property
    def text(self) -> str:
        """Its words."""
        return cleaned(self.said.text)


Hear: TypeAlias = Callable[[Segment], Awaitable[None]]
Understand: TypeAlias = Callable[[Frame], Transcript]


async def _nobody(segment: Segment) -> None:
    """Nobody waits for single stretches."""


def together(heard: Sequence[Segment]) -> str:
    """The words of all of them."""
    return cleaned(" ".join(filter(None, (segment.said.text for segment in heard))))


def as_one(heard: Sequence[Segment]) -> Transcript:
    """The same, in the language that most of them are in."""
    known = [segment.said.language for segment in heard if segment.said.language]
    return Transcript(
        together(heard),
        language=max(known, key=known.count, default=""),
        tokens=strung(segment.said.tokens for segment in heard),
    )


async def words(slot: SessionSlot, config: Config, data: bytes) -> Transcript:
    """The words in a sound file. Raises RequestError, EngineFault."""
    return as_one(await segments(slot, config, data))


async def segments(
    slot: SessionSlot, config: Config, data: bytes, hear: Hear = _nobody, understand: Understand | None = None
) -> list[Segment]:
    """The stretches of a sound file; `hear` gets each at once. Raises RequestError, EngineFault.

    understand: what is done with each, instead of having the slot's transcriber transcribe it.
    """
    longest = config.server.max_audio
    try:
        return await transcribed(
            slot,
            slot.runner(background=True),
            config,
            lambda: stream_bytes(data, "the sound", HEARING_RATE, longest),
            hear,
            understand,
        )
    except AudioTooLong as error:
        raise RequestError(f"{error} (server.max_audio)", 413, "too_large") from error
    except AudioFileError as error:
        raise RequestError(str(error)) from error  # the file is the client's own, and has no name here
    except MissingExtra as error:
        raise RequestError("this kind of sound cannot be read here; send a WAV or FLAC file") from error


async def spoken(slot: SessionSlot, runner: Runner, config: Config, audio: Frame) -> Transcript:
    """The words in a whole utterance. Raises EngineFault."""
    return as_one(await transcribed(slot, runner, config, lambda: _blocks(audio)))


async def transcribed(
    slot: SessionSlot,
    runner: Runner,
    config: Config,
    blocks: Callable[[], Iterator[Samples]],
    hear: Hear = _nobody,
    understand: Understand | None = None,
) -> list[Segment]:
    """What is said in 16 kHz blocks, which are made in a worker. Raises EngineFault, and what they raise.

    A long sound is decoded step by step and understood piece by piece: between two of them it is others'
    turn, and only so much of it is decoded as is being understood.
    """
    listen, limit = understand or heard_in(slot.engines.stt, config.stt), config.limits.stt

    async def transcribe(audio: Frame) -> Transcript:
        return await runner.call("stt", lambda: listen(audio), limit)

    understanding = Understanding(transcribe, hear)
    async with runner.stream("decoder", blocks, limit, limit) as source:
        async for block in source:
            await understanding.feed(block)
    return await understanding.finish()


class Understanding:
    """A sound of any length, understood while it comes: each piece as soon as it is certain where it ends.

    transcribe: gives the words in one piece (16 kHz). hear: is told of each at once.
    """

    def __init__(self, transcribe: Callable[[Frame], Awaitable[Transcript]], hear: Hear = _nobody) -> None:
        self._transcribe, self._hear = transcribe, hear
        self._cutter, self._heard = Cutter(), list[Segment]()
        self._waiting, self._count = list[Samples](), 0

    async def feed(self, block: Samples) -> None:
        """Take the next samples (n,), at 16 kHz. Raises what `transcribe` and `hear` raise."""
        self._waiting.append(block)
        self._count += len(block)
        if self._count >= HEARING_RATE:  # each look at them copies all that is held
            await self._cut()

    async def finish(self) -> list[Segment]:
        """All stretches of it, when no more comes. Raises as `feed` does."""
        await self._cut()
        await self._understand(self._cutter.rest())
        return self._heard

    async def _cut(self) -> None:
        block = np.concatenate([*self._waiting, silence(0.0, HEARING_RATE)])
        self._waiting, self._count = [], 0
        for piece in self._cutter.feed(block):
            await self._understand(piece)

    async def _understand(self, piece: Samples) -> None:
        audio = Frame(piece, HEARING_RATE)
        transcript = await self._transcribe(audio)
        said(transcript.text)
        start = self._heard[-1].end if self._heard else 0.0
        self._heard.append(Segment(start, start + audio.duration, transcript))
        await self._hear(self._heard[-1])


def heard_in(stt: Transcriber, settings: STTConfig) -> Callable[[Frame], Transcript]:
    """What transcribes sound behind the words of these settings, and in their language, if the engine was not
    loaded for one alone.
    """
    stt, language = scored(behind(stt, settings.prompt), settings.scores), settings.language
    if language == "auto" or not isinstance(stt, DetectsLanguage) or not stt.detects:
        return stt.transcribe

    def choose(likely: Mapping[str, float]) -> str:
        return language if language in likely else likeliest(likely)

    return lambda audio: stt.transcribe_in(audio, choose)


def _blocks(audio: Frame) -> Iterator[Samples]:
    """An utterance at the rate that is heard."""
    resampler = Resampler(audio.rate, HEARING_RATE)
    for start in range(0, len(audio.samples), STEP):
        yield resampler.feed(audio.samples[start : start + STEP])
    yield resampler.finish()
