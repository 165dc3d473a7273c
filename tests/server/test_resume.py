"""A client that loses its connection comes back, and goes on where it was heard last."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from functools import reduce

import anyio
import pytest
import serving
from hypothesis import given
from hypothesis import strategies as st
from realtime_client import Client
from websockets.asyncio.client import connect

from agent.messages import Message, ToolCall
from agent.testing import SECONDS_PER_CHARACTER
from agent.transports.resumption import TOUCH, LocalStore, Parts, Reply, State, key, merged

WORDS = ["one two three four five six seven eight.", "Yes."]


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def of_store(main, seconds: float = 60, most: int = 3):
    """What `main(store, clock)` gives."""
    clock = Clock()
    return anyio.run(main, LocalStore(seconds, most, clock), clock)


def test_what_was_kept_is_found_by_its_token_until_it_has_been_silent_for_too_long() -> None:
    async def main(store: LocalStore, clock: Clock):
        token = await store.open("a")
        assert await store.put(token, "a", {"session": "1"})
        clock.time = 60 + TOUCH
        assert await store.put(token, "a", {"reply": "2"})
        clock.time += 60 + TOUCH
        assert await store.claim(token, "b") == {"session": "1", "reply": "2"}
        clock.time += 60 + TOUCH + 0.1
        assert await store.claim(token, "c") is None
        assert not store.kept
        assert await store.claim("nonsense\ud800", "c") is None

    of_store(main)


def test_who_lost_a_session_to_another_can_neither_change_nor_end_it() -> None:
    async def main(store: LocalStore, clock: Clock):
        token = await store.open("a")
        assert await store.put(token, "a", {"session": "heard"})
        assert await store.claim(token, "b") == {"session": "heard"}
        assert not await store.put(token, "a", {"session": "old"})
        await store.drop(token, "a")
        assert await store.claim(token, "c") == {"session": "heard"}
        await store.drop(token, "c")
        assert not await store.put(token, "c", {})

    of_store(main)


def test_beyond_the_most_the_one_that_was_silent_for_longest_goes() -> None:
    async def main(store: LocalStore, clock: Clock):
        tokens = [await store.open(name) for name in "abc"]
        clock.time = 1
        assert await store.put(tokens[0], "a", {})
        await store.open("d")
        assert [key(each) in store.kept for each in tokens] == [True, False, True]
        assert not any(token in name for token in tokens for name in store.kept)

    of_store(main)


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf"]), max_size=12)
CALLS = st.lists(st.builds(ToolCall, TEXT, TEXT, TEXT), max_size=2).map(tuple)
MESSAGES = st.builds(
    Message, st.sampled_from(["user", "assistant", "tool"]), TEXT, calls=CALLS, call=TEXT, language=TEXT
)
ENDS = st.lists(st.tuples(st.integers(), st.integers()))
REPLIES = st.builds(Reply, TEXT, st.booleans(), ENDS, TEXT, ENDS)


@given(st.builds(State, st.lists(MESSAGES), TEXT, st.just({}), st.none() | REPLIES, st.lists(TEXT)))
def test_what_is_kept_is_read_back_as_it_was(state: State) -> None:
    found = State.of({"session": state.session(), "reply": state.reply_part()})
    state.said = [message for message in state.said if not message.empty]
    assert found == state
    assert [each.language for each in found.said] == [each.language for each in state.said]


@given(st.lists(st.text("abc", min_size=1, max_size=5), min_size=1), st.integers(0, 40), st.integers(0, 9000))
def test_each_word_of_a_reply_was_heard_or_is_still_to_be_said(
    words: list[str], heard: int, played: int
) -> None:
    """heard: words that the server knew of. The client has the last word, also of those that came after."""
    text, ends = " ".join(words), list[tuple[int, int]]()
    for number, word in enumerate(words):
        at = len(" ".join(words[:number])) + (number > 0)
        ends.append((300 * (number + 1), at + len(word)))
    reply = Reply(text, True, ends[:heard], "item_1", ends[heard:])
    before, rest = reply.parted("item_1", played)
    assert [*before.split(), *rest.split()] == words
    assert len(before.split()) == min(len(ends), played // 300)
    before, rest = reply.parted("item_2", played)
    assert len(before.split()) == min(len(ends), heard)


def test_what_was_chosen_last_counts_setting_by_setting() -> None:
    told = [
        {"instructions": "a", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}},
        {"audio": {"output": {"voice": "x"}, "input": {"turn_detection": None}}},
        {"instructions": "b", "tools": []},
    ]
    assert reduce(merged, told, {}) == {
        "instructions": "b",
        "audio": {"input": {"turn_detection": None}, "output": {"voice": "x"}},
        "tools": [],
    }


@asynccontextmanager
async def connected(address: str):
    async with connect(f"ws{address.removeprefix('http')}/v1/realtime?events=all") as socket:
        yield Client(socket)


def vanish(client: Client) -> None:
    """As when the network is gone, or the process: nobody says that it closes."""
    client.socket.transport.abort()


async def began(client: Client, token: str | None = None, **more: object) -> dict:
    await client.send("backchat.resume", token=token, **more)
    return await client.until("backchat.session")


def resumed(pool: serving.Scripted, main) -> None:
    async def inside() -> None:
        with anyio.fail_after(40):
            async with serving.running(pool) as address:
                await main(address)
                while not pool.idle:
                    await anyio.sleep(0.01)

    anyio.run(inside, backend="asyncio")


def said(messages: list[Message]) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in messages[1:]]


async def heard_words(client: Client, count: int) -> tuple[str, int]:
    """The item that is said once so many of its words were heard, and its milliseconds by then."""
    while True:
        event = await client.read()
        told = event.get("event", {})
        if event["type"] == "response.output_item.added":
            item = event["item"]["id"]
        if told.get("event") == "word_heard":
            count -= 1
            if not count:
                return item, told["audio_end_ms"]


async def cut_behind(address: str, words: int, **item: str) -> tuple[str, str, int]:
    """A client that asks and is gone behind so many words: its session, the reply, and how far that was."""
    async with connected(address) as client:
        token = (await began(client))["token"]
        await client.put("count", **item)
        await client.send("response.create")
        told, ms = await heard_words(client, words)
        vanish(client)
    return token, told, ms


@pytest.mark.net
def test_a_reply_that_was_cut_with_the_connection_goes_on_with_the_next_word() -> None:
    """The client says what it has played; the rest is said, and the model asked nothing anew."""
    pool = serving.pool([], WORDS)

    async def main(address: str) -> None:
        async with connected(address) as client:
            session = await began(client)
            assert session["resumed"] is False
            await client.update(instructions="Be brief.")
            await client.put("count")
            await client.send("response.create")
            item, ms = await heard_words(client, 3)
            vanish(client)
        async with connected(address) as client:
            again = await began(client, session["token"], item_id=item, audio_end_ms=ms)
            assert (again["resumed"], again["token"]) == (True, session["token"])
            assert (await client.until("session.updated"))["session"]["instructions"] == "Be brief."
            done = await client.until("response.done")
            rest = done["response"]["output"][0]["content"][0]["transcript"]
            assert rest == "four five six seven eight."
            await client.put("and then?")
            await client.respond()
            asked = pool.model.asked[-1]
            assert asked[0].content.startswith("Be brief.")
            assert said(asked) == [("user", "count"), ("assistant", WORDS[0]), ("user", "and then?")]

    resumed(pool, main)


@pytest.mark.net
def test_what_the_client_played_after_the_last_word_from_the_server_is_not_said_twice() -> None:
    """Of a process that dies what it was about to note is lost."""
    pool = serving.pool([], WORDS)

    async def main(address: str) -> None:
        token, item, ms = await cut_behind(address, 2)
        async with connected(address) as client:
            played = ms + round(1000 * len(" three four") * SECONDS_PER_CHARACTER)
            await began(client, token, item_id=item, audio_end_ms=played)
            done = await client.until("response.done")
            assert done["response"]["output"][0]["content"][0]["transcript"] == "five six seven eight."

    resumed(pool, main)


@pytest.mark.net
def test_what_was_sent_is_taken_once_and_what_was_taken_is_always_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whenever the process dies: each state that is kept has the question whose id it has."""
    pool, states = serving.pool([], WORDS), list[State]()
    put = LocalStore.put

    async def noted(self: LocalStore, token: str, holder: str, parts: Parts) -> bool:
        states.extend([State.of(parts)] if "session" in parts else [])
        return await put(self, token, holder, parts)

    monkeypatch.setattr(LocalStore, "put", noted)

    async def main(address: str) -> None:
        token, *_ = await cut_behind(address, 2, id="mine")
        async with connected(address) as client:
            assert (await began(client, token))["goes_on"]
            await client.until("response.done")
            content = [{"type": "input_text", "text": "count"}]
            again = {"type": "message", "role": "user", "content": content, "id": "mine"}
            await client.send("conversation.item.create", item=again)
            assert (await client.until("error"))["error"]["code"] == "item_create_duplicate_item_id"
            await client.put("and then?", id="next")
            await client.respond()
        asked = [each for each in states if "mine" in each.items]
        assert all(Message("user", "count") in each.said for each in asked)
        assert all((Message("user", "and then?") in each.said) == ("next" in each.items) for each in asked)
        assert [each.content for each in pool.model.asked[-1]].count("count") == 1
        assert "next" in asked[-1].items

    resumed(pool, main)


