"""Tools that a client declares and runs itself, over HTTP, judged by the stock OpenAI client."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest
import serving
from openai import AsyncOpenAI

from agent.testing import call

pytestmark = pytest.mark.net

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "The weather.", "parameters": CITY},
}
TIME = {"type": "function", "function": {"name": "time"}}
ASKED: dict[str, Any] = {"model": "qwen2.5-0.5b", "messages": [{"role": "user", "content": "Rain in Ely?"}]}
BOTH = ["Let me look.", call("weather", city="Ely"), call("time")]


def talked(main: Callable, replies: list[Any], *sets: str) -> serving.Scripted:
    """Run `main(client, http)` against a server of scripted engines; the pool that served it."""
    pool = serving.pool(["x"], replies, "server.sessions=1", *sets)

    async def inside() -> None:
        with anyio.fail_after(30):
            async with (
                serving.running(pool) as address,
                httpx.AsyncClient(base_url=f"{address}/v1") as http,
                serving.stock(address) as client,
            ):
                await main(client, http)

    anyio.run(inside, backend="asyncio")
    return pool


def test_a_call_its_result_and_the_answer() -> None:
    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        first = await client.chat.completions.create(**ASKED, tools=[WEATHER, TIME])
        choice = first.choices[0]
        assert (choice.finish_reason, choice.message.content) == ("tool_calls", "Let me look.")
        calls = choice.message.tool_calls
        assert [(c.function.name, json.loads(c.function.arguments)) for c in calls] == [
            ("weather", {"city": "Ely"}),
            ("time", {}),
        ]
        assert len({c.id for c in calls}) == 2
        results = [{"role": "tool", "tool_call_id": c.id, "content": c.function.name} for c in calls]
        said = [*ASKED["messages"], choice.message.model_dump(exclude_none=True), *results]
        second = await client.chat.completions.create(**{**ASKED, "messages": said}, tools=[WEATHER, TIME])
        assert (second.choices[0].message.content, second.choices[0].finish_reason) == ("It rains.", "stop")
        assert second.choices[0].message.tool_calls is None

    model = talked(main, [BOTH, "It rains."]).model.each[0]
    assert [tool.name for tool in model.tools] == ["weather", "time"]
    assert model.tools[0].parameters == CITY
    roles = [message.role for message in model.asked[1]]
    assert roles == ["user", "assistant", "tool", "tool"]
    assert [c.name for c in model.asked[1][1].calls] == ["weather", "time"]
    assert [m.call for m in model.asked[1][2:]] == [c.id for c in model.asked[1][1].calls]


def test_calls_are_streamed_with_their_index_name_and_arguments() -> None:
    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        chunks = [
            c async for c in await client.chat.completions.create(**ASKED, tools=[WEATHER, TIME], stream=True)
        ]
        pieces = [piece for c in chunks for piece in c.choices[0].delta.tool_calls or []]
        assert [piece.index for piece in pieces] == [0, 0, 1, 1]
        assert [piece.function.name for piece in pieces] == ["weather", None, "time", None]
        assert "".join(piece.function.arguments for piece in pieces[:2]) == '{"city": "Ely"}'
        assert chunks[0].choices[0].delta.role == "assistant"
        assert [c.choices[0].finish_reason for c in chunks[-2:]] == [None, "tool_calls"]
        async with client.chat.completions.stream(**ASKED, tools=[WEATHER]) as stream:
            whole = await stream.get_final_completion()
        assert whole.choices[0].message.content is None
        assert [c.function.name for c in whole.choices[0].message.tool_calls] == ["weather"]

    talked(main, [BOTH, [call("weather", city="Ely")]])


def test_one_call_where_only_one_is_wanted_and_the_choice_is_kept_to() -> None:
    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        one = await client.chat.completions.create(**ASKED, tools=[WEATHER, TIME], parallel_tool_calls=False)
        assert [c.function.name for c in one.choices[0].message.tool_calls] == ["weather"]
        named = {"type": "function", "function": {"name": "time"}}
        await client.chat.completions.create(**ASKED, tools=[WEATHER, TIME], tool_choice=named)
        among = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named]}}
        await client.chat.completions.create(**ASKED, tools=[WEATHER, TIME], tool_choice=among)
        await client.chat.completions.create(**ASKED, tools=[WEATHER], tool_choice="required")

    told: list[tuple[list[str], bool]] = []
    replies = [BOTH, "a", "b", "c"]
    pool = serving.pool(["x"], replies)
    model = pool.model.each[0]
    with_tools = type(model).with_tools

    def noted(self: Any, tools: Any, *, required: bool = False) -> Any:
        told.append(([tool.name for tool in tools], required))
        return with_tools(self, tools, required=required)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model), "with_tools", noted)
        talked(main, replies)
    assert told == [(["weather", "time"], False), (["time"], True), (["time"], False), (["weather"], True)]


def test_a_model_that_is_told_of_none_says_what_it_says() -> None:
    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        whole = await client.chat.completions.create(**ASKED, tools=[WEATHER], tool_choice="none")
        assert whole.choices[0].message.content == '{"name": "weather", "arguments": {}}'
        assert whole.choices[0].finish_reason == "stop"

    talked(main, ['{"name": "weather", "arguments": {}}'])


def test_a_call_that_is_written_as_text_is_a_call() -> None:
    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        whole = await client.chat.completions.create(**ASKED, tools=[WEATHER])
        message = whole.choices[0].message
        assert message.content is None
        assert (message.tool_calls[0].function.name, message.tool_calls[0].function.arguments) == (
            "weather",
            '{"city": "Ely"}',
        )

    talked(main, ['{"name": "weather", "arguments": {"city": "Ely"}}'])


def test_a_response_calls_and_is_answered() -> None:
    """As `/v1/responses` has it: whole, streamed, and with what came of it."""
    declared = [{"type": "function", **WEATHER["function"]}, {"type": "function", "name": "time"}]

    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        first = await client.responses.create(model="qwen2.5-0.5b", input="Rain in Ely?", tools=declared)
        assert [item.type for item in first.output] == ["message", "function_call", "function_call"]
        assert first.output_text == "Let me look."
        calls = first.output[1:]
        assert [(c.name, json.loads(c.arguments)) for c in calls] == [
            ("weather", {"city": "Ely"}),
            ("time", {}),
        ]
        results = [{"type": "function_call_output", "call_id": c.call_id, "output": c.name} for c in calls]
        said = [
            {"role": "user", "content": "Rain in Ely?"},
            *(i.model_dump() for i in first.output),
            *results,
        ]
        second = await client.responses.create(model="qwen2.5-0.5b", input=said, tools=declared)
        assert second.output_text == "It rains."
        async with client.responses.stream(model="qwen2.5-0.5b", input="Time?", tools=declared) as stream:
            kinds = [event.type async for event in stream]
            whole = await stream.get_final_response()
        assert [item.type for item in whole.output] == ["function_call"]
        assert kinds[-4:] == [
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
        assert (whole.tools[1].name, whole.tool_choice) == ("time", "auto")
        reply = await http.post("responses", json={"input": said[:-1], "tools": declared})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "input")

    model = talked(main, [BOTH, "It rains.", [call("time")]]).model.each[0]
    said = [(m.role, m.content, [c.name for c in m.calls]) for m in model.asked[1] if m.role != "system"]
    assert said == [
        ("user", "Rain in Ely?", []),
        ("assistant", "Let me look.", ["weather", "time"]),
        ("tool", "weather", []),
        ("tool", "time", []),
    ]


def test_a_call_that_does_not_fit_goes_back_to_the_model() -> None:
    """What no grammar has held it to is validated: the client gets calls that it can run, or is told."""

    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        whole = await client.chat.completions.create(**ASKED, tools=[WEATHER])
        (made,) = whole.choices[0].message.tool_calls
        assert (whole.choices[0].message.content, json.loads(made.function.arguments)) == (
            "Let me look.",
            {"city": "Ely"},
        )
        assert whole.usage.completion_tokens == 6, "those that were written in vain count as well"
        async with client.responses.stream(
            model="qwen2.5-0.5b",
            input="Rain in Ely?",
            tools=[{"type": "function", **WEATHER["function"]}],
        ) as stream:
            second = await stream.get_final_response()
        assert [item.type for item in second.output] == ["message"]
        reply = await http.post("chat/completions", json={**ASKED, "tools": [WEATHER]})
        assert (reply.status_code, "wrongly" in reply.json()["error"]["message"]) == (500, True)

    wrong = [call("weather", city=3), call("snow"), call("weather")]
    first = [["Let me look.", wrong[0]], [wrong[1]], [call("weather", city="Ely")]]
    model = talked(main, [*first, [wrong[2]], "It rains.", *([each] for each in wrong), [wrong[0]]]).model
    asked = model.each[0].asked
    told = [message.content for message in asked[2] if message.role == "tool"]
    assert told[0].startswith("Wrong arguments: city: 3 is not of type")
    assert told[1] == "There is no tool 'snow'. There are: weather."
    assert len(asked) == 3 + 2 + 4


REFERS = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}
LOOPS = {**REFERS, "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/A"}}}}
CALLED = {"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools.0"),
        ({"tools": [{"type": "function", "function": {"name": "no blanks"}}]}, "tools.0.function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "x", "parameters": REFERS}}]},
            "tools.0.function",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "x", "parameters": LOOPS}}]},
            "tools.0.function",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "x", "parameters": {"required": "a"}}}]},
            "tools.0.function.parameters",
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"type": "many"}},
                }
            },
            "response_format.json_schema.schema",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "x", "parameters": {"type": "array"}}}]},
            "tools.0.function.parameters",
        ),
        ({"tools": [WEATHER, WEATHER]}, "tools"),
        ({"tools": [TIME] * 129}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": [WEATHER], "response_format": {"type": "json_object"}}, "response_format"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
        ({"messages": [{"role": "assistant", "content": None}]}, "messages.0.content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool_call_id"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "a"}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": [CALLED]}]}, "messages"),
        (
            {"messages": [{"role": "user", "content": "x", "tool_calls": [CALLED]}]},
            "messages.0.tool_calls",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(more: dict[str, Any], param: str) -> None:
    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        reply = await http.post("chat/completions", json={**ASKED, **more})
        assert reply.status_code == 400, reply.text
        assert reply.json()["error"]["param"].startswith(param), reply.text

    assert talked(main, ["Well."]).model.each[0].asked == []
