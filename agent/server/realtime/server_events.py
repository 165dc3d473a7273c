"""What a session does, told in the messages of the OpenAI Realtime protocol. Knows no socket."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from agent import events as ev
from agent.errors import RequestError
from agent.messages import ToolCall
from agent.server.http import logprobs
from agent.server.http.responses import error_type
from agent.server.realtime.calls import call_item
from agent.server.realtime.formats import PCM, Encoder, Format
from agent.server.realtime.session_config import Modality
from agent.transports.memory import weight
from agent.transports.remote import Item, Sound
from audio.frame import Frame, Samples
from audio.pcm import pcm16

Message = dict[str, Any]
Tokens: TypeAlias = Sequence[tuple[bytes, float]]
"""What words are made of, and the log-probability of each."""

GOES_ON = ("no_speech", "false_interruption")
"""Why a reply is said on while it is not settled what the user says, if they do."""
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
    limit: int | None = None
    """Most tokens that it may have."""
    conversation: str | None = None
    """The conversation that it is part of; None where it is of none."""
    voice: str = "default"
    speed: float = 1.0
    """How much faster it is said than by itself."""
    format: Format = field(default_factory=PCM)
    """How its sound is sent."""
    outputs: dict[str, Message] = field(default_factory=dict[str, Message])
    """Its items that the client knows of, by id: what it says, and what it calls."""
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    """What it calls and the client was not told yet."""

    @cached_property
    def encoder(self) -> Encoder:
        """Where its sound goes through."""
        return Encoder(self.format)


@dataclass(frozen=True, slots=True)
class Recording:
    """What the user said in an item: 16 bit samples at `rate` Hz."""

    data: bytes
    rate: int

    def __len__(self) -> int:
        return len(self.data)


class ServerEvents:
    """Turns what a session gives into protocol messages, and keeps the conversation's items."""

    def __init__(self, memory: int = 0, voice: str = "default") -> None:
        self._memory, self.voice = memory, voice
        self.conversation = new_id("conv")
        self.items: dict[str, Message] = {}
        self.turns: dict[str, int] = {}
        """The reply that an item of the agent says, by the item's id."""
        self.questions: dict[str, int] = {}
        """The turn in which the user said an item, by the item's id."""
        self.sounds: dict[str, Recording] = {}
        """What the user said, by the item's id."""
        self.modality: Modality = "audio"
        self.format: Format = PCM()
        self.limit: int | None = None
        """Most tokens of a response that the client does not ask for."""
        self.scores = False
        """Whether it is told how probable each token of the user's words was."""
        self.transcribing = self.interrupts = True
        """Whether the user's words are told; whether what they say over a reply may end it."""
        self.tools = set[str]()
        """The names of what the client runs."""
        self.active: int | None = None
        """The reply that is told now."""
        self.committed: set[int] = set()
        """Turns that the client has ended itself."""
        self.spoken: Callable[[int], Frame | None] = lambda turn: None
        """What was said in a turn that has just been released."""
        self._responses: dict[int, Response] = {}
        self._speech_ends: dict[int, float] = {}
        self._asked: set[int] = set()
        self._since: float | None = None
        """Since when the user says what is not settled yet (s)."""
        self._item: str | None = None
        """The item that it will be, once the client knows of it."""
        self._open = False
        """Whether the client was told that they speak, and not that they have stopped."""
        self._words = ""
        """What the client has read of it while it was said."""

    def asked(self, turn: int, response: Response) -> None:
        """The client has asked for this reply itself."""
        self._asked.add(turn)
        self._responses[turn] = response

    @property
    def running(self) -> int | None:
        """The reply that is told now, or that the client has asked for and is not told yet."""
        return self.active if self.active is not None else max(self._asked, default=None)

    def response(self, turn: int) -> Response:
        """That reply's response; a new one where the user's voice asked for it."""
        if turn not in self._responses:
            own = Response(self.modality, limit=self.limit)
            own.conversation, own.voice, own.format = self.conversation, self.voice, self.format
            self._responses[turn] = own
        return self._responses[turn]

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
        for known in (self.items, self.turns, self.questions, self.sounds):
            known.pop(name, None)

    def record(self, name: str, sound: Frame) -> None:
        """What was said in an item; of the oldest ones it is let go for that, with half of the memory."""
        self.sounds[name] = Recording(pcm16(sound.samples), sound.rate)
        while sum(map(len, self.sounds.values())) > self._memory / 2:
            del self.sounds[next(iter(self.sounds))]

    @property
    def kept(self) -> int:
        """Bytes of the items, and of what was said in them."""
        return sum(map(weight, self.items.values())) + sum(map(len, self.sounds.values()))

    def let_go(self, size: int) -> None:
        """Of the oldest, so many bytes; the newest stays."""
        while size > 0 and len(self.items) > 1:
            name = next(iter(self.items))
            size -= weight(self.items[name]) + len(self.sounds.get(name, ""))
            self.remove(name)

    def tell(self, item: Item) -> list[Message]:
        """What to send for one thing that the session gave."""
        match item:
            case Sound(turn=turn):
                return self._sound(turn, item)
            case ev.SpeechStarted(at=at):
                self._since = at
                undecided = self.active is not None and self.interrupts
                return [] if undecided else self._started(at)
            case ev.SpeechPaused(at=at) if self.active is not None and not self.interrupts:
                return self._stopped(at)
            case ev.SpeechResumed(time=time) if self._item is not None:
                return self._started(time)
            case ev.InterimTranscript(text=text, stable=stable):
                return self._interim(text[:stable])
            case ev.TurnOpened(turn=turn, speech_end=end):
                self._speech_ends[turn] = end
                return []
            case ev.Token(turn=turn, text=text):
                return self._token(turn, text)
            case ev.ToolCalled(turn=turn, name=name, effect=str()) if name in self.tools:  # not refused
                return self._called(turn, ToolCall(item.call, name, item.arguments))
            case ev.TurnCommitted(turn=turn, text=text):
                heard = self._heard(turn, text, speaker=item.speaker, tokens=item.tokens)
                return [*heard, *(self._begin(turn) if item.answered else [])]
            case ev.TurnDiscarded(turn=turn):
                return self._dropped(turn, item)
            case ev.Decision(action="resume", cause=cause, time=time) if cause.reason not in GOES_ON:
                return self._forgotten(time)
            case ev.Interrupted(onset=onset, cause=cause):
                return self._over(onset, cause.reason, item.time)
            case ev.TurnEnded(turn=turn):
                untold = self._since is not None and self._item is None
                return [*self._end(turn, item), *(self._started(self._since or 0.0) if untold else [])]
            case ev.Error():
                return self._error(item)
            case _:
                return []

    def _started(self, at: float) -> list[Message]:
        """The user speaks, since `at`. The item is the one that their words will be."""
        if self._open:
            return []
        self._open, self._item = True, self._item or new_id("item")
        where = {"audio_start_ms": _ms(at), "item_id": self._item}
        return [message("input_audio_buffer.speech_started", **where)]

    def _stopped(self, at: float) -> list[Message]:
        if not self._open:
            return []
        self._open = False
        return [message("input_audio_buffer.speech_stopped", audio_end_ms=_ms(at), item_id=self._item)]

    def _forgotten(self, at: float) -> list[Message]:
        """Nothing will come of what the user said."""
        stopped = self._stopped(at)
        self._item, self._since, self._words = None, None, ""
        return stopped

    def deafened(self, at: float) -> list[Message]:
        """The user is not listened to any more, nor what they have begun to say."""
        return self._forgotten(at)

    def _over(self, onset: float, reason: str, now: float) -> list[Message]:
        """A reply was given up. Only now is it sure that what the user says over one is more than a sound.

        Clients stop playing when they are told that the user speaks, and many of them cut the reply.
        """
        if reason in ("words", "speech", "silence_wanted"):
            self._since = onset
        begun = self._started(self._since) if self._since is not None else []
        return [*begun, *(self._forgotten(now) if reason == "silence_wanted" else [])]

    def _dropped(self, turn: int, event: ev.TurnDiscarded) -> list[Message]:
        """Nothing is answered. The user goes on; or nothing was understood; or it could not be."""
        response = self._responses.pop(turn, None)
        self._asked.discard(turn)
        if event.cause.reason == "went_on":
            self._speech_ends.pop(turn, None)
            return []
        if event.cause.reason == "failed" and self._since is not None:
            why = (response.error if response is not None else None) or "it could not be transcribed"
            return self._heard(turn, None, why)
        if turn in self.committed:
            return self._heard(turn, "")
        return self._forgotten(self._speech_ends.pop(turn, event.time))

    def timed_out(self, since: float, now: float) -> list[Message]:
        """Nobody has said anything: the silence is an item of the user without words."""
        name, before = new_id("item"), self.last
        where = {"audio_start_ms": _ms(since), "audio_end_ms": _ms(now), "item_id": name}
        item = user_item(name, {"type": "input_audio", "audio": None, "transcript": None})
        return [
            message("input_audio_buffer.timeout_triggered", **where),
            message("input_audio_buffer.committed", item_id=name, previous_item_id=before),
            *self.add(item),
        ]

    def _interim(self, stable: str) -> list[Message]:
        """The words that will stay, while the user still speaks."""
        added = stable.removeprefix(self._words)
        if not self.transcribing or self._item is None or not added or not stable.startswith(self._words):
            return []
        self._words = stable
        return [_transcription("delta", self._item, delta=added)]

    def _heard(
        self, turn: int, text: str | None, why: str = "", speaker: str = "", tokens: Tokens = ()
    ) -> list[Message]:
        """The user's turn is over; where the client asked itself, its item is there already.

        text: None where it could not be transcribed, and `why`. speaker: whose voice it was, if known.
        """
        end = self._speech_ends.pop(turn, 0.0)
        if turn in self._asked:
            return []
        began = end if self._since is None else self._since
        begun = self._started(began) if self._item is None else []
        name, before, words = self._item or "", self.last, self._words
        stopped = self._forgotten(end)
        self.committed.discard(turn)
        self.questions[name] = turn
        if (sound := self.spoken(turn)) is not None:
            self.record(name, sound)
        content = {"type": "input_audio", "audio": None, "transcript": None}
        item = user_item(name, content)
        committed = message("input_audio_buffer.committed", item_id=name, previous_item_id=before)
        added = copy.deepcopy(self.add(item))
        if text is None:
            told = [self.failed(name, why)] if self.transcribing else []
        else:
            seconds = end - began if sound is None else sound.duration
            content["transcript"] = text
            told = self.transcribed(name, text, seconds, words, tokens)
            if speaker and told:
                told.insert(-1, _segment(name, text, seconds, speaker))
        return [*begun, *stopped, committed, *added, *told]

    def transcribed(
        self, name: str, text: str, seconds: float, told: str = "", tokens: Tokens = ()
    ) -> list[Message]:
        """The words of an item that the user said, `told` of them before. tokens: what they are made of."""
        if not self.transcribing:
            return []
        rest = text.removeprefix(told) if text.startswith(told) else ""
        usage = {"type": "duration", "seconds": round(seconds, 2)}
        probable = {"logprobs": logprobs.transcribed(tokens)} if self.scores else {}
        return [
            *([_transcription("delta", name, delta=rest, **({} if told else probable))] if rest else []),
            _transcription("completed", name, transcript=text, usage=usage, **probable),
        ]

    def failed(self, name: str, why: str) -> Message:
        """An item of the user could not be transcribed."""
        told = {"type": "server_error", "code": "stt_failed", "message": why, "param": None}
        return _transcription("failed", name, error=told)

    def _begin(self, turn: int) -> list[Message]:
        response = self.response(turn)
        response.open = True
        self.active = turn
        self.turns[response.item] = turn
        begun = [created(response)]
        if response.text:
            begun += [*self._opened(response), delta(response, response.text)]
        calls, response.calls = response.calls, []
        return [*begun, *(told for call in calls for told in self._called(turn, call))]

    def _opened(self, response: Response) -> list[Message]:
        """The item that it says begins, if it has not yet."""
        if response.item in response.outputs:
            return []
        added, part = opened(response)
        return [added, self._placed("conversation.item.added", added["item"]), part]

    def _called(self, turn: int, call: ToolCall) -> list[Message]:
        """The client is to run something."""
        response = self.response(turn)
        if not response.open:
            response.calls.append(call)
            return []
        added, *written, done = called(response, call)
        placed = self._placed("conversation.item.added", added["item"])
        return [added, placed, *written, done, self._later("conversation.item.done", done["item"])]

    def _token(self, turn: int, text: str) -> list[Message]:
        response = self.response(turn)
        response.text += text
        response.tokens += 1
        return [*self._opened(response), delta(response, text)] if response.open and text else []

    def _sound(self, turn: int, sound: Sound) -> list[Message]:
        response = self.response(turn)
        if not response.open or response.modality == "text":
            return []
        return [*self._opened(response), *sounding(response, sound.samples)]

    def _end(self, turn: int, event: ev.TurnEnded) -> list[Message]:
        begun = [] if self.response(turn).open else self._begin(turn)
        response = self._responses.pop(turn)
        self._asked.discard(turn)
        self.active = None if self.active == turn else self.active
        status = {"finished": "completed", "interrupted": "cancelled", "error": "failed"}[event.reason]
        status = "incomplete" if event.limited else status
        begun += [] if response.outputs else self._opened(response)
        *ended, done = closed(response, status, event.heard)
        later = [self._later("conversation.item.done", ended[-1]["item"])] if ended else []
        return [*begun, *ended, *later, done]

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


