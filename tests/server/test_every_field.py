"""Each field of each request that OpenAI publishes, however deep: honoured, as a probe sees by its effect, or
refused by its name. A field that they add fails here until it is decided about, and probed.
"""

from __future__ import annotations

import base64
import json
import re
import typing
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import anyio
import httpx
import pytest
import serving
from openai.types import realtime
from openai.types.audio import speech_create_params, transcription_create_params
from openai.types.chat import completion_create_params
from openai.types.realtime import (
    client_secret_create_params,
    conversation_item_create_event_param,
    realtime_response_create_params_param,
)
from openai.types.responses import response_create_params
from published import Published, walk
from pydantic import Field, ValidationError
from realtime_client import Client
from websockets.asyncio.client import connect

import scripted
from agent import testing
from agent.config import load
from agent.protocols import Delta, Description, Engines, TokenProbability
from agent.server.fields import Fields, refusal
from agent.server.http.model_responses import Ask
from agent.server.http.speech import Speak, Transcribe
from agent.server.http.text import Chat
from agent.server.pool import Pool
from agent.server.realtime.calls import FunctionCall, FunctionOutput
from agent.server.realtime.client_events import ClientEvents, _Item, _Wanted
from agent.server.realtime.client_secrets import ClientSecret
from agent.server.realtime.session_config import RealtimeConfig, update_of
from audio.stt import Token, Transcript, Word
from audio.tts import Speech
from pictures import encoded, sign

pytestmark = pytest.mark.net


class _ItemEvent(Fields):
    item: Annotated[_Item | FunctionCall | FunctionOutput, Field(discriminator="type")]


WIRES: dict[str, tuple[Any, type[Fields]]] = {
    "chat": (completion_create_params.CompletionCreateParamsStreaming, Chat),
    "responses": (response_create_params.ResponseCreateParamsStreaming, Ask),
    "speech": (speech_create_params.SpeechCreateParams, Speak),
    "transcription": (transcription_create_params.TranscriptionCreateParamsStreaming, Transcribe),
    "secret": (client_secret_create_params.ClientSecretCreateParams, ClientSecret),
    "item": (conversation_item_create_event_param.ConversationItemCreateEventParam, _ItemEvent),
    "response": (realtime_response_create_params_param.RealtimeResponseCreateParamsParam, _Wanted),
}
"""Requests, and what reads them. The session of an update is that of a client secret."""
ELSEWHERE = ("file", "type", "event_id", "previous_item_id")
"""Fields of the outermost object that are no field of the model: probed with the events, below."""


def fields() -> Iterator[Published]:
    for wire, (published, ours) in WIRES.items():
        but = () if wire in ("chat", "responses", "speech", "response") else ELSEWHERE
        for one in walk(published, ours, but=but):
            yield replace(one, path=f"{wire}: {one.path}")


ALL = list(fields())


@pytest.mark.parametrize("one", [one for one in ALL if one.verdict == "refused"], ids=lambda one: one.path)
def test_what_is_not_honoured_is_refused_by_its_name(one: Published) -> None:
    """A field with any value that asks for something; an object of a kind that is not known here."""
    whole = isinstance(one.hint, list)
    wrong = one.hint if whole else ["something else", 0.123, {"a": 1}, ["x"]]
    for value in [*wrong, *([wrong] if whole else [])]:
        with pytest.raises(ValidationError) as raised:
            one.owner.model_validate({one.name: value})
        within = [error for error in raised.value.errors() if one.name in (*error["loc"], _named(error))]
        assert within, f"{one.path} with {value!r} is taken"
        if not whole:
            assert refusal(raised.value, one.owner).param == one.name


def _named(error: Any) -> Any:
    return error.get("ctx", {}).get("field")


@pytest.mark.parametrize("one", [one for one in ALL if one.verdict == "about"], ids=lambda one: one.path)
def test_what_only_says_who_asks_is_taken_whatever_it_is(one: Published) -> None:
    for value in ("something", 1, {"a": "b"}, None):
        found: list[Any] = []
        try:
            one.owner.model_validate({one.name: value})
        except ValidationError as error:
            found = error.errors()
        assert all(one.name not in (*each["loc"], _named(each)) for each in found)


# What is honoured.


class Eye:
    def look(self, picture: Any) -> Description:
        return Description(
            "Look.", f"A picture of {picture.pixels.shape[1]} columns.", "I showed you something."
        )


class Ears(scripted.ScriptedSTT):
    """Understands two languages, is told what to expect, and times words: 0.1 s each."""

    languages = ("en", "de")
    scores = False

    def scoring(self) -> Ears:
        made = Ears(self.texts)
        made.scores = True
        return made

    def transcribe(self, audio: Any, *, final: bool = True) -> Transcript:
        said = super().transcribe(audio, final=final)
        words = re.findall(r" ?\S+", said.text) if self.scores else []
        return replace(said, tokens=tuple(Token(word.encode(), -0.5) for word in words))

    def expecting(self, language: str = "", context: str = "") -> Ears:
        known = language in ("", "en") and not context
        return self if known else Ears([f"{self.texts[0]} [{language or 'en'}: {context}]"])

    def transcribe_words(self, audio: Any) -> Transcript:
        text = self.transcribe(audio).text
        found = enumerate(re.finditer(r"\w+", text))
        words = (Word(m.start(), m.end(), 0.1 * n, 0.1 * n + 0.1) for n, m in found)
        return Transcript(text, words=tuple(words))


