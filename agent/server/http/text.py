"""Text over HTTP: `/generate`, and the OpenAI chat completions. Knows no sound and no socket."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias, TypeVar

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from agent.errors import RequestError, ToolError
from agent.messages import Message, ToolCall
from agent.protocols import Delta
from agent.runner import Runner
from agent.server.admission import budget
from agent.server.admission.bodies import SMALL
from agent.server.completion import LIKELIEST, STOPS, Grain, Sampling, Written, grains, write
from agent.server.fields import Fields, refusal
from agent.server.functions import MOST, Calling, Function, Mode, chosen
from agent.server.http.logprobs import Logprobs
from agent.server.http.pictures import check, looked
from agent.server.http.responses import (
    EVENTS,
    JSON,
    LINES,
    TEXT,
    Answer,
    Streamed,
    Write,
    answer,
    error_body,
    line,
    sse,
)
from agent.server.pool import Pool
from agent.settings import ServerConfig
from agent.text.cleaning import json_text
from agent.tools.schemas import check as check_schema

if TYPE_CHECKING:
    from starlette.requests import Request

B = TypeVar("B", bound=BaseModel)


_Stop: TypeAlias = Annotated[str, Field(min_length=1)]


class _Sampled(Fields):
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0.0, le=5.0)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    stop: _Stop | Annotated[list[_Stop], Field(max_length=STOPS)] | None = None
    seed: int | None = None

    def sampling(self, limit: int | None = None) -> Sampling:
        """How to sample; `limit`: of the answer's tokens, where it has another name."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        limits = [given for given in (self.max_tokens, limit) if given is not None]
        return Sampling(min(limits, default=None), self.temperature, self.top_p, tuple(stop), self.seed)


class Generate(_Sampled):
    """The body of `/generate`."""

    prompt: str = Field(min_length=1)
    system: str | None = None
    stream: Grain = "token"


class _URL(Fields):
    ELSEWHERE: ClassVar = {"detail": ("auto",)}

    url: str


class _TextPart(Fields):
    ABOUT: ClassVar = frozenset({"prompt_cache_breakpoint"})

    type: Literal["text"]
    text: str


class _ImagePart(Fields):
    ABOUT: ClassVar = frozenset({"prompt_cache_breakpoint"})

    type: Literal["image_url"]
    image_url: _URL


_Part = Annotated[_TextPart | _ImagePart, Field(discriminator="type")]


class _CalledFunction(Fields):
    name: str
    arguments: str


class _Call(Fields):
    id: str
    type: Literal["function"] = "function"
    function: _CalledFunction


class _ChatMessage(Fields):
    ELSEWHERE: ClassVar = {
        "annotations": ([],),
        "audio": (),
        "function_call": (),
        "refusal": (),
    }
    ABOUT: ClassVar = frozenset({"reasoning_content"})
    """Our own answers have it, and clients send them back; thoughts of earlier turns are not read again."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None
    tool_calls: list[_Call] = Field(default_factory=list[_Call])
    tool_call_id: str | None = None
    name: str | None = None
    """Who says it; of a result, what was called, which the call says as well."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.content is None and not self.tool_calls:
            raise PydanticCustomError("refused", "Field required", {"field": "content"})
        if self.tool_calls and self.role != "assistant":
            raise PydanticCustomError("refused", "only of an assistant", {"field": "tool_calls"})
        if (self.tool_call_id is None) == (self.role == "tool"):
            raise PydanticCustomError("refused", "a tool's message has it", {"field": "tool_call_id"})
        return self

    def message(self, by: str = "") -> Message:
        """As the language model takes it. by: who says it, where it is told."""
        parts = self.content if isinstance(self.content, list) else []
        texts = [part.text for part in parts if isinstance(part, _TextPart)]
        text = self.content if isinstance(self.content, str) else "".join(texts)
        text = f"{by}: {text}" if by and text else text
        role = "system" if self.role == "developer" else self.role
        calls = tuple(
            ToolCall(call.id, call.function.name, call.function.arguments) for call in self.tool_calls
        )
        return Message(role, text, calls=calls, call=self.tool_call_id or "")

    @property
    def images(self) -> list[str]:
        """Its pictures, as data URLs."""
        parts = self.content if isinstance(self.content, list) else []
        return [part.image_url.url for part in parts if isinstance(part, _ImagePart)]


