"""What a session does, told in the messages of the OpenAI Realtime protocol. Knows no socket."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from typing import Any

from agent import events as ev
from agent.server.realtime.session_config import Modality
from agent.transports.memory import weight
from agent.transports.remote import Item, Sound
from audio.pcm import pcm16

Message = dict[str, Any]

KEPT = 500
"""Items that a client may still ask for."""


def new_id(kind: str) -> str:
    """A fresh identifier."""
    return f"{kind}_{secrets.token_hex(10)}"


@dataclass
class Response:
    """One response: its ids, and what has been told of it."""

    modality: Modality = "audio"
    metadata: dict[str, Any] | None = None
    id: str = field(default_factory=lambda: new_id("resp"))
    item: str = field(default_factory=lambda: new_id("item"))
    text: str = ""
    tokens: int = 0
    open: bool = False
    cancelled: bool = False
    """The client wanted it ended."""
    error: str | None = None


class ServerEvents:
    """Turns what a line gives into protocol messages, and keeps the conversation's items."""

    def __init__(self) -> None:
        self.items: dict[str, Message] = {}
        self.turns: dict[str, int] = {}
        """The reply that an item of the agent says, by the item's id."""
        self.questions: dict[str, int] = {}
        """The turn in which the user said an item, by the item's id."""
        self.modality: Modality = "audio"
        self.transcribing = True
        self.active: int | None = None
        """The reply that is told now."""
        self._responses: dict[int, Response] = {}
        self._speech_ends: dict[int, float] = {}
        self._asked: set[int] = set()
        self._hearing: str | None = None

    def asked(self, turn: int, response: Response) -> None:
        """The client has asked for this reply itself."""
        self._asked.add(turn)
        self._responses[turn] = response

    def response(self, turn: int) -> Response:
        """That reply's response; a new one where the user's voice asked for it."""
        return self._responses.setdefault(turn, Response(self.modality))

    @property
    def last(self) -> str | None:
        """The last item's id."""
        return next(reversed(self.items), None)

    def add(self, item: Message, after: str | None = None) -> list[Message]:
        """A new item of the conversation, whole. after: the item before it, or "root"; None is the last."""
        return [
            self._placed("conversation.item.added", item, after),
            self._later("conversation.item.done", item),
        ]

    def remove(self, name: str) -> None:
        """The item is no part of the conversation any more."""
        for known in (self.items, self.turns, self.questions):
            known.pop(name, None)

    @property
    def kept(self) -> int:
        """Bytes of the items."""
        return sum(map(weight, self.items.values()))

    def let_go(self, size: int) -> None:
        """Of the oldest, so many bytes; the newest stays."""
        while size > 0 and len(self.items) > 1:
            name = next(iter(self.items))
            size -= weight(self.items[name])
            self.remove(name)

    def tell(self, item: Item) -> list[Message]:
        """What to send for one thing that the line gave."""
        match item:
            case Sound(turn=turn):
                return self._sound(turn, item)
            case ev.SpeechStarted(at=at) if self._hearing is None:
                self._hearing = new_id("item")
                where = {"audio_start_ms": _ms(at), "item_id": self._hearing}
                return [message("input_audio_buffer.speech_started", **where)]
            case ev.TurnOpened(turn=turn, speech_end=end):
                self._speech_ends[turn] = end
                return []
            case ev.Token(turn=turn, text=text):
                return self._token(turn, text)
            case ev.TurnReleased(turn=turn, text=text):
                return [*self._heard(turn, text), *self._begin(turn)]
            case ev.TurnDropped(turn=turn, cause=cause):
                self._responses.pop(turn, None)
                self._asked.discard(turn)
                end = self._speech_ends.pop(turn, item.time)
                return [] if cause.reason == "went_on" else self._nothing(end)
            case ev.AudioResumed(time=time):
                return self._nothing(time)
            case ev.Overheard(time=time, kind="stop"):
                return self._nothing(time)
            case ev.TurnEnded(turn=turn):
                return self._end(turn, item)
            case ev.Error():
                return self._error(item)
            case _:
                return []

    def _heard(self, turn: int, text: str) -> list[Message]:
        """The user's turn is over; where the client asked itself, its item is there already."""
        end = self._speech_ends.pop(turn, 0.0)
        if turn in self._asked:
            return []
        name = self._hearing or new_id("item")
        self.questions[name] = turn
        stopped = self._nothing(end)
        before = self.last
        content = {"type": "input_audio", "audio": None, "transcript": text}
        item = {
            "id": name,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [content],
        }
        committed = message("input_audio_buffer.committed", item_id=name, previous_item_id=before)
        return [*stopped, committed, *self.add(item), *self.transcribed(name, text, 0.0)]

    def transcribed(self, name: str, text: str, seconds: float) -> list[Message]:
        """The words of an item that the user said."""
        if not self.transcribing:
            return []
        kind, where = "conversation.item.input_audio_transcription.", {"item_id": name, "content_index": 0}
        usage = {"type": "duration", "seconds": round(seconds, 2)}
        return [
            message(f"{kind}delta", **where, delta=text),
            message(f"{kind}completed", **where, transcript=text, usage=usage),
        ]

    def _nothing(self, time: float) -> list[Message]:
        """What was being heard is over."""
        if self._hearing is None:
            return []
        name, self._hearing = self._hearing, None
        return [message("input_audio_buffer.speech_stopped", audio_end_ms=_ms(time), item_id=name)]

    def _begin(self, turn: int) -> list[Message]:
        response = self.response(turn)
        response.open = True
        self.active = turn
        self.turns[response.item] = turn
        item = _said(response, "in_progress", None)
        words = "text" if response.modality == "text" else "transcript"
        part = {"type": response.modality, words: ""}
        return [
            message("response.created", response=_response(response, "in_progress")),
            message("response.output_item.added", response_id=response.id, output_index=0, item=item),
            self._placed("conversation.item.added", item),
            message("response.content_part.added", **_place(response), part=part),
            *([_delta(response, response.text)] if response.text else []),
        ]

    def _token(self, turn: int, text: str) -> list[Message]:
        response = self.response(turn)
        response.text += text
        response.tokens += 1
        return [_delta(response, text)] if response.open and text else []

    def _sound(self, turn: int, sound: Sound) -> list[Message]:
        response = self.response(turn)
        if not response.open or response.modality == "text":
            return []
        data = base64.b64encode(pcm16(sound.samples)).decode()
        return [message("response.output_audio.delta", **_place(response), delta=data)]

    def _end(self, turn: int, event: ev.TurnEnded) -> list[Message]:
        begun = [] if self.response(turn).open else self._begin(turn)
        response = self._responses.pop(turn)
        self._asked.discard(turn)
        self.active = None if self.active == turn else self.active
        status = {"finished": "completed", "interrupted": "cancelled", "error": "failed"}[event.reason]
        whole = status == "completed"
        item = _said(response, "completed" if whole else "incomplete", event.heard)
        place, content = _place(response), item["content"][0]
        if response.modality == "text":
            part = {"type": "text", "text": event.heard}
            closed = [message("response.output_text.done", **place, text=event.heard)]
        else:
            part = {"type": "audio", "transcript": content["transcript"]}
            closed = [
                message("response.output_audio.done", **place),
                message("response.output_audio_transcript.done", **place, transcript=event.heard),
            ]
        return [
            *begun,
            *closed,
            message("response.content_part.done", **place, part=part),
            message("response.output_item.done", response_id=response.id, output_index=0, item=item),
            self._later("conversation.item.done", item),
            message("response.done", response=_response(response, status, item)),
        ]

    def _error(self, event: ev.Error) -> list[Message]:
        if event.turn is not None:
            self.response(event.turn).error = event.message
        return [error(event.message, "server_error", event.code)]

    def _placed(self, kind: str, item: Message, after: str | None = None) -> Message:
        before = self.last if after is None else None if after == "root" else after
        names = list(self.items)
        names.insert(names.index(before) + 1 if before is not None else 0, item["id"])
        self.items[item["id"]] = item
        self.items = {name: self.items[name] for name in names}
        while len(self.items) > KEPT:
            self.remove(next(iter(self.items)))
        return message(kind, item=item, previous_item_id=before)

    def _later(self, kind: str, item: Message) -> Message:
        names = list(self.items)
        if item["id"] not in names:  # it was deleted meanwhile
            return message(kind, item=item, previous_item_id=None)
        self.items[item["id"]] = item
        at = names.index(item["id"])
        return message(kind, item=item, previous_item_id=names[at - 1] if at else None)


