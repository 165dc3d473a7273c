"""Sound over HTTP: the OpenAI speech and transcription requests. Knows no conversation."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, Literal

import anyio
from pydantic import Field

from agent.conversation.speak import speak
from agent.errors import RequestError
from agent.server.fields import Fields
from agent.server.http.forms import form_of
from agent.server.http.responses import JSON, TEXT, Streamed, Write, line
from agent.server.http.text import checked, read_body
from agent.server.pool import Pool
from agent.settings import Config, ServerConfig
from agent.transports.slot import SessionSlot
from agent.transports.transcription import words
from audio.encode import MEDIA, Encoder, Format
from audio.tts import Speech

if TYPE_CHECKING:
    from starlette.requests import Request


class _VoiceID(Fields):
    id: str


class Speak(Fields):
    """The body of `/v1/audio/speech`."""

    ELSEWHERE: ClassVar = {"instructions": ("",), "speed": (1,), "stream_format": ("audio",)}

    model: str | None = None
    input: str = Field(min_length=1)
    voice: str | _VoiceID | None = None
    response_format: Format = "mp3"

    @property
    def voice_name(self) -> str | None:
        """The voice that is asked for."""
        return self.voice.id if isinstance(self.voice, _VoiceID) else self.voice


class Transcribe(Fields):
    """The form of `/v1/audio/transcriptions`, without its file; its values are text."""

    ELSEWHERE: ClassVar = {
        "chunking_strategy": ("auto",),
        "include": (),
        "keywords": (),
        "known_speaker_names": (),
        "known_speaker_references": (),
        "languages": (),
        "prompt": ("",),
        "stream": ("false",),
        "temperature": ("0", "0.0"),
        "timestamp_granularities": (),
    }

    model: str | None = None
    language: str | None = None
    response_format: Literal["json", "text"] = "json"


@asynccontextmanager
async def say(slot: SessionSlot, config: Config, text: str) -> AsyncGenerator[AsyncIterator[Speech]]:
    """`text` as speech, each part as soon as it is made, for who takes them as fast as they play.

    Raises EngineFault; RequestError for no words, and as `_as_it_plays` does.
    """
    voice, limit = slot.engines.tts, config.limits.speech
    async with (
        slot.runner(background=True).stream("tts", lambda: speak(text, voice), limit, limit) as parts,
        aclosing(_as_it_plays(parts, config.server)) as taken,
    ):
        yield taken


async def _as_it_plays(parts: AsyncIterator[Speech], limits: ServerConfig) -> AsyncGenerator[Speech]:
    """The parts; who takes them more slowly than they play keeps a place from others, and loses it.

    Raises RequestError for who falls behind by `client_timeout`, and after `longest` seconds.
    """
    began, behind = anyio.current_time(), 0.0
    async for part in parts:
        given = anyio.current_time()
        yield part
        now = anyio.current_time()
        behind = max(0.0, behind + now - given - len(part.samples) / part.rate)
        if behind > limits.client_timeout:
            told = f"read {limits.client_timeout:g} s more slowly than it plays (server.client_timeout)"
            raise RequestError(told, 408, "timeout")
        if now - began > limits.longest:
            raise RequestError(f"longer than {limits.longest:g} s (server.longest)", 408, "timeout")


async def speech(request: Request, pool: Pool) -> Streamed:
    """`POST /v1/audio/speech`: text in, audio out while it is made."""
    body = await read_body(request, Speak, pool)
    pool.check("tts", body.model)
    pool.check_voice(body.voice_name)

    async def produce(send: Write) -> None:
        with pool.shared_slot() as slot:
            encoder = Encoder(body.response_format, slot.engines.tts.rate)
            async with say(slot, pool.config, body.input) as parts:
                async for part in parts:
                    await send(encoder.feed(part.samples))
        await send(encoder.finish())

    return Streamed(MEDIA[body.response_format], produce, pool.config.server.client_timeout)


async def transcription(request: Request, pool: Pool) -> Streamed:
    """`POST /v1/audio/transcriptions`: a sound file in, its words out."""
    async with form_of(request, files=1, fields=20) as form:
        upload = form.get("file")
        if upload is None or isinstance(upload, str):
            raise RequestError(
                "file: send the sound as a form's file, `curl -F file=@question.wav`", param="file"
            )
        given = {name.removesuffix("[]"): value for name, value in form.multi_items() if name != "file"}
        body = checked(Transcribe, given, pool.config.server)
        data = await upload.read()
    pool.check("stt", body.model)
    pool.check_language(body.language)
    kind = body.response_format

    async def produce(send: Write) -> None:
        with pool.shared_slot() as slot:
            text = await words(slot, pool.config, data)
        await send(f"{text}\n".encode() if kind == "text" else line({"text": text}))

    return Streamed(TEXT if kind == "text" else JSON, produce, pool.config.server.client_timeout)
