"""What a Realtime client asks for, one method for each of its events. Knows no socket.

What a session does is told by `items.py`; what may be chosen is in `choices.py`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import anyio
from pydantic import BaseModel, ConfigDict, Field

from agent import events as ev
from agent.errors import RequestError
from agent.server import items
from agent.server.choices import Choices, Modality, Update
from agent.server.line import Line
from agent.server.outlet import RATE
from agent.server.pool import Pool, Seat
from audio.encode import from_pcm16
from audio.frame import Frame

Tell: TypeAlias = Callable[[list[items.Message]], Awaitable[None]]

SHORTEST = 0.1
"""Seconds that a committed utterance must have."""


class _Content(BaseModel):
    type: Literal["input_text", "input_audio", "input_image", "output_text", "text"]
    text: str = ""
    audio: str = ""
    image_url: str = ""


class _Item(BaseModel):
    id: str | None = Field(default=None, max_length=64)
    type: Literal["message"]
    role: Literal["user", "assistant", "system"]
    content: list[_Content] = Field(min_length=1)


class _Wanted(BaseModel):
    """The `response` of a `response.create`."""

    model_config = ConfigDict(extra="ignore")

    instructions: str | None = Field(default=None, max_length=20_000)
    output_modalities: list[Modality] = Field(default_factory=list[Modality], max_length=1)
    metadata: dict[str, str] | None = None


class Wishes:
    """A client's side of one session: its choices, its conversation, and the line once there is one."""

    def __init__(self, seat: Seat, pool: Pool, watchers: Sequence[ev.Watcher], send: Tell, name: str) -> None:
        self._seat, self._pool, self._watchers, self._send = seat, pool, watchers, send
        self.choices = Choices(pool, name)
        self.narrator = items.Narrator()
        self.line: Line | None = None
        self.settled = anyio.Event()
        """Set when there is a line."""
        self._buffer = bytearray()
        self._pending: list[str] = []

    async def take(self, event: dict[str, Any]) -> None:
        """Do what one event asks. Raises RequestError, ValidationError, EngineFault."""
        name = str(event.get("type"))[:80]
        handler = self._HANDLERS.get(name)
        if handler is None:
            raise RequestError(f"no event {name!r} is known here")
        await handler(self, event)

    async def _settle(self) -> Line:
        """The line, running; its settings are what has been chosen by the first use of it."""
        if self.line is None:
            self.line = Line(self._seat, self.choices.config(), self._watchers)
            self.line.voice.muted = self.choices.modality == "text"
            self.settled.set()
        await self.line.ready.wait()
        return self.line

    async def _check(self, instructions: str | None) -> None:
        """Raise RequestError where instructions are too long for the model."""
        if instructions is not None:
            await self._seat.check(self._pool.config, instructions)

    # What a client may ask for, one method each.

    async def _update(self, event: dict[str, Any]) -> None:
        wanted = Update.model_validate(event.get("session"))
        await self._check(wanted.instructions)
        self.choices.update(wanted, settled=self.line is not None)
        self.narrator.modality = self.choices.modality
        self.narrator.transcribing = self.choices.transcription is not None
        if self.line is not None:
            self.line.history.instruct(self.choices.instructions)
            self.line.tune(self.choices.config(), listening=self.choices.detection is not None)
            if not self.line.turn:
                self.line.voice.muted = self.choices.modality == "text"
        await self._send([items.message("session.updated", session=self.choices.as_dict())])

    async def _append(self, event: dict[str, Any]) -> None:
        data = _sound(event.get("audio"))
        if self.choices.detection is not None:
            line = await self._settle()
            if self._pending and not line.turn:  # it was no question: it is what came before one
                line.history.person(" ".join(self._pending))
                self._pending.clear()
            await line.hear(from_pcm16(data), RATE)
            return
        if len(self._buffer) + len(data) > self._pool.config.server.body:
            raise RequestError("the audio buffer is full; commit or clear it", code="buffer_full")
        self._buffer += data

    async def _clear(self, event: dict[str, Any]) -> None:
        self._buffer.clear()
        if self.line is not None:
            self.line.forget()
        await self._send([items.message("input_audio_buffer.cleared")])

    async def _commit(self, event: dict[str, Any]) -> None:
        if self.choices.detection is not None:
            raise RequestError("turns are found in the audio; to commit by hand, set turn_detection to null")
        samples = from_pcm16(bytes(self._buffer))
        if len(samples) < SHORTEST * RATE:
            raise RequestError(
                f"the buffer holds {len(samples) / RATE:.2f} s of audio; {SHORTEST:g} s are needed",
                code="input_audio_buffer_commit_empty",
            )
        self._buffer.clear()
        name = items.new_id("item")
        last = next(reversed(self.narrator.items), None)
        await self._send([items.message("input_audio_buffer.committed", item_id=name, previous_item_id=last)])
        await self._said(name, Frame(samples, RATE))

    async def _said(self, name: str, audio: Frame) -> None:
        """An utterance that the client has marked off itself."""
        content = {"type": "input_audio", "audio": None, "transcript": None}
        item = _message_item(name, "user", [content])
        await self._send(self.narrator.add(item))
        text = content["transcript"] = await (await self._settle()).transcribe(audio)
        self._pending += [text] if text else []
        await self._send(self.narrator.transcribed(name, text, audio.duration))

    async def _create_item(self, event: dict[str, Any]) -> None:
        given = _Item.model_validate(event.get("item"))
        name, after = given.id or items.new_id("item"), event.get("previous_item_id")
        if name in self.narrator.items:
            raise RequestError(f"there is an item {name!r} already")
        if after is not None and after != next(reversed(self.narrator.items), None):
            raise RequestError("previous_item_id: an item can only be put behind the last one")
        for part in given.content:
            if part.type == "input_image":
                (await self._settle()).show(part.image_url, once=True)
        sounds = [part for part in given.content if part.type == "input_audio"]
        if sounds:
            data = b"".join(_sound(part.audio) for part in sounds)
            await self._said(name, Frame(from_pcm16(data), RATE))
            return
        text = " ".join(part.text for part in given.content if part.text)
        if given.role == "user":
            self._pending += [text] if text else []
        elif given.role == "assistant":
            (await self._settle()).history.agent(text, "")
        else:
            history = (await self._settle()).history
            instructions = f"{history.system}\n{text}"
            await self._check(instructions)
            history.instruct(instructions)
        content = [part.model_dump(include={"type", "text"}) for part in given.content]
        await self._send(self.narrator.add(_message_item(name, given.role, content)))

    async def _view(self, event: dict[str, Any]) -> None:
        """Our own: what the client's camera sees from now on, as a data URL, or null for nothing."""
        image = event.get("image_url")
        if image is not None and not isinstance(image, str):
            raise RequestError("image_url: a data URL, or null")
        (await self._settle()).show(image, live=True)

    async def _respond(self, event: dict[str, Any]) -> None:
        wanted = _Wanted.model_validate(event.get("response") or {})
        await self._check(wanted.instructions)
        line = await self._settle()
        if self.narrator.active is not None:
            raise RequestError(
                "a response is being made; cancel it first", code="conversation_already_has_active_response"
            )
        response = items.Response((wanted.output_modalities or [self.choices.modality])[0], wanted.metadata)
        line.voice.muted = response.modality == "text"
        text = " ".join(self._pending)
        self._pending.clear()
        self.narrator.asked(line.ask(text, wanted.instructions), response)

    async def _cancel(self, event: dict[str, Any]) -> None:
        turn = self.narrator.active
        if turn is None or self.line is None:
            raise RequestError("no response is being made", code="response_cancel_not_active")
        self.narrator.response(turn).cancelled = True
        self.line.cancel()

    async def _truncate(self, event: dict[str, Any]) -> None:
        name, milliseconds = event.get("item_id"), event.get("audio_end_ms")
        turn = self.narrator.turns.get(name) if isinstance(name, str) else None
        if turn is None or self.line is None:
            raise RequestError("item_id: no such item of the agent", code="item_not_found")
        if type(milliseconds) is not int or milliseconds < 0:
            raise RequestError("audio_end_ms: whole milliseconds from 0")
        if event.get("content_index") != 0:
            raise RequestError("content_index: 0")
        sent, played = self.line.sent(turn), milliseconds * RATE // 1000
        if played > sent + RATE // 1000:
            raise RequestError(
                f"audio_end_ms: {milliseconds} ms, but only {sent * 1000 // RATE} ms of it were sent",
                code="invalid_value",
            )
        if turn == self.narrator.active:
            self.narrator.response(turn).cancelled = True
        heard = self.line.truncate(turn, played)
        item = self.narrator.items.get(str(name))
        if item is not None and heard is not None:
            item["content"] = [{"type": "output_audio", "transcript": heard}]
        fields = {"item_id": name, "content_index": 0, "audio_end_ms": milliseconds}
        if heard is not None:
            fields["transcript"] = heard  # of a reply that is still being ended, response.done tells it
        await self._send([items.message("conversation.item.truncated", **fields)])

    async def _retrieve(self, event: dict[str, Any]) -> None:
        item = self.narrator.items.get(str(event.get("item_id")))
        if item is None:
            raise RequestError("item_id: no such item", code="item_not_found")
        await self._send([items.message("conversation.item.retrieved", item=item)])

    _HANDLERS: ClassVar = {
        "session.update": _update,
        "input_audio_buffer.append": _append,
        "input_audio_buffer.clear": _clear,
        "input_audio_buffer.commit": _commit,
        "conversation.item.create": _create_item,
        "conversation.item.truncate": _truncate,
        "conversation.item.retrieve": _retrieve,
        "backchat.view": _view,
        "response.create": _respond,
        "response.cancel": _cancel,
    }


def _sound(text: Any) -> bytes:
    """16 bit samples out of base64. Raises RequestError."""
    if not isinstance(text, str):
        raise RequestError("audio: base64 of 16 bit samples at 24 kHz")
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise RequestError(f"audio: not base64 ({error})") from error
    if len(data) % 2:
        raise RequestError("audio: an odd number of bytes; a sample has two")
    return data


def _message_item(name: str, role: str, content: list[dict[str, Any]]) -> items.Message:
    return {
        "id": name,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": role,
        "content": content,
    }