@dataclass
class Voice(scripted.ScriptedTTS):
    """Speaks faster where that is wished for."""

    speed: float = 1.0

    def faster(self, factor: float) -> Voice:
        return replace(self, speed=self.speed * factor)

    def stream(self, text: str) -> Iterator[Speech]:
        for speech in super().stream(text):
            yield replace(speech, samples=speech.samples[: round(len(speech.samples) / self.speed)])


@dataclass
class NotingLLM(scripted.ScriptedLLM):
    """Notes how it was asked to write."""

    how: dict[str, Any] = field(default_factory=dict)

    def slots(self) -> list[NotingLLM]:
        return [self, self]

    def with_sampling(self, **how: Any) -> NotingLLM:
        self.how.update(how)
        return self

    def with_schema(self, schema: Any) -> NotingLLM:
        self.how["schema"] = schema
        return self

    def with_probabilities(self, count: int) -> NotingLLM:
        self.how["likeliest"] = count
        return self

    def stream(self, messages: Any) -> Iterator[Any]:
        for item in super().stream(messages):
            if "likeliest" in self.how and isinstance(item, str):
                others = ((b"One", -0.25), (b"Two", -1.5))[: self.how["likeliest"]]
                yield Delta(item, probabilities=(TokenProbability(item.encode(), -0.25, others),))
            else:
                yield item


@dataclass
class Served:
    """A server, for a probe."""

    http: httpx.AsyncClient
    address: str
    model: NotingLLM
    pool: Pool

    async def post(self, path: str, body: dict[str, Any], **more: Any) -> httpx.Response:
        self.model.how.clear()
        return await self.http.post(f"/v1/{path}", json=body, **more)

    @property
    def read(self) -> list[tuple[str, str]]:
        """What the model read last."""
        return [(message.role, message.content) for message in self.model.asked[-1]]

    async def chat(self, **body: Any) -> httpx.Response:
        asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi."}], **body}
        return await self.post("chat/completions", asked)

    async def ask(self, **body: Any) -> httpx.Response:
        return await self.post("responses", {"model": "gpt-4o", "input": "Hi.", **body})

    async def heard(self, **form: Any) -> httpx.Response:
        return await self.http.post(
            "/v1/audio/transcriptions", files={"file": ("a.wav", serving.wav(0.3))}, data=form
        )


CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "name": "weather", "description": "How.", "parameters": CITY}
TIME = {"type": "function", "name": "time"}
NAMED = {"type": "function", "name": "time"}

Probe = Callable[[Served], Awaitable[None]]
PROBES: list[tuple[str, Probe]] = []
"""Patterns of paths, and what shows that these fields do what they say."""


def probes(*paths: str) -> Callable[[Probe], Probe]:
    def noted(probe: Probe) -> Probe:
        PROBES.extend((path, probe) for path in paths)
        return probe

    return noted


def error(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["param"]


@probes(r"chat: messages", r"chat: messages\[\w+\]\.(role|content(\[text\])?(\.text|\.type)?)")
async def chat_messages(served: Served) -> None:
    parts = [{"type": "text", "text": "Be"}, {"type": "text", "text": " brief."}]
    said = [("developer", parts), ("assistant", "Well?"), ("assistant", [parts[0]]), ("user", [parts[1]])]
    given = [{"role": "system", "content": "Rhyme."}, *({"role": r, "content": c} for r, c in said)]
    assert (await served.chat(messages=given)).status_code == 200
    assert served.read == [
        ("system", "Rhyme."),
        ("system", "Be brief."),
        ("assistant", "Well?"),
        ("assistant", "Be"),
        ("user", " brief."),
    ]
    bad = await served.chat(messages=[{"role": "user", "content": [{"type": "sound", "text": "x"}]}])
    assert error(bad)[0] == 400


@probes(r"chat: messages\[\w+\]\.name")
async def names(served: Served) -> None:
    """They are told where they tell apart: AutoGen and others send one with each message."""

    async def read(*said: tuple[str, str | None]) -> list[str]:
        given = [{"role": "user", "content": text, "name": name} for text, name in said]
        assert (
            await served.chat(messages=[{"role": "system", "content": "Rhyme.", "name": "x"}, *given])
        ).status_code == 200
        assert served.read[0] == ("system", "Rhyme.")
        return [text for _, text in served.read[1:]]

    assert await read(("Hi.", "Ada")) == ["Hi."]
    assert await read(("Hi.", "Ada"), ("Ho.", "Ada")) == ["Hi.", "Ho."]
    assert await read(("Hi.", "Ada"), ("Ho.", "Bob"), ("Ha.", None)) == ["Ada: Hi.", "Bob: Ho.", "Ha."]
    call = {"id": "c_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    said = [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "tool_calls": [call, {**call, "id": "c_2"}], "name": "me"},
        *({"role": "tool", "tool_call_id": f"c_{n}", "content": "Rain.", "name": f"t{n}"} for n in (1, 2)),
    ]
    assert (await served.chat(messages=said)).status_code == 200
    assert [text for role, text in served.read if role == "tool"] == ["Rain.", "Rain."]


@probes(
    r"chat: (tools|tool_choice|parallel_tool_calls)(\[.*\])?(\..*)?",
    r"chat: messages\[assistant\]\.tool_calls.*",
    r"chat: messages\[tool\]\.tool_call_id",
)
async def tools(served: Served) -> None:
    """What comes of them in an answer is tried in a file of its own."""
    city = {"type": "object", "properties": {"city": {"type": "string"}}}
    weather = {"name": "weather", "description": "How it is.", "parameters": city}
    given = [{"type": "function", "function": each} for each in (weather, {"name": "time"})]
    time = {"type": "function", "function": {"name": "time"}}
    call = {"id": "c_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Ely"}'}}
    said = [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c_1", "content": "Rain."},
    ]
    assert (await served.chat(messages=said, tools=given)).status_code == 200
    told = [(one.name, one.description) for one in served.model.tools]
    assert told == [("weather", "How it is."), ("time", "")]
    assert served.model.tools[0].parameters["properties"] == city["properties"]
    asked = served.model.asked[-1]
    (called,) = asked[-2].calls
    assert (called.id, called.name, asked[-1].call, asked[-1].content) == ("c_1", "weather", "c_1", "Rain.")
    assert "Ely" in str(called.arguments)
    for choice in (time, {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [time]}}):
        await served.chat(tools=given, tool_choice=choice)
        assert [one.name for one in served.model.tools] == ["time"]
    assert error(await served.chat(tool_choice="required")) == (400, "tool_choice")
    for wrong in ({"type": "function", "function": {"name": "song"}}, {"type": "song"}):
        assert error(await served.chat(tools=given, tool_choice=wrong)) == (400, "tool_choice")
    mode = {"type": "allowed_tools", "allowed_tools": {"mode": "never", "tools": [time]}}
    assert error(await served.chat(tools=given, tool_choice=mode))[0] == 400
    assert error(await served.chat(tools=[{"type": "song"}]))[0] == 400
    served.model.replies = [[testing.call("weather"), testing.call("time")]]
    for parallel, count in ((True, 2), (False, 1)):
        (choice,) = (await served.chat(tools=given, parallel_tool_calls=parallel)).json()["choices"]
        assert len(choice["message"]["tool_calls"]) == count