def error(
    text: str, kind: str, code: str | None = None, cause: str | None = None, param: str | None = None
) -> Message:
    """An `error` event. cause: the client's own event that led to it; param: the field that is at fault."""
    told = {"type": kind, "code": code, "message": text, "param": param, "event_id": cause}
    return message("error", error=told)


def message(kind: str, **fields: Any) -> Message:
    """One message of that type, with an id of its own."""
    return {"type": kind, "event_id": new_id("event"), **fields}


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _place(response: Response) -> dict[str, Any]:
    return {"response_id": response.id, "item_id": response.item, "output_index": 0, "content_index": 0}


def _delta(response: Response, text: str) -> Message:
    kind = "output_text" if response.modality == "text" else "output_audio_transcript"
    return message(f"response.{kind}.delta", **_place(response), delta=text)


def _said(response: Response, status: str, text: str | None) -> Message:
    """The agent's item; `text`: what was heard of it, None while it is made."""
    content: list[dict[str, Any]] = []
    if text is not None and response.modality == "text":
        content = [{"type": "output_text", "text": text}]
    elif text is not None:
        content = [{"type": "output_audio", "transcript": text}]
    return {
        "id": response.item,
        "object": "realtime.item",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _response(response: Response, status: str, item: Message | None = None) -> Message:
    details: dict[str, Any] | None = None
    if status == "cancelled":
        reason = "client_cancelled" if response.cancelled else "turn_detected"
        details = {"type": "cancelled", "reason": reason}
    elif status == "failed":
        details = {"type": "failed", "error": {"type": "server_error", "message": response.error}}
    usage = {"total_tokens": response.tokens, "input_tokens": 0, "output_tokens": response.tokens}
    return {
        "id": response.id,
        "object": "realtime.response",
        "status": status,
        "status_details": details,
        "output": [item] if item else [],
        "output_modalities": [response.modality],
        "metadata": response.metadata,
        "usage": usage if item else None,
    }
