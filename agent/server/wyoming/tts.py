"""`synthesize`: text in, also while it is still written, and its speech out while it is made."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial

import anyio
from anyio.streams.memory import MemoryObjectSendStream as Send

from agent.conversation.speak import PART, unspeakable
from agent.conversation.voices import Voices
from agent.errors import RequestError
from agent.languages import code
from agent.server.http.speech import as_it_plays, say
from agent.server.pool import Pool
from agent.server.telemetry.log import GONE
from agent.server.wyoming import requests
from agent.server.wyoming.caller import Caller
from agent.server.wyoming.library import domain
from agent.server.wyoming.wire import Received
from agent.text.chunker import Chunker, TextChunk
from agent.text.cleaning import Cleaner
from agent.text.spoken_form import TextNormalizer
from agent.transports.disclosure import Writing
from audio.pcm import pcm16
from audio.tts import Speech

BLOCK = 2048
"""Samples of one `audio-chunk`: small satellites have little room."""


async def synthesize(caller: Caller, first: Received) -> None:
    """`synthesize`: one text that is there as a whole. Raises RequestError, Busy, EngineFault."""
    pool = caller.reception.pool
    asked = requests.read(requests.Synthesize, first)
    name = _chosen(pool, asked)
    caller.whole()
    with pool.shared_slot() as slot:
        voice = Voices(slot.engines.tts).of(name=name)
        async with say(slot, pool.config, asked.text, voice) as parts:
            await _send(caller, parts)


async def synthesize_stream(caller: Caller, first: Received) -> None:
    """`synthesize-start`: a text that is still written, up to `synthesize-stop`, said as it comes.

    Raises RequestError, Busy, EngineFault.
    """
    pool = caller.reception.pool
    name = _chosen(pool, requests.read(requests.SynthesizeStart, first))
    pool.expect_shared_slot()
    # As many as like: together they have no more characters than a request may.
    send, texts = anyio.create_memory_object_stream[str](math.inf)
    async with anyio.create_task_group() as tasks, texts:
        tasks.start_soon(_collect, caller, send)
        async with (
            aclosing(_Reading(pool, name).speech(texts)) as spoken,
            aclosing(as_it_plays(spoken, pool.config.server)) as parts,
        ):
            await _send(caller, parts)
    await caller.send(domain("tts").SynthesizeStopped())


async def _collect(caller: Caller, send: Send[str]) -> None:
    """Take in the text as it comes. Raises RequestError."""
    limits, count = caller.reception.pool.config.server, 0
    async with send:
        while (event := await caller.next(limits.client_timeout)) is not None:
            if event.type == "synthesize-stop":
                caller.whole()
                return
            if event.type != "synthesize-chunk":  # `synthesize` has the text once more, for older servers
                continue
            text = requests.read(requests.SynthesizeChunk, event).text
            count += len(text)
            if count > limits.characters:
                told = f"{count} characters are more than {limits.characters} (server.characters); send less"
                raise RequestError(told, 413, "too_large", param="text")
            if text:
                send.send_nowait(text)
    raise RequestError("the client has gone", GONE, "gone")


class _Reading:
    """One text that is read aloud while it is written. voice: the name of the one that reads."""

    def __init__(self, pool: Pool, voice: str) -> None:
        self._pool, self._voice = pool, voice
        self._text = ""
        self._began: float | None = None
        self._seconds = 0.0

    async def speech(self, texts: AsyncIterator[str]) -> AsyncGenerator[Speech]:
        """The parts of its speech, each as soon as it is made. Raises RequestError, Busy, EngineFault.

        A place at the voice is taken for each chunk of the text: who writes slowly keeps none.
        """
        normalizer, limit = TextNormalizer(self._pool.voices[self._voice]), self._pool.config.limits.speech
        async with aclosing(self._chunks(texts)) as chunks:
            async for chunk in chunks:
                spoken = normalizer.say(chunk.text).text
                with self._pool.shared_slot() as slot:
                    begin = partial(Voices(slot.engines.tts).of(name=self._voice).stream, spoken)
                    runner = slot.runner(background=True)
                    async with runner.stream("tts", begin, limit, limit) as parts:
                        async for part in parts:
                            self._began = anyio.current_time() if self._began is None else self._began
                            self._seconds += part.duration
                            yield part
        if self._began is None and self._text.strip():
            raise unspeakable(self._text)

    async def _chunks(self, texts: AsyncIterator[str]) -> AsyncGenerator[TextChunk]:
        language = self._pool.voices[self._voice]
        cleaner, chunker, written = Cleaner(), Chunker(language=language), Writing()
        async for text in texts:
            written.add(text)
            self._text += text
            for start in range(0, len(text), PART):
                for chunk in chunker.feed(cleaner.feed(text[start : start + PART]), self._ahead):
                    yield chunk
        for chunk in [*chunker.feed(cleaner.rest(), self._ahead), *chunker.flush()]:
            yield chunk

    @property
    def _ahead(self) -> float:
        """Seconds of speech that are made and cannot have been heard yet."""
        return 0.0 if self._began is None else self._began + self._seconds - anyio.current_time()


async def _send(caller: Caller, parts: AsyncIterator[Speech]) -> None:
    """Speech between `audio-start` and `audio-stop`; neither where there is none."""
    types, sent, rate = domain("audio"), 0, 0
    async for part in parts:
        form = {"rate": part.rate, "width": 2, "channels": 1}
        start = [] if rate else [types.AudioStart(timestamp=0, **form)]
        rate, data = part.rate, pcm16(part.samples)
        chunks = [data[at : at + 2 * BLOCK] for at in range(0, len(data), 2 * BLOCK)]
        await caller.send(
            *start,
            *(
                types.AudioChunk(audio=chunk, timestamp=_ms(sent + at * BLOCK, rate), **form)
                for at, chunk in enumerate(chunks)
            ),
        )
        sent += len(part.samples)
    if rate:
        await caller.send(types.AudioStop(timestamp=_ms(sent, rate)))


def _ms(samples: int, rate: int) -> int:
    return round(samples * 1000 / rate)


def _chosen(pool: Pool, asked: requests.SynthesizeStart) -> str:
    """The name of the voice that is asked for, by its name or by a language. Raises RequestError."""
    voice = asked.voice
    name = pool.voice_of(voice.name)
    if voice.speaker is not None:
        raise RequestError("voice.speaker: this voice has one speaker; leave it out", param="voice.speaker")
    if voice.language is None or code(voice.language) == code(pool.voices[name]):
        return name
    others = [each for each, spoken in pool.voices.items() if code(spoken) == code(voice.language)]
    if voice.name is not None or not others:
        text = f"voice.language: this voice speaks {pool.voices[name]!r}; leave it out"
        raise RequestError(text, param="voice.language")
    return others[0]