@probes(
    r"responses: (tools|tool_choice|parallel_tool_calls)(\[.*\])?(\..*)?",
    r"responses: input\[function_call(_output)?\]\..*",
)
async def called_in_responses(served: Served) -> None:
    given = [WEATHER, TIME]
    call = {"type": "function_call", "call_id": "c_1", "name": "weather", "arguments": '{"city": "Ely"}'}
    for output in ("Rain.", [{"type": "input_text", "text": "Rain."}]):
        result = {"type": "function_call_output", "call_id": "c_1", "output": output}
        said = [{"role": "user", "content": "Hi."}, call, result]
        assert (await served.ask(input=said, tools=given)).status_code == 200
        asked = served.model.asked[-1]
        assert [(one.id, one.name, one.arguments) for one in asked[-2].calls] == [
            ("c_1", "weather", '{"city": "Ely"}')
        ]
        assert (asked[-1].call, asked[-1].content) == ("c_1", "Rain.")
    assert error(await served.ask(input=[call, {**result, "output": [{"type": "x", "text": "y"}]}]))[0] == 400
    assert [(one.name, one.description) for one in served.model.tools] == [("weather", "How."), ("time", "")]
    assert served.model.tools[0].parameters["properties"] == CITY["properties"]
    named = {"type": "function", "name": "time"}
    for choice in (named, {"type": "allowed_tools", "mode": "auto", "tools": [named]}):
        told = await served.ask(tools=given, tool_choice=choice)
        assert told.json()["tool_choice"]["type"] == choice["type"]
        assert [one.name for one in served.model.tools] == ["time"]
    assert served.model.required is False
    for wrong in (
        {"type": "song"},
        {"type": "function", "name": "song"},
        {"type": "allowed_tools", "mode": "never", "tools": [named]},
    ):
        assert error(await served.ask(tools=given, tool_choice=wrong))[0] == 400
    assert error(await served.ask(tools=[{"type": "song"}]))[0] == 400
    served.model.replies = [[testing.call("weather"), testing.call("time")]]
    for parallel, count in ((True, 2), (False, 1)):
        assert len((await served.ask(tools=given, parallel_tool_calls=parallel)).json()["output"]) == count


@probes(
    r"chat: messages\[user\]\.content\[image_url\].*", r"responses: input\[.*\]\.content\[input_image\].*"
)
async def pictures(served: Served) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    given = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]
    assert (await served.chat(messages=given)).status_code == 200
    assert "40 columns" in str(served.read)
    given = [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]
    assert (await served.ask(input=given)).status_code == 200
    assert "40 columns" in str(served.read)


@probes(r"(chat|responses|speech|transcription): model")
async def models(served: Served) -> None:
    assert error(await served.chat(model="llama-9")) == (404, "model")
    assert error(await served.ask(model="llama-9")) == (404, "model")
    assert error(await served.post("audio/speech", {"input": "Hi.", "model": "llama-9"})) == (404, "model")
    assert error(await served.heard(model="llama-9")) == (404, "model")


@probes(r"chat: max_(completion_)?tokens", r"responses: max_output_tokens")
async def limits(served: Served) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        (choice,) = (await served.chat(**{name: 2})).json()["choices"]
        assert (served.model.how["max_tokens"], choice["finish_reason"]) == (2, "length")
    told = (await served.ask(max_output_tokens=2)).json()
    assert (served.model.how["max_tokens"], told["status"]) == (2, "incomplete")


