"""Sound over HTTP: the OpenAI speech and transcription requests. Knows no conversation."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import anyio
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from agent.conversation.speak import speak
from agent.conversation.voices import Voices, at_speed
from agent.errors import MissingExtra, RequestError
from agent.runner import Runner
from agent.server.fields import Fields
from agent.server.http.forms import form_of
from agent.server.http.logprobs import transcribed
from agent.server.http.responses import EVENTS, JSON, TEXT, Streamed, Write, error_body, line, sse
from agent.server.http.subtitles import srt, verbose, vtt
from agent.server.http.text import checked, read_body
from agent.server.pool import Pool
from agent.settings import Config, ServerConfig
from agent.transports.slot import SessionSlot
from agent.transports.transcription import Segment, as_one, heard_in, segments, together
from audio.encode import MEDIA, Encoder, Format
from audio.frame import Frame
from audio.stt import (
    DetectsLanguage,
    TakesContext,
    TimesWords,
    Token,
    Transcriber,
    Transcript,
    likeliest,
    scored,
)
from audio.tts import Speech, Synthesizer

if TYPE_CHECKING:
    from starlette.requests import Request


class _VoiceID(Fields):
    id: str


class Speak(Fields):
    """The body of `/v1/audio/speech`."""

    model: str | None = None
    input: str = Field(min_length=1)
    instructions: str | None = None
    """How it is to be said. No voice here can be told that: it is left out, and the answer says so."""
    voice: str | _VoiceID | None = None
    response_format: Format = "mp3"
    stream_format: Literal["audio", "sse"] = "audio"
    speed: float = Field(default=1.0, ge=0.5, le=2.0)

    @property
    def voice_name(self) -> str | None:
        """The voice that is asked for."""
        return self.voice.id if isinstance(self.voice, _VoiceID) else self.voice


LEFT_OUT = "backchat-left-out"
"""The header that names the fields of a request that were not acted on: clients send some of themselves."""


class Transcribe(Fields):
    """The form of `/v1/audio/transcriptions`, without its file; its values are text."""

    ELSEWHERE: ClassVar = {
        "chunking_strategy": ("auto",),
        "known_speaker_names": (),
        "known_speaker_references": (),
        "temperature": ("0", "0.0"),
    }

    model: str | None = None
    include: list[Literal["logprobs"]] = Field(default_factory=list[Literal["logprobs"]])
    language: str | None = None
    languages: list[str] = Field(default_factory=list[str])
    prompt: str = ""
    keywords: list[str] = Field(default_factory=list[str])
    response_format: Literal["json", "text", "verbose_json", "srt", "vtt"] = "json"
    stream: bool = False
    timestamp_granularities: list[Literal["segment", "word"]] | None = None

    @property
    def among(self) -> tuple[str, ...]:
        """The languages that may be spoken, as ISO codes; none where that is not said."""
        named = filter(None, [self.language, *self.languages])
        return tuple(dict.fromkeys(name.lower().replace("_", "-").partition("-")[0] for name in named))

    @property
    def spoken(self) -> str:
        """The one that is spoken; "" where that is not said."""
        return self.among[0] if len(self.among) == 1 else ""

    @property
    def context(self) -> str:
        """What is told to the transcriber before it hears anything."""
        return " ".join(filter(None, (self.prompt.strip(), ", ".join(self.keywords))))

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.stream and self.response_format not in ("json", "text"):
            raise PydanticCustomError("refused", "only with json or text", {"field": "stream"})
        if self.include and self.response_format != "json":
            raise PydanticCustomError("refused", "logprobs only with json", {"field": "include"})
        if self.language and self.languages:
            raise PydanticCustomError("refused", "only without language", {"field": "languages"})
        if self.timestamp_granularities and self.response_format != "verbose_json":
            where = {"field": "timestamp_granularities"}
            raise PydanticCustomError("refused", "only with verbose_json", where)
        return self


FIELDS = 200
"""Fields that the form may have, each entry of a list counted."""
TIMED = ("verbose_json", "srt", "vtt")
"""Forms that tell when something was said."""
LISTS = ("include", "keywords", "languages", "timestamp_granularities")
"""Fields of that form that may come several times."""


@asynccontextmanager
async def say(
    slot: SessionSlot, config: Config, text: str, voice: Synthesizer, speed: float = 1.0
) -> AsyncGenerator[AsyncIterator[Speech]]:
    """`text` as speech, each part as soon as it is made, for who takes them as fast as they play.

    voice: one of the slot's. speed: how much faster than it speaks by itself. Raises EngineFault;
    RequestError for no words, for a voice that has one speed only, and as `as_it_plays` does.
    """
    voice, limit = at_speed(voice, speed), config.limits.speech
    async with (
        slot.runner(background=True).stream("tts", lambda: speak(text, voice), limit, limit) as parts,
        aclosing(as_it_plays(parts, config.server)) as taken,
    ):
        yield taken


async def as_it_plays(parts: AsyncIterator[Speech], limits: ServerConfig) -> AsyncGenerator[Speech]:
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
    name = pool.voice_of(body.voice_name)

    async def produce(send: Write) -> None:
        with pool.shared_slot() as slot:
            voice = Voices(slot.engines.tts).of(name=name)
            encoder, worker = _encoder(body.response_format, voice.rate), Runner()
            async with say(slot, pool.config, body.input, voice, body.speed) as parts:
                async for part in parts:  # encoded in a worker: it may be a minute of speech
                    await send(shown(await worker.wait_for(partial(encoder.feed, part.samples))))
        await send(shown(encoder.finish()))
        if body.stream_format == "sse":
            await send(sse({"type": "speech.audio.done"}))

    def shown(data: bytes) -> bytes:
        if body.stream_format == "audio" or not data:
            return data
        return sse({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()})

    media, failed = MEDIA[body.response_format], None
    if body.stream_format == "sse":
        media, failed = EVENTS, _failed
    told = {LEFT_OUT: "instructions"} if body.instructions else None
    return Streamed(media, produce, pool.config.server.client_timeout, failed, told)


def _encoder(kind: Format, rate: int) -> Encoder:
    try:
        return Encoder(kind, rate)
    except MissingExtra as error:
        text = f"response_format: {kind} cannot be made here; take mp3, opus, flac, wav or pcm"
        raise RequestError(text, param="response_format") from error


def _failed(error: RequestError) -> bytes:
    return sse(error_body(error))


async def transcription(request: Request, pool: Pool) -> Streamed:
    """`POST /v1/audio/transcriptions`: a sound file in, its words out."""
    async with form_of(request, files=1, fields=FIELDS) as form:
        upload = form.get("file")
        if upload is None or isinstance(upload, str):
            raise RequestError(
                "file: send the sound as a form's file, `curl -F file=@question.wav`", param="file"
            )
        given: dict[str, Any] = {}
        for name, value in form.multi_items():
            if name.endswith("[]"):
                given.setdefault(name.removesuffix("[]"), []).append(value)
            elif name in LISTS:
                given.setdefault(name, []).append(value)
            elif name != "file":
                given[name] = value
        body = checked(Transcribe, given, pool.config.server)
        data = await upload.read()
    pool.check("stt", body.model)
    client_timeout = pool.config.server.client_timeout

    async def produce(send: Write) -> None:
        with pool.shared_slot() as slot:
            understand = _understanding(slot.engines.stt, body, pool)
            heard = await segments(slot, pool.config, data, understand=understand)
        await send(_written(heard, body, body.spoken or as_one(heard).language or pool.config.stt.language))

    async def stream(send: Write) -> None:
        told: list[Segment] = []

        async def hear(segment: Segment) -> None:
            if segment.text:
                before = len(as_one(told).tokens)
                told.append(segment)
                delta = f" {segment.text}" if len(told) > 1 else segment.text
                probable = _probable(body, as_one(told).tokens[before:])
                await send(sse({"type": "transcript.text.delta", "delta": delta, **probable}))

        with pool.shared_slot() as slot:
            understand = _understanding(slot.engines.stt, body, pool)
            heard = await segments(slot, pool.config, data, hear, understand)
        probable = _probable(body, as_one(heard).tokens)
        await send(sse({"type": "transcript.text.done", "text": together(heard), **probable}))

    if body.stream:
        return Streamed(EVENTS, stream, client_timeout, _failed)
    media = {"text": TEXT, "srt": TEXT, "vtt": "text/vtt"}.get(body.response_format, JSON)
    return Streamed(media, produce, client_timeout)


def _understanding(stt: Transcriber, wish: Transcribe, pool: Pool) -> Callable[[Frame], Transcript]:
    """How the transcriber is to understand what comes. Raises RequestError for what it cannot do."""
    _check(stt, wish, pool)
    stt = scored(stt, bool(wish.include))
    if isinstance(stt, TakesContext) and (wish.spoken or wish.context or pool.config.stt.prompt):
        stt = stt.expecting(wish.spoken, wish.context or pool.config.stt.prompt)
    if not (wish.response_format in TIMED and isinstance(stt, TimesWords)):
        own = isinstance(stt, TakesContext)
        plain = stt.transcribe if own else heard_in(stt, pool.hearing(wish.spoken).stt)
        return _among(stt, wish.among) or plain
    timed = stt
    if (listen := _among(stt, wish.among)) is None or not isinstance(stt, TakesContext):
        return timed.transcribe_words
    known = stt

    def in_one(audio: Frame) -> Transcript:
        one = known.expecting(listen(audio).language)
        return one.transcribe_words(audio) if isinstance(one, TimesWords) else one.transcribe(audio)

    return in_one


def _check(stt: Transcriber, wish: Transcribe, pool: Pool) -> None:
    """Raise RequestError for what that transcriber cannot do."""
    where = "languages" if wish.languages else "language"
    if not isinstance(stt, TakesContext):
        pool.hearing(*wish.among, param=where)
        if wish.context:
            pool.check_context("prompt" if wish.prompt.strip() else "keywords")
    elif unknown := [code for code in wish.among if code not in stt.languages]:
        known = ", ".join(sorted(stt.languages))
        raise RequestError(
            f"{where}: {unknown[0][:20]!r} is not; {known} are understood here"[:300], param=where
        )
    elif len(wish.among) > 1 and not (isinstance(stt, DetectsLanguage) and stt.detects):
        text = f"{where}: which of them is spoken is not heard here; name one (stt.language)"
        raise RequestError(text, param=where)
    if wish.include:
        pool.check_scores()
    if "word" in (wish.timestamp_granularities or []) and not isinstance(stt, TimesWords):
        where = "timestamp_granularities"
        raise RequestError(f"{where}: the transcriber that is loaded does not time words", param=where)


def _among(stt: Transcriber, codes: Sequence[str]) -> Callable[[Frame], Transcript] | None:
    """What transcribes in that one of these languages that is heard; None where there is no choice."""
    if len(codes) < 2 or not isinstance(stt, DetectsLanguage):
        return None
    return lambda audio: stt.transcribe_in(audio, partial(likeliest, among=codes))


def _written(heard: Sequence[Segment], body: Transcribe, language: str) -> bytes:
    """What was said, in the form that was asked for."""
    match body.response_format:
        case "text":
            return f"{together(heard)}\n".encode()
        case "srt":
            return srt(heard, language).encode()
        case "vtt":
            return vtt(heard, language).encode()
        case "verbose_json":
            return line(verbose(heard, language, body.timestamp_granularities or []))
        case "json":
            return line({"text": together(heard), **_probable(body, as_one(heard).tokens)})


def _probable(body: Transcribe, tokens: Sequence[Token]) -> dict[str, Any]:
    """How probable these were, where that was asked for."""
    return {"logprobs": transcribed(tokens)} if body.include else {}
