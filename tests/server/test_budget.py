"""How much one client may give: the same limits on every wire, and sessions live on."""

from __future__ import annotations

import base64
import json
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import anyio
import grpc
import httpx
import pytest
import serving
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect

import scripted
from agent.conversation.history import History
from agent.errors import RequestError
from agent.llm.context import TOO_LONG, ContextWindow
from agent.messages import Message
from agent.server.admission import budget
from agent.server.grpc import backchat_pb2 as pb
from agent.server.grpc.server import running_server
from agent.server.http import text as json_bodies
from agent.server.telemetry.metrics import Metrics
from agent.settings import ServerConfig
from agent.text.cleaning import cleaned_data
from agent.text.tokens import LONGEST_TOKEN, least_tokens

LIMIT = 1000
SMALL = (f"server.characters={LIMIT}", "server.entries=20")
LONG = "word " * 300
"""Words of more characters than that."""
LIMITS = ServerConfig(characters=LIMIT, entries=20)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def served(made: serving.Scripted, main: Callable) -> None:
    async def inside() -> None:
        with anyio.fail_after(60):
            async with serving.running(made) as address:
                await main(address)

    anyio.run(inside, backend="asyncio")


class Client:
    """A Realtime client that keeps the errors that it is told."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.errors: list[dict[str, Any]] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self._socket.send(json.dumps({"type": kind, **fields}))

    async def until(self, *kinds: str) -> dict[str, Any]:
        while True:
            event = json.loads(await self._socket.recv())
            if event["type"] == "error":
                self.errors.append(event["error"])
            if event["type"] in kinds:
                return event

    async def item(self, text: str, role: str = "user", **more: str) -> dict[str, Any]:
        content = [{"type": "output_text" if role == "assistant" else "input_text", "text": text, **more}]
        item = {"type": "message", "role": role, "content": content}
        await self.send("conversation.item.create", item=item)
        return await self.until("conversation.item.done", "error")

    async def answer(self, text: str) -> str:
        await self.item(text)
        await self.send("response.create", response={"output_modalities": ["text"]})
        done = (await self.until("response.done"))["response"]
        assert done["status"] == "completed"
        return done["output"][0]["content"][0]["text"]


def talked(made: serving.Scripted, main: Callable[[Client], Any]) -> None:
    async def inside(address: str) -> None:
        async with connect(f"ws{address.removeprefix('http')}/v1/realtime") as socket:
            await main(Client(socket))

    served(made, inside)


def put_in(value: Any, text: str, where: int) -> tuple[Any, int]:
    """`value` with `text` at its place number `where`, counted through lists and objects."""
    if where == 0:
        return text, -1
    where -= 1
    if isinstance(value, list):
        for number, each in enumerate(value):
            changed, where = put_in(each, text, where)
            if where < 0:
                return [*value[:number], changed, *value[number + 1 :]], where
    elif isinstance(value, dict):
        for name, each in value.items():
            changed, where = put_in(each, text, where)
            if where < 0:
                return {**value, name: changed}, where
    return value, where


@given(JSON, st.integers(0, 12))
def test_a_text_that_is_too_long_is_found_wherever_it_stands(value: Any, where: int) -> None:
    budget.check({"a": value}, LIMITS)
    changed, left = put_in(value, "x" * (LIMIT + 1), where)
    if left < 0:
        with pytest.raises(RequestError, match=r"server\.characters") as caught:
            budget.check({"a": changed}, LIMITS)
        assert (caught.value.status, caught.value.code) == (413, "too_large")


@given(st.lists(st.integers(0, 300), max_size=15))
def test_all_texts_count_together(lengths: list[int]) -> None:
    wanted = {"messages": [{"content": "x" * length} for length in lengths]}
    names = len("messages") + len("content") * len(lengths)
    if sum(lengths) + names <= LIMIT:
        budget.check(wanted, LIMITS)
    else:
        with pytest.raises(RequestError, match=f"{sum(lengths) + names} characters are more than {LIMIT}"):
            budget.check(wanted, LIMITS)


def test_a_list_and_an_object_have_so_many_entries_at_the_most() -> None:
    for many in (["x"] * 21, {str(n): 1 for n in range(21)}):
        with pytest.raises(
            RequestError, match=r"a\.b: 21 entries are more than 20 \(server\.entries\)"
        ) as caught:
            budget.check({"a": {"b": many}}, LIMITS)
        assert caught.value.param == "a.b"
    budget.check({"a": ["x"] * 20}, LIMITS)


def test_sound_and_pictures_are_no_text() -> None:
    data = "A" * 10 * LIMIT
    budget.check(
        {"item": {"content": [{"image_url": data}, {"audio": data}]}, "image_url": {"url": data}}, LIMITS
    )
    budget.check(pb.ConverseRequest(audio=bytes(10 * LIMIT)), LIMITS)


def nested(depth: int) -> Any:
    return [nested(depth - 1) for _ in range(20)] if depth else 1


def test_all_lists_together_have_so_many_entries_at_the_most() -> None:
    """However they are nested: 20 lists of 20 are few enough, and 20 of those are not."""
    budget.check({"a": nested(1)}, LIMITS)
    with pytest.raises(RequestError, match=r"entries are more than 400 \(server\.entries\)") as caught:
        budget.check({"a": nested(3)}, LIMITS)
    assert caught.value.status == 413


@given(JSON | st.text('[]{},:"a', max_size=300))
def test_what_is_within_the_limits_is_read(value: Any) -> None:
    """Whatever marks are in its texts."""
    given = {"a": value}
    budget.check(given, LIMITS)
    for raw in (json.dumps(given), json.dumps(given, ensure_ascii=False, indent=1).encode()):
        assert budget.read(raw, LIMITS) == cleaned_data(given)


@pytest.mark.parametrize("many", ["[],", "{},", "1,", '"",', "[[[1]]],"])
def test_what_cannot_be_within_the_limits_is_not_even_read(
    many: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of three bytes takes 56 in memory, and nobody else's work goes on while they are made."""

    def loads(raw: str | bytes) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(json, "loads", loads)
    for raw in (f"[{many * 1500}1]", f"[{many * 1500}1]".encode()):
        with pytest.raises(RequestError, match=r"server\.entries") as caught:
            budget.read(raw, LIMITS)
        assert (caught.value.status, caught.value.code) == (413, "too_large")