@pytest.mark.net
def test_who_is_cut_twice_in_one_reply_hears_each_word_once() -> None:
    pool = serving.pool([], WORDS)

    async def main(address: str) -> None:
        token, *_ = await cut_behind(address, 2)
        async with connected(address) as client:
            session = await began(client, token)
            assert session["goes_on"]
            assert session["last"]["role"] == "assistant"
            await heard_words(client, 2)
            vanish(client)
        async with connected(address) as client:
            assert (await began(client, token))["goes_on"]
            await client.until("response.done")
            await client.put("and then?")
            await client.respond()
            assert said(pool.model.asked[-1])[1] == ("assistant", WORDS[0])
            vanish(client)
        async with connected(address) as client:
            session = await began(client, token)
            assert not session["goes_on"]
            assert session["last"]["text"]

    resumed(pool, main)


@pytest.mark.net
def test_without_a_word_of_the_client_what_was_sent_counts_as_heard_and_no_word_is_lost() -> None:
    pool = serving.pool([], WORDS)

    async def main(address: str) -> None:
        token, *_ = await cut_behind(address, 2)
        async with connected(address) as client:
            assert (await began(client, token))["resumed"]
            await client.until("response.done")
            await client.put("and then?")
            await client.respond()
            assert said(pool.model.asked[-1])[1] == ("assistant", WORDS[0])

    resumed(pool, main)


