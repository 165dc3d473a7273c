"""What each gRPC method does, in protobuf messages. Knows no port, no token and nothing of errors' codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Protocol

import anyio
from google.protobuf.struct_pb2 import Struct
from pydantic import ValidationError

from agent import events as ev
from agent.conversation.reply import Manner
from agent.conversation.voices import Voices
from agent.errors import RequestError
from agent.messages import Message
from agent.server.completion import STOPS, Grain, Sampling, Written, grains, write
from agent.server.fields import refusal
from agent.server.functions import MOST, Calling, Function, chosen
from agent.server.grpc import backchat_pb2 as pb
from agent.server.http.speech import say
from agent.server.pool import Pool
from agent.server.reception import Reception
from agent.settings import Config
from agent.tools.client import ClientTools
from agent.transports.playout import RATE
from agent.transports.remote import RemoteSession, Sound
from agent.transports.transcription import words
from audio.pcm import from_pcm16, pcm16

SLOWEST, FASTEST = 8_000, 192_000
"""Hz that a client's sound may have."""
GRAINS: dict[int, Grain] = {pb.TOKEN: "token", pb.CHUNK: "chunk", pb.SENTENCE: "sentence"}


class Caller(Protocol):
    """The other side of one call."""

    @property
    def address(self) -> str:
        """Where it calls from."""
        ...

    async def read(self) -> Any:
        """The next message, None when there will be no more."""
        ...

    def hold(self, count: int) -> None:
        """So many more bytes of what it sent are kept until the call ends. Raises RequestError: no room."""
        ...

    async def write(self, message: Any) -> None:
        """Send one message; waits while the other side does not read. Raises RequestError after too long."""
        ...


Method = Callable[[Caller, Reception], Coroutine[Any, Any, None]]


async def converse(caller: Caller, reception: Reception) -> None:
    """`Converse`: one session. Raises RequestError, Busy, EngineFault."""
    first = await _first(caller, reception.pool)
    settings = pb.Settings() if first is None else first.settings
    rate = settings.rate or RATE
    if not SLOWEST <= rate <= FASTEST:
        raise RequestError(f"settings.rate: {SLOWEST} to {FASTEST} Hz")
    config, voice = reception.pool.hearing(settings.language), reception.pool.voice_of(settings.voice or None)
    async with reception.visit("grpc", caller.address) as visit:
        if settings.system:
            await visit.slot.check(config, settings.system)
        tools = _Tools(_calling(settings))
        manner = replace(tools.manner(settings.max_tokens or None), voice=voice)
        session = visit.session(_chosen(config, settings), manner)
        session.voice.muted = settings.text_only
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.run)
            tasks.start_soon(_listen, caller, session, rate, first, tools)
            async for item in session.items():
                await caller.write(_told(item))
                if (call := tools.called(item)) is not None:
                    await caller.write(call)
                if isinstance(item, ev.TurnEnded):
                    tools.over(session, item)
            tasks.cancel_scope.cancel()


async def generate(caller: Caller, reception: Reception) -> None:
    """`Generate`: the answer to a prompt while it is written. Raises RequestError, Busy, EngineFault."""
    pool = reception.pool
    asked: pb.GenerateRequest = await _only(caller, pool)
    if not asked.prompt:
        raise RequestError("prompt: what is to be answered")
    if asked.grain not in GRAINS:
        raise RequestError("grain: TOKEN, CHUNK or SENTENCE")
    system = asked.system or pool.config.session.system
    messages = [Message("system", system), Message("user", asked.prompt)]
    written = Written()
    async with (
        pool.slot() as slot,
        write(slot, pool.config, messages, _sampling(asked), written) as tokens,
    ):
        async for text in grains(tokens, GRAINS[asked.grain]):
            await caller.write(pb.GenerateReply(text=text))
    counts = {"prompt_tokens": written.prompt_tokens, "completion_tokens": written.tokens}
    await caller.write(pb.GenerateReply(end=pb.End(reason=written.reason, **counts)))


