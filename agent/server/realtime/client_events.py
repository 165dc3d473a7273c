"""What a Realtime client asks for, one method for each of its events. Knows no socket.

What a session does is told by `server_events.py`; what may be chosen is in `session_config.py`.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, cast

import anyio
import numpy as np
from anyio.abc import TaskGroup
from pydantic import Field

from agent import events as ev
from agent.conversation.history import Part
from agent.conversation.reply import Manner
from agent.errors import EngineFault, RequestError
from agent.messages import Message, joined
from agent.server.fields import MANY, Fields, granted, told_of
from agent.server.functions import MOST, Calling, Choice, Declared
from agent.server.realtime import server_events
from agent.server.realtime.calls import FunctionCall, FunctionOutput, as_message
from agent.server.realtime.formats import sound
from agent.server.realtime.out_of_band import OutOfBand
from agent.server.realtime.resume import Keeper
from agent.server.realtime.session_config import (
    ELSEWHERE,
    Kind,
    Modality,
    Output,
    RealtimeConfig,
    Update,
    beta_refused,
    update_of,
)
from agent.server.reception import Visit
from agent.transports.memory import room, weight
from agent.transports.playout import RATE
from agent.transports.remote import RemoteSession
from agent.transports.transcription import spoken
from audio.frame import Frame, Samples, resample
from audio.pcm import from_pcm16, pcm16

Tell: TypeAlias = Callable[[list[server_events.Message]], Awaitable[None]]

SHORTEST = 0.1
"""Seconds that a committed utterance must have."""


LISTENING = frozenset(
    {
        "session.update",
        *("input_audio_buffer.append", "input_audio_buffer.clear", "input_audio_buffer.commit"),
        *("conversation.item.delete", "conversation.item.retrieve"),
    }
)
"""Events of a session that answers nothing."""


class _Content(Fields):
    ELSEWHERE: ClassVar = {"detail": ("auto",)}

    type: Literal["input_text", "input_audio", "input_image", "output_text", "output_audio", "text"]
    text: str = ""
    audio: str = ""
    image_url: str = ""
    transcript: str = ""


class _Item(Fields):
    ABOUT: ClassVar = frozenset({"object", "status"})
    ESSENTIAL: ClassVar = frozenset({"id", "type", "role", "content"})

    id: str | None = Field(default=None, max_length=64)
    type: Literal["message"]
    role: Literal["user", "assistant", "system"]
    content: list[_Content] = Field(min_length=1)

    @property
    def text(self) -> str:
        """Its words; of sound that the agent made, what it says."""
        spoken = [part.transcript if part.type == "output_audio" else part.text for part in self.content]
        return " ".join(filter(None, spoken))


_Given: TypeAlias = _Item | FunctionCall | FunctionOutput
_KINDS: dict[Any, type[_Given]] = {"function_call": FunctionCall, "function_call_output": FunctionOutput}


class _Audio(Fields):
    output: Output = Field(default_factory=Output)


class _Reference(Fields):
    type: Literal["item_reference"]
    id: str


class _Wanted(Fields):
    """The `response` of a `response.create`."""

    ELSEWHERE: ClassVar = ELSEWHERE
    ESSENTIAL: ClassVar = frozenset({"conversation", "input"})

    audio: _Audio = Field(default_factory=_Audio)
    conversation: Literal["auto", "none"] = "auto"
    input: list[Annotated[_Given | _Reference, Field(discriminator="type")]] | None = None
    instructions: str | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | Literal["inf"] | None = None
    output_modalities: list[Modality] = Field(default_factory=list[Modality], max_length=1)
    metadata: dict[str, str] | None = None
    tools: list[Declared] | None = Field(default=None, max_length=MOST)
    tool_choice: Choice | None = None
    parallel_tool_calls: bool | None = None


class ClientEvents:
    """A client's side of one session: its choices, its conversation, and the session once there is one."""

    def __init__(self, visit: Visit, send: Tell, kind: Kind = "realtime") -> None:
        self._visit, self._slot, self._pool, self._send = visit, visit.slot, visit.pool, send
        self.chosen = RealtimeConfig(self._pool, visit.entry.name, kind)
        self._limits = self._pool.config.server
        self.server_events = server_events.ServerEvents(self._limits.memory, self._pool.voice)
        self._aside = OutOfBand(self._pool, send)
        self.keeper = Keeper(visit.store)
        """Keeps the session for when the connection is lost."""
        self.tasks: TaskGroup | None = None
        """Where what does not hold up the next event is done."""
        self.session: RemoteSession | None = None
        self.settled = anyio.Event()
        """Set when there is a session."""
        self._buffer = bytearray()
        self._pending: tuple[str, Message] | None = None
        """The last item's id and words, where the user said it: the question of the next response."""
        self._asked: tuple[int, Message] | None = None
        """The turn and the words of a question that is on its way into the history."""
        self._parts: dict[str, Part] = {}
        """Where in the history what the client has put into the conversation is, by the item's id."""
        self._given_back = False
        """Whether the client has given back what it ran, and not yet asked for an answer to that."""
        self._next: dict[str, Any] | None = None
        """A response that it wants when the one that is told now is over."""

    async def take(self, event: dict[str, Any]) -> None:
        """Do what one event asks. Raises RequestError, EngineFault."""
        name = str(event.get("type"))[:80]
        if name == "transcription_session.update":
            raise beta_refused(f"{name} is an event of this protocol's beta", "type")
        if name not in self._HANDLERS:
            raise RequestError(f"no event {name!r} is known here", param="type")
        if self.chosen.kind == "transcription" and name not in LISTENING:
            text = f"{name}: a session of type 'transcription' only tells what was said"
            raise RequestError(text, code="invalid_value", param="type")
        handler, fields = self._HANDLERS[name]
        unknown = sorted(event.keys() - fields - {"type", "event_id"})[:MANY]
        cause = event.get("event_id") if isinstance(event.get("event_id"), str) else None
        for field in (each[:80] for each in unknown):
            why = RequestError(f"{field}: not known here; leave it out", code="invalid_value", param=field)
            await self._send([server_events.refused(why, cause)])
        try:
            await handler(self, event)
        except RequestError as error:
            raise _placed(error, name) from error
        if name != "input_audio_buffer.append":
            self.look()

    def _watch(self, event: ev.Event) -> None:
        if isinstance(event, ev.TurnCommitted | ev.TurnDiscarded | ev.TurnEnded):
            if self._asked is not None and self._asked[0] == event.turn:
                self._asked = None
            self.look()

    def look(self) -> None:
        """Have what was said by now kept."""
        if self.session is not None:
            said = [part.message for part in self.session.history.parts]
            asked = [each[1] for each in (self._asked, self._pending) if each is not None]
            self.keeper.look([*said, *asked], self.session.history.unheard)

    async def _leave_out(self, event: dict[str, Any], refused: Sequence[RequestError]) -> None:
        """Say what of an event is not done, while all else of it is."""
        cause, name = event.get("event_id"), str(event.get("type", "session.update"))
        cause = cause if isinstance(cause, str) else None
        await self._send([server_events.refused(_placed(why, name), cause) for why in refused])

    async def _settle(self) -> RemoteSession:
        """The session, running; its settings are what has been chosen by the first use of it."""
        if self.session is None:
            self.chosen.begun = True
            config, manner = self.chosen.config(), self.chosen.manner
            watchers = [*self._visit.watchers, self.keeper.watch, self._watch]
            self.session = session = RemoteSession(self._slot, config, watchers, manner)
            self.keeper.place = lambda turn, moment: (
                self.server_events.response(turn).item,
                round(session.position(turn, moment) * 1000),
            )
            self.keeper.coming = session.session.controller.coming
            self.server_events.spoken = self.session.spoken
            self.session.voice.muted = self.chosen.modality == "text"
            self.settled.set()
        await self.session.ready.wait()
        return self.session

    async def _check(self, instructions: str | None) -> None:
        """Raise RequestError where instructions are too long for the model."""
        if instructions is not None:
            await self._slot.check(self._pool.config, instructions)

    def _check_length(self, seconds: float) -> None:
        """Raise RequestError where this is more sound than one utterance may have."""
        if seconds > (longest := self._pool.config.server.max_audio):
            text = f"audio: longer than {longest:g} s (server.max_audio); commit it in parts"
            raise RequestError(text, 413, "too_large")

    def _room(self, more: int) -> None:
        """Let go of the oldest items for so many bytes more. Raises RequestError where that is not enough.

        The history keeps what the model still reads, whatever is let go here.
        """
        kept = len(self._buffer) + (self.session.kept if self.session is not None else 0)
        room(kept, more, self._limits)
        self.server_events.let_go(kept + self.server_events.kept + more - self._limits.memory)
        self._parts = {name: part for name, part in self._parts.items() if name in self.server_events.items}

    @classmethod
    def fields(cls, name: str) -> frozenset[str]:
        """The fields that an event of that name has, besides its type and id."""
        return frozenset(cls._HANDLERS[name][1])

    # What a client may ask for, one method each.

    async def begin(self, given: Mapping[str, Any] | None) -> None:
        """The session is there, with what its client secret is bound to, if that says anything."""
        refused = [] if given is None else await self._take_over(dict(given))
        await self._send([server_events.message("session.created", session=self.chosen.as_dict())])
        await self._leave_out({}, refused)

    async def _resume(self, event: dict[str, Any]) -> None:
        """Our own: this session is to be kept; or one is gone on with, whose connection was lost.

        Raises RequestError where it is too late for that, or nothing is kept here.
        """
        token, item, played = event.get("token"), event.get("item_id"), event.get("audio_end_ms")
        if not (token is None or isinstance(token, str)):
            raise RequestError("token: text, or null for a session that is new", param="token")
        if not (played is None or (type(played) is int and played >= 0)):
            raise RequestError("audio_end_ms: whole milliseconds from 0", param="audio_end_ms")
        if not self.keeper.able:
            raise RequestError("sessions are not kept here (server.resume)", code="not_resumable")
        if self.keeper.token is not None or (token is not None and self.session is not None):
            text = "a session that has begun goes on as it is; open another connection, and send this first"
            raise RequestError(text, code="already_begun")
        try:
            state = await self.keeper.claim(token)
        except ConnectionError as error:
            text = "what is kept of sessions cannot be reached; try again"
            raise RequestError(text, 503, "not_resumable", retry_after=1) from error
        if state is not None and state.chosen:
            await self._take_over(state.chosen)
        seconds = self._limits.resume
        about: dict[str, Any] = {"token": self.keeper.token, "resumed": state is not None, "seconds": seconds}
        if state is None:
            await self._send([server_events.message("backchat.session", **about)])
            return
        heard, rest, again = state.parted(item if isinstance(item, str) else None, played)
        last = heard[-1] if heard else None
        about["last"] = None if last is None else {"role": last.role, "text": last.content}
        about["goes_on"] = bool(rest) or again
        await self._send(
            [
                server_events.message("backchat.session", **about),
                server_events.message("session.updated", session=self.chosen.as_dict()),
            ]
        )
        session = await self._settle()
        for message in heard:
            session.history.add(message)
        session.history.unheard = state.unheard
        turn, say = 0, "" if again else rest
        if about["goes_on"]:
            turn = session.send_text("", self.chosen.manner, say=say)
            self.server_events.asked(turn, self.server_events.response(turn))
        self.keeper.goes_on(turn, say)

    async def _update(self, event: dict[str, Any]) -> None:
        given: Any = event.get("session")
        await self._leave_out(event, await self._take_over(given))
        self.keeper.chosen(given)
        if self.session is not None:
            self.session.history.instruct(self.chosen.instructions)
            listening = self.chosen.detection is not None
            self.session.update(self.chosen.config(), listening=listening, manner=self.chosen.manner)
            if not listening:
                await self._send(self.server_events.deafened(self.session.runner.now()))
            if not self.session.turn:
                self.session.voice.muted = self.chosen.modality == "text"
        await self._send([server_events.message("session.updated", session=self.chosen.as_dict())])

    async def _take_over(self, given: Any) -> list[RequestError]:
        """Choose what is wished for, and tell what cannot be. Raises RequestError where nothing can."""
        wanted, refused = update_of(given, self.chosen.kind)
        rate = self.chosen.heard.RATE
        refused += self.chosen.update(wanted)
        if isinstance(wanted, Update):
            with told_of(refused):
                await self._check(wanted.instructions)
                self.chosen.instruct(wanted.instructions)
        if (now := self.chosen.heard.RATE) != rate:
            self._buffer[:] = pcm16(resample(from_pcm16(bytes(self._buffer)), rate, now))
        told = self.server_events
        told.modality, told.format, told.voice = self.chosen.modality, self.chosen.said, self.chosen.voice
        told.transcribing, told.scores = self.chosen.transcription is not None, self.chosen.scores
        told.interrupts, told.limit = self.chosen.interrupts, self.chosen.limit
        told.tools.update(tool.name for tool in self.chosen.tools)
        return refused

    async def _append(self, event: dict[str, Any]) -> None:
        await self.push_audio(sound(event.get("audio"), self.chosen.heard))

    async def push_audio(self, samples: Samples) -> None:
        """The user's sound, float32 (n,) at the rate that is chosen. Raises RequestError for too much."""
        rate = self.chosen.heard.RATE
        if self.chosen.detection is not None:
            session = await self._settle()
            if not session.turn:  # what was written was no question: it is what came before one
                self._settle_pending(session)
            await session.push_audio(samples, rate)
            return
        self._check_length((len(self._buffer) / 2 + len(samples)) / rate)
        self._room(2 * len(samples))
        self._buffer += pcm16(samples)

    def clear_audio(self) -> None:
        """Let go of the sound that was not committed."""
        self._buffer.clear()

    async def _clear(self, event: dict[str, Any]) -> None:
        self.clear_audio()
        if self.session is not None:
            self.session.clear_audio()
        await self._send([server_events.message("input_audio_buffer.cleared")])

    async def _commit(self, event: dict[str, Any]) -> None:
        if self.chosen.detection is not None:
            await self._end_turn()
            return
        audio = Frame(from_pcm16(bytes(self._buffer)), self.chosen.heard.RATE)
        if audio.duration < SHORTEST:
            raise RequestError(
                f"the buffer holds {audio.duration:.2f} s of audio; {SHORTEST:g} s are needed",
                code="input_audio_buffer_commit_empty",
            )
        self._buffer.clear()
        name, last = server_events.new_id("item"), self.server_events.last
        await self._send(
            [server_events.message("input_audio_buffer.committed", item_id=name, previous_item_id=last)]
        )
        await self._said(name, audio, None)

    async def _end_turn(self) -> None:
        """The client says that the user's turn is over; it is answered when the client asks for that."""
        turn = await self.session.commit() if self.session is not None else 0
        if self.session is None or not turn:
            text = "nothing was said that is not committed already; turns are found in the audio"
            raise RequestError(text, code="input_audio_buffer_commit_empty")
        self.server_events.committed.add(turn)
        await self.session.settled(turn)

    async def _said(self, name: str, audio: Frame, after: str | None) -> None:
        """An utterance that the client has marked off itself."""
        content = {"type": "input_audio", "audio": None, "transcript": None}
        item = _message_item(name, "user", [content])
        await self._send(self.server_events.add(item, after))
        self.server_events.record(name, audio)
        session = await self._settle()
        try:
            said = await session.transcribe(audio)
        except EngineFault as error:
            if self.server_events.transcribing:
                await self._send([self.server_events.failed(name, error.public)])
            raise
        content["transcript"] = said.text
        self._put(session, name, Message("user", said.text, language=said.language))
        await self._send(self.server_events.transcribed(name, said.text, audio.duration, tokens=said.tokens))

    async def _create_item(self, event: dict[str, Any]) -> None:
        item: Any = event.get("item")
        kind = cast(dict[str, Any], item).get("type") if isinstance(item, dict) else None
        given, refused = granted(_KINDS.get(kind, _Item) if isinstance(kind, str) else _Item, item)
        await self._leave_out(event, refused)
        name, after = given.id or server_events.new_id("item"), event.get("previous_item_id")
        if name in self.server_events.items or name in self.keeper.items:
            text = f"Error adding item: an item with id {name!r} already exists (item.id)."
            raise RequestError(text, code="item_create_duplicate_item_id", param="item.id")
        if after is not None and after != "root":
            self._check_item("creating", after, "previous_item_id")
        self._room(weight(event["item"]))
        if not isinstance(given, _Item):
            await self._create_call(given, name, after)
            return
        await self._check(given.text if given.role == "system" else None)
        shown = [part for part in given.content if part.type == "input_image"]
        if len(shown) > 1:
            raise RequestError(
                "item.content: one picture; the last that is shown counts", param="item.content"
            )
        session = await self._settle()
        for part in shown:
            session.show(part.image_url, once=True)
        sounds = [part for part in given.content if part.type == "input_audio"]
        if sounds:
            await self._said(name, self._uttered(part.audio for part in sounds), after)
            return
        content = [
            part.model_dump(exclude_defaults=True, exclude={"audio", "image_url"}) for part in given.content
        ]
        await self._send(self.server_events.add(_message_item(name, given.role, content), after))
        self._put(session, name, Message(given.role, given.text))

    async def _create_call(self, given: FunctionCall | FunctionOutput, name: str, after: str | None) -> None:
        """What the client made of a call; or one that was made before, or what came of that."""
        session = await self._settle()
        if isinstance(given, FunctionOutput) and self.chosen.client.returned(given.call_id, given.output):
            self._given_back = True
            await self._send(self.server_events.add(given.item(name), after))
            return
        calls = [call.id for part in session.history.parts for call in part.message.calls]
        results = [part.message.call for part in session.history.parts]
        if isinstance(given, FunctionCall) and given.call_id in calls:
            why = "is a call that is there already"
        elif isinstance(given, FunctionOutput) and (given.call_id not in calls or given.call_id in results):
            why = "is no call that waits for its output"
        else:
            why = ""
        if why:
            text = f"item.call_id: {given.call_id[:80]!r} {why}"
            raise RequestError(text, code="invalid_tool_call_id", param="item.call_id")
        await self._send(self.server_events.add(given.item(name), after))
        self._put(session, name, given.message())

    def _uttered(self, sounds: Iterable[str]) -> Frame:
        """Stretches of sound as one utterance. Raises RequestError."""
        form = self.chosen.heard
        audio = Frame(np.concatenate([sound(each, form) for each in sounds]), form.RATE)
        self._check_length(audio.duration)
        return audio

    def _put(self, session: RemoteSession, name: str, message: Message) -> None:
        """Put an item's words into the history at its place; the user's last ones wait for a response."""
        if message.empty:
            return
        self.keeper.items.append(name)
        if name == self.server_events.last:
            self._settle_pending(session)
            if message.role == "user":
                self._pending = (name, message)
            else:
                self._parts[name] = session.history.add(message)
            return
        names = list(self.server_events.items)
        before = (self._found(session, one) for one in reversed(names[: names.index(name)]))
        self._parts[name] = session.history.put(message, next((part[-1] for part in before if part), None))

    def _settle_pending(self, session: RemoteSession) -> None:
        """What the user wrote last was not the question: something comes behind it."""
        if self._pending is not None:
            name, said = self._pending
            self._parts[name], self._pending = session.history.add(said), None

    def _found(self, session: RemoteSession, name: str) -> list[Part]:
        """Where in the history an item is; nowhere, if it has no words or waits for a response."""
        told, item = self.server_events, self.server_events.items[name]
        if name in self._parts:
            return [self._parts[name]]
        if "call_id" in item:  # without its result a call is not told either
            return [part for part in session.history.parts if part.message.call == item["call_id"]]
        if name in told.turns:
            return session.replied(told.turns[name])
        return session.said(told.questions[name]) if name in told.questions else []

    def _check_item(self, doing: str, name: Any, param: str = "item_id") -> str:
        """The name of an item that there is. Raises RequestError, with the code that clients look for."""
        if isinstance(name, str) and name in self.server_events.items:
            return name
        text = f"Error {doing} item: the item with id {str(name)[:80]!r} does not exist ({param})."
        code = {"deleting": "delete", "retrieving": "retrieve", "truncating": "truncate"}.get(doing, "create")
        raise RequestError(text, code=f"item_{code}_invalid_{param}", param=param)

    async def _delete_item(self, event: dict[str, Any]) -> None:
        name = self._check_item("deleting", event.get("item_id"))
        session = await self._settle()
        if self._pending is not None and self._pending[0] == name:
            self._pending = None
        session.history.remove(self._found(session, name))
        self._parts.pop(name, None)
        self.server_events.remove(name)
        if name in self.keeper.items:
            self.keeper.items.remove(name)
        await self._send([server_events.message("conversation.item.deleted", item_id=name)])

    async def _view(self, event: dict[str, Any]) -> None:
        """Our own: what the client's camera sees from now on, as a data URL, or null for nothing."""
        image = event.get("image_url")
        if image is not None and not isinstance(image, str):
            raise RequestError("image_url: a data URL, or null")
        (await self._settle()).show(image, live=True)

    async def _respond(self, event: dict[str, Any]) -> None:
        wanted, refused = granted(_Wanted, event.get("response") or {})
        voice, named = self.chosen.voice, wanted.audio.output.voice_name
        with told_of(refused):
            voice = voice if named is None else self._pool.voice_of(named, "audio.output.voice")
        speed = self.chosen.speed_of(wanted.audio.output, refused)
        await self._check(wanted.instructions)
        calling = self.chosen.calling(wanted.tools, wanted.tool_choice, wanted.parallel_tool_calls)
        modality = (wanted.output_modalities or [self.chosen.modality])[0]
        limit = wanted.max_output_tokens or self.chosen.max_output_tokens
        response = server_events.Response(modality, wanted.metadata, limit=None if limit == "inf" else limit)
        response.format = wanted.audio.output.format or self.chosen.said
        response.voice, response.speed = voice, speed
        context = None if wanted.input is None else await self._context(wanted.input)
        if wanted.conversation == "none":
            await self._leave_out(event, refused)
            await self._respond_aside(response, wanted.instructions, context, calling)
            return
        session = await self._settle()
        running, behind = self.server_events.running, self._given_back
        self._given_back = False
        if running is not None and behind:  # it still says what it said before it called
            self._next = event
            return
        if running is not None:
            text = (
                "Conversation already has an active response in progress: "
                f"{self.server_events.response(running).id}. "
                "Wait until the response is finished, or cancel it."
            )
            raise RequestError(text, code="conversation_already_has_active_response")
        await self._leave_out(event, refused)
        response.conversation = self.server_events.conversation
        session.voice.muted = response.modality == "text"
        if context is not None:
            self._settle_pending(session)
        name, said = self._pending or ("", Message("user", ""))
        self._pending = None
        instructions = wanted.instructions or ""
        manner = Manner(True, response.limit, instructions, context, voice=voice, speed=speed)
        manner = self.chosen.with_tools(manner, calling)
        self.server_events.tools.update(tool.name for tool in calling.tools)
        turn = session.send_text(said.content, manner, said.language)
        if name:
            self.server_events.questions[name] = turn
            self._asked = (turn, said)
        self.server_events.asked(turn, response)

    async def _context(self, given: Sequence[_Given | _Reference]) -> tuple[Message, ...]:
        """What a response reads instead of the conversation. Raises RequestError, EngineFault."""
        messages: list[Message] = []
        for number, one in enumerate(given):
            if isinstance(one, _Reference):
                self._check_item("referencing", one.id, f"input.{number}.id")
                messages += _as_messages(self.server_events.items[one.id])
                continue
            if not isinstance(one, _Item):
                messages.append(one.message())
                continue
            if any(part.type == "input_image" for part in one.content):
                where = f"input.{number}.content"
                raise RequestError(f"{where}: pictures are for items of the conversation", param=where)
            text, sounds = one.text, [part.audio for part in one.content if part.type == "input_audio"]
            if sounds and (audio := self._uttered(sounds)).duration:
                text += (await spoken(self._slot, self._slot.runner(), self.chosen.config(), audio)).text
            messages += [Message(one.role, text)] if text else []
        return tuple(messages)

    async def over(self, ended: ev.TurnEnded) -> None:
        """A response is over: the one that waits for that is made, unless the user has said something.

        They are answered with what came of the call. Raises RequestError, EngineFault.
        """
        event, self._next = self._next, None
        if event is not None and ended.reason == "finished":
            await self.take(event)

    async def _respond_aside(
        self,
        response: server_events.Response,
        instructions: str | None,
        context: tuple[Message, ...] | None,
        calling: Calling,
    ) -> None:
        """Make a response that is no part of the conversation, in which this may be called."""
        self._aside.admit()
        if context is None:
            context = () if self.session is None else tuple(self.session.history.said())
            context += (self._pending[1],) if self._pending is not None else ()
        told = [Message("system", instructions)] if instructions else []
        messages = joined([Message("system", self.chosen.instructions)], [*context, *told])
        if self.tasks is not None:
            self.tasks.start_soon(self._aside.make, response, messages, calling)

    async def prompt(self, since: float) -> None:
        """Nobody has said anything for `idle_timeout_ms`: the agent speaks unasked."""
        session, told = await self._settle(), self.server_events
        if told.running is not None:
            return
        await self._send(told.timed_out(since, session.runner.now()))
        if told.running is None:
            turn = session.send_text("", self.chosen.manner)
            told.asked(turn, told.response(turn))

    async def _cancel(self, event: dict[str, Any]) -> None:
        turn, named = self.server_events.running, event.get("response_id")
        if isinstance(named, str) and self._aside.cancel(named):
            return
        if turn is None or self.session is None or named not in (None, self.server_events.response(turn).id):
            raise RequestError(
                "Cancellation failed: no active response found", code="response_cancel_not_active"
            )
        self.server_events.response(turn).cancelled = True
        self.session.cancel()

    async def _truncate(self, event: dict[str, Any]) -> None:
        name, milliseconds = self._check_item("truncating", event.get("item_id")), event.get("audio_end_ms")
        turn = self.server_events.turns.get(name)
        if turn is None or self.session is None:
            text = "item_id: only what the agent has said can be truncated"
            raise RequestError(text, code="item_truncate_invalid_item_id", param="item_id")
        if type(milliseconds) is not int or milliseconds < 0:
            raise RequestError("audio_end_ms: whole milliseconds from 0", param="audio_end_ms")
        if event.get("content_index") not in (0, None):
            raise RequestError("content_index: 0", param="content_index")
        sent, played = self.session.sent(turn), milliseconds * RATE // 1000
        if played > sent + RATE // 1000:
            length = sent * 1000 // RATE
            text = f"Audio content of {length}ms is already shorter than {milliseconds}ms"
            raise RequestError(text, code="invalid_value", param="audio_end_ms")
        if turn == self.server_events.active:
            self.server_events.response(turn).cancelled = True
        heard = self.session.truncate(turn, played)
        item = self.server_events.items.get(name)
        if item is not None and heard is not None:
            item["content"] = [{"type": "output_audio", "transcript": heard}]
        fields = {"item_id": name, "content_index": 0, "audio_end_ms": milliseconds}
        if heard is not None:
            fields["transcript"] = heard  # of a reply that is still being ended, response.done tells it
        await self._send([server_events.message("conversation.item.truncated", **fields)])

    async def _retrieve(self, event: dict[str, Any]) -> None:
        name = self._check_item("retrieving", event.get("item_id"))
        item = copy.deepcopy(self.server_events.items[name])
        if (said := self.server_events.sounds.get(name)) is not None:
            form = self.chosen.heard
            samples = resample(from_pcm16(said.data), said.rate, form.RATE)
            item["content"][0]["audio"] = base64.b64encode(form.encode(samples)).decode()
        await self._send([server_events.message("conversation.item.retrieved", item=item)])

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
        "backchat.resume": (_resume, {"token", "item_id", "audio_end_ms"}),
        "response.create": (_respond, {"response"}),
        "response.cancel": (_cancel, {"response_id"}),
    }
    """What does each event, and the fields that it has besides its type and id."""


ROOTS = {"session.update": "session", "conversation.item.create": "item", "response.create": "response"}
"""Where in an event that is which names its fields by themselves."""


def _placed(error: RequestError, event: str) -> RequestError:
    """The same with the whole path, from the event on, of what is at fault."""
    root, place = ROOTS.get(event), error.param
    if root is None or place is None or place.partition(".")[0] in ClientEvents.fields(event):
        return error
    text = f"{root}.{error}" if str(error).startswith(f"{place}:") else str(error)
    after, place = error.retry_after, f"{root}.{place}"
    return RequestError(text, error.status, error.code, retry_after=after, param=place)


def _as_messages(item: server_events.Message) -> list[Message]:
    """An item of the conversation as the language model reads it; none where it has no words."""
    if (called := as_message(item)) is not None:
        return [called]
    words = [part.get("transcript") or part.get("text") or "" for part in item["content"]]
    text = " ".join(filter(None, words))
    return [Message(item["role"], text)] if text else []


def _message_item(name: str, role: str, content: list[dict[str, Any]]) -> server_events.Message:
    return {
        "id": name,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": role,
        "content": content,
    }
