"""What language models are asked with: messages in the roles of every chat model, and tools. Pure data."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from agent.text.cleaning import cleaned, json_text

if TYPE_CHECKING:
    from agent.images import Picture

Role = Literal["system", "user", "assistant", "tool"]

_VALUES = frozenset(("const", "default", "enum", "example", "examples"))
"""Keywords of a JSON schema whose values are no schemas."""
_NAMED = frozenset(("properties", "patternProperties", "dependentSchemas"))
"""Keywords with schemas by name."""


def _telling(schema: Any) -> Any:
    """A JSON schema without what is so anyway: no further arguments, nothing required, an empty default."""
    if isinstance(schema, list):
        return [_telling(each) for each in cast(list[Any], schema)]
    if not isinstance(schema, Mapping):
        return schema
    told = dict[str, Any]()
    for key, value in cast(Mapping[str, Any], schema).items():
        if (key == "additionalProperties" and value is False) or (
            key in ("default", "required") and not value
        ):
            continue
        if key in _NAMED and isinstance(value, Mapping):
            named = cast(Mapping[str, Any], value)
            told[key] = {name: _telling(each) for name, each in named.items()}
        else:
            told[key] = value if key in _VALUES else _telling(value)
    return told


_PLAIN = frozenset(("type", "description", "enum", "default", "minimum", "maximum", "format"))
"""What a parameter may have of a schema to be told in words."""


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """What a model is told of a tool. parameters: a JSON schema of an object; references are resolved in it.

    name: letters, digits, `_` and `-`, at most 64, as every wire takes it.
    """

    name: str
    description: str
    parameters: Mapping[str, Any] = field(hash=False)

    def as_function(self) -> dict[str, Any]:
        """The same as OpenAI's wire and the models' own templates write it."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}

    def as_prompt(self) -> dict[str, Any]:
        """The same for a model that reads it before every answer: without what tells it nothing."""
        return {
            "type": "function",
            "function": {**self.as_function()["function"], "parameters": _telling(self.parameters)},
        }

    @property
    def brief(self) -> str:
        """The same in one line: its name, what its parameters are called, what it is for, and what is told of
        each of them.
        """
        properties = cast(Mapping[str, Any], self.parameters.get("properties") or {})
        told = filter(None, (_parameter(name, each) for name, each in properties.items()))
        return " ".join((f"{self.name}({', '.join(properties)}): {self.description}", *told)).replace(
            "\n", " "
        )


def _parameter(name: str, schema: Any) -> str:
    """What a model is told of one parameter; "" where its name says it all."""
    if not isinstance(schema, Mapping):
        return ""
    given = cast(Mapping[str, Any], schema)
    if not given.keys() <= _PLAIN:
        return f"{name}: {json_text(_telling(given))}"
    described = str(given.get("description") or "")
    values = "|".join(map(str, cast(Sequence[Any], given.get("enum") or ())))
    told = " ".join(filter(None, (values, described)))
    return f"{name}: {told}" if told else ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model wants this done. arguments: JSON text, of an object if the model did as it was told.

    id: what its result is found by; unique within a conversation. See `call_id`.
    """

    id: str
    name: str
    arguments: str = "{}"

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", cleaned(self.name))
        object.__setattr__(self, "arguments", cleaned(self.arguments))

    @property
    def data(self) -> dict[str, Any] | None:
        """The arguments by name; None where they are no JSON object."""
        try:
            data = json.loads(self.arguments or "{}")
        except (ValueError, RecursionError):
            return None
        return cast(dict[str, Any], data) if isinstance(data, dict) else None

    def as_function(self, arguments: Any) -> dict[str, Any]:
        """The same as OpenAI's wire and the models' own templates write it. arguments: text, or data."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": arguments}}