async def speak(caller: Caller, reception: Reception) -> None:
    """`Speak`: a text as speech while it is made. Raises RequestError, Busy, EngineFault."""
    pool = reception.pool
    asked: pb.SpeakRequest = await _only(caller, pool)
    name = pool.voice_of(asked.voice or None)
    if not asked.text.strip():
        raise RequestError("text: what is to be said")
    with pool.shared_slot() as slot:
        voice = Voices(slot.engines.tts).of(name=name)
        async with say(slot, pool.config, asked.text, voice) as parts:
            async for part in parts:
                await caller.write(pb.Speech(rate=part.rate, audio=pcm16(part.samples)))


async def transcribe(caller: Caller, reception: Reception) -> None:
    """`Transcribe`: a sound file in, its words out. Raises RequestError, Busy, EngineFault."""
    pool = reception.pool
    pool.expect_shared_slot()
    data, settings = bytearray(), pool.config.server
    with anyio.move_on_after(settings.body_time) as late:
        while (part := await _soon(caller, pool)) is not None:
            if len(data) + len(part.data) > settings.body:
                raise RequestError(f"more than {settings.body} bytes (server.body)", 413, "too_large")
            caller.hold(len(part.data))
            data += part.data
    if late.cancelled_caught:
        limit = f"{settings.body_time:g} s (server.body_time)"
        raise RequestError(f"the request did not come within {limit}", 408, "timeout")
    with pool.shared_slot() as slot:
        said = await words(slot, pool.config, bytes(data))
    await caller.write(pb.TranscribeReply(text=said.text))


METHODS: dict[str, Method] = {
    "Converse": converse,
    "Generate": generate,
    "Speak": speak,
    "Transcribe": transcribe,
}


async def _soon(caller: Caller, pool: Pool) -> Any:
    """A message that there is no reason to wait long for."""
    try:
        with anyio.fail_after(pool.config.server.client_timeout):
            return await caller.read()
    except TimeoutError as error:
        limit = f"{pool.config.server.client_timeout:g} s (server.client_timeout)"
        raise RequestError(f"the request did not come within {limit}", 408, "timeout") from error


async def _first(caller: Caller, pool: Pool) -> Any:
    """What a session begins with, which may wait until its user is ready."""
    limit = pool.config.server.first_event
    try:
        with anyio.fail_after(limit):
            return await caller.read()
    except TimeoutError as error:
        told = f"nothing came for {limit:g} s (server.first_event)"
        raise RequestError(told, 408, "session_expired") from error


async def _only(caller: Caller, pool: Pool) -> Any:
    """The message of a call that takes one."""
    message = await _soon(caller, pool)
    if message is None:
        raise RequestError("the request is missing")
    return message


class _Tools:
    """What a client runs in one session."""

    def __init__(self, calling: Calling) -> None:
        self._calling, self._client = calling, ClientTools()
        self._names = {tool.name for tool in calling.tools}
        self._waits = False
        """Whether the client wants a reply when the one that is being said is over."""

    def manner(self, limit: int | None) -> Manner:
        """How the user is answered. limit: most tokens."""
        tools, own = tuple(map(self._client.tool, self._calling.tools)), self._calling.own
        return Manner(limit=limit, tools=tools, own_tools=own, must_call=self._calling.required)

    def called(self, item: Sound | ev.Event) -> pb.ConverseReply | None:
        """What the client is to run, if that is what the session gives."""
        if not isinstance(item, ev.ToolCalled) or item.effect is None or item.name not in self._names:
            return None  # what is refused is told to the model
        call = pb.ToolCall(turn=item.turn, call=item.call, name=item.name, arguments=item.arguments)
        return pb.ConverseReply(call=call)

    def returned(self, output: pb.ToolOutput) -> None:
        """Take what it made of that. Raises RequestError."""
        if not self._client.returned(output.call, output.output):
            raise RequestError(f"tool_output: {output.call[:80]!r} is no call that waits for its output")

    def respond(self, line: RemoteSession) -> None:
        """Have the agent speak on, at once or behind what it is saying."""
        if line.turn:
            self._waits = True
        else:
            line.send_text("")

    def over(self, line: RemoteSession, ended: ev.TurnEnded) -> None:
        """A reply is over: the one that waits for that begins, unless the user has said something."""
        if self._waits and ended.reason == "finished":
            line.send_text("")
        self._waits = False