class _StreamOptions(Fields):
    ELSEWHERE: ClassVar = {"include_obfuscation": (False,)}

    include_usage: bool = False


class Schema(Fields):
    """A JSON schema with its name."""

    ABOUT: ClassVar = frozenset({"name", "description", "strict"})

    definition: dict[str, Any] = Field(default_factory=dict[str, Any], alias="schema")

    @field_validator("definition")
    @classmethod
    def _one(cls, given: dict[str, Any]) -> dict[str, Any]:
        try:
            check_schema(given)
        except ToolError as error:
            raise PydanticCustomError("schema", "{why}", {"why": str(error)}) from error
        return given


class Free(Fields):
    """Text of any form."""

    type: Literal["text"]
    schema_: ClassVar[None] = None


class Objects(Fields):
    """Any JSON object."""

    type: Literal["json_object"]
    schema_: ClassVar[dict[str, Any]] = {"type": "object"}


class _Schematic(Fields):
    type: Literal["json_schema"]
    json_schema: Schema

    @property
    def schema_(self) -> dict[str, Any]:
        """What the answer fits."""
        return self.json_schema.definition


class _Tool(Fields):
    type: Literal["function"]
    function: Function


class _FunctionName(Fields):
    name: str


class _Named(Fields):
    type: Literal["function"]
    function: _FunctionName


class _Among(Fields):
    mode: Literal["auto", "required"]
    tools: list[_Named] = Field(min_length=1, max_length=MOST)


class _Allowed(Fields):
    type: Literal["allowed_tools"]
    allowed_tools: _Among


class Chat(_Sampled):
    """The body of `/v1/chat/completions`."""

    ELSEWHERE: ClassVar = {
        "audio": (),
        "frequency_penalty": (0,),
        "function_call": ("none", "auto"),
        "functions": ([],),
        "logit_bias": ({},),
        "modalities": (["text"],),
        "moderation": (),
        "n": (1,),
        "prediction": (),
        "presence_penalty": (0,),
        "prompt_cache_options": (),
        "prompt_cache_retention": ("in_memory",),
        "reasoning_effort": ("none", "minimal", "low"),
        "service_tier": ("auto", "default"),
        "store": (False,),
        "verbosity": ("medium",),
        "web_search_options": (),
    }
    ABOUT: ClassVar = frozenset({"metadata", "user", "safety_identifier", "prompt_cache_key"})

    model: str
    messages: list[_ChatMessage] = Field(min_length=1)
    stream: bool = False
    stream_options: _StreamOptions | None = None
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool = False
    top_logprobs: int = Field(default=0, ge=0, le=LIKELIEST)
    response_format: Annotated[Free | Objects | _Schematic, Field(discriminator="type")] | None = None
    tools: list[_Tool] = Field(default_factory=list[_Tool], max_length=MOST)
    tool_choice: Mode | Annotated[_Named | _Allowed, Field(discriminator="type")] | None = None
    parallel_tool_calls: bool = True

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError("refused", "only with stream", {"field": "stream_options"})
        if self.top_logprobs and not self.logprobs:
            raise PydanticCustomError("refused", "only with logprobs", {"field": "top_logprobs"})
        return self

    @property
    def said(self) -> list[Message]:
        """What the language model reads. Where one role is several people's, their names stand before what
        they say: no template has another place for them.
        """
        people = dict[str, set[str | None]]()
        for message in self.messages:
            people.setdefault(message.role, set()).add(None if message.role == "tool" else message.name)
        several = {role for role, names in people.items() if len(names) > 1}
        return [each.message((each.name or "") if each.role in several else "") for each in self.messages]

    @property
    def calling(self) -> Calling:
        """What may be called. Raises RequestError."""
        declared = [tool.function for tool in self.tools]
        match self.tool_choice:
            case _Named(function=named):
                return chosen(declared, "required", {named.name}, self.parallel_tool_calls)
            case _Allowed(allowed_tools=among):
                names = {each.function.name for each in among.tools}
                return chosen(declared, among.mode, names, self.parallel_tool_calls)
            case mode:
                return chosen(declared, mode, None, self.parallel_tool_calls)