@probes(r"(chat|responses): (temperature|top_p|seed|stop)")
async def sampling(served: Served) -> None:
    for name, value in {"temperature": 0.25, "top_p": 0.5, "seed": 7}.items():
        await served.chat(**{name: value})
        assert served.model.how[name] == value
    for stop in ("x", ["x"]):
        await served.chat(stop=stop)
        assert served.model.how["stop"] == ("x",)
    for name, value in {"temperature": 0.25, "top_p": 0.5}.items():
        await served.ask(**{name: value})
        assert served.model.how[name] == value


LIKELIEST = [
    {"token": "One", "logprob": -0.25, "bytes": [79, 110, 101]},
    {"token": "Two", "logprob": -1.5, "bytes": [84, 119, 111]},
]


@probes(r"chat: (top_)?logprobs", r"responses: (include|top_logprobs)")
async def probabilities(served: Served) -> None:
    for count in (0, 2):
        (choice,) = (await served.chat(logprobs=True, top_logprobs=count)).json()["choices"]
        told = choice["logprobs"]["content"]
        assert [each["top_logprobs"] for each in told] == [LIKELIEST[:count]] * 3
        assert {each["logprob"] for each in told} == {-0.25}
        assert "".join(each["token"] for each in told) == choice["message"]["content"] == "One two three."
    pieces = (await served.chat(logprobs=True, stream=True)).text
    chunks = [json.loads(line[6:]) for line in pieces.splitlines() if line.startswith("data: {")]
    streamed = [
        each for chunk in chunks for each in (chunk["choices"][0]["logprobs"] or {"content": []})["content"]
    ]
    assert [each["token"] for each in streamed] == [each["token"] for each in told]
    assert (await served.chat()).json()["choices"][0]["logprobs"] is None
    assert "logprobs" not in (await served.chat(stream=True)).text
    assert "likeliest" not in served.model.how
    for wrong in ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 21}):
        assert error(await served.chat(**wrong)) == (400, "top_logprobs")
    for wish, count in (({"include": ["message.output_text.logprobs"]}, 0), ({"top_logprobs": 2}, 2)):
        part = (await served.ask(**wish)).json()["output"][0]["content"][0]
        assert "".join(each["token"] for each in part["logprobs"]) == part["text"] == "One two three."
        assert part["logprobs"][0]["top_logprobs"] == LIKELIEST[:count]
        assert (await served.ask(**wish, stream=True)).text.count('"logprobs": [{') > 3
        said = [{"role": "assistant", "content": [part]}, {"role": "user", "content": "And?"}]
        assert (await served.ask(input=said)).status_code == 200, "what was told is taken back"
    plain = await served.ask(include=["reasoning.encrypted_content"])
    assert plain.json()["output"][0]["content"][0]["logprobs"] == []
    assert error(await served.ask(include=["file_search_call.results"])) == (400, "include.0")


@probes(r"chat: response_format.*", r"responses: text(\.format.*)?")
async def forms(served: Served) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    named = {"name": "n", "schema": schema}
    for form, wanted in (
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "object"}),
        ({"type": "json_schema", "json_schema": named}, schema),
    ):
        assert (await served.chat(response_format=form)).status_code == 200
        assert served.model.how.get("schema") == wanted
        flat = {"type": "json_schema", **named} if "json_schema" in form else form
        assert (await served.ask(text={"format": flat})).status_code == 200
        assert served.model.how.get("schema") == wanted


@probes(r"chat: stream(_options(\.include_usage)?)?", r"responses: stream")
async def streams(served: Served) -> None:
    whole = await served.chat()
    assert "One two three." in whole.json()["choices"][0]["message"]["content"]
    pieces = await served.chat(stream=True)
    assert pieces.text.count("chat.completion.chunk") > 3
    assert '"usage"' not in pieces.text
    assert '"usage"' in (await served.chat(stream=True, stream_options={"include_usage": True})).text
    assert (await served.ask(stream=True)).text.count("response.output_text.delta") > 2


@probes(r"responses: (store|previous_response_id|conversation(\.id)?)")
async def gone_on(served: Served) -> None:
    """More of it is tried in a file of its own."""
    first = (await served.ask(input="One?")).json()
    assert first["store"] is True
    then = (await served.ask(input="Two?", previous_response_id=first["id"])).json()
    assert served.read[1:] == [("user", "One?"), ("assistant", "One two three."), ("user", "Two?")]
    assert then["previous_response_id"] == first["id"]
    unkept = (await served.ask(store=False)).json()
    assert unkept["store"] is False
    where = "previous_response_id"
    assert error(await served.ask(**{where: unkept["id"]})) == (400, where)
    name = (await served.post("conversations", {})).json()["id"]
    for given in (name, {"id": name}):
        told = (await served.ask(input="Hm?", conversation=given)).json()
        assert told["conversation"] == {"id": name}
    assert [text for role, text in served.read if role == "user"] == ["Hm?", "Hm?"]
    assert error(await served.ask(conversation="conv_nobody")) == (404, "conversation")
    assert error(await served.ask(conversation=name, previous_response_id=first["id"])) == (400, where)


