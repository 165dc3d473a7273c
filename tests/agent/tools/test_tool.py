"""From a Python function to what a model is told of it, and back from its arguments to a call."""

from __future__ import annotations

import json
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from agent.errors import ToolError
from agent.messages import ToolSchema
from agent.tools.nowhere import Nowhere
from agent.tools.tool import Tool, ToolContext, tool


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Place(BaseModel):
    city: str
    title: str = ""


def run(made: Tool, **arguments: Any) -> Any:
    work = made.begin(arguments, Nowhere())
    assert callable(work)
    return work()


@tool(effect="reads")
def everything(
    count: int,
    share: float = 0.5,
    kind: Literal["big", "small"] = "big",
    colour: Colour = Colour.RED,
    when: date | None = None,
    names: Annotated[list[str], Field(max_length=3)] = [],  # noqa: B006
    place: Place | None = None,
    conversation: ToolContext | None = None,
) -> Any:
    """Look at all.

    More of it.

    count: how many,
        at most ten.
    share: of the whole.
    """
    return count, share, kind, colour, when, names, place


def test_a_model_is_told_the_name_the_words_and_the_types() -> None:
    schema = everything.schema
    assert (schema.name, schema.description) == ("everything", "Look at all.\n\nMore of it.")
    told = json.loads(json.dumps(schema.parameters))
    assert told["required"] == ["count"]
    assert told["additionalProperties"] is False
    properties = told["properties"]
    assert properties["count"] == {"type": "integer", "description": "how many, at most ten."}
    assert properties["share"]["description"] == "of the whole."
    assert properties["kind"]["enum"] == ["big", "small"]
    assert properties["colour"]["enum"] == ["red", "blue"]
    assert properties["names"]["maxItems"] == 3
    assert {
        "type": "object",
        "properties": {"city": {"type": "string"}, "title": {"type": "string", "default": ""}},
        "required": ["city"],
    } in properties["place"]["anyOf"]
    assert "$ref" not in json.dumps(told)


@pytest.mark.parametrize(
    "style",
    [
        "count: how many",
        ":param count: how many",
        ":param int count: how many",
        "Args:\n        count (int): how many",
    ],
)
def test_parameters_are_explained_as_docstrings_do(style: str) -> None:
    def function(count: int) -> None: ...

    function.__doc__ = f"Look.\n\n    {style}\n    "
    made = tool(function, effect="reads")
    assert made.schema.parameters["properties"]["count"]["description"] == "how many"
    assert made.schema.description == "Look."


@pytest.mark.parametrize("between", [" ", "; ", "\n    ", "\n\n    "])
def test_two_parameters_may_be_explained_on_one_line(between: str) -> None:
    def function(value: float, unit: str, to: str) -> None: ...

    function.__doc__ = (
        f"Convert.\n\n    value: how much, as in: 3.{between}unit: of it.{between}to: what else: miles."
    )
    properties = tool(function, effect="reads").schema.parameters["properties"]
    told = [properties[name]["description"].rstrip(";") for name in ("value", "unit", "to")]
    assert told == ["how much, as in: 3.", "of it.", "what else: miles."]


def test_a_model_reads_nothing_that_tells_it_nothing() -> None:
    """What no argument needs to say is left out of its prompt, and stays in the schema that judges."""

    def function(city: str, default: str = "", days: int = 3, names: list[str] = [], *, deep: Place) -> None:  # noqa: B006
        """Look."""

    schema = tool(function, effect="reads").schema
    told = schema.as_prompt()["function"]["parameters"]
    assert told["properties"]["city"] == {"type": "string"}
    assert told["properties"]["default"] == {"type": "string"}
    assert told["properties"]["days"] == {"type": "integer", "default": 3}
    assert told["properties"]["names"] == {"type": "array", "items": {"type": "string"}}
    assert told["properties"]["deep"]["required"] == ["city"]
    assert told["required"] == ["city", "deep"]
    assert "additionalProperties" not in told
    assert schema.parameters["additionalProperties"] is False
    (loose,) = [
        ToolSchema("x", "X.", {"additionalProperties": True, "properties": {"required": {"enum": [""]}}})
    ]
    assert loose.as_prompt()["function"]["parameters"] == loose.parameters


def test_arguments_come_as_their_types() -> None:
    given = {"count": "3", "colour": "blue", "when": "2026-11-27", "place": {"city": "Rome"}, "names": ["a"]}
    assert run(everything, **given) == (
        3,
        0.5,
        "big",
        Colour.BLUE,
        date(2026, 11, 27),
        ["a"],
        Place(city="Rome"),
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "count: is missing"),
        ({"count": "many"}, "count: .*'many'"),
        ({"count": 1, "size": 2}, "size: is no argument"),
        ({"count": 1, "kind": "huge"}, "kind: .*'huge'"),
        ({"count": 1, "place": {"town": 1}}, "city: is missing"),
    ],
)
def test_wrong_arguments_are_told_in_words(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ToolError, match=told) as error:
        run(everything, **arguments)
    assert "pydantic" not in str(error.value)


def test_a_tool_is_the_function_that_it_was() -> None:
    assert everything(1)[0] == 1


def test_what_is_not_said_is_asked_for() -> None:
    def documented() -> None:
        """Look."""

    def silent() -> None: ...

    def untyped(a) -> None:
        """Look."""

    def many(*names: str) -> None:
        """Look."""

    def itself(tree: Tree) -> None:
        """Look."""

    for function, told in [
        (documented, "say what it does"),
    ]:
        with pytest.raises(ToolError, match=told):
            tool(function)
    for function, told in [
        (silent, "no docstring"),
        (untyped, "a has no type hint"),
        (many, "names: .*plain"),
        (itself, "contains itself"),
    ]:
        with pytest.raises(ToolError, match=told):
            tool(function, effect="reads")
    for wrong in ({"name": "two words"}, {"timeout": 0.0}, {"confirm": "Do {what}?"}):
        with pytest.raises(ToolError):
            tool(documented, effect="reads", **wrong)  # pyright: ignore
    with pytest.raises(ToolError, match="effect"):
        tool(documented, effect="maybe")  # pyright: ignore


class Tree(BaseModel):
    inside: list[Tree] = []


def test_what_reads_is_cancelled_and_what_changes_is_finished_unless_it_says_otherwise() -> None:
    def look() -> None:
        """Look."""

    assert tool(look, effect="reads").interrupted == "cancel"
    assert tool(look, effect="changes").interrupted == "finish"
    assert tool(look, effect="changes", interrupted="cancel").interrupted == "cancel"
