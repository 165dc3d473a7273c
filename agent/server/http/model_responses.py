"""`/v1/responses`: OpenAI's newer way to ask a language model, in text, streamed and not. Knows no sound."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias, cast

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from agent.errors import RequestError
from agent.messages import Message, ToolCall, in_one_go
from agent.protocols import Delta
from agent.server.completion import LIKELIEST, Sampling, Written, write
from agent.server.fields import Fields
from agent.server.functions import MOST, Calling, Choice, Declared, calling
from agent.server.http.kept import Entry, Kept, conversation
from agent.server.http.logprobs import Logprobs
from agent.server.http.pictures import check, looked
from agent.server.http.responses import EVENTS, JSON, Answer, Streamed, Write, answer, error_body, line, sse
from agent.server.http.text import Free, Objects, Schema, check_calls, read_body
from agent.server.pool import Pool

if TYPE_CHECKING:
    from starlette.requests import Request


VERBOSITY = {"low": "Answer in few words.", "medium": "", "high": "Answer at length."}
"""What the model is told of it."""


class _Text(Fields):
    ELSEWHERE: ClassVar = {"annotations": ([],)}
    ABOUT: ClassVar = frozenset({"logprobs", "prompt_cache_breakpoint"})
    """Our own answers have the first, and clients send them back: it is not read again."""

    type: Literal["input_text", "output_text"]
    text: str


class _Image(Fields):
    ELSEWHERE: ClassVar = {"detail": ("auto",), "file_id": ()}
    ABOUT: ClassVar = frozenset({"prompt_cache_breakpoint"})

    type: Literal["input_image"]
    image_url: str


_Part = Annotated[_Text | _Image, Field(discriminator="type")]


class _Said(Fields):
    ABOUT: ClassVar = frozenset({"id", "phase", "status"})

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Part]

    def message(self) -> Message:
        """As the language model takes it."""
        texts = [part.text for part in self.content if isinstance(part, _Text)]
        text = self.content if isinstance(self.content, str) else "".join(texts)
        return Message("system" if self.role == "developer" else self.role, text)

    @property
    def images(self) -> list[str]:
        """Its pictures, as data URLs."""
        return [part.image_url for part in self.content if isinstance(part, _Image)]


class _Called(Fields):
    """A call of before."""

    ELSEWHERE: ClassVar = {"async": (False,), "caller": (), "namespace": ()}
    ABOUT: ClassVar = frozenset({"id", "status"})

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    role: ClassVar = "assistant"
    images: ClassVar[list[str]] = []

    def message(self) -> Message:
        """As the language model takes it."""
        return Message("assistant", "", calls=(ToolCall(self.call_id, self.name, self.arguments),))


class _Output(Fields):
    """What the client made of one."""

    ELSEWHERE: ClassVar = {"caller": (), "namespace": ()}
    ABOUT: ClassVar = frozenset({"id", "name", "status"})

    type: Literal["function_call_output"]
    call_id: str
    output: str | list[_Text]
    role: ClassVar = "tool"
    images: ClassVar[list[str]] = []

    def message(self) -> Message:
        """As the language model takes it."""
        text = self.output if isinstance(self.output, str) else "".join(part.text for part in self.output)
        return Message("tool", text, call=self.call_id)


def _kind(given: Any) -> Any:
    """Without a type it is a message."""
    if not isinstance(given, dict):
        return given
    wish = cast(dict[str, Any], given)
    return wish if wish.get("type") is not None else {**wish, "type": "message"}


_Item: TypeAlias = _Said | _Called | _Output
_Given = Annotated[_Said | _Called | _Output, Field(discriminator="type"), BeforeValidator(_kind)]


class _Schematic(Schema):
    type: Literal["json_schema"]

    @property
    def schema_(self) -> dict[str, Any]:
        """What the answer fits."""
        return self.definition


class _TextConfig(Fields):
    verbosity: Literal["low", "medium", "high"] = "medium"
    format: Annotated[Free | Objects | _Schematic, Field(discriminator="type")] = Free(type="text")


class _Reasoning(Fields):
    """How much the model thinks first: as its server is set up, which by default is not at all."""

    ELSEWHERE: ClassVar = {
        "context": ("auto",),
        "generate_summary": ("auto",),
        "mode": ("standard",),
        "summary": ("auto",),
    }

    effort: Literal["none", "minimal", "low"] | None = None


class _ConversationID(Fields):
    id: str


class Ask(Fields):
    """The body of `/v1/responses`."""

    ELSEWHERE: ClassVar = {
        "access_programs": (),
        "background": (False,),
        "background_options": (),
        "context_management": ([],),
        "image": (),
        "max_tool_calls": (),
        "moderation": (),
        "prompt": (),
        "prompt_cache_options": (),
        "prompt_cache_retention": ("in_memory",),
        "service_tier": ("auto", "default"),
        "stream_options": ({},),
        "truncation": ("disabled",),
    }
    ABOUT: ClassVar = frozenset({"prompt_cache_key", "safety_identifier", "user"})

    model: str | None = None
    conversation: str | _ConversationID | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    include: list[Literal["message.output_text.logprobs", "reasoning.encrypted_content"]] | None = None
    """Thoughts are no items of a response here, so that none can lack what is in them."""
    input: str | list[_Given] = Field(min_length=1)
    instructions: str | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    metadata: dict[str, str] | None = None
    reasoning: _Reasoning | None = None
    stream: bool = False
    temperature: float | None = Field(default=None, ge=0.0, le=5.0)
    text: _TextConfig = Field(default_factory=_TextConfig)
    top_logprobs: int = Field(default=0, ge=0, le=LIKELIEST)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    tools: list[Declared] = Field(default_factory=list[Declared], max_length=MOST)
    tool_choice: Choice = "auto"
    parallel_tool_calls: bool = True

    _before: tuple[_Said | _Called | _Output, ...] = ()

    @model_validator(mode="after")
    def _one_past(self) -> Self:
        if self.conversation is not None and self.previous_response_id is not None:
            why = {"field": "previous_response_id"}
            raise PydanticCustomError("refused", "only without conversation", why)
        return self

    @property
    def within(self) -> str | None:
        """The conversation that it is part of."""
        named = self.conversation
        return named.id if isinstance(named, _ConversationID) else named

    def go_on(self, kept: Kept[_Item]) -> None:
        """Go on from what it names. Raises RequestError where that is not kept, or nothing is."""
        if self.store and not kept.able:
            raise RequestError("store: nothing is kept here (server.responses)", param="store")
        if (name := self.previous_response_id) is not None:
            self._before = kept.find("response", name, "previous_response_id").items
        elif (name := self.within) is not None:
            self._before = kept.find("conversation", name, "conversation").items

    @property
    def likeliest(self) -> int | None:
        """As `Sampling` has it."""
        wanted = self.top_logprobs or "message.output_text.logprobs" in (self.include or [])
        return self.top_logprobs if wanted else None

    def messages(self, system: str) -> list[Message]:
        """What the language model reads. system: who it is where nobody says."""
        given = self.said
        told = any(each.role in ("system", "developer") for each in given)
        first = f"{self.instructions or ('' if told else system)} {VERBOSITY[self.text.verbosity]}".strip()
        return [*([Message("system", first)] if first else []), *(each.message() for each in given)]

    @property
    def said(self) -> list[_Said | _Called | _Output]:
        """The conversation, the question last."""
        return [*self._before, *self.asked]

    @property
    def asked(self) -> list[_Said | _Called | _Output]:
        """What is new of it."""
        return [_Said(role="user", content=self.input)] if isinstance(self.input, str) else self.input


class NewConversation(Fields):
    """The body of `/v1/conversations`."""

    items: list[_Given] = Field(default_factory=list[_Given])
    metadata: dict[str, str] = Field(default_factory=dict[str, str])


async def converse_on(request: Request, pool: Pool, kept: Kept[_Item]) -> Answer:
    """`POST /v1/conversations`: responses may be part of it, and read what was said before."""
    body = NewConversation()
    if await request.body():
        body = await read_body(request, NewConversation, pool, pool.context)
    if not kept.able:
        raise RequestError("no conversation is kept here (server.responses)", 404, "conversation_not_found")
    return answer(dict(conversation(kept, body.items, body.metadata)))


async def respond(request: Request, pool: Pool, kept: Kept[_Item]) -> Streamed:
    """`POST /v1/responses`, streamed and not."""
    body = await read_body(request, Ask, pool, pool.context)
    pool.check("llm", body.model)
    body.go_on(kept)
    config = pool.config
    pictures = [each.images for each in body.said]
    check(pictures, config)
    messages, calling = body.messages(config.session.system), chosen_by(body)
    check_calls(in_one_go(messages), "input")
    shown = [*([[]] if len(messages) > len(pictures) else []), *pictures]
    told = _Told(body, pool.names["llm"], body.store is not False and kept.able)
    most, schema = body.max_output_tokens, body.text.format.schema_
    sampling = Sampling(most, body.temperature, body.top_p, schema=schema, likeliest=body.likeliest)

    async def produce(send: Write) -> None:
        written = Written()
        async with pool.slot() as slot:
            asked = in_one_go(await looked(slot, config, messages, shown))
            async with write(slot, config, asked, sampling, written, calling) as tokens:
                async for delta in tokens:
                    events = told.more(delta)
                    if body.stream:
                        await send(events)
        told.end(written)
        events = told.rest()
        told.keep(kept)
        await send(events if body.stream else line(told.response(told.status)))

    media = EVENTS if body.stream else JSON
    return Streamed(media, produce, config.server.client_timeout, told.failed)


def chosen_by(body: Ask) -> Calling:
    """What may be called. Raises RequestError."""
    return calling(body.tools, body.tool_choice, body.parallel_tool_calls)


def _said(item: dict[str, Any]) -> _Item | None:
    """An item of an answer, as the next question has it before it; None for one without a word."""
    if item["type"] == "function_call":
        return _Called(**{name: item[name] for name in ("type", "call_id", "name", "arguments")})
    text = "".join(part["text"] for part in item["content"])
    return _Said(role="assistant", content=text) if text else None


class _Told:
    """What a client is told of one response."""

    def __init__(self, body: Ask, model: str, stored: bool) -> None:
        self._body, self._model, self._stored = body, model, stored
        self._id, self._item = f"resp_{uuid.uuid4().hex}", f"msg_{uuid.uuid4().hex}"
        self._created, self._number = int(time.time()), 0
        self.status: Literal["completed", "incomplete"] = "completed"
        self.text = ""
        self._logprobs = Logprobs()
        self._says = False
        """Whether its message is begun, and not ended."""
        self._items: list[dict[str, Any]] = []
        """What it consists of so far."""
        self._usage: dict[str, Any] | None = None

    def more(self, delta: Delta) -> bytes:
        """The events of a step of the answer; of the first one those with which it begins, too."""
        events = self._begin()
        self.text, told = "" if delta.anew else self.text, self._logprobs.feed(delta)
        if delta.text:
            events += self._say()
            self.text += delta.text
            where: dict[str, Any] = {**self._place, "logprobs": told}
            events.append(self._event("response.output_text.delta", **where, delta=delta.text))
        if delta.call is not None:
            events += [*self._said("completed"), *self._called(delta.call)]
        return b"".join(events)

    def _begin(self) -> list[bytes]:
        if self._number:
            return []
        made = self.response("in_progress")
        return [
            self._event("response.created", response=made),
            self._event("response.in_progress", response=made),
        ]

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": self._item, "output_index": 0, "content_index": 0}

    def _say(self) -> list[bytes]:
        """Its message begins, the first of its items, if it has not yet."""
        if self._items:
            return []
        self._says = True
        self._items.append(self._shown("in_progress"))
        return [
            self._event("response.output_item.added", output_index=0, item=self._items[0]),
            self._event("response.content_part.added", **self._place, part=self._part("")),
        ]

    def _said(self, status: str) -> list[bytes]:
        """Its message ends, if it has begun."""
        if not self._says:
            return []
        self._says = False
        self._items[0] = self._shown(status)
        return [
            self._event(
                "response.output_text.done", **self._place, text=self.text, logprobs=self._logprobs.told
            ),
            self._event("response.content_part.done", **self._place, part=self._part(self.text)),
            self._event("response.output_item.done", output_index=0, item=self._items[0]),
        ]

    def _called(self, call: ToolCall) -> list[bytes]:
        """The client is to run something."""
        about = {"id": f"fc_{uuid.uuid4().hex}", "type": "function_call"}
        item = {**about, "call_id": call.id, "name": call.name, "arguments": call.arguments}
        index = len(self._items)
        self._items.append({**item, "status": "completed"})
        begun, where = {**item, "arguments": "", "status": "in_progress"}, {"output_index": index}
        kind, piece = "response.function_call_arguments", {**where, "item_id": about["id"]}
        return [
            self._event("response.output_item.added", **where, item=begun),
            self._event(f"{kind}.delta", **piece, delta=call.arguments),
            self._event(f"{kind}.done", **piece, name=call.name, arguments=call.arguments),
            self._event("response.output_item.done", **where, item=self._items[index]),
        ]

    def rest(self) -> bytes:
        """The events with which it ends."""
        events = [*self._begin(), *self._say(), *self._said(self.status)]
        over = self._event(f"response.{self.status}", response=self.response(self.status))
        return b"".join([*events, over])

    def end(self, written: Written) -> None:
        """All of it is there."""
        self.status = "incomplete" if written.reason == "length" else "completed"
        self._usage = {
            "input_tokens": written.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": written.tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": written.prompt_tokens + written.tokens,
        }

    def keep(self, kept: Kept[_Item]) -> None:
        """Have it kept, where that is wished for, and in the conversation that it is part of."""
        body, said = self._body, [one for item in self._items if (one := _said(item)) is not None]
        if self._stored:
            kept.keep(self._id, Entry("response", self.response(self.status), (*body.said, *said)))
        if body.within is not None:
            kept.add(body.within, [*body.asked, *said])

    def _event(self, kind: str, **fields: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        return sse({"type": kind, "sequence_number": number, **fields}, kind)

    def failed(self, error: RequestError) -> bytes:
        """The last event of a stream that broke."""
        told = error_body(error)["error"]
        return self._event("error", code=told["code"], message=told["message"], param=told["param"])

    def _part(self, text: str) -> dict[str, Any]:
        told = self._logprobs.told if text else []
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": told}

    def _shown(self, status: str) -> dict[str, Any]:
        content = [] if status == "in_progress" else [self._part(self.text)]
        return {
            "id": self._item,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
        }

    def response(self, status: str) -> dict[str, Any]:
        """The response, with all that was asked for."""
        body, choice = self._body, self._body.tool_choice
        over = status != "in_progress"
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "metadata": body.metadata or {},
            "model": self._model,
            "output": self._items if over else [],
            "parallel_tool_calls": body.parallel_tool_calls,
            "previous_response_id": body.previous_response_id,
            "conversation": None if body.within is None else {"id": body.within},
            "store": self._stored,
            "temperature": body.temperature,
            "text": {"format": body.text.format.model_dump(by_alias=True)},
            "tool_choice": choice if isinstance(choice, str) else choice.model_dump(),
            "tools": [{**tool.model_dump(), "strict": False} for tool in body.tools],
            "top_logprobs": body.top_logprobs,
            "top_p": body.top_p,
            "truncation": "disabled",
            "usage": self._usage,
        }