@probes(r"responses: (instructions|text\.verbosity|reasoning.*|metadata)")
async def manners(served: Served) -> None:
    told = await served.ask(instructions="Rhyme.", text={"verbosity": "low"}, metadata={"a": "b"})
    assert served.read[0] == ("system", "Rhyme. Answer in few words.")
    assert told.json()["metadata"] == {"a": "b"}
    assert (await served.ask(reasoning={"effort": "low"})).status_code == 200
    assert error(await served.ask(reasoning={"effort": "high"})) == (400, "reasoning.effort")


@probes(
    r"responses: input",
    r"responses: input\[[\w,]+\]\.(content|role|type)",
    r"responses: input\[[\w,]+\]\.content\[(input|output)_text\]\.(text|type)",
)
async def inputs(served: Served) -> None:
    await served.ask(input="What?")
    assert served.read[-1] == ("user", "What?")
    parts = [{"type": "input_text", "text": "Ha"}, {"type": "input_text", "text": "lt."}]
    said = [{"type": "output_text", "text": "Well?"}]
    given = [
        {"type": "message", "role": "developer", "content": "Rhyme."},
        {"type": "message", "role": "assistant", "content": said},
        {"role": "user", "content": parts},
    ]
    await served.ask(input=given)
    assert [("system" in role, text) for role, text in served.read][-2:] == [
        (False, "Well?"),
        (False, "Halt."),
    ]
    assert "Rhyme." in served.read[0][1]
    assert error(await served.ask(input=[{"type": "music", "role": "user", "content": "x"}]))[0] == 400
    bad = [{"role": "user", "content": [{"type": "output_sound", "text": "x"}]}]
    assert error(await served.ask(input=bad))[0] == 400


@probes(r"speech: (input|voice(\.id)?|response_format|stream_format|speed|instructions)")
async def speech(served: Served) -> None:
    async def said(**body: Any) -> httpx.Response:
        return await served.post("audio/speech", {"input": "Hi there.", "response_format": "pcm", **body})

    short, long = await said(), await said(input="Hi there, and good morning to you.")
    assert len(long.content) > 2 * len(short.content) > 0
    for voice in ("nobody", {"id": "nobody"}):
        assert error(await said(voice=voice))[0] == 404
    for form, begins in (("wav", b"RIFF"), ("flac", b"fLaC"), ("opus", b"OggS")):
        assert (await said(response_format=form)).content.startswith(begins)
    assert "speech.audio.delta" in (await said(stream_format="sse")).text
    assert len((await said(speed=2)).content) == pytest.approx(len(short.content) / 2, abs=2)
    for speed in (0.4, 2.1, "fast"):
        assert error(await said(speed=speed)) == (400, "speed")
    told = await said(instructions="Whisper.")  # openai-agents' voice pipeline sends some of its own
    assert (told.headers["backchat-left-out"], told.content) == ("instructions", short.content)
    assert "backchat-left-out" not in short.headers
    assert "backchat-left-out" not in (await said(instructions="")).headers


@probes(r"transcription: (languages?|prompt|keywords|response_format|timestamp_granularities|stream)")
async def transcriptions(served: Served) -> None:
    assert (await served.heard(language="en")).json() == {"text": "What is it?"}
    assert error(await served.heard(language="fi")) == (400, "language")
    assert (await served.heard(response_format="text")).text == "What is it?\n"
    assert (await served.heard(response_format="vtt")).text.startswith("WEBVTT")
    assert "-->" in (await served.heard(response_format="srt")).text
    form = {"response_format": "verbose_json", "timestamp_granularities[]": "segment"}
    (segment,) = (await served.heard(**form)).json()["segments"]
    assert (segment["start"], segment["end"]) == (0.0, 0.3)
    told = (await served.heard(**{**form, "timestamp_granularities[]": "word"})).json()
    assert [(w["word"], w["start"], w["end"]) for w in told["words"]] == [
        ("What", 0.0, 0.1),
        ("is", 0.1, 0.2),
        ("it", 0.2, 0.3),
    ]
    assert "segments" not in told
    both = await served.heard(**{**form, "timestamp_granularities[]": ["word", "segment"]})
    assert {"words", "segments"} <= both.json().keys()
    assert error(await served.heard(**{**form, "timestamp_granularities[]": "day"}))[0] == 400
    assert (await served.heard(prompt="Ely.")).json() == {"text": "What is it? [en: Ely.]"}
    told = await served.heard(**{"prompt": "Ely.", "keywords[]": ["March", "Soham"]})
    assert told.json() == {"text": "What is it? [en: Ely. March, Soham]"}
    assert (await served.heard(**{"keywords[]": ["Ely"] * 100})).status_code == 200
    assert (await served.heard(keywords="March")).json() == {"text": "What is it? [en: March]"}
    assert (await served.heard(language="de-AT")).json() == {"text": "What is it? [de: ]"}
    assert (await served.heard(**{"languages[]": ["de-AT"]})).json() == {"text": "What is it? [de: ]"}
    assert error(await served.heard(**{"languages[]": ["fi"]})) == (400, "languages")
    assert error(await served.heard(**{"languages[]": ["de", "en"]})) == (400, "languages"), "it cannot tell"
    assert error(await served.heard(languages="de", language="de")) == (400, "languages")
    told = (await served.heard(**form, language="de")).json()
    assert told["language"] == "german"
    assert "transcript.text.delta" in (await served.heard(stream="true")).text


WORDS = [{"token": word, "logprob": -0.5, "bytes": list(word.encode())} for word in ("What", " is", " it?")]


