"""JSON schemas of anybody: wrong ones are refused, right ones of any draft kept to, none takes for ever."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ToolError
from agent.tools.schemas import checked, misfit


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    "schema",
    [
        of(a={"type": "many"}),
        of(a={"type": "string", "pattern": "("}),
        of(a={"minimum": "three"}),
        of(a={"enum": "red"}),
        of(a=3),
        of(a={"items": {"type": "array", "items": {"type": "strin"}}}),
        {"type": "object", "properties": ["a"]},
        {"type": "object", "required": "a"},
        {"type": "object", "anyOf": {}},
    ],
)
def test_what_is_no_schema_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ToolError, match="no JSON schema"):
        checked(schema)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (of(a={"$ref": "http://127.0.0.1:9/a"}), "defined nowhere"),
        (of(a={"$dynamicRef": "#a"}), "refers so"),
        (
            {**of(a={"$ref": "#/$defs/a"}), "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}},
            "contains itself",
        ),
    ],
)
def test_what_refers_to_elsewhere_or_to_itself_is_refused(schema: dict[str, Any], why: str) -> None:
    with pytest.raises(ToolError, match=why):
        checked(schema)


def test_one_that_doubles_again_and_again_is_refused_at_once() -> None:
    doubled = {
        f"d{n}": of(a={"$ref": f"#/$defs/d{n - 1}"}, b={"$ref": f"#/$defs/d{n - 1}"}) for n in range(1, 30)
    }
    began = time.monotonic()
    with pytest.raises(ToolError, match="too large"):
        checked({**of(a={"$ref": "#/$defs/d29"}), "$defs": {"d0": {"type": "null"}, **doubled}})
    assert time.monotonic() - began < 1.0


def test_one_that_is_nested_too_deep_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"items": deep}
    with pytest.raises(ToolError):
        checked(of(a=deep))


@pytest.mark.parametrize(
    ("schema", "fits", "not_"),
    [
        (of(n={"type": "integer", "exclusiveMinimum": 3}), 4, 3),
        (of(n={"type": "integer", "minimum": 3, "exclusiveMinimum": True}), 4, 3),  # draft 4
        (
            of(n={"items": [{"type": "string"}, {"type": "integer"}]}),
            ["a", 1],
            [1, "a"],
        ),  # drafts before 2020-12
        (of(n={"prefixItems": [{"type": "string"}]}), ["a"], [1]),
        (of(n={"not": {"type": "string"}}), 1, "a"),
        (of(n={"uniqueItems": True}), [1, 2], [1, 1]),
        (of(n={"pattern": "^(?!b)[a-z]+$"}), "abc", "bc"),
        (of(n={"if": {"type": "string"}, "then": {"minLength": 2}}), "ab", "a"),
        ({**of(n={"$ref": "#/definitions/x"}), "definitions": {"x": {"enum": [1, "two"]}}}, "two", 2),
    ],
)
def test_arguments_are_held_to_what_no_grammar_expresses(
    schema: dict[str, Any], fits: Any, not_: Any
) -> None:
    plain = checked(schema)
    assert misfit(plain, {"n": fits}) == ""
    assert misfit(plain, {"n": not_}).startswith("n")


@given(st.integers(), st.integers(), st.integers())
def test_a_number_fits_if_it_is_between_the_bounds(low: int, high: int, number: int) -> None:
    plain = checked(of(n={"type": "integer", "minimum": low, "maximum": high}))
    assert (misfit(plain, {"n": number}) == "") == (low <= number <= high)


def test_a_pattern_that_never_ends_is_told_and_not_waited_for() -> None:
    plain = checked(of(n={"type": "string", "pattern": "^(?:(a+)+)(?<!b)$"}))
    began = time.monotonic()
    assert misfit(plain, {"n": "a" * 60 + "!"})
    assert time.monotonic() - began < 2.0


def test_names_and_data_that_look_like_keywords_stay() -> None:
    schema = of(
        title={"type": "string", "title": "T", "default": {"title": "x", "$ref": "y"}}, items={"const": []}
    )
    assert checked(schema)["properties"] == {
        "title": {"type": "string", "default": {"title": "x", "$ref": "y"}},
        "items": {"const": []},
    }


@pytest.mark.parametrize("arguments", [{"n": "\ud800"}, {"n": 10**400}, {"n": [[[]]]}, {"m": 1}])
def test_whatever_a_model_writes_is_judged(arguments: dict[str, Any]) -> None:
    assert misfit(checked({**of(n={"type": "integer"}), "required": ["n"]}), arguments) or arguments == {
        "n": 10**400
    }