def refused(why: RequestError, cause: str | None) -> Message:
    """The same of something that is not done for a client."""
    return error(str(why), error_type(why), why.code, cause, why.param)


def message(kind: str, **fields: Any) -> Message:
    """One message of that type, with an id of its own."""
    return {"type": kind, "event_id": new_id("event"), **fields}


def user_item(name: str, content: Message) -> Message:
    """An item that the user said, with its one part."""
    return {
        "id": name,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [content],
    }


def _transcription(kind: str, name: str, **fields: Any) -> Message:
    whole = f"conversation.item.input_audio_transcription.{kind}"
    return message(whole, item_id=name, content_index=0, **fields)


def _segment(name: str, text: str, seconds: float, speaker: str) -> Message:
    """Who has said an item of the user, and in which seconds of it."""
    where = {"id": new_id("seg"), "start": 0.0, "end": round(seconds, 2)}
    return _transcription("segment", name, text=text, speaker=speaker, **where)


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def created(response: Response) -> Message:
    """The first event of a response."""
    return message("response.created", response=_response(response, "in_progress"))


def opened(response: Response) -> list[Message]:
    """What it says begins: the item, and its part."""
    words = "text" if response.modality == "text" else "transcript"
    item = response.outputs[response.item] = _said(response, "in_progress", None)
    where = place(response)
    added = {"response_id": response.id, "output_index": where["output_index"], "item": item}
    part = {"type": response.modality, words: ""}
    return [
        message("response.output_item.added", **added),
        message("response.content_part.added", **where, part=part),
    ]


