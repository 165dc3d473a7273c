"""What must hold for every language model engine that calls tools, with real weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from agent.llm.deltas import deltas
from agent.messages import Message, ToolCall, ToolSchema
from agent.protocols import CallsTools, CountsTokens, Delta, Finish, LanguageModel
from agent.weights import catalogue as models
from helpers_server import llama_server

pytestmark = [pytest.mark.model, pytest.mark.net]

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = ToolSchema("weather", "The weather in a city.", CITY)
ODD = ToolSchema(
    "odd", "It is odd.", {"type": "object", "properties": {"n": {"type": "int"}}, "required": ["n"]}
)
"""Its schema has a type that there is not: no grammar can be made of it."""
ASKED = [
    Message("system", "You are a helpful assistant."),
    Message("user", "What is the weather in Paris?"),
]
CALLED = [
    *ASKED,
    Message("assistant", "Let me look.", calls=(ToolCall("000001001", "weather", '{"city": "Paris"}'),)),
    Message("tool", "It rains.", call="000001001"),
]


@pytest.fixture(scope="module")
def model(llm) -> Iterator[LanguageModel]:
    """One engine for all; behind a server a model whose template has a form for tools, as that asks for."""
    settings = ("llm.context=1024", "llm.max_tokens=48", "llm.threads=1", "llm.temperature=0.0")
    with llama_server(models.resolve("qwen2.5-0.5b")) if llm.name == "openai" else nullcontext() as server:
        made = llm.make(*settings, *([f"llm.base_url={server.url}"] if server is not None else []))
        assert isinstance(made, CallsTools)
        yield made


def answered(model: LanguageModel, asked: list[Message]) -> tuple[str, list[ToolCall]]:
    found = list(deltas(model.stream(asked), calls=True, spoken=False))
    return "".join(each.text for each in found), [each.call for each in found if each.call is not None]


def test_a_call_that_must_come_comes_whole_and_is_not_said(model) -> None:
    text, calls = answered(model.with_tools([WEATHER], required=True), ASKED)
    assert calls
    assert calls[0].name == "weather"
    assert isinstance(calls[0].data, dict)
    assert "weather" not in text
    *_, last = model.with_tools([WEATHER], required=True).stream(ASKED)
    assert isinstance(last, Finish)


def test_calls_and_results_are_read_and_answered(model) -> None:
    told = model.with_tools([WEATHER])
    items = list(told.stream(CALLED))
    assert any(item.text if isinstance(item, Delta) else item for item in items)
    if isinstance(model, CountsTokens):
        assert told.count(CALLED) > told.count(ASKED) + 8
        assert told.count(ASKED) > model.count(ASKED) + 20, "it is told of the tool"


def test_a_schema_that_no_grammar_can_hold_leaves_a_call_that_is_json(model, llm) -> None:
    if llm.name == "openai":
        pytest.skip("optional: its server judges schemas itself, and may refuse one")
    _, calls = answered(model.with_tools([ODD, WEATHER], required=True), ASKED)
    assert all(call.name in ("odd", "weather") for call in calls)
    assert all(isinstance(json.loads(call.arguments), dict) for call in calls)