async def read_body(request: Request, model: type[B], pool: Pool, context: int | None = None) -> B:
    """The JSON body of a request, within its limits, read in a worker: pictures make it large.

    Of large ones one at a time, since reading it takes several times its memory. context: see `budget.check`.
    Raises RequestError.
    """
    body, limits = await request.body(), pool.config.server
    async with pool.reading if len(body) > SMALL else nullcontext():
        return await Runner().wait_for(lambda: parse(model, body, limits, context))


def parse(model: type[B], body: bytes | str, limits: ServerConfig, context: int | None = None) -> B:
    """JSON as `model`, each text in it cleaned. Raises RequestError, naming the field."""
    with suppress(ValueError, RecursionError):  # the model itself says what is wrong with it
        body = json_text(budget.read(body, limits, context))
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise refusal(error, model) from error


def checked(model: type[B], fields: dict[str, Any], limits: ServerConfig) -> B:
    """Fields as `model`. Raises RequestError, naming the first that is wrong."""
    budget.check(fields, limits)
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise refusal(error, model) from error


async def generate(request: Request, pool: Pool) -> Streamed:
    """`POST /generate`: a prompt in, its answer out while it is written; `Accept` chooses the form."""
    body = await read_body(request, Generate, pool, pool.context)
    config = pool.config
    messages = [Message("system", body.system or config.session.system), Message("user", body.prompt)]
    accepts = request.headers.get("accept", "")
    media = next((kind for kind in (TEXT, LINES) if kind in accepts), EVENTS)
    piece, end, failed = _FORMS[media]

    async def produce(send: Write) -> None:
        written = Written()
        async with (
            pool.slot() as slot,
            write(slot, config, messages, body.sampling(), written) as tokens,
        ):
            async for text in grains(tokens, body.stream):
                await send(piece(text))
        await send(end({"reason": written.reason, "usage": written.usage}))

    return Streamed(media, produce, config.server.client_timeout, failed)


_FORMS: dict[
    str, tuple[Callable[[str], bytes], Callable[[Any], bytes], Callable[[RequestError], bytes] | None]
] = {
    EVENTS: (sse, lambda end: sse(end, "end"), lambda error: sse(error_body(error), "error")),
    LINES: (
        lambda text: line({"text": text}),
        lambda end: line({"end": end}),
        lambda error: line(error_body(error)),
    ),
    TEXT: (str.encode, lambda _: b"", None),
}
"""For each form: a piece of text, the end, and an error in its midst. Plain text has no place for errors."""


async def chat(request: Request, pool: Pool) -> Streamed:
    """`POST /v1/chat/completions`, streamed and not."""
    body = await read_body(request, Chat, pool, pool.context)
    pool.check("llm", body.model)
    config = pool.config
    said, calling = body.said, body.calling
    check_calls(said)
    pictures = [message.images for message in body.messages]
    check(pictures, config)
    schema = None if body.response_format is None else body.response_format.schema_
    likeliest = body.top_logprobs if body.logprobs else None
    sampling = replace(body.sampling(body.max_completion_tokens), schema=schema, likeliest=likeliest)
    head = {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "created": int(time.time()),
        "model": pool.names["llm"],
    }

    def chunk(delta: dict[str, Any], reason: str | None = None, told: Sequence[Any] = ()) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        choice |= {"logprobs": {"content": told, "refusal": None} if told else None} if body.logprobs else {}
        return sse({**head, "object": "chat.completion.chunk", "choices": [choice]})

    async def produce(send: Write) -> None:
        written, logprobs = Written(), Logprobs()
        async with pool.slot() as slot:
            messages = await looked(slot, config, said, pictures)
            async with write(slot, config, messages, sampling, written, calling) as tokens:
                role = {"role": "assistant"}
                async for delta in tokens:
                    told = logprobs.feed(delta)
                    for fields in _fields(delta, len(written.calls)) if body.stream else ():
                        await send(chunk({**role, **fields}, None, told))
                        role, told = {}, []
        if body.stream:
            await send(chunk({}, written.finish_reason))
            if body.stream_options and body.stream_options.include_usage:
                usage = {"object": "chat.completion.chunk", "choices": (), "usage": written.usage}
                await send(sse({**head, **usage}))
            await send(b"data: [DONE]\n\n")
            return
        choice = {"index": 0, "message": _message(written), "finish_reason": written.finish_reason}
        probable = {"content": logprobs.told, "refusal": None}
        whole = {
            "object": "chat.completion",
            "choices": [{**choice, "logprobs": probable if body.logprobs else None}],
            "usage": written.usage,
        }
        await send(line({**head, **whole}))

    media = EVENTS if body.stream else JSON
    return Streamed(media, produce, config.server.client_timeout, lambda error: sse(error_body(error)))


