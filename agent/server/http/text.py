"""Text over HTTP: `/generate`, and the OpenAI chat completions. Knows no sound and no socket."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from agent.errors import RequestError
from agent.messages import Message
from agent.protocols import Delta
from agent.runner import Runner
from agent.server.admission import budget
from agent.server.admission.bodies import SMALL
from agent.server.completion import STOPS, Grain, Sampling, Written, grains, write
from agent.server.fields import Fields, refusal
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


class _ChatMessage(Fields):
    ELSEWHERE: ClassVar = {
        "annotations": ([],),
        "audio": (),
        "function_call": (),
        "name": (),
        "refusal": (),
        "tool_calls": ([],),
    }
    ABOUT: ClassVar = frozenset({"reasoning_content"})
    """Our own answers have it, and clients send them back; thoughts of earlier turns are not read again."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Part]

    def message(self) -> Message:
        """As the language model takes it."""
        texts = [part.text for part in self.content if isinstance(part, _TextPart)]
        text = self.content if isinstance(self.content, str) else "".join(texts)
        return Message("system" if self.role == "developer" else self.role, text)

    @property
    def images(self) -> list[str]:
        """Its pictures, as data URLs."""
        return [part.image_url.url for part in self.content if isinstance(part, _ImagePart)]


class _StreamOptions(Fields):
    ELSEWHERE: ClassVar = {"include_obfuscation": (False,)}

    include_usage: bool = False


class Schema(Fields):
    """A JSON schema with its name."""

    ABOUT: ClassVar = frozenset({"name", "description", "strict"})

    definition: dict[str, Any] = Field(default_factory=dict[str, Any], alias="schema")


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


class Chat(_Sampled):
    """The body of `/v1/chat/completions`."""

    ELSEWHERE: ClassVar = {
        "audio": (),
        "frequency_penalty": (0,),
        "function_call": ("none", "auto"),
        "functions": ([],),
        "logit_bias": ({},),
        "logprobs": (False,),
        "modalities": (["text"],),
        "moderation": (),
        "n": (1,),
        "parallel_tool_calls": (True, False),
        "prediction": (),
        "presence_penalty": (0,),
        "prompt_cache_options": (),
        "prompt_cache_retention": ("in_memory",),
        "reasoning_effort": ("none", "minimal", "low"),
        "service_tier": ("auto", "default"),
        "store": (False,),
        "tool_choice": ("none", "auto"),
        "tools": ([],),
        "top_logprobs": (0,),
        "verbosity": ("medium",),
        "web_search_options": (),
    }
    ABOUT: ClassVar = frozenset({"metadata", "user", "safety_identifier", "prompt_cache_key"})

    model: str
    messages: list[_ChatMessage] = Field(min_length=1)
    stream: bool = False
    stream_options: _StreamOptions | None = None
    max_completion_tokens: int | None = Field(default=None, ge=1)
    response_format: Annotated[Free | Objects | _Schematic, Field(discriminator="type")] | None = None

    @model_validator(mode="after")
    def _stream_options_of_a_stream(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError("refused", "only with stream", {"field": "stream_options"})
        return self


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
    said = [message.message() for message in body.messages]
    pictures = [message.images for message in body.messages]
    check(pictures, config)
    schema = None if body.response_format is None else body.response_format.schema_
    sampling = replace(body.sampling(body.max_completion_tokens), schema=schema)
    head = {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "created": int(time.time()),
        "model": pool.names["llm"],
    }

    def chunk(delta: dict[str, str], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return sse({**head, "object": "chat.completion.chunk", "choices": [choice]})

    async def produce(send: Write) -> None:
        written = Written()
        async with pool.slot() as slot:
            messages = await looked(slot, config, said, pictures)
            async with write(slot, config, messages, sampling, written) as tokens:
                role = {"role": "assistant"}
                async for delta in tokens:
                    if body.stream:
                        await send(chunk({**role, **_fields(delta)}))
                    role = {}
        if body.stream:
            await send(chunk({}, written.reason))
            if body.stream_options and body.stream_options.include_usage:
                usage = {"object": "chat.completion.chunk", "choices": (), "usage": written.usage}
                await send(sse({**head, **usage}))
            await send(b"data: [DONE]\n\n")
            return
        message = {"role": "assistant", "content": "".join(written.text)}
        if thought := "".join(written.thought):
            message["reasoning_content"] = thought
        choice = {"index": 0, "message": message, "finish_reason": written.reason, "logprobs": None}
        whole = {**head, "object": "chat.completion", "choices": [choice], "usage": written.usage}
        await send(line(whole))

    media = EVENTS if body.stream else JSON
    return Streamed(media, produce, config.server.client_timeout, lambda error: sse(error_body(error)))


def _fields(delta: Delta) -> dict[str, str]:
    """A step of the answer as servers of this kind send it: thoughts under a name of their own."""
    thought = {"reasoning_content": delta.thought} if delta.thought else {}
    return thought | ({"content": delta.text} if delta.text or not thought else {})


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
    """`GET /v1/audio/voices`: the voice, by each name that stands for it."""
    aliases = [name for name in pool.config.server.voice_aliases if name and not set(name) & set("*?[")]
    names = dict.fromkeys([pool.voice, "default", *aliases])
    told = [{"id": name, "object": "voice", "name": pool.voice} for name in names]
    return answer({"object": "list", "data": told})
