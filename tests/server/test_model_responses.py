"""The newer HTTP requests of OpenAI's API, judged by its stock client, with scripted engines."""

from __future__ import annotations

import base64
import json
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import pytest
import serving
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from openai.types.responses import response_create_params
from pydantic import ValidationError

import scripted
from agent import testing
from agent.config import load
from agent.protocols import Engines
from agent.server.fields import refusal
from agent.server.http.kept import Entry, Kept
from agent.server.http.model_responses import Ask, _Said
from agent.server.pool import Pool
from agent.settings import ServerConfig

pytestmark = pytest.mark.net


def talked(main: Callable, texts: list[str], replies: list[str], *sets: str) -> serving.Scripted:
    """Run `main(client, http)` against a server; the pool that served it."""
    pool = serving.pool(texts, replies, *sets)

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


@pytest.mark.parametrize("published", typing.get_args(response_create_params.ResponseCreateParams))
def test_every_published_field_of_a_response_is_decided_about(published: type) -> None:
    hints = typing.get_type_hints(published)
    for name in hints:
        decided = [name in Ask.model_fields, name in Ask.ELSEWHERE, name in Ask.ABOUT]
        assert decided.count(True) == 1, name
        if name in Ask.ELSEWHERE:
            with pytest.raises(ValidationError) as wrong:
                Ask.model_validate({"input": "x", name: "something else"})
            assert refusal(wrong.value, Ask).param == name
            for nothing in (*Ask.ELSEWHERE[name], None):
                Ask.model_validate({"input": "x", name: nothing})


def test_a_response_whole_and_streamed() -> None:
    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        given = {"instructions": "Be brief.", "input": "Count.", "metadata": {"app": "mine"}}
        whole = await client.responses.create(model="gpt-5", **given)
        assert (whole.status, whole.output_text, whole.model) == (
            "completed",
            "One two three.",
            "qwen2.5-0.5b",
        )
        assert whole.usage is not None
        assert whole.usage.output_tokens == 3
        kinds, text = [], ""
        async for event in await client.responses.create(model="gpt-5", stream=True, **given):
            kinds.append(event.type)
            assert event.sequence_number == len(kinds) - 1
            text += event.delta if event.type == "response.output_text.delta" else ""
        assert text == "One two three."
        assert [kind for kind in kinds if not kind.endswith("delta")] == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
        short = await client.responses.create(model="gpt-5", max_output_tokens=2, **given)
        assert (short.status, short.output_text) == ("incomplete", "One two")
        assert short.incomplete_details is not None
        assert short.incomplete_details.reason == "max_output_tokens"

    pool = talked(main, [""], ["One two three."])
    assert [(m.role, m.content) for m in pool.model.asked[0]] == [("system", "Be brief."), ("user", "Count.")]


def test_a_conversation_of_messages_is_read_in_its_order() -> None:
    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        said = [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "input_text", "text": "One?"}]},
            {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
             "content": [{"type": "output_text", "text": "Yes.", "annotations": []}]},
            {"role": "user", "content": "Two?"},
        ]  # fmt: skip
        await client.responses.create(model="gpt-5", input=said)
        with pytest.raises(BadRequestError) as refused:
            await client.responses.create(model="gpt-5", input="x", previous_response_id="resp_1")
        assert refused.value.param == "previous_response_id"

    pool = talked(main, [""], ["Ten."])
    assert [(m.role, m.content) for m in pool.model.asked[0]] == [
        ("system", "Be brief."),
        ("user", "One?"),
        ("assistant", "Yes."),
        ("user", "Two?"),
    ]


def test_models_and_voices_can_be_asked_for_by_name() -> None:
    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        names = [one.id async for one in client.models.list()]
        for name in (*names, "gpt-4o"):
            assert (await client.models.retrieve(name)).id == name
        with pytest.raises(NotFoundError):
            await client.models.retrieve("llama-9")
        told = (await http.get("/audio/voices")).json()["data"]
        assert {"default", "alloy", "marin"} <= {one["id"] for one in told}
        for one in told:
            await client.audio.speech.create(
                model="tts-1", voice=one["id"], input="Hi.", response_format="pcm"
            )

    talked(main, [""], [""])


