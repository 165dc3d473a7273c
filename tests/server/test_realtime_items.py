"""Items that a Realtime client puts into the conversation reach the model in their order."""

from __future__ import annotations

import json
from collections.abc import Callable

import anyio
import pytest
import serving
from websockets.asyncio.client import ClientConnection, connect

pytestmark = pytest.mark.net


class Talk:
    """A client that names its items, and waits for what it is told of each."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, kind: str, **fields: object) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def until(self, kind: str) -> dict:
        while (event := json.loads(await self.socket.recv()))["type"] != kind:
            assert event["type"] != "error", event
        return event

    async def put(self, name: str, role: str, text: str, after: str | None = None) -> None:
        content = [{"type": "output_text" if role == "assistant" else "input_text", "text": text}]
        item = {"id": name, "type": "message", "role": role, "content": content}
        await self.send("conversation.item.create", item=item, previous_item_id=after)
        assert (await self.until("conversation.item.done"))["item"]["id"] == name

    async def delete(self, name: str) -> None:
        await self.send("conversation.item.delete", item_id=name)
        assert (await self.until("conversation.item.deleted"))["item_id"] == name

    async def respond(self, modality: str = "text") -> dict:
        await self.send("response.create", response={"output_modalities": [modality]})
        return (await self.until("response.done"))["response"]


def asked(main: Callable, reply: str = "Ten.") -> list[tuple[str, str]]:
    """The last conversation that the model was given, after `main(talk)`, without the first message."""
    pool = serving.pool(["x"], [reply])

    async def inside() -> None:
        with anyio.fail_after(30):
            async with (
                serving.running(pool) as address,
                connect(f"ws{address.removeprefix('http')}/v1/realtime") as socket,
            ):
                await main(Talk(socket))

    anyio.run(inside, backend="asyncio")
    (used,) = [one for one in pool.model.each if one.asked]
    return [(m.role, m.content) for m in used.asked[-1]][1:]


FIVE = [("user", "1"), ("assistant", "2"), ("user", "3"), ("assistant", "4"), ("user", "5")]


async def five(talk: Talk) -> None:
    for role, text in FIVE:
        await talk.put(f"item_{text}", role, text)


def test_a_conversation_that_is_put_in_keeps_its_order() -> None:
    async def main(talk: Talk) -> None:
        await five(talk)
        await talk.respond()

    assert asked(main) == FIVE


def test_so_does_one_that_is_put_in_from_its_end() -> None:
    async def main(talk: Talk) -> None:
        for role, text in reversed(FIVE):
            await talk.put(f"item_{text}", role, text, "root")
        await talk.respond()

    assert asked(main) == FIVE


def test_in_the_middle_and_at_the_beginning() -> None:
    async def main(talk: Talk) -> None:
        await five(talk)
        await talk.put("item_2b", "user", "2b", "item_2")
        await talk.put("item_2a", "assistant", "2a", "item_2")
        await talk.put("item_0", "assistant", "0", "root")
        await talk.put("item_6", "user", "6", "item_5")
        await talk.respond()

    assert asked(main) == [
        ("assistant", "0"),
        ("user", "1"),
        ("assistant", "2 2a"),
        ("user", "2b 3"),
        ("assistant", "4"),
        ("user", "5 6"),
    ]


def test_what_the_system_says_stands_where_it_was_put() -> None:
    async def main(talk: Talk) -> None:
        await talk.put("a", "user", "Hi.")
        await talk.put("b", "system", "The user is sad.")
        await talk.put("c", "user", "Bye.")
        await talk.respond()

    assert asked(main) == [("user", "Hi."), ("system", "The user is sad."), ("user", "Bye.")]


def test_what_is_deleted_was_never_said() -> None:
    async def main(talk: Talk) -> None:
        await five(talk)
        done = await talk.respond()
        await talk.put("item_7", "user", "7")
        for name in ("item_2", "item_3", "item_5", done["output"][0]["id"], "item_7"):
            await talk.delete(name)
        await talk.put("item_8", "user", "8")
        await talk.respond()

    assert asked(main) == [("user", "1"), ("assistant", "4"), ("user", "8")]


def test_what_is_put_in_while_a_reply_is_said_comes_behind_it() -> None:
    async def main(talk: Talk) -> None:
        await talk.put("a", "user", "Count.")
        await talk.send("response.create")
        await talk.until("response.output_audio.delta")
        await talk.put("b", "user", "Thanks.")
        await talk.put("c", "assistant", "Anything else?")
        await talk.put("d", "user", "No.")
        await talk.until("response.done")
        await talk.respond()

    reply = "One, two, three, four, five."
    assert asked(main, reply) == [
        ("user", "Count."),
        ("assistant", reply),
        ("user", "Thanks."),
        ("assistant", "Anything else?"),
        ("user", "No."),
    ]


def test_around_what_was_said_itself() -> None:
    """Items before and behind the spoken reply, and behind the question that it answered."""

    async def main(talk: Talk) -> None:
        await talk.put("a", "user", "One?")
        reply = (await talk.respond())["output"][0]["id"]
        await talk.put("b", "user", "Two?")
        await talk.put("c", "assistant", "Hm.", "a")
        await talk.put("d", "assistant", "Yes.", reply)
        await talk.respond()

    assert asked(main) == [("user", "One?"), ("assistant", "Hm. Ten. Yes."), ("user", "Two?")]


def test_an_item_at_no_place_is_refused_by_name() -> None:
    async def main(talk: Talk) -> None:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}
        for fields, param in [
            ({"item": item, "previous_item_id": "none"}, "previous_item_id"),
            ({"item": item, "after": "root"}, "after"),
            ({"item": {**item, "priority": 1}}, "item.priority"),
            ({"item": {**item, "type": "mcp_call"}}, "item.type"),
        ]:
            await talk.send("conversation.item.create", **fields)
            while (event := json.loads(await talk.socket.recv()))["type"] != "error":
                pass
            assert event["error"]["param"] == param
            assert param in event["error"]["message"]
        await talk.respond()

    assert asked(main) == [("user", "x x")], "the two that are items but for a field that nobody knows"
