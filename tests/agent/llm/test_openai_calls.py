"""Calls of tools by a model behind an OpenAI-compatible server, in all ways that servers have."""

from __future__ import annotations

import itertools
import json
from typing import Any

import hypothesis.strategies as some
import pytest
from hypothesis import given

from agent.errors import EngineFault
from agent.llm.deltas import deltas
from agent.llm.openai_answer import Calls
from agent.llm.openai_api import OpenAI
from agent.messages import Message, ToolCall, ToolSchema
from agent.protocols import Delta, Finish
from helpers_server import DONE, answer, chunked, error, event, head, scripted

WEATHER = ToolSchema(
    "weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}}
)
TIME = ToolSchema("time", "The time.", {"type": "object", "properties": {}})
ASKED = [Message("user", "What is it like in Ely, and how late is it?")]
CALLS = [("weather", '{"city": "Ely"}'), ("time", "{}")]

Parts = list[dict[str, Any]]


def cut(text: str, sizes: list[int]) -> list[str]:
    """A text in fragments of these sizes, again and again."""
    pieces, at = list[str](), 0
    for size in itertools.cycle(sizes):
        if at >= len(text):
            return pieces
        pieces.append(text[at : at + size])
        at += size
    return pieces


def sent(calls: list[tuple[str, str]], dialect: str, sizes: list[int]) -> list[Parts]:
    """These calls as a server of that dialect sends them: the `tool_calls` of each event."""
    events = list[Parts]()
    for n, (name, arguments) in enumerate(calls):
        first: dict[str, Any] = {"index": n, "id": f"call_{n}", "function": {"name": name, "arguments": ""}}
        pieces: Parts = [{"index": n, "function": {"arguments": each}} for each in cut(arguments, sizes)]
        whole: dict[str, Any] = {
            "index": n,
            "id": f"call_{n}",
            "function": {"name": name, "arguments": arguments},
        }
        match dialect:
            case "openai":
                events += [[first], *([piece] for piece in pieces)]
            case "other ids":  # vLLM, once: a fresh id in each fragment
                events += [[first], *([{**piece, "id": f"x{at}"}] for at, piece in enumerate(pieces))]
            case "repeats":  # name and id in each fragment
                events += [
                    [{**first, "function": {"name": name, "arguments": each}}]
                    for each in cut(arguments, sizes)
                ]
            case "whole":
                events.append([whole])
            case "index 0":  # Ollama, once
                events.append([{**whole, "index": 0}])
            case "no ids":
                events.append([{"index": 0, "function": whole["function"]}])
            case "bare":
                events.append([{"function": {"name": name, "arguments": json.loads(arguments)}}])
            case "name in pieces":
                begun = [{**first, "function": {"name": each}} for each in cut(name, [3])]
                events += [*([each] for each in begun), *([piece] for piece in pieces)]
            case _:
                events.append([{"function": whole["function"]}])
    return [list(itertools.chain(*events))] if dialect == "all in one" else events


DIALECTS = (
    "openai",
    "other ids",
    "repeats",
    "whole",
    "index 0",
    "no ids",
    "bare",
    "name in pieces",
    "all in one",
)


@given(
    calls=some.lists(
        some.tuples(
            some.sampled_from(["weather", "time"]),
            some.dictionaries(
                some.text("ab é", max_size=3), some.integers() | some.text('{}"\\é', max_size=4)
            ).map(lambda data: json.dumps(data)),
        ),
        min_size=1,
        max_size=4,
    ),
    dialect=some.sampled_from(DIALECTS),
    sizes=some.lists(some.integers(1, 9), min_size=1, max_size=4),
)
def test_calls_come_whole_out_of_any_dialect(
    calls: list[tuple[str, str]], dialect: str, sizes: list[int]
) -> None:
    together = Calls(["weather", "time"])
    for parts in sent(calls, dialect, sizes):
        together.add({"tool_calls": parts})
    found = together.whole(cut=False)
    assert [(call.name, call.data) for call in found] == [(name, json.loads(data)) for name, data in calls]
    assert together.whole(cut=False) == []


def test_the_form_from_before_there_were_several_is_read_as_well() -> None:
    calls = Calls(["weather"])
    for function in (
        {"name": "weather", "arguments": ""},
        {"arguments": '{"city":'},
        {"arguments": ' "Ely"}'},
    ):
        calls.add({"function_call": function})
    assert calls.whole(cut=False) == [ToolCall("", "weather", '{"city": "Ely"}')]


@pytest.mark.parametrize(
    "odd", ["x", 3, {"index": []}, [None, 1], [{"function": "f"}], [{"function": {"name": 1}}]]
)
def test_what_is_no_call_at_all_raises_nothing(odd: Any) -> None:
    calls = Calls(["weather"])
    calls.add({"tool_calls": odd})
    calls.add({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "weather", "arguments": "{}"}}]})
    assert calls.whole(cut=False)[-1].name == "weather"


def test_of_an_answer_that_broke_off_the_half_call_is_none() -> None:
    for half in ("", '{"city": "El'):
        calls = Calls(["weather", "time"])
        calls.add({"tool_calls": sent(CALLS, "whole", [9])[0]})
        calls.add({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "time", "arguments": half}}]})
        assert [call.name for call in calls.whole(cut=True)] == ["weather"]