def call_id(turn: int, number: int) -> str:
    """The id of a turn's call, by its number from 1: nine letters and digits, as Mistral's templates want."""
    return f"{turn % 10**6:06}{number % 1000:03}"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, in the roles of every chat model.

    content: is cleaned of what no tokenizer or template should meet, whoever it comes from. images: pictures
    that stand before its words, for a model that takes pictures; others get none. calls: what an assistant
    had done, after those words. call: of a tool's message, the `id` of the call that it is the result of.
    language: ISO code of what it was said in, "" where that is not known; no model is told it by this.
    """

    role: Role
    content: str
    images: tuple[Picture, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    call: str = ""
    language: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", cleaned(self.content))

    @property
    def empty(self) -> bool:
        """Whether it says nothing to a model."""
        return not (self.content or self.images or self.calls or self.call)

    def as_dict(self, content: Any, arguments: Callable[[ToolCall], Any]) -> dict[str, Any]:
        """As OpenAI's wire and the models' own templates write it. content, arguments: in their form."""
        spelled: dict[str, Any] = {"role": self.role, "content": content}
        if self.calls:
            spelled["tool_calls"] = [call.as_function(arguments(call)) for call in self.calls]
        if self.call:
            spelled["tool_call_id"] = self.call
        return spelled


def joined(messages: Sequence[Message], more: Sequence[Message]) -> list[Message]:
    """All of them; empty ones are left out, and neighbours of one role become one, but for results."""
    whole = list(messages)
    for message in more:
        if message.empty:
            continue
        if whole and whole[-1].role == message.role != "tool" and not whole[-1].calls:
            last = whole.pop()
            content = f"{last.content} {message.content}".strip()
            language = message.language if message.language == last.language else ""
            images = last.images + message.images
            message = replace(message, content=content, images=images, language=language)
        whole.append(message)
    return whole


def in_one_go(messages: Sequence[Message]) -> list[Message]:
    """The same; what was called one after the other, without a word or a result between, is one message."""
    whole = list[Message]()
    for message in messages:
        if message.calls and not message.content and whole and whole[-1].role == "assistant":
            last = whole.pop()
            message = replace(last, calls=(*last.calls, *message.calls))
        whole.append(message)
    return whole


def paired(messages: Sequence[Message]) -> list[Message]:
    """The same without results of calls that are not there, and calls that have no result.

    A template, and a server, refuses one without the other.
    """
    called = {call.id for message in messages for call in message.calls}
    answered = {message.call for message in messages if message.role == "tool"}
    whole = list[Message]()
    for message in messages:
        if message.role == "tool" and message.call not in called:
            continue
        calls = tuple(call for call in message.calls if call.id in answered)
        whole.append(message if calls == message.calls else replace(message, calls=calls))
    return whole


def in_words(messages: Sequence[Message], tools: Sequence[ToolSchema]) -> list[Message]:
    """The same conversation for a template that knows no tools: they, calls and results are told as text."""
    if not tools and not any(message.calls or message.call for message in messages):
        return list(messages)
    functions = "\n".join(json_text(tool.as_prompt()["function"]) for tool in tools)
    told = [Message("system", f"{USE}\n{functions}")] if tools else []
    names = {call.id: call.name for message in messages for call in message.calls}
    first = next((n for n, message in enumerate(messages) if message.role != "system"), len(messages))
    said = list[Message]()
    for message in messages:
        written = [
            json_text({"name": call.name, "arguments": call.arguments if call.data is None else call.data})
            for call in message.calls
        ]
        if message.role == "tool":
            said.append(
                Message("user", f"Result of {names.get(message.call, 'the call')}: {message.content}")
            )
        else:
            content = "\n".join(filter(None, (message.content, *written)))
            said.append(replace(message, content=content, calls=()))
    return joined(said[:first], [*told, *said[first:]])


def alternating(said: Sequence[Message], *, system: bool = False) -> list[Message]:
    """The same words for a template that wants user and assistant in turns: neighbours of a role become one.

    What the system says is the user's. system: but for what it says first, where the template has that role.
    """
    merged: list[Message] = []
    for message in said:
        first = system and not merged
        role = "user" if message.role == "system" and not first else message.role
        before = merged.pop().content + "\n\n" if merged and merged[-1].role == role else ""
        merged.append(Message(role, f"{before}{message.content}"))
    return merged


USE = (
    "You can call these functions where one is needed. To call one, write nothing but a JSON object "
    'that has its "name" and its "arguments".'
)
"""What a model is told that has no form of its own for tools."""