@probes(r"transcription: include")
async def how_probable_words_were(served: Served) -> None:
    wish = {"include[]": "logprobs"}
    assert (await served.heard(**wish)).json() == {"text": "What is it?", "logprobs": WORDS}
    told = (await served.heard(**wish, stream="true")).text
    events = [json.loads(line[6:]) for line in told.splitlines() if line.startswith("data: {")]
    assert [event["logprobs"] for event in events] == [WORDS, WORDS]
    assert error(await served.heard(**wish, response_format="text")) == (400, "include")
    assert error(await served.heard(include="timestamps"))[0] == 400


@probes(r"secret: expires_after.*")
async def expiry(served: Served) -> None:
    import time

    body = {"expires_after": {"anchor": "created_at", "seconds": 99}}
    made = await served.post("realtime/client_secrets", body)
    assert 90 < made.json()["expires_at"] - time.time() <= 99
    body = {"expires_after": {"anchor": "last_use"}}
    assert error(await served.post("realtime/client_secrets", body)) == (400, "expires_after.anchor")


FORMS = [{"type": "audio/pcmu"}, {"type": "audio/pcma"}]
VADS: list[dict[str, Any]] = [
    {"type": "server_vad", "threshold": 0.9},
    {"type": "server_vad", "silence_duration_ms": 900},
    {"type": "server_vad", "prefix_padding_ms": 900},
    {"type": "semantic_vad", "eagerness": "low"},
]
KINDS = ("server_vad", "semantic_vad")
ANSWERED: list[dict[str, Any]] = [
    {"type": "server_vad", "idle_timeout_ms": 5000},
    *({"type": kind, name: False} for kind in KINDS for name in ("create_response", "interrupt_response")),
]
INPUTS = [
    *({"format": form} for form in FORMS),
    {"transcription": {"language": "en"}},
    {"transcription": {"languages": ["en"]}},
    {"transcription": {"prompt": "Ely."}},
    {"transcription": {"keywords": ["Ely"]}},
    {"transcription": {"delay": "high"}},
]
INCLUDED = {"include": ["item.input_audio_transcription.logprobs"]}
SESSIONS = ("realtime", "transcription")
WISHES: list[dict[str, Any]] = [
    *(
        {"type": kind, "audio": {"input": {"turn_detection": vad}}}
        for kind in ("realtime", "transcription")
        for vad in VADS
    ),
    *({"type": kind, "audio": {"input": wish}} for kind in SESSIONS for wish in INPUTS),
    *({"type": kind, **INCLUDED} for kind in SESSIONS),
    *({"audio": {"input": {"turn_detection": vad}}} for vad in ANSWERED),
    *({"audio": {"output": {"format": form}}} for form in FORMS),
    {"audio": {"output": {"speed": 1.5}}},
    {"audio": {"input": {"transcription": None}}},
    {"instructions": "Rhyme."},
    {"max_output_tokens": 5},
    {"output_modalities": ["text"]},
    {"tools": [WEATHER]},
    {"tools": [WEATHER, TIME], "tool_choice": NAMED},
    {"parallel_tool_calls": False},
]
"""Wishes for a session, each of which changes what is in force in one way."""


WRONG: dict[str, dict[str, Any]] = {
    "model": {"model": "llama-9"},
    "audio.output.voice": {"audio": {"output": {"voice": "nobody"}}},
    "audio.input.transcription.language": {"audio": {"input": {"transcription": {"language": "fi"}}}},
    "audio.input.transcription.languages.0": {"audio": {"input": {"transcription": {"languages": ["fi"]}}}},
    "audio.input.transcription.model": {"audio": {"input": {"transcription": {"model": 3}}}},
    "audio.output.speed": {"audio": {"output": {"speed": 0.25}}},
    "audio.output.voice.id": {"audio": {"output": {"voice": {"id": 3}}}},
    "audio.output.format.rate": {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 8000}}}},
    "audio.input.format.rate": {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 8000}}}},
    "audio.input.format": {"audio": {"input": {"format": {"type": "audio/mp3"}}}},
}
"""Wishes of which there is one value only: which field is refused where it is another."""


def in_force(choices: RealtimeConfig) -> tuple[Any, ...]:
    """All that a session is run by."""
    forms = choices.heard.type, choices.said.type
    chosen = choices.transcription and (choices.transcription.language, choices.transcription.languages)
    return (
        choices.config(),
        choices.manner,
        choices.idle_timeout,
        *forms,
        choices.modality,
        chosen,
        choices.limit,
    )


@probes(r"secret: session.*")
async def sessions(served: Served) -> None:
    """By what is in force then; each of these is tried over the wire in a file of its own."""
    plain = {"server_vad": {"type": "server_vad"}, "semantic_vad": {"type": "semantic_vad"}}
    for wish in WISHES:
        before = RealtimeConfig(served.pool, "sess_1")
        kind = {"type": wish.get("type", "realtime")}
        before.update(update_of(kind, "realtime")[0])
        detection = wish.get("audio", {}).get("input", {}).get("turn_detection")
        if detection is not None:
            base = {**kind, "audio": {"input": {"turn_detection": plain[detection["type"]]}}}
            before.update(update_of(base, "realtime")[0])
        was = in_force(before)
        wanted, refused = update_of(wish, "realtime")
        assert (refused, before.update(wanted)) == ([], [])
        before.instruct(getattr(wanted, "instructions", None))
        assert in_force(before) != was, wish
        made = await served.post("realtime/client_secrets", {"session": wish})
        assert made.json()["session"] == {**before.as_dict(), "id": made.json()["session"]["id"]}
    for where, wish in WRONG.items():
        reply = await served.post("realtime/client_secrets", {"session": wish})
        assert error(reply)[1] == f"session.{where}"


