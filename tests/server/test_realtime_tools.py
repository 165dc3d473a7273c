"""Tools that a Realtime client declares and runs: each call is told once, and its output never lost."""

from __future__ import annotations

import base64
import json
from typing import Any

import anyio
import pytest
import serving
from realtime_client import Client, talked

from agent.testing import call

pytestmark = pytest.mark.net

TEXT = {"output_modalities": ["text"]}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "name": "weather", "description": "The weather.", "parameters": CITY}
TIME = {"type": "function", "name": "time"}


def pool(replies: list[Any], *sets: str, hears: tuple[str, ...] = ("",)) -> serving.Scripted:
    return serving.pool(list(hears), replies, "server.sessions=1", *sets)


async def output(client: Client, call_id: str, text: str) -> dict:
    item = {"type": "function_call_output", "call_id": call_id, "output": text}
    await client.send("conversation.item.create", item=item)
    return (await client.until("conversation.item.done"))["item"]


def prompt(served: serving.Scripted, number: int) -> list[tuple[str, str, list[str]]]:
    """One prompt of the model: role, words, and what was called."""
    said = served.model.each[0].asked[number]
    return [(m.role, m.content, [c.name for c in m.calls]) for m in said if m.role != "system"]


def test_calls_are_told_and_their_outputs_are_read_by_the_next_response() -> None:
    served = pool([["Let me look.", call("weather", city="Ely"), call("time")], "It rains at noon."])

    async def main(client: Client) -> None:
        session = await client.update(tools=[WEATHER, TIME], **TEXT)
        assert [tool["name"] for tool in session["tools"]] == ["weather", "time"]
        assert session["tool_choice"] == "auto"
        await client.put("Rain in Ely?")
        done = await client.respond()
        assert done["status"] == "completed"
        assert [item["type"] for item in done["output"]] == ["message", "function_call", "function_call"]
        _, first, second = done["output"]
        assert (first["name"], json.loads(first["arguments"]), first["status"]) == (
            "weather",
            {"city": "Ely"},
            "completed",
        )
        told = client.of("response.function_call_arguments.done")
        assert [(e["output_index"], e["call_id"], e["item_id"]) for e in told] == [
            (1, first["call_id"], first["id"]),
            (2, second["call_id"], second["id"]),
        ]
        deltas = client.of("response.function_call_arguments.delta")
        assert [e["delta"] for e in deltas] == [e["arguments"] for e in told]
        assert first["id"] in {e["item"]["id"] for e in client.of("conversation.item.done")}
        await output(client, second["call_id"], "noon")
        item = await output(client, first["call_id"], "rain")
        assert (item["type"], item["output"]) == ("function_call_output", "rain")
        done = await client.respond()
        assert done["output"][0]["content"][0]["text"] == "It rains at noon."
        assert client.errors == []

    talked(served, main)
    assert prompt(served, 1) == [
        ("user", "Rain in Ely?", []),
        ("assistant", "Let me look.", ["weather", "time"]),
        ("tool", "rain", []),
        ("tool", "noon", []),
    ]


def test_a_response_that_only_calls_has_no_message() -> None:
    served = pool([[call("time")], "Noon."])

    async def main(client: Client) -> None:
        await client.update(tools=[TIME])
        await client.put("How late is it?")
        done = await client.respond()
        assert done["status"] == "completed"
        assert [(item["type"], item["name"]) for item in done["output"]] == [("function_call", "time")]
        assert client.of("response.function_call_arguments.done")[0]["output_index"] == 0
        assert client.of("response.content_part.added") == []
        await output(client, done["output"][0]["call_id"], "noon")
        assert (await client.respond())["output"][0]["content"][0]["transcript"] == "Noon."

    talked(served, main)