# --- over the wire ----------------------------------------------------------------------------------


def engine(url: str, **settings: Any) -> OpenAI:
    return OpenAI(base_url=url, model="big", retries=1, **settings).with_tools([WEATHER, TIME])


def told(*parts: Parts, end: str = "tool_calls", text: str = "") -> list[bytes]:
    """A streamed answer with these `tool_calls`."""
    said = [event(text)] if text else []
    called = [event(delta={"tool_calls": each}) for each in parts]
    return [
        head(),
        *map(chunked, [*said, *called, event(finish_reason=end), b"data: [DONE]\n\n"]),
        b"0\r\n\r\n",
    ]


def answered(model: OpenAI, asked: list[Message] = ASKED) -> tuple[str, list[ToolCall]]:
    """What an answer says and calls, as the conversation reads it."""
    found = list(deltas(model.stream(asked), calls=True))
    return "".join(each.text for each in found), [each.call for each in found if each.call is not None]


@pytest.mark.net
def test_words_come_before_the_calls_and_history_goes_back_as_servers_want_it() -> None:
    history = [
        *ASKED,
        Message("assistant", "", calls=(ToolCall("000001001", "weather", '{"city": "Ely"}'),)),
        Message("tool", "Dry.", call="000001001"),
    ]
    with scripted(told(*sent(CALLS, "openai", [4]), text="Let me look."), answer("It is dry.")) as server:
        model = engine(server.url)
        text, calls = answered(model)
        assert answered(model, history) == ("It is dry.", [])
    assert (text, [(call.name, call.arguments) for call in calls]) == ("Let me look.", CALLS)
    assert [call.id for call in calls] == ["call_0", "call_1"]
    first, second = (body for _, _, body in server.seen)
    assert first["tools"] == [WEATHER.as_function(), TIME.as_function()]
    assert "tool_choice" not in first
    called = {
        "id": "000001001",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Ely"}'},
    }
    assert second["messages"][1:] == [
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "content": "Dry.", "tool_call_id": "000001001"},
    ]


@pytest.mark.net
def test_a_call_that_must_come_is_asked_for() -> None:
    with scripted(told(*sent(CALLS[:1], "whole", [9]))) as server:
        must = OpenAI(base_url=server.url).with_tools([WEATHER], required=True)
        assert answered(must)[1][0].name == "weather"
    assert server.seen[0][2]["tool_choice"] == "required"


@pytest.mark.net
def test_a_server_that_does_not_stream_calls_as_well() -> None:
    called = [{"id": "a", "type": "function", "function": {"name": "time", "arguments": "{}"}}]
    choice = {"message": {"content": None, "tool_calls": called}, "finish_reason": "tool_calls"}
    body = json.dumps({"choices": [choice]}).encode()
    with scripted([head(kind="application/json"), chunked(body), b"0\r\n\r\n"]) as server:
        assert answered(engine(server.url)) == ("", [ToolCall("a", "time", "{}")])


@pytest.mark.net
def test_who_was_told_of_no_tools_calls_none() -> None:
    with scripted(told(*sent(CALLS, "openai", [4]), text="Well.")) as server:
        assert not any(isinstance(item, Delta) for item in OpenAI(base_url=server.url).stream(ASKED))


@pytest.mark.net
def test_a_limit_in_the_middle_of_a_call_is_an_answer_that_was_cut() -> None:
    with scripted(told(*sent(CALLS[:1], "openai", [4])[:3], end="length")) as server:
        *items, last = engine(server.url).stream(ASKED)
    assert not any(isinstance(item, Delta) for item in items)
    assert isinstance(last, Finish)
    assert last.end == "length"


@pytest.mark.net
def test_a_connection_that_breaks_in_a_call_is_asked_again_and_calls_once() -> None:
    broken = [
        head(),
        *(chunked(event(delta={"tool_calls": each})) for each in sent(CALLS, "openai", [4])),
        "close",
    ]
    with scripted(broken, told(*sent(CALLS, "openai", [4]))) as server:
        assert [call.name for call in answered(engine(server.url))[1]] == ["weather", "time"]
    assert len(server.seen) == 2


@pytest.mark.net
def test_a_model_that_takes_no_tools_is_told_in_one_line() -> None:
    refused = json.dumps({"error": {"message": "x does not support tools", "type": "api_error"}})
    with scripted(error("400 Bad Request", refused)) as server, pytest.raises(EngineFault) as caught:
        answered(engine(server.url))
    assert "does not support tools" in str(caught.value)
    assert str(caught.value).endswith("and that the model can call tools")


@pytest.mark.net
def test_a_call_without_a_finish_reason_counts() -> None:
    script = [event(delta={"tool_calls": sent(CALLS[1:], "whole", [9])[0]}), b"data: [DONE]\n\n"]
    with scripted([head(), *map(chunked, script), b"0\r\n\r\n"]) as server:
        assert [call.name for call in answered(engine(server.url))[1]] == ["time"]
    assert DONE.endswith(script[-1])