def named(wish: Any, path: str = "secret: session") -> set[str]:
    """The fields that are in a wish, however deep."""
    inside = (
        [named(value, f"{path}.{name}") for name, value in wish.items()] if isinstance(wish, dict) else []
    )
    inside += [named(value, path) for value in wish] if isinstance(wish, list) else []
    return {path}.union(*inside)


async def talk(served: Served, main: Callable[[Client], Awaitable[None]]) -> None:
    async with connect(f"ws{served.address.removeprefix('http')}/v1/realtime") as socket:
        client = Client(socket)
        await client.update(output_modalities=["text"], audio={"input": {"turn_detection": None}})
        await main(client)


def item(*content: dict[str, Any], role: str = "user", **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [*content], **more}


PNG = encoded(sign("A", size=(40, 30)))
X = {"type": "input_text", "text": "x"}
TONE = base64.b64encode(serving.tone(0.3)).decode()


@probes(r"item: item", r"item: item\[\w+\]\.(id|role|type|content(\.\w+)?)")
async def items(served: Served) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"

    async def main(client: Client) -> None:
        for number, each in enumerate(
            [
                item({"type": "input_text", "text": "Rhyme."}, role="system"),
                item({"type": "input_audio", "audio": TONE}),
                item({"type": "output_text", "text": "Well?"}, role="assistant"),
                item({"type": "output_audio", "transcript": "Said."}, role="assistant"),
                item({"type": "input_image", "image_url": url}, {"type": "input_text", "text": "See?"}),
            ]
        ):
            await client.send("conversation.item.create", item={**each, "id": f"mine_{number}"})
            assert (await client.until("conversation.item.done"))["item"]["id"] == f"mine_{number}"
        await client.respond()
        read = " ".join(text for _, text in served.read)
        for words in ("Rhyme.", "What is it?", "Well?", "Said.", "40 columns", "See?"):
            assert words in read
        assert ("assistant", "Well? Said.") in served.read or ("assistant", "Well?") in served.read
        for where, wrong in {
            "role": {"role": "judge"},
            "type": {"type": "song"},
            "content.0.type": {"content": [{"type": "x", "text": "y"}]},
        }.items():
            await client.send("conversation.item.create", item={**item(X), **wrong})
            assert (await client.until("error"))["error"]["param"] == f"item.{where}"

    await talk(served, main)


@probes(
    r"response: (conversation|instructions|max_output_tokens|metadata|output_modalities)",
    r"response: audio(\.output(\.(voice(\.id)?|format(\[.*\]\.(type|rate))?))?)?",
    r"response: input(\[\w+\]\.(id|role|type|content(\.(audio|image_url|text|transcript|type))?))?",
)
async def responses(served: Served) -> None:
    async def main(client: Client) -> None:
        await client.put("Before.")
        said = item({"type": "input_text", "text": "Now?"}, id="i_1")
        done = await client.respond(
            conversation="none",
            input=[said],
            instructions="Whisper.",
            metadata={"a": "b"},
            max_output_tokens=2,
        )
        assert (done["conversation_id"], done["metadata"], done["status"]) == (None, {"a": "b"}, "incomplete")
        assert [text for _, text in served.read][1:] == ["Now?", "Whisper."]
        heard = [
            item({"type": "input_audio", "audio": TONE}),
            item({"type": "output_text", "text": "Y."}, role="assistant"),
        ]
        await client.respond(input=[*heard, item({"type": "input_text", "text": "Z."}, role="system")])
        assert [text for _, text in served.read][-3:] == ["What is it?", "Y.", "Z."]
        shown = item({"type": "input_image", "image_url": "data:,x"})
        await client.send("response.create", response={"input": [shown]})
        await client.until("error")
        assert [error["param"] for error in client.errors] == ["response.input.0.content"]
        for form in FORMS:
            done = await client.respond(output_modalities=["audio"], audio={"output": {"format": form}})
            assert done["audio"]["output"]["format"] == form
            assert client.of("response.output_audio.delta")
        for voice in ("nobody", {"id": "nobody"}):
            await client.respond(audio={"output": {"voice": voice}})
            assert [error["param"] for error in client.errors] == ["response.audio.output.voice"]

    await talk(served, main)


