"""What a Realtime client asks for, one method for each of its events. Knows no socket.

What a session does is told by `items.py`; what may be chosen is in `choices.py`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import anyio
from pydantic import Field

from agent import events as ev
from agent.conversation.history import Part
from agent.errors import RequestError
from agent.messages import Message
from agent.server.fields import Fields
from agent.server.pool import Pool
from agent.server.realtime import server_events as items
from agent.server.realtime.session_config import TOOLS, Modality, Output, RealtimeConfig, Update
from agent.transports.memory import room, weight
from agent.transports.playout import RATE
from agent.transports.remote import RemoteSession
from agent.transports.slot import SessionSlot
from audio.frame import Frame
from audio.pcm import from_pcm16

Tell: TypeAlias = Callable[[list[items.Message]], Awaitable[None]]

SHORTEST = 0.1
"""Seconds that a committed utterance must have."""


class _Content(Fields):
    ELSEWHERE: ClassVar = {"detail": ("auto",)}

    type: Literal["input_text", "input_audio", "input_image", "output_text", "output_audio", "text"]
    text: str = ""
    audio: str = ""
    image_url: str = ""
    transcript: str = ""


class _Item(Fields):
    ABOUT: ClassVar = frozenset({"object", "status"})

    id: str | None = Field(default=None, max_length=64)
    type: Literal["message"]
    role: Literal["user", "assistant", "system"]
    content: list[_Content] = Field(min_length=1)

    @property
    def text(self) -> str:
        """Its words; of sound that the agent made, what it says."""
        spoken = [part.transcript if part.type == "output_audio" else part.text for part in self.content]
        return " ".join(filter(None, spoken))


class _Audio(Fields):
    output: Output = Field(default_factory=Output)


class _Wanted(Fields):
    """The `response` of a `response.create`."""

    ELSEWHERE: ClassVar = {
        **TOOLS,
        "conversation": ("auto",),
        "input": (),
        "max_output_tokens": ("inf",),
    }

    audio: _Audio = Field(default_factory=_Audio)
    instructions: str | None = None
    output_modalities: list[Modality] = Field(default_factory=list[Modality], max_length=1)
    metadata: dict[str, str] | None = None


class ClientEvents:
    """A client's side of one session: its choices, its conversation, and the line once there is one."""

    def __init__(
        self, slot: SessionSlot, pool: Pool, watchers: Sequence[ev.Watcher], send: Tell, name: str
    ) -> None:
        self._slot, self._pool, self._watchers, self._send = slot, pool, watchers, send
        self.choices = RealtimeConfig(pool, name)
        self._limits = pool.config.server
        self.narrator = items.ServerEvents()
        self.line: RemoteSession | None = None
        self.settled = anyio.Event()
        """Set when there is a line."""
        self._buffer = bytearray()
        self._pending: tuple[str, str] | None = None
        """The last item's id and text, where the user said it: the question of the next response."""
        self._parts: dict[str, Part] = {}
        """Where in the history what the client has put into the conversation is, by the item's id."""

    async def take(self, event: dict[str, Any]) -> None:
        """Do what one event asks. Raises RequestError, ValidationError, EngineFault."""
        name = str(event.get("type"))[:80]
        if name not in self._HANDLERS:
            raise RequestError(f"no event {name!r} is known here", param="type")
        handler, fields = self._HANDLERS[name]
        if unknown := event.keys() - fields - {"type", "event_id"}:
            field = min(unknown)[:80]
            raise RequestError(f"{field}: not known here; leave it out", param=field)
        await handler(self, event)

    async def _settle(self) -> RemoteSession:
        """The line, running; its settings are what has been chosen by the first use of it."""
        if self.line is None:
            self.line = RemoteSession(self._slot, self.choices.config(), self._watchers)
            self.line.voice.muted = self.choices.modality == "text"
            self.settled.set()
        await self.line.ready.wait()
        return self.line

    async def _check(self, instructions: str | None) -> None:
        """Raise RequestError where instructions are too long for the model."""
        if instructions is not None:
            await self._slot.check(self._pool.config, instructions)

    def _check_length(self, size: int) -> None:
        """Raise RequestError where so many bytes are more sound than one utterance may have."""
        if size / 2 / RATE > (longest := self._pool.config.server.max_audio):
            text = f"audio: longer than {longest:g} s (server.max_audio); commit it in parts"
            raise RequestError(text, 413, "too_large")

    def _room(self, more: int) -> None:
        """Let go of the oldest items for so many bytes more. Raises RequestError where that is not enough.

        The history keeps what the model still reads, whatever is let go here.
        """
        kept = len(self._buffer) + (self.line.kept if self.line is not None else 0)
        room(kept, more, self._limits)
        self.narrator.let_go(kept + self.narrator.kept + more - self._limits.memory)
        self._parts = {name: part for name, part in self._parts.items() if name in self.narrator.items}

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
            if not line.turn:  # what was written was no question: it is what came before one
                self._settle_pending(line)
            await line.hear(from_pcm16(data), RATE)
            return
        self._check_length(len(self._buffer) + len(data))
        self._room(len(data))
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
        name, last = items.new_id("item"), self.narrator.last
        await self._send([items.message("input_audio_buffer.committed", item_id=name, previous_item_id=last)])
        await self._said(name, Frame(samples, RATE), None)

    async def _said(self, name: str, audio: Frame, after: str | None) -> None:
        """An utterance that the client has marked off itself."""
        content = {"type": "input_audio", "audio": None, "transcript": None}
        item = _message_item(name, "user", [content])
        await self._send(self.narrator.add(item, after))
        line = await self._settle()
        text = content["transcript"] = await line.transcribe(audio)
        self._put(line, name, Message("user", text))
        await self._send(self.narrator.transcribed(name, text, audio.duration))

    async def _create_item(self, event: dict[str, Any]) -> None:
        given = _Item.model_validate(event.get("item"))
        name, after = given.id or items.new_id("item"), event.get("previous_item_id")
        if name in self.narrator.items:
            raise RequestError(f"item.id: there is an item {name!r} already", param="item.id")
        known = after in (None, "root") or (isinstance(after, str) and after in self.narrator.items)
        if not known:
            raise RequestError(
                "previous_item_id: no such item", code="item_not_found", param="previous_item_id"
            )
        self._room(weight(event["item"]))
        await self._check(given.text if given.role == "system" else None)
        shown = [part for part in given.content if part.type == "input_image"]
        if len(shown) > 1:
            raise RequestError(
                "item.content: one picture; the last that is shown counts", param="item.content"
            )
        line = await self._settle()
        for part in shown:
            line.show(part.image_url, once=True)
        sounds = [part for part in given.content if part.type == "input_audio"]
        if sounds:
            data = b"".join(_sound(part.audio) for part in sounds)
            self._check_length(len(data))
            await self._said(name, Frame(from_pcm16(data), RATE), after)
            return
        content = [
            part.model_dump(exclude_defaults=True, exclude={"audio", "image_url"}) for part in given.content
        ]
        await self._send(self.narrator.add(_message_item(name, given.role, content), after))
        self._put(line, name, Message(given.role, given.text))

    def _put(self, line: RemoteSession, name: str, message: Message) -> None:
        """Put an item's words into the history at its place; the user's last ones wait for a response."""
        if not message.content:
            return
        if name == self.narrator.last:
            self._settle_pending(line)
            if message.role == "user":
                self._pending = (name, message.content)
            else:
                self._parts[name] = line.history.add(message)
            return
        names = list(self.narrator.items)
        before = (self._found(line, one) for one in reversed(names[: names.index(name)]))
        self._parts[name] = line.history.put(message, next((part[-1] for part in before if part), None))

    def _settle_pending(self, line: RemoteSession) -> None:
        """What the user wrote last was not the question: something comes behind it."""
        if self._pending is not None:
            name, text = self._pending
            self._parts[name], self._pending = line.history.add(Message("user", text)), None

    def _found(self, line: RemoteSession, name: str) -> list[Part]:
        """Where in the history an item is; nowhere, if it has no words or waits for a response."""
        narrator = self.narrator
        if name in self._parts:
            return [self._parts[name]]
        if name in narrator.turns:
            return line.replied(narrator.turns[name])
        return line.said(narrator.questions[name]) if name in narrator.questions else []

    async def _delete_item(self, event: dict[str, Any]) -> None:
        name = event.get("item_id")
        if not isinstance(name, str) or name not in self.narrator.items:
            raise RequestError("item_id: no such item", code="item_not_found", param="item_id")
        line = await self._settle()
        if self._pending is not None and self._pending[0] == name:
            self._pending = None
        line.history.remove(self._found(line, name))
        self._parts.pop(name, None)
        self.narrator.remove(name)
        await self._send([items.message("conversation.item.deleted", item_id=name)])

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
        self._pool.check_voice(wanted.audio.output.voice_name)
        response = items.Response((wanted.output_modalities or [self.choices.modality])[0], wanted.metadata)
        line.voice.muted = response.modality == "text"
        name, text = self._pending or ("", "")
        self._pending = None
        turn = line.ask(text, wanted.instructions)
        if name:
            self.narrator.questions[name] = turn
        self.narrator.asked(turn, response)

    async def _cancel(self, event: dict[str, Any]) -> None:
        turn = self.narrator.active
        named = event.get("response_id")
        if turn is None or self.line is None or named not in (None, self.narrator.response(turn).id):
            raise RequestError("no such response is being made", code="response_cancel_not_active")
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
        "session.update": (_update, {"session"}),
        "input_audio_buffer.append": (_append, {"audio"}),
        "input_audio_buffer.clear": (_clear, set[str]()),
        "input_audio_buffer.commit": (_commit, set[str]()),
        "conversation.item.create": (_create_item, {"item", "previous_item_id"}),
        "conversation.item.delete": (_delete_item, {"item_id"}),
        "conversation.item.truncate": (_truncate, {"item_id", "content_index", "audio_end_ms"}),
        "conversation.item.retrieve": (_retrieve, {"item_id"}),
        "backchat.view": (_view, {"image_url"}),
        "response.create": (_respond, {"response"}),
        "response.cancel": (_cancel, {"response_id"}),
    }
    """What does each event, and the fields that it has besides its type and id."""


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