def _fields(delta: Delta, count: int) -> Iterator[dict[str, Any]]:
    """A step of the answer as servers of this kind send it: thoughts under a name of their own.

    A call comes in two steps, its name and then its arguments. count: of calls, with this one.
    """
    if (call := delta.call) is not None:
        begun = {"index": count - 1, **call.as_function("")}
        yield {"tool_calls": [begun]}
        yield {"tool_calls": [{"index": count - 1, "function": {"arguments": call.arguments}}]}
        return
    thought = {"reasoning_content": delta.thought} if delta.thought else {}
    yield thought | ({"content": delta.text} if delta.text or not thought else {})


def _message(written: Written) -> dict[str, Any]:
    """A whole answer."""
    text = "".join(written.text)
    message: dict[str, Any] = {"role": "assistant", "content": text if text or not written.calls else None}
    if thought := "".join(written.thought):
        message["reasoning_content"] = thought
    if written.calls:
        message["tool_calls"] = [call.as_function(call.arguments) for call in written.calls]
    return message


def check_calls(said: Sequence[Message], param: str = "messages") -> None:
    """Raise RequestError where a call has no result behind it, or a result no call before it."""
    waiting = dict[str, str]()
    for message in said:
        if message.role == "tool" and waiting.pop(message.call, None) is None:
            text = f"{param}: a result of {message.call[:80]!r}, which is no call before it"
            raise RequestError(text, code="invalid_value", param=param)
        if message.role != "tool" and waiting:
            break
        waiting |= {call.id: call.name for call in message.calls}
    if waiting:
        text = f"{param}: no result of the call {next(iter(waiting))[:80]!r} stands behind it"
        raise RequestError(text, code="invalid_value", param=param)


async def models(request: Request, pool: Pool) -> Answer:
    """`GET /v1/models`: those that are loaded."""
    return answer({"object": "list", "data": [_model(name, kind) for kind, name in pool.names.items()]})


async def model(request: Request, pool: Pool) -> Answer:
    """`GET /v1/models/NAME`; a name that stands for one of each kind has none. Raises RequestError."""
    name: str = request.path_params["name"]
    kind = next((kind for kind, own in pool.names.items() if own == name), None)
    if kind is None:
        pool.check("llm", name)
    return answer(_model(name, kind))


def _model(name: str, kind: str | None) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "backchat", "kind": kind}


async def voices(request: Request, pool: Pool) -> Answer:
    """`GET /v1/audio/voices`: the voices, by each name that stands for one; first the one that is usual."""
    aliases = [name for name in pool.config.server.voice_aliases if name and not set(name) & set("*?[")]
    told = list[dict[str, str]]()
    for name in dict.fromkeys([pool.voice, "default", *pool.voices, *aliases]):
        voice = pool.voice_of(name)
        told.append({"id": name, "object": "voice", "name": voice, "language": pool.voices[voice]})
    return answer({"object": "list", "data": told})