@dataclass
class SchematicLLM(scripted.ScriptedLLM):
    """Notes what it was held to."""

    schemas: list[Any] = field(default_factory=list)

    def with_schema(self, schema: Any) -> SchematicLLM:
        self.schemas.append(schema)
        return self


WANTED = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def test_json_is_written_by_an_engine_that_can_be_held_to_a_schema() -> None:
    model = SchematicLLM(['{"city": "Rome"}'])
    config = load(None, [*serving.SETTINGS, "server.port=0"])
    pool = Pool(config, [Engines(scripted.ScriptedSTT([""]), model, scripted.ScriptedTTS())])

    async def main() -> None:
        async with serving.running(pool) as address, serving.stock(address) as client:
            said = [{"role": "user", "content": "Where?"}]
            named = {"name": "place", "schema": WANTED, "strict": True}
            for wish in (
                {"type": "json_object"},
                {"type": "json_schema", "json_schema": named},
                {"type": "text"},
            ):
                reply = await client.chat.completions.create(
                    model="gpt-5", messages=said, response_format=wish
                )
                assert json.loads(reply.choices[0].message.content) == {"city": "Rome"}
            wish = {"format": {"type": "json_schema", **named}, "verbosity": "low"}
            reply = await client.responses.create(
                model="gpt-5", input="Where?", text=wish, reasoning={"effort": "low"}
            )
            assert json.loads(reply.output_text) == {"city": "Rome"}

    anyio.run(main, backend="asyncio")
    assert model.schemas == [{"type": "object"}, WANTED, WANTED]
    assert model.asked[-1][0].content.endswith("Answer in few words.")


LONG = serving.wav(40.0)


def test_a_transcription_with_its_stretches_in_every_form() -> None:
    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        async def asked(**more: Any) -> Any:
            return await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", LONG), **more)

        verbose = await asked(response_format="verbose_json")
        assert (verbose.text, verbose.language) == ("One <two>. Three.", "english")
        assert verbose.duration == pytest.approx(40.0, abs=0.1)
        first, second = verbose.segments
        assert (first.text, second.text) == ("One <two>.", "Three.")
        assert first.start == 0.0
        assert 19.0 < first.end == second.start < 30.0
        assert second.end == pytest.approx(40.0, abs=0.1)
        assert verbose.words is None
        times = r"00:00:00[.,]000 --> 00:00:2\d[.,]\d{3}\n"
        assert re.match(rf"1\n{times}One <two>\.\n\n2\n", await asked(response_format="srt"))
        assert re.match(rf"WEBVTT\n\n{times}One &lt;two&gt;\.\n\n", await asked(response_format="vtt"))
        assert await asked(response_format="text") == "One <two>. Three.\n"
        for wrong in (
            {"timestamp_granularities": ["word"], "response_format": "verbose_json"},
            {"stream": True, "response_format": "srt"},
        ):
            with pytest.raises(BadRequestError) as refused:
                await asked(**wrong)
            assert str(refused.value.param).split(".")[0] == next(iter(wrong))

    talked(main, ["One <two>.", "Three."] * 4, [""])


def test_a_transcription_that_is_streamed_comes_stretch_by_stretch() -> None:
    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        stream = await client.audio.transcriptions.create(
            model="whisper-1", file=("a.wav", LONG), stream=True
        )
        events = [event async for event in stream]
        assert [e.type.split(".")[-1] for e in events] == ["delta", "delta", "done"]
        assert "".join(e.delta for e in events[:-1]) == events[-1].text == "One. Two."

    talked(main, ["One.", "Two."], [""])


def test_speech_as_events_is_the_same_sound() -> None:
    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        body = {"model": "tts-1", "voice": "nova", "input": "One. Two.", "response_format": "pcm"}
        whole = await http.post("/audio/speech", json=body)
        told = await http.post("/audio/speech", json={**body, "stream_format": "sse"})
        assert told.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(one.removeprefix("data: ")) for one in told.text.strip().split("\n\n")]
        assert events[-1] == {"type": "speech.audio.done"}
        assert b"".join(base64.b64decode(one["audio"]) for one in events[:-1]) == whole.content
        for nothing in ("...", "   ", "🙂"):
            refused = await http.post("/audio/speech", json={**body, "input": nothing})
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unspeakable")

    talked(main, [""], [""])


