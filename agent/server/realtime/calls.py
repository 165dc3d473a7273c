"""Calls of a client's tools, and what it made of them, as items of a conversation. Knows no session."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from agent.messages import Message, ToolCall
from agent.server.fields import Fields


class FunctionCall(Fields):
    """A call that the client puts into the conversation, as one that was made before."""

    ABOUT: ClassVar = frozenset({"object", "status"})
    ESSENTIAL: ClassVar = frozenset({"id", "type", "call_id", "name", "arguments"})

    id: str | None = Field(default=None, max_length=64)
    type: Literal["function_call"]
    call_id: str = Field(min_length=1, max_length=64)
    name: str
    arguments: str

    def message(self) -> Message:
        """As the language model takes it."""
        return Message("assistant", "", calls=(ToolCall(self.call_id, self.name, self.arguments),))

    def item(self, name: str) -> dict[str, Any]:
        """As the conversation shows it, under that id."""
        return call_item(name, ToolCall(self.call_id, self.name, self.arguments))


class FunctionOutput(Fields):
    """What the client made of a call."""

    ABOUT: ClassVar = frozenset({"object", "status"})
    ESSENTIAL: ClassVar = frozenset({"id", "type", "call_id", "output"})

    id: str | None = Field(default=None, max_length=64)
    type: Literal["function_call_output"]
    call_id: str
    output: str

    def message(self) -> Message:
        """As the language model takes it."""
        return Message("tool", self.output, call=self.call_id)

    def item(self, name: str) -> dict[str, Any]:
        """As the conversation shows it, under that id."""
        about = {"id": name, "object": "realtime.item", "status": "completed"}
        return {**about, "type": "function_call_output", "call_id": self.call_id, "output": self.output}


def call_item(name: str, call: ToolCall) -> dict[str, Any]:
    """A call as the conversation shows it, under that id."""
    about = {"id": name, "object": "realtime.item", "type": "function_call", "status": "completed"}
    return {**about, "call_id": call.id, "name": call.name, "arguments": call.arguments}


def as_message(item: dict[str, Any]) -> Message | None:
    """Such an item as the language model takes it; None for one of another kind."""
    if item["type"] == "function_call":
        return FunctionCall.model_validate(item).message()
    return FunctionOutput.model_validate(item).message() if item["type"] == "function_call_output" else None