@probes(
    r"response: (tools|tool_choice|parallel_tool_calls)(\[.*\])?(\..*)?",
    r"(item: item|response: input)\[function_call(_output)?\]\..*",
)
async def called_over_realtime(served: Served) -> None:
    """What comes of calls in a conversation is tried in a file of its own."""
    call = {"type": "function_call", "call_id": "c_1", "name": "weather", "arguments": '{"city": "Ely"}'}
    result = {"type": "function_call_output", "call_id": "c_1", "output": "Rain."}

    def seen() -> None:
        asked = served.model.asked[-1]
        assert [(one.id, one.name, one.arguments) for m in asked for one in m.calls] == [
            ("c_1", "weather", '{"city": "Ely"}')
        ]
        assert [(m.call, m.content) for m in asked if m.role == "tool"] == [("c_1", "Rain.")]

    async def main(client: Client) -> None:
        await client.respond(input=[item(X), call, result], tools=[WEATHER, TIME])
        seen()
        assert [one.name for one in served.model.tools] == ["weather", "time"]
        assert served.model.tools[0].description == "How."
        assert served.model.tools[0].parameters["properties"] == CITY["properties"]
        await client.put("x")
        for number, each in enumerate((call, result)):
            await client.send("conversation.item.create", item={**each, "id": f"mine_{number}"})
            assert (await client.until("conversation.item.done"))["item"]["id"] == f"mine_{number}"
        await client.respond(tools=[WEATHER, TIME], tool_choice=NAMED)
        seen()
        assert ([one.name for one in served.model.tools], served.model.required) == (["time"], True)
        for wish in ({"tools": [{"type": "song"}]}, {"tool_choice": {"type": "song"}}):
            await client.send("response.create", response=wish)
            assert (await client.until("error"))["error"]["param"].startswith(f"response.{next(iter(wish))}")
            await client.until("response.done")
        served.model.replies = [[testing.call("weather"), testing.call("time")]]
        for parallel, count in ((True, 2), (False, 1)):
            done = await client.respond(tools=[WEATHER, TIME], parallel_tool_calls=parallel)
            assert len(done["output"]) == count

    await talk(served, main)


HONOURED = [one for one in ALL if one.verdict == "honoured"]


def test_every_honoured_field_has_a_probe_and_every_probe_a_field() -> None:
    unprobed = [one.path for one in HONOURED if not any(re.fullmatch(path, one.path) for path, _ in PROBES)]
    assert unprobed == []
    wished = set[str]().union(*(named(wish) for wish in (*WISHES, *WRONG.values())))
    paths = {re.sub(r"\[[^]]*\]", "", one.path) for one in HONOURED if one.path.startswith("secret: session")}
    assert paths <= wished
    idle = [path for path, _ in PROBES if not any(re.fullmatch(path, one.path) for one in HONOURED)]
    assert idle == []


def run(main: Probe) -> None:
    async def inside() -> None:
        config = load(None, [*serving.SETTINGS, "server.port=0", "stt.interim=0.6"])
        llm = NotingLLM(["One two three."])
        engines = Engines(Ears(["What is it?"]), llm, Voice(), vision=Eye())
        pool = Pool(config, [engines])
        with anyio.fail_after(60):
            async with serving.running(pool) as address, httpx.AsyncClient(base_url=address) as http:
                await main(Served(http, address, llm, pool))

    anyio.run(inside, backend="asyncio")


@pytest.mark.parametrize("probe", dict.fromkeys(probe for _, probe in PROBES), ids=lambda it: it.__name__)
def test_what_is_honoured_does_what_it_says(probe: Probe) -> None:
    run(probe)


EVENTS: dict[str, dict[str, Any]] = {
    "session.update": {"session": 5},
    "input_audio_buffer.append": {"audio": "?"},
    "conversation.item.create": {
        "item": item({"type": "input_text", "text": "x"}),
        "previous_item_id": "nobody",
    },
    "conversation.item.delete": {"item_id": "nobody"},
    "conversation.item.retrieve": {"item_id": "nobody"},
    "conversation.item.truncate": {"item_id": "nobody", "content_index": 0, "audio_end_ms": 1},
    "response.cancel": {"response_id": "nobody"},
    "response.create": {"response": 5},
    "input_audio_buffer.commit": {},
    "input_audio_buffer.clear": {},
}
"""Each event with something that it cannot do."""


def test_every_event_is_known_with_each_of_its_fields() -> None:
    """What it says of things that are there is tried in files of their own; here, that it is read at all."""
    published = {
        typing.get_args(typing.get_type_hints(event)["type"])[0]: typing.get_type_hints(event).keys()
        for event in typing.get_args(realtime.RealtimeClientEventParam)
    }
    assert published.keys() == EVENTS.keys() | {"output_audio_buffer.clear"}  # that is WebRTC's alone

    async def main(client: Client) -> None:
        for kind, wrong in EVENTS.items():
            assert published[kind] == ClientEvents._HANDLERS[kind][1] | {"type", "event_id"}
            await client.send(kind, event_id="e_1", **wrong)
            if kind == "input_audio_buffer.clear":
                await client.until("input_audio_buffer.cleared")
                continue
            assert (await client.until("error"))["error"]["event_id"] == "e_1"
            await client.send(kind, event_id="e_2", secret=1, **wrong)
            assert (await client.until("error"))["error"]["param"] == "secret"
            await client.until("error")
        await client.send("output_audio_buffer.clear")
        assert (await client.until("error"))["error"]["param"] == "type"
        await client.put("Hi.", id="mine")
        await client.send(
            "conversation.item.create",
            item=item({"type": "input_text", "text": "x"}),
            previous_item_id="root",
        )
        assert (await client.until("conversation.item.added"))["previous_item_id"] is None
        done = await client.respond(output_modalities=["audio"])
        said = done["output"][0]["id"]
        await client.send("conversation.item.truncate", item_id=said, content_index=1, audio_end_ms=10)
        assert (await client.until("error"))["error"]["param"] == "content_index"
        await client.send("conversation.item.truncate", item_id=said, content_index=0, audio_end_ms=10)
        assert (await client.until("conversation.item.truncated"))["audio_end_ms"] == 10

    run(lambda served: talk(served, main))
