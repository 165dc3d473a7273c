"""A question as a sound file, its answer as a stream: for people with curl. Knows no route."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio

from agent import events as ev
from agent.conversation.reply import Manner
from agent.errors import RequestError
from agent.server.admission.guard import address
from agent.server.http.responses import Streamed, Write
from agent.server.reception import Reception, Visit
from agent.transports.playout import RATE
from agent.transports.remote import Sound
from agent.transports.transcription import words
from audio.encode import Encoder
from audio.pcm import pcm16

if TYPE_CHECKING:
    from starlette.requests import Request

BOUNDARY = "backchat-part"
TOLD = (ev.Transcribed, ev.TurnCommitted, ev.Token, ev.AudioStarted, ev.WordHeard, ev.TurnEnded, ev.Error)
"""Events that a client is told of."""


async def converse(request: Request, reception: Reception) -> Streamed:
    """`POST /converse?voice=NAME&language=CODE`: audio in; events and audio out, or with `Accept: audio/wav`
    audio alone.
    """
    asked = request.query_params
    config, voice = reception.pool.hearing(asked.get("language")), reception.pool.voice_of(asked.get("voice"))
    data = await request.body()
    if not data:
        raise RequestError("send a sound file as the body: curl --data-binary @question.wav")
    bare = "audio/" in request.headers.get("accept", "")
    encoder = Encoder("wav", RATE)

    def told(item: Sound | ev.Event) -> bytes:
        if isinstance(item, Sound):
            return encoder.feed(item.samples) if bare else _part("audio/L16;rate=24000", pcm16(item.samples))
        if bare or not isinstance(item, TOLD):
            return b""
        return _event(ev.as_dict(item))

    async def produce(send: Write) -> None:
        async with reception.visit("http", address(request.scope)) as visit:
            await talk(send, visit)
            visit.entry.why = "answered"

    async def talk(send: Write, visit: Visit) -> None:
        question = await words(visit.slot, config, data)
        if not question.text:
            raise RequestError("nothing intelligible is said in it", 422, "nothing_said")
        if not bare:
            await send(_event({"event": "question", "text": question.text}))
        session = visit.session(config, Manner(voice=voice))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.run)
            async for item in session.items():
                if isinstance(item, ev.SessionStarted):
                    session.send_text(question.text, language=question.language)
                if piece := told(item):
                    await send(piece)
                if isinstance(item, ev.TurnEnded):
                    session.hang_up()
        await send(b"" if bare else f"--{BOUNDARY}--\r\n".encode())

    media = "audio/wav" if bare else f"multipart/mixed; boundary={BOUNDARY}"
    return Streamed(media, produce, config.server.client_timeout)


def _event(fields: dict[str, Any]) -> bytes:
    return _part("application/json", json.dumps(fields).encode())


def _part(media: str, body: bytes) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body + b"\r\n"