CALL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


def read(pool: serving.Scripted) -> list[tuple[str, str, int]]:
    """What the model read last: role, words and number of calls."""
    (asked,) = [one.asked[-1] for one in pool.model.each if one.asked]
    return [(message.role, message.content, len(message.calls)) for message in asked]


def test_a_response_goes_on_from_another_one_also_behind_a_call() -> None:
    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        ask, tools = client.responses.create, [CALL]
        first = await ask(model="gpt-5", input="Rain?", instructions="Rhyme.", tools=tools)
        (called,) = [item for item in first.output if item.type == "function_call"]
        output = {"type": "function_call_output", "call_id": called.call_id, "output": "rain"}
        then = await ask(model="gpt-5", input=[output], tools=tools, previous_response_id=first.id)
        assert then.output_text == "It rains."
        events = await ask(model="gpt-5", input="Bye.", previous_response_id=then.id, stream=True)
        last = [event async for event in events][-1].response
        assert last.previous_response_id == then.id
        for response in (first, then, last):
            got = await client.responses.retrieve(response.id)
            assert (got.id, got.output) == (response.id, response.output)
        await client.responses.delete(then.id)
        for gone in (client.responses.retrieve(then.id), client.responses.delete(then.id)):
            with pytest.raises(NotFoundError):
                await gone
        assert (await http.get(f"/responses/{last.id}?stream=true")).status_code == 400

    pool = talked(main, [], [[testing.call("weather")], "It rains.", "Bye."], "server.sessions=1")
    assert read(pool)[-5:] == [
        ("user", "Rain?", 0),
        ("assistant", "", 1),
        ("tool", "rain", 0),
        ("assistant", "It rains.", 0),
        ("user", "Bye.", 0),
    ]
    assert all("Rhyme." not in text for _, text, _ in read(pool)), "instructions are of one response"


def test_a_conversation_has_what_was_said_in_its_responses() -> None:
    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        items = [{"type": "message", "role": "system", "content": "Rhyme."}]
        made = await client.conversations.create(items=items, metadata={"a": "b"})
        assert (await client.conversations.retrieve(made.id)).metadata == {"a": "b"}
        for text in ("One?", "Two?"):
            told = await client.responses.create(model="gpt-5", input=text, conversation=made.id, store=False)
            assert told.conversation.id == made.id
        assert (await client.conversations.delete(made.id)).deleted is True
        with pytest.raises(NotFoundError):
            await client.responses.create(model="gpt-5", input="x", conversation=made.id)

    pool = talked(main, [], ["Sun."], "server.sessions=1")
    assert read(pool) == [
        ("system", "Rhyme.", 0),
        ("user", "One?", 0),
        ("assistant", "Sun.", 0),
        ("user", "Two?", 0),
    ]


def test_only_the_newest_are_kept_and_nothing_where_nothing_may_be() -> None:
    async def main(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        made = [(await http.post("/responses", json={"input": "x"})).json() for _ in range(3)]
        found = [(await http.get(f"/responses/{each['id']}")).status_code for each in made]
        assert (found, made[0]["store"]) == ([404, 200, 200], True)

    talked(main, [], ["One."], "server.responses=2")

    async def never(client: AsyncOpenAI, http: httpx.AsyncClient) -> None:
        made = (await http.post("/responses", json={"input": "x"})).json()
        assert made["store"] is False
        assert (await http.get(f"/responses/{made['id']}")).status_code == 404
        refused = await http.post("/responses", json={"input": "x", "store": True})
        assert refused.json()["error"]["param"] == "store"
        assert (await http.post("/conversations")).status_code == 404

    talked(never, [], ["One."], "server.responses=0")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 400)), max_size=20))
def test_what_is_kept_stays_within_its_bytes(said: list[tuple[str, int]]) -> None:
    kept = Kept(ServerConfig(responses=3, memory=1000))
    for name, length in said:
        kept.keep(name, Entry("conversation", {"id": name}, (_Said(role="user", content="x" * length),)))
        assert sum(each.size for each in kept._entries.values()) <= 1000
    kept.add("nobody", [_Said(role="user", content="x")])
    assert "nobody" not in kept._entries