@pytest.mark.net
def test_who_closes_is_forgotten_and_who_is_superseded_gives_its_slot_back() -> None:
    pool = serving.pool([], WORDS, "server.sessions=2")

    async def main(address: str) -> None:
        async with connected(address) as client:
            token = (await began(client))["token"]
        async with connected(address) as client:
            new = await began(client, token)
            assert (new["resumed"], new["token"] == token) == (False, False)
            async with connected(address) as other:
                assert (await began(other, new["token"]))["resumed"]
                while pool.taken > 1:  # the first has its connection still
                    await anyio.sleep(0.05)

    resumed(pool, main)


@pytest.mark.net
@pytest.mark.parametrize(
    ("settings", "event", "code"),
    [
        (["server.resume=0"], {"token": None}, "not_resumable"),
        ([], {"token": 7}, None),
        ([], {"token": None, "audio_end_ms": -1}, None),
    ],
)
def test_what_cannot_be_gone_on_with_is_refused_and_the_session_lives(settings, event, code) -> None:
    pool = serving.pool([], ["Yes."], *settings)

    async def main(address: str) -> None:
        async with connected(address) as client:
            await client.send("backchat.resume", **event)
            error = (await client.until("error"))["error"]
            assert code is None or error["code"] == code
            await client.put("hello")
            assert (await client.respond())["status"] == "completed"
            if not settings:
                await began(client)
                await client.send("backchat.resume", token=json.dumps("x"))
                assert (await client.until("error"))["error"]["code"] == "already_begun"

    resumed(pool, main)