def test_a_response_beside_the_conversation_may_call_too() -> None:
    replies = [["Let me look.", call("weather", city="Ely"), call("time")], "It rains."]
    served = serving.pool([""], replies, "server.sessions=2")

    async def main(client: Client) -> None:
        await client.update(tools=[WEATHER], **TEXT)
        await client.put("Rain in Ely?")
        done = await client.respond(conversation="none", tools=[WEATHER, TIME], tool_choice="required")
        assert [item["type"] for item in done["output"]] == ["message", "function_call", "function_call"]
        told = client.of("response.function_call_arguments.done")
        assert [(e["output_index"], e["item_id"]) for e in told] == [
            (1, done["output"][1]["id"]),
            (2, done["output"][2]["id"]),
        ]
        assert json.loads(told[0]["arguments"]) == {"city": "Ely"}
        inside = {e["item"]["id"] for e in client.of("conversation.item.added")}
        assert not inside & {item["id"] for item in done["output"]}
        outputs = [{"type": "function_call_output", "call_id": e["call_id"], "output": "rain"} for e in told]
        calls = [
            {name: e[name] for name in ("type", "call_id", "name", "arguments")} for e in done["output"][1:]
        ]
        done = await client.respond(conversation="none", input=[*calls, *outputs], tool_choice="none")
        assert done["output"][0]["content"][0]["text"] == "It rains."
        assert client.errors == []

    talked(served, main)
    (aside,) = [one for one in served.model.each if one.asked]
    assert [(m.role, len(m.calls), m.content) for m in aside.asked[1] if m.role != "system"] == [
        ("assistant", 2, ""),
        ("tool", 0, "rain"),
        ("tool", 0, "rain"),
    ]


def test_what_is_asked_for_behind_an_output_waits_for_what_is_still_said() -> None:
    """A client that runs its tool at once is done before "Let me look." has been heard."""
    served = pool([["Let me look at that.", call("time")], "Noon."])

    async def main(client: Client) -> None:
        await client.update(tools=[TIME])
        await client.put("How late is it?")
        await client.send("response.create")
        done = await client.until("response.function_call_arguments.done")
        assert client.of("response.done") == []
        await output(client, done["call_id"], "noon")
        await client.send("response.create")
        first = (await client.until("response.done"))["response"]
        second = (await client.until("response.done"))["response"]
        assert [first["status"], second["status"]] == ["completed", "completed"]
        assert second["output"][0]["content"][0]["transcript"] == "Noon."
        assert client.errors == []

    talked(served, main)


def test_an_interruption_between_the_call_and_its_output_loses_neither() -> None:
    served = pool([[call("time")], "Well, birds fly.", "It is noon."], hears=("What of birds?",))

    async def main(client: Client) -> None:
        await client.update(tools=[TIME], audio={"input": {"turn_detection": {"type": "server_vad"}}})
        await client.put("How late is it?")
        done = await client.respond()
        assert done["status"] == "completed"
        name = done["output"][0]["call_id"]
        for level in (0.4, 0.0):
            for _ in range(12):
                sound = base64.b64encode(serving.tone(0.1, level)).decode()
                await client.send("input_audio_buffer.append", audio=sound)
        done = (await client.until("response.done"))["response"]
        assert done["output"][0]["content"][0]["transcript"] == "Well, birds fly."
        await output(client, name, "noon")
        assert (await client.respond())["output"][0]["content"][0]["transcript"] == "It is noon."

    talked(served, main)
    assert prompt(served, 1)[1:3] == [
        ("assistant", "", ["time"]),
        ("tool", "This is still being done. Its result is not known yet.", []),
    ]
    assert ("tool", "noon", []) in prompt(served, 2)
    assert sum(bool(calls) for *_, calls in prompt(served, 2)) == 1


def test_the_choice_is_kept_to_in_a_session_and_in_a_response() -> None:
    served = pool(["a", "b", "c", "d"])
    told: list[tuple[list[str], bool]] = []

    async def main(client: Client) -> None:
        model = type(served.model.each[0])
        with_tools = model.with_tools

        def noted(self: Any, tools: Any, *, required: bool = False) -> Any:
            told.append(([tool.name for tool in tools], required))
            return with_tools(self, tools, required=required)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(model, "with_tools", noted)
            session = await client.update(tools=[WEATHER, TIME], tool_choice="required", **TEXT)
            assert session["tool_choice"] == "required"
            await client.put("x")
            await client.respond()
            assert told[-1] == (["weather", "time"], True)
            await client.respond(tool_choice={"type": "function", "name": "time"})
            assert (["time"], True) in told
            await client.respond(tools=[TIME], tool_choice="auto")
            assert (["time"], False) in told
            told.clear()
            await client.update(tool_choice="none", **TEXT)
            await client.respond()
            assert told == []

    talked(served, main)