def called(response: Response, call: ToolCall) -> list[Message]:
    """A call of it, as one of its items: from its beginning to its end."""
    item = call_item(new_id("item"), call)
    begun = {**item, "status": "in_progress", "arguments": ""}
    where = {"response_id": response.id, "output_index": len(response.outputs)}
    response.outputs[item["id"]] = item
    placed, done = {**where, "item": begun}, {**where, "item": item}
    piece: dict[str, Any] = {**where, "item_id": item["id"], "call_id": call.id}
    whole = {**piece, "name": call.name, "arguments": call.arguments}
    return [
        message("response.output_item.added", **placed),
        message("response.function_call_arguments.delta", **piece, delta=call.arguments),
        message("response.function_call_arguments.done", **whole),
        message("response.output_item.done", **done),
    ]


def closed(response: Response, status: str, text: str) -> list[Message]:
    """The last events of a response: those of what it says, if anything, and its own. text: what is kept."""
    said = _ended(response, status, text) if response.item in response.outputs else []
    return [*said, message("response.done", response=_response(response, status, over=True))]


def _ended(response: Response, status: str, text: str) -> list[Message]:
    item, where = (
        _said(response, "completed" if status == "completed" else "incomplete", text),
        place(response),
    )
    response.outputs[response.item] = item
    if response.modality == "text":
        part = {"type": "text", "text": text}
        ended = [message("response.output_text.done", **where, text=text)]
    else:
        part = {"type": "audio", "transcript": text}
        ended = [
            message("response.output_audio.done", **where),
            message("response.output_audio_transcript.done", **where, transcript=text),
        ]
    return [
        *ended,
        message("response.content_part.done", **where, part=part),
        message(
            "response.output_item.done",
            response_id=response.id,
            output_index=where["output_index"],
            item=item,
        ),
    ]