def test_nothing_is_looked_for_in_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of 5 MB, noted so that no error quotes them, took a second in which nobody was answered."""
    noted = list[str]()
    monkeypatch.setattr(budget, "said", noted.append)
    for request, context in (
        ({"prompt": LONG}, None),
        ({"messages": ["short", LONG]}, None),
        ({"prompt": "much" * 10_000}, 100),
        ({"a": ["x"] * 21}, None),
    ):
        with pytest.raises(RequestError):
            budget.check(request, LIMITS, context)
    assert noted == []
    budget.check({"prompt": "short"}, LIMITS)
    assert "short" in noted


def test_sound_and_pictures_are_not_looked_through_for_what_fools_readers() -> None:
    read = budget.read('{"url": "a\\u0007b", "text": "a\\u0007b"}', LIMITS)
    assert read == {"url": "a\x07b", "text": "ab"}


@pytest.mark.net
def test_one_large_request_is_read_at_a_time_and_small_ones_do_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reading one takes several times its memory."""
    inside, most, order, go = 0, 0, list[str](), threading.Event()

    def parse(model: Any, body: bytes, *limits: Any) -> Any:
        nonlocal inside, most
        large = len(body) > 65_536
        if large:
            inside += 1
            most = max(most, inside)
            go.wait(10)
        read = real(model, body, *limits)
        inside -= large
        order.append("large" if large else "small")
        return read

    real = json_bodies.parse
    monkeypatch.setattr(json_bodies, "parse", parse)

    async def main(address: str) -> None:
        async with (
            httpx.AsyncClient(base_url=address, timeout=30) as client,
            anyio.create_task_group() as all_,
        ):

            async def ask(prompt: str) -> None:
                assert (await client.post("/generate", json={"prompt": prompt})).status_code == 200

            for _ in range(3):
                all_.start_soon(ask, "word " * 20_000)
            with anyio.fail_after(10):
                while not inside:
                    await anyio.sleep(0.01)
            await ask("word")
            go.set()

    served(serving.pool(["x"], ["y"]), main)
    assert most == 1
    assert order == ["small", "large", "large", "large"]


