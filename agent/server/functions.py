"""Tools that a client declares, and runs itself: what it may say of them, on every wire. Knows no model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from agent.errors import RequestError, ToolError
from agent.messages import ToolCall, ToolSchema
from agent.server.fields import Fields
from agent.tools.execution import AGAIN, NO_OBJECT, NO_TOOL
from agent.tools.schemas import checked, misfit

MOST = 128
"""Tools that one request may declare, as OpenAI has it."""

Mode: TypeAlias = Literal["none", "auto", "required"]


class Function(Fields):
    """A function, and its arguments as a JSON schema, to which its calls are held where the engine can."""

    ABOUT: ClassVar = frozenset({"strict"})

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])

    @field_validator("parameters")
    @classmethod
    def _resolved(cls, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("type", "object") != "object":
            raise PydanticCustomError("parameters", "the schema of an object")
        try:
            return checked(given)
        except ToolError as error:
            raise PydanticCustomError("parameters", "{why}", {"why": str(error)}) from error

    def as_tool(self) -> ToolSchema:
        """As a language model is told of it."""
        return ToolSchema(self.name, self.description, self.parameters)


class Declared(Function):
    """The same as the Realtime protocol and `/v1/responses` have it."""

    ELSEWHERE: ClassVar = {
        "allowed_callers": (["direct"],),
        "async": (False,),
        "defer_loading": (False,),
        "output_schema": (),
    }

    type: Literal["function"] = "function"


class Named(Fields):
    """The one that is to be called."""

    type: Literal["function"]
    name: str


class Allowed(Fields):
    """Those of the declared ones that may be called."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"] = "auto"
    tools: list[Named] = Field(min_length=1, max_length=MOST)


Choice: TypeAlias = Mode | Annotated[Named | Allowed, Field(discriminator="type")]


@dataclass(frozen=True, slots=True)
class Calling:
    """What may be called in one answer. required: something must be. parallel: more than one thing may be.
    own: so may what the server runs itself, where it has tools.
    """

    tools: tuple[ToolSchema, ...] = ()
    required: bool = False
    parallel: bool = True
    own: bool = True

    def refusal(self, call: ToolCall) -> str:
        """What a model is told of a call that its client cannot run; "" for one that it can."""
        schema = next((tool.parameters for tool in self.tools if tool.name == call.name), None)
        if schema is None:
            return NO_TOOL.format(call.name, ", ".join(tool.name for tool in self.tools))
        if call.data is None:
            return NO_OBJECT
        wrong = misfit(schema, call.data)
        return AGAIN.format(wrong) if wrong else ""


NOTHING = Calling()


def calling(declared: Sequence[Function], choice: Choice | None, parallel: bool | None = None) -> Calling:
    """What comes of a client's tools and its choice among them. Raises RequestError."""
    match choice:
        case Named(name=name):
            return chosen(declared, "required", {name}, parallel)
        case Allowed(mode=mode, tools=tools):
            return chosen(declared, mode, {tool.name for tool in tools}, parallel)
        case _:
            return chosen(declared, choice, None, parallel)


def chosen(
    declared: Sequence[Function], mode: Mode | None, only: Collection[str] | None, parallel: bool | None
) -> Calling:
    """The same. only: the names of those that may be called; None: all."""
    names = [function.name for function in declared]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise RequestError(f"tools: two are called {twice!r}", code="invalid_value", param="tools")
    if unknown := next((name for name in only or () if name not in names), None):
        text = f"tool_choice: there is no tool {unknown!r} in tools"
        raise RequestError(text, code="invalid_value", param="tool_choice")
    if mode == "required" and not declared:
        text = "tool_choice: 'required' asks for tools"
        raise RequestError(text, code="invalid_value", param="tool_choice")
    wanted = [] if mode == "none" else [each for each in declared if only is None or each.name in only]
    tools = tuple(each.as_tool() for each in wanted)
    own = mode != "none" and only is None
    return Calling(tools, mode == "required", parallel is not False, own)