def place(response: Response) -> dict[str, Any]:
    """Where in the session its one part is."""
    index = list(response.outputs).index(response.item)
    return {"response_id": response.id, "item_id": response.item, "output_index": index, "content_index": 0}


def delta(response: Response, text: str) -> Message:
    """More of its words."""
    kind = "output_text" if response.modality == "text" else "output_audio_transcript"
    return message(f"response.{kind}.delta", **place(response), delta=text)


def sounding(response: Response, samples: Samples) -> list[Message]:
    """More of its sound, float32 (n,) at 24 kHz."""
    data = response.encoder.feed(samples)
    return [message("response.output_audio.delta", **place(response), delta=data)] if data else []


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


def _response(response: Response, status: str, *, over: bool = False) -> Message:
    details: dict[str, Any] | None = None
    if status == "cancelled":
        reason = "client_cancelled" if response.cancelled else "turn_detected"
        details = {"type": "cancelled", "reason": reason}
    elif status == "incomplete":
        details = {"type": "incomplete", "reason": "max_output_tokens"}
    elif status == "failed":
        details = {"type": "failed", "error": {"type": "server_error", "message": response.error}}
    usage = {"total_tokens": response.tokens, "input_tokens": 0, "output_tokens": response.tokens}
    return {
        "id": response.id,
        "object": "realtime.response",
        "status": status,
        "status_details": details,
        "output": list(response.outputs.values()) if over else [],
        "output_modalities": [response.modality],
        "audio": {"output": {"format": response.format.model_dump(), "voice": response.voice}},
        "max_output_tokens": response.limit or "inf",
        "conversation_id": response.conversation,
        "metadata": response.metadata,
        "usage": usage if over else None,
    }