def test_calls_and_outputs_of_before_can_be_put_in_and_taken_out() -> None:
    served = pool(["It rained.", "I do not know."])

    async def main(client: Client) -> None:
        await client.update(**TEXT)
        await client.put("Rain in Ely?")
        item = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city": "Ely"}'}
        await client.send("conversation.item.create", item=item)
        made = (await client.until("conversation.item.done"))["item"]
        assert made["call_id"] == "c1"
        await output(client, "c1", "rain")
        await client.respond()
        await client.send("conversation.item.delete", item_id=made["id"])
        await client.until("conversation.item.deleted")
        await client.respond()

    talked(served, main)
    assert prompt(served, 0)[1:] == [("assistant", "", ["weather"]), ("tool", "rain", [])]
    assert not any(calls or role == "tool" for role, _, calls in prompt(served, 1))


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "session.tools"),
        ({"tools": [TIME, TIME]}, "tools"),
        ({"tools": [TIME], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
    ],
)
def test_what_cannot_be_is_refused_and_the_session_lives(session: dict, param: str) -> None:
    async def main(client: Client) -> None:
        told = await client.update(**session)
        (error,) = client.errors
        assert error["param"].removeprefix("session.").startswith(param.removeprefix("session."))
        assert (told["tools"], told["tool_choice"]) in (([], "auto"), ([{**TIME}], "auto"))
        await client.put("x")
        assert (await client.respond())["status"] == "completed"

    talked(pool(["Well."]), main)


def test_an_output_that_nobody_waits_for_is_refused() -> None:
    async def main(client: Client) -> None:
        item = {"type": "function_call_output", "call_id": "nobody", "output": "x"}
        await client.send("conversation.item.create", item=item)
        assert (await client.until("error"))["error"]["code"] == "invalid_tool_call_id"
        await client.update(tools=[TIME], **TEXT)
        await client.put("How late is it?")
        done = await client.respond()
        await output(client, done["output"][0]["call_id"], "noon")
        item["call_id"] = done["output"][0]["call_id"]
        await client.send("conversation.item.create", item=item)
        assert (await client.until("error"))["error"]["code"] == "invalid_tool_call_id"

    talked(pool([[call("time")], "Noon."]), main)


def test_the_stock_client_runs_a_tool() -> None:
    served = pool([["Let me look.", call("weather", city="Ely")], "It rains."])

    async def inside() -> None:
        async with serving.running(served) as address, serving.stock(address) as client:
            async with client.realtime.connect(model="qwen2.5-0.5b") as line:
                await line.session.update(
                    session={"type": "realtime", "tools": [WEATHER], "output_modalities": ["text"]}
                )
                part = {"type": "input_text", "text": "Rain in Ely?"}
                item = {"type": "message", "role": "user", "content": [part]}
                await line.conversation.item.create(item=item)
                await line.response.create()
                said = ""
                async for event in line:
                    if event.type == "response.function_call_arguments.done":
                        assert json.loads(event.arguments) == {"city": "Ely"}
                        result = {"type": "function_call_output", "call_id": event.call_id, "output": "rain"}
                        await line.conversation.item.create(item=result)
                        await line.response.create()
                    said += event.delta if event.type == "response.output_text.delta" else ""
                    if event.type == "response.done" and event.response.output[-1].type == "message":
                        break
                    assert event.type != "error", event
            assert said == "Let me look.It rains."

    async def limited() -> None:
        with anyio.fail_after(30):
            await inside()

    anyio.run(limited, backend="asyncio")