def _calling(wish: pb.Settings) -> Calling:
    """What may be called. Raises RequestError."""
    declared = list[Function]()
    for tool in wish.tools:
        which = f"settings.tools: {tool.name[:64]!r} is no tool"
        try:
            given = {"description": tool.description, "parameters": json.loads(tool.parameters or "{}")}
            declared.append(Function.model_validate({"name": tool.name, **given}))
        except ValidationError as error:
            raise RequestError(f"{which}: {refusal(error, Function)}"[:300]) from error
        except (ValueError, RecursionError) as error:
            raise RequestError(f"{which}: parameters: no JSON") from error
    if len(declared) > MOST:
        raise RequestError(f"settings.tools: at most {MOST}")
    match wish.tool_choice:
        case "" | "auto":
            return chosen(declared, "auto", None, None)
        case "none" | "required" as mode:
            return chosen(declared, mode, None, None)
        case name:
            return chosen(declared, "required", {name}, None)


async def _listen(
    caller: Caller, line: RemoteSession, rate: int, first: pb.ConverseRequest | None, tools: _Tools
) -> None:
    """Take in what the client sends, until it closes its side; then hang up."""
    request = first
    while request is not None:
        match request.WhichOneof("what"):
            case "audio":
                if len(request.audio) % 2:
                    raise RequestError("audio: an odd number of bytes; a sample has two")
                await line.push_audio(from_pcm16(request.audio), rate)
            case "text":
                line.send_text(request.text)
            case "image":
                line.show(request.image, once=True)
            case "cancel":
                line.cancel()
            case "truncate":
                _truncate(line, request.truncate)
            case "forget":
                line.clear_audio()
            case "tool_output":
                tools.returned(request.tool_output)
            case "respond":
                tools.respond(line)
            case "settings" if request is first:
                pass
            case "settings":
                raise RequestError("settings: only as the first message")
            case _:
                raise RequestError("a message without audio, text or control")
        request = await caller.read()
    line.hang_up()


def _truncate(line: RemoteSession, wanted: pb.Truncate) -> None:
    sent = line.sent(wanted.turn)
    if not 0.0 <= wanted.seconds <= (sent + RATE // 1000) / RATE:
        raise RequestError(f"truncate: of reply {wanted.turn} {sent / RATE:.2f} s were sent")
    line.truncate(wanted.turn, round(wanted.seconds * RATE))


def _chosen(config: Config, wish: pb.Settings) -> Config:
    """The settings of one session."""
    changes = dict[str, Any]()
    if wish.system:
        changes["session"] = config.session.model_copy(update={"system": wish.system})
    if wish.HasField("interrupt"):
        changes["turns"] = config.turns.model_copy(update={"interrupt": wish.interrupt})
    return config.model_copy(update=changes)


def _told(item: Sound | ev.Event) -> pb.ConverseReply:
    if isinstance(item, Sound):
        return pb.ConverseReply(
            sound=pb.Sound(turn=item.turn, time=round(item.time, 4), audio=pcm16(item.samples))
        )
    told = ev.as_dict(item)
    name, time, turn = told.pop("event"), told.pop("time"), told.pop("turn", None)
    fields = Struct()
    fields.update(told)
    return pb.ConverseReply(event=pb.Event(name=name, time=time, turn=turn or 0, fields=fields))


def _sampling(asked: pb.GenerateRequest) -> Sampling:
    given: dict[str, Any] = {
        name: getattr(asked, name) for name in ("temperature", "top_p", "seed") if asked.HasField(name)
    }
    if not 0.0 <= given.get("temperature", 0.0) <= 5.0:
        raise RequestError("temperature: 0 to 5")
    if not 0.0 < given.get("top_p", 1.0) <= 1.0:
        raise RequestError("top_p: above 0, up to 1")
    if len(asked.stop) > STOPS or "" in asked.stop:
        raise RequestError(f"stop: up to {STOPS} strings, none of them empty", param="stop")
    return Sampling(asked.max_tokens or None, stop=tuple(asked.stop), **given)