@given(st.text())
def test_no_text_has_fewer_tokens_than_it_is_said_to_have_at_the_least(text: str) -> None:
    for many in (1, 200):
        long = text * many
        assert least_tokens(long) * LONGEST_TOKEN <= len("".join(long.split(" ")))


def test_what_cannot_fit_is_not_tokenized() -> None:
    class Counting(scripted.CountingLLM):
        longest = 0

        def count(self, messages):
            self.longest = max(self.longest, *(len(m.content) for m in messages))
            return super().count(messages)

    llm = Counting(["Yes."], limit=200)
    window = ContextWindow(llm, 200, 40)
    prompt = window.prompt("Be brief.", [Message("user", "much" * 100_000)])
    assert "".join(prompt.stream()) == TOO_LONG
    assert prompt.refused is not None
    with pytest.raises(Exception, match="the instructions are"):
        window.check("much" * 100_000)
    assert llm.longest < 1000


@given(st.lists(st.text(max_size=600), max_size=60), st.integers(1, 40))
def test_the_history_lets_go_of_what_no_model_could_read(texts: list[str], context: int) -> None:
    history, whole = History("x", context), History("x")
    for text in texts:
        history.add(Message("user", text))
        whole.add(Message("user", text))
    kept = [m.content for m in history.said()]
    everything = [m.content for m in whole.said()]
    assert everything[len(everything) - len(kept) :] == kept
    # In so many tokens, one a message at the least, fit at the most so many of the newest.
    seen, tokens = 0, 0
    for text in reversed(everything):
        tokens += max(1, -(-len(text) // LONGEST_TOKEN))
        seen += tokens <= context
    assert len(kept) >= seen
    assert len(kept) <= context + 1
    assert sum(map(len, kept)) <= (context + 2) * LONGEST_TOKEN + 600


@pytest.mark.net
def test_http_refuses_at_the_limit() -> None:
    def chat(*texts: str) -> dict[str, Any]:
        return {"model": "backchat", "messages": [{"role": "user", "content": text} for text in texts]}

    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            for path, body, param in [
                ("/generate", {"prompt": LONG}, "prompt"),
                ("/generate", {"prompt": "x", "system": LONG}, "system"),
                ("/generate", {"prompt": "x", "stop": [LONG]}, "stop.0"),
                ("/v1/chat/completions", chat("x", LONG), "messages.1.content"),
                ("/v1/chat/completions", chat(*["a b " * 50] * 10), None),
                ("/v1/audio/speech", {"input": LONG}, "input"),
            ]:
                reply = await client.post(path, json=body)
                error = reply.json()["error"]
                assert (reply.status_code, error["code"], error["param"]) == (413, "too_large", param), path
                assert "(server.characters)" in error["message"]
            reply = await client.post("/v1/chat/completions", json=chat(*["x"] * 21))
            assert (reply.status_code, "(server.entries)" in reply.text) == (413, True)
            reply = await client.post("/generate", json={"prompt": "x " * 400})
            assert reply.status_code == 200

    made = serving.pool(["x"], ["y"], *SMALL)
    served(made, main)
    assert len(made.model.asked) == 1, "the others were refused before the model was asked"


@pytest.mark.net
def test_a_prompt_that_no_tokenizer_could_fit_is_refused_as_such() -> None:
    class Never(scripted.CountingLLM):
        def count(self, messages):
            raise AssertionError("it was tokenized")

    made = serving.pool(["x"], ["y"])
    for slot in made._free:
        object.__setattr__(slot.engines, "llm", Never(["y"], limit=200))
    made.context = 200
    long = "x" * 5_000_000

    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            chat = {"model": "backchat", "messages": [{"role": "user", "content": long}]}
            for path, body in [("/generate", {"prompt": long}), ("/v1/chat/completions", chat)]:
                reply = await client.post(path, json=body)
                error = reply.json()["error"]
                assert (reply.status_code, error["code"]) == (400, "context_length_exceeded")
                assert error["message"] == (
                    "the prompt is at least 19531 tokens long, more than the model's context of 200"
                )
            reply = await client.post("/v1/audio/speech", json={"input": long})
            assert reply.status_code == 413, "no language model reads what is to be said"

    served(made, main)


@pytest.mark.net
def test_realtime_refuses_at_the_limit_and_the_session_lives() -> None:
    async def main(client: Client) -> None:
        await client.until("session.created")
        await client.item(LONG)
        await client.item(LONG, "system")
        await client.item(LONG, "assistant")
        await client.send("session.update", session={"type": "realtime", "instructions": LONG})
        await client.until("error")
        await client.send("response.create", response={"instructions": LONG})
        await client.until("error")
        await client.send("response.create", response={"metadata": {"x": LONG}})
        await client.until("error")
        assert [error["code"] for error in client.errors] == ["too_large"] * 6
        assert all("(server.characters)" in error["message"] for error in client.errors)
        assert await client.answer("And now?") == "y"

    talked(serving.pool(["x"], ["y"], *SMALL), main)


@pytest.mark.net
@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Generate", pb.GenerateRequest(prompt=LONG)),
        ("Generate", pb.GenerateRequest(prompt="x", system=LONG)),
        ("Speak", pb.SpeakRequest(text=LONG)),
        ("Converse", pb.ConverseRequest(settings=pb.Settings(system=LONG))),
        ("Converse", pb.ConverseRequest(text=LONG)),
    ],
)
def test_grpc_refuses_at_the_limit(method: str, request_: Any) -> None:
    async def main() -> None:
        made = serving.pool(["x"], ["y"], *SMALL, "server.grpc_port=0")
        async with (
            running_server(made, None, Metrics(made)) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            call = channel.stream_stream(
                f"/backchat.v1.Backchat/{method}", request_serializer=type(request_).SerializeToString
            )(iter([request_]))
            with (
                anyio.fail_after(20),
                pytest.raises(grpc.aio.AioRpcError, match=r"server\.characters") as caught,
            ):
                async for _ in call:
                    pass
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    anyio.run(main, backend="asyncio")


@pytest.mark.net
def test_a_long_session_lets_go_of_its_oldest_items_and_the_model_still_sees_the_newest() -> None:
    async def main(client: Client) -> None:
        names = [(await client.item(f"Number {n}. " + "x" * 20_000))["item"]["id"] for n in range(30)]
        assert client.errors == []
        await client.send("conversation.item.retrieve", item_id=names[0])
        assert "does not exist" in (await client.until("error"))["error"]["message"]
        await client.send("conversation.item.retrieve", item_id=names[-1])
        assert (await client.until("conversation.item.retrieved"))["item"]["id"] == names[-1]
        assert await client.answer("And now?") == "y"

    made = serving.pool(["x"], ["y"], "server.memory=200000", "llm.context=256", "llm.max_tokens=10")
    talked(made, main)


@pytest.mark.net
def test_a_hundred_items_as_large_as_may_be_take_no_more_than_a_session_may_keep() -> None:
    """They were kept whole: 190 MB. Measured inside the process; the client's own messages are let go."""
    memory = 3_000_000
    kept: list[int] = []

    async def main(client: Client) -> None:
        await client.until("session.created")
        tracemalloc.start()
        for number in range(100):
            await client.item(f"{number} " + "x" * 190_000)
            if number % 10 == 9:
                kept.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert client.errors == []

    made = serving.pool(["x"], ["y"], f"server.memory={memory}")
    talked(made, main)
    assert max(kept) < 3 * memory


@pytest.mark.net
def test_sound_that_is_not_committed_counts() -> None:
    second = base64.b64encode(serving.tone(1.0)).decode()

    async def main(client: Client) -> None:
        update = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await client.send("session.update", session=update)
        for _ in range(3):
            await client.send("input_audio_buffer.append", audio=second)
        error = (await client.until("error"))["error"]
        assert (error["code"], "144000 bytes" in error["message"]) == ("session_full", True)
        assert "(server.memory)" in error["message"]
        await client.send("input_audio_buffer.clear")
        assert await client.answer("Hello.") == "y"

    talked(serving.pool(["x"], ["y"], "server.memory=100000"), main)
