"""Each field that OpenAI publishes for a request is honoured, or refused by its name; none is dropped.

The fields are read from the types of the stock client, so that a new one of theirs fails here until it is
decided about.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import pytest
import serving
from openai.types import realtime
from openai.types.audio import speech_create_params, transcription_create_params
from openai.types.chat import chat_completion_stream_options_param, completion_create_params
from openai.types.realtime import (
    audio_transcription_param,
    realtime_audio_config_input_param,
    realtime_audio_config_output_param,
    realtime_audio_input_turn_detection_param,
    realtime_response_create_params_param,
    realtime_session_create_request_param,
)
from pydantic import ValidationError

import scripted
from agent.config import load
from agent.errors import ContextExceeded
from agent.messages import Message
from agent.protocols import Delta, Engines, Finish
from agent.server.fields import Fields, refusal
from agent.server.http.model_responses import Ask
from agent.server.http.speech import Speak, Transcribe
from agent.server.http.text import Chat, _StreamOptions
from agent.server.pool import Pool
from agent.server.realtime.client_events import ClientEvents, _Wanted
from agent.server.realtime.session_config import (
    Output,
    RealtimeConfig,
    SemanticVad,
    ServerVad,
    Transcription,
    Update,
    _Input,
)
from agent.settings import Config

HINTS = typing.get_type_hints
ASKED = {"model": "backchat", "messages": [{"role": "user", "content": "Hi."}]}

BODIES: list[tuple[type, type[Fields], dict[str, Any]]] = [
    (completion_create_params.CompletionCreateParamsNonStreaming, Chat, ASKED),
    (completion_create_params.CompletionCreateParamsStreaming, Chat, ASKED),
    (chat_completion_stream_options_param.ChatCompletionStreamOptionsParam, _StreamOptions, {}),
    (speech_create_params.SpeechCreateParams, Speak, {"input": "Hi."}),
    (transcription_create_params.TranscriptionCreateParamsNonStreaming, Transcribe, {}),
    (realtime_session_create_request_param.RealtimeSessionCreateRequestParam, Update, {"type": "realtime"}),
    (realtime_audio_config_input_param.RealtimeAudioConfigInputParam, _Input, {}),
    (audio_transcription_param.AudioTranscriptionParam, Transcription, {}),
    (realtime_audio_config_output_param.RealtimeAudioConfigOutputParam, Output, {}),
    (realtime_audio_input_turn_detection_param.ServerVad, ServerVad, {}),
    (realtime_audio_input_turn_detection_param.SemanticVad, SemanticVad, {}),
    (realtime_response_create_params_param.RealtimeResponseCreateParamsParam, _Wanted, {}),
]
IN_THE_FORM = {"file"}
"""Read apart from the other fields."""
IN_OUR_ANSWERS = {"expires_at", "id", "object"}
"""What clients send back with what they have got from a server."""


def names(published: type, ours: type[Fields]) -> Iterator[str]:
    return (name for name in HINTS(published) if ours is not Transcribe or name not in IN_THE_FORM)


@pytest.mark.parametrize(("published", "ours", "least"), BODIES, ids=lambda it: getattr(it, "__name__", ""))
def test_every_published_field_is_decided_about(
    published: type, ours: type[Fields], least: dict[str, Any]
) -> None:
    """One that we do not have takes only what asks for nothing, and is refused by its name otherwise."""
    for name in names(published, ours):
        decided = [name in ours.model_fields, name in ours.ELSEWHERE, name in ours.ABOUT]
        assert decided.count(True) == 1, f"{ours.__name__}.{name}"
        if name in ours.ELSEWHERE:
            for value in ("something else", 0.123, {"what": "ever"}, ["x"]):
                with pytest.raises(ValidationError) as wrong:
                    ours.model_validate({**least, name: value})
                error = refusal(wrong.value, ours)
                assert (error.status, error.param) == (400, name)
                assert str(error).startswith(f"{name}: ")
            for nothing in (*ours.ELSEWHERE[name], None):
                ours.model_validate({**least, name: nothing})
        elif type(None) in typing.get_args(HINTS(published)[name]) and name not in least:
            ours.model_validate({**least, name: None})
    assert set(ours.ELSEWHERE) | set(ours.ABOUT) <= set(HINTS(published)) | IN_OUR_ANSWERS | {"include"}


@pytest.mark.parametrize(("published", "ours", "least"), BODIES, ids=lambda it: getattr(it, "__name__", ""))
def test_and_so_is_one_that_nobody_has_published(
    published: type, ours: type[Fields], least: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError) as wrong:
        ours.model_validate({**least, "top_secret": 1})
    assert refusal(wrong.value, ours).param == "top_secret"


def test_every_event_of_a_realtime_client_is_known_with_its_fields() -> None:
    """But for sound that is played by us, which is there over WebRTC alone."""
    for event in typing.get_args(realtime.RealtimeClientEventParam):
        hints = HINTS(event)
        (kind,) = typing.get_args(hints["type"])
        if kind == "output_audio_buffer.clear":
            assert kind not in ClientEvents._HANDLERS
            continue
        _, fields = ClientEvents._HANDLERS[kind]
        assert set(hints) == fields | {"type", "event_id"}, kind


@dataclass
class TunedLLM(scripted.ScriptedLLM):
    """Notes how it was asked to sample."""

    how: list[dict[str, Any]] = field(default_factory=list)

    def with_sampling(self, **how: Any) -> TunedLLM:
        self.how.append(how)
        return self


def served(main: Callable, *sets: str, model: TunedLLM | None = None) -> TunedLLM:
    """Run `main(client)` against a server; its language model."""
    config: Config = load(None, [*serving.SETTINGS, "server.port=0", *sets])
    llm = model or TunedLLM(["One two three."])
    pool = Pool(config, [Engines(scripted.ScriptedSTT(["What?"]), llm, scripted.ScriptedTTS())])

    async def inside() -> None:
        with anyio.fail_after(30):
            async with serving.running(pool) as address, httpx.AsyncClient(base_url=address) as client:
                await main(client)

    anyio.run(inside, backend="asyncio")
    return llm


CHAT, SPEECH, WORDS = "/v1/chat/completions", "/v1/audio/speech", "/v1/audio/transcriptions"


@pytest.mark.net
def test_what_is_honoured_reaches_the_model() -> None:
    """Sampling; without a seed a new one is drawn each time, whatever the server is set up with."""

    async def main(client: httpx.AsyncClient) -> None:
        for more in [
            {},
            {"temperature": 0.1, "top_p": 0.2, "stop": "x", "seed": 7, "max_tokens": 5},
            {"temperature": None, "stop": ["x", "y"], "max_completion_tokens": 6, "n": None, "user": "me"},
        ]:
            reply = await client.post(CHAT, json={**ASKED, **more})
            assert reply.status_code == 200, reply.text

    told = [
        {"max_tokens": None, "stop": (), "seed": None},
        {"max_tokens": 5, "stop": ("x",), "seed": 7, "temperature": 0.1, "top_p": 0.2},
        {"max_tokens": 6, "stop": ("x", "y"), "seed": None},
    ]
    assert served(main, "llm.seed=3").how == told


@pytest.mark.net
@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, {**ASKED, "response_format": {"type": "json_object"}}, "response_format"),
        (CHAT, {**ASKED, "response_format": {"type": "xml"}}, "response_format"),
        (CHAT, {**ASKED, "logprobs": True}, "logprobs"),
        (CHAT, {**ASKED, "n": 2}, "n"),
        (CHAT, {**ASKED, "n": True}, "n"),
        (CHAT, {**ASKED, "stop": ["x"] * 9}, "stop"),
        (CHAT, {**ASKED, "stop": [""]}, "stop.0"),
        (CHAT, {**ASKED, "stream_options": {"include_usage": True}}, "stream_options"),
        (CHAT, {**ASKED, "messages": [{"role": "user", "content": "x", "name": 3}]}, "messages.0.name"),
        (CHAT, {**ASKED, "messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool_call_id"),
        (CHAT, {**ASKED, "model": "llama-9"}, "model"),
        ("/generate", {"prompt": "x", "n": 1}, "n"),
        ("/generate", {"prompt": ""}, "prompt"),
        (SPEECH, {"input": "x", "speed": 2.5}, "speed"),
        (SPEECH, {"input": "x", "response_format": "amr"}, "response_format"),
        (SPEECH, {"input": "x", "voice": {"id": "voice_1"}}, "voice"),
    ],
)
def test_what_is_not_is_refused_over_the_wire(path: str, body: dict[str, Any], param: str) -> None:
    async def main(client: httpx.AsyncClient) -> None:
        reply = await client.post(path, json=body)
        assert (reply.status_code, reply.json()["error"]["param"]) == (404 if param in _NAMES else 400, param)

    served(main)


_NAMES = ("model", "voice")
"""Fields that name what is not here: 404."""


IMAGE = {"type": "image_url", "image_url": {"url": "data:,x"}}


@pytest.mark.parametrize(
    ("part", "where"),
    [
        ({"type": "text", "text": "x", "size": 1}, "size"),
        ({"type": "text"}, "text"),
        ({"type": "text", "text": 1}, "text"),
        ({"type": "image_url"}, "image_url"),
        ({**IMAGE, "text": "x"}, "text"),
        ({**IMAGE, "image_url": {}}, "image_url.url"),
        ({**IMAGE, "image_url": {"url": "x", "detail": "high"}}, "image_url.detail"),
    ],
)
def test_the_name_of_a_field_is_its_path_in_the_request(part: dict[str, Any], where: str) -> None:
    """Without what pydantic calls the members of a union."""
    with pytest.raises(ValidationError) as wrong:
        Chat.model_validate({**ASKED, "messages": [{"role": "user", "content": [part]}]})
    assert refusal(wrong.value, Chat).param == f"messages.0.content.0.{where}"
    for field_name in ("threshold", "idle_timeout_ms", "size"):
        vad = {"type": "semantic_vad" if field_name == "threshold" else "server_vad", field_name: 1}
        with pytest.raises(ValidationError) as wrong:
            Update.model_validate({"type": "realtime", "audio": {"input": {"turn_detection": vad}}})
        assert refusal(wrong.value, Update).param == f"audio.input.turn_detection.{field_name}"


@pytest.mark.net
@pytest.mark.parametrize(
    ("model", "given", "where"),
    [
        (
            Update,
            {"audio": {"input": {"transcription": {"delay": "slow"}}}},
            "audio.input.transcription.delay",
        ),
        (
            Update,
            {"audio": {"input": {"format": {"type": "audio/pcmu", "rate": 1}}}},
            "audio.input.format.rate",
        ),
        (Update, {"audio": {"output": {"voice": {"id": 3}}}}, "audio.output.voice.id"),
        (Update, {"output_modalities": [3]}, "output_modalities.0"),
        (Ask, {"input": "x", "text": {"verbosity": "loud"}}, "text.verbosity"),
        (Ask, {"input": "x", "text": {"format": {"type": "json_schema", "schema": 3}}}, "text.format.schema"),
        (Ask, {"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input.0.content.0.text"),
        (Ask, {"input": "x", "metadata": {"text": 3}}, "metadata.text"),
        (_Wanted, {"input": [{"type": "message", "role": "user", "content": 3}]}, "input.0.content"),
        (_Wanted, {"input": [{"type": "item_reference", "id": "i", "message": 3}]}, "input.0.message"),
    ],
)
def test_a_field_that_is_called_as_a_kind_of_thing_is_named_all_the_same(
    model: type[Fields], given: dict[str, Any], where: str
) -> None:
    with pytest.raises(ValidationError) as wrong:
        model.model_validate(given)
    assert refusal(wrong.value, model).param == where


def test_what_is_no_object_is_told_in_words_of_the_request() -> None:
    for given in (5, [], {"audio": 5}):
        with pytest.raises(ValidationError) as wrong:
            Update.model_validate(given)
        where = "audio" if given == {"audio": 5} else "the body"
        assert str(refusal(wrong.value, Update)) == f"{where}: Input should be an object"


def test_the_form_of_a_transcription_is_no_exception() -> None:
    async def main(client: httpx.AsyncClient) -> None:
        async def asked(**form: Any) -> httpx.Response:
            return await client.post(WORDS, files={"file": ("q.wav", serving.wav(0.2))}, data=form)

        for form in (
            {},
            *({"language": name} for name in ("en", "en-US", "en_GB", "EN", "")),
            {"temperature": "0"},
            {"response_format": "json", "prompt": ""},
        ):
            assert (await asked(**form)).json() == {"text": "What?"}, form
        for name, value in [
            ("prompt", "Names: Ada."),
            ("language", "de"),
            ("stream", "perhaps"),
            ("temperature", "0.5"),
            ("response_format", "diarized_json"),
            ("timestamp_granularities[]", ["word"]),
            ("include[]", ["logprobs"]),
            ("speaker", "me"),
        ]:
            reply = await asked(**{name: value})
            assert (reply.status_code, reply.json()["error"]["param"]) == (400, name.removesuffix("[]"))
        form = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
        reply = await asked(**form)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "timestamp_granularities")

    served(main)


def chosen(*updates: dict[str, Any]) -> dict[str, Any]:
    """The session that a Realtime client is told of after these updates."""
    choices = RealtimeConfig(serving.pool([], []), "sess_1")
    for update in updates:
        wanted = Update.model_validate({"type": "realtime", **update})
        assert choices.update(wanted) == []
        choices.instruct(wanted.instructions)
    return choices.as_dict()


def heard_with(**transcription: Any) -> dict[str, Any]:
    return {"audio": {"input": {"transcription": transcription}}}


@pytest.mark.parametrize(
    "model", ["gpt-4o-mini-transcribe", "gpt-4o-transcribe", "whisper-1", "backchat", None]
)
def test_what_stock_clients_name_for_transcription_is_granted_by_the_model_that_is_here(
    model: str | None,
) -> None:
    """Their names are defaults that nobody chose; the answer tells which model it is."""
    told = chosen(heard_with(model=model, language="en-US", prompt=None))
    assert told["audio"]["input"]["transcription"]["model"] == "whisper-tiny.en"
    assert chosen({"audio": {"input": {"transcription": None}}})["audio"]["input"]["transcription"] is None


@pytest.mark.parametrize(
    ("wish", "kind"),
    [
        ({"silence_duration_ms": 700}, "server_vad"),
        ({"threshold": 0.4, "type": None}, "server_vad"),
        ({"eagerness": "low"}, "semantic_vad"),
        ({"interrupt_response": False}, "semantic_vad"),
        ({}, "semantic_vad"),
    ],
)
def test_turn_detection_without_a_type_is_of_the_kind_whose_fields_are_given(
    wish: dict[str, Any], kind: str
) -> None:
    told = chosen({"audio": {"input": {"turn_detection": wish}}})["audio"]["input"]["turn_detection"]
    assert told["type"] == kind
    assert {**told, **wish, "type": kind} == told


@pytest.mark.parametrize("wish", [{"language": "de"}, {"languages": ["en", "de"]}, {"language": "eng-US"}])
def test_a_language_that_is_not_heard_is_refused_alone(wish: dict[str, Any]) -> None:
    choices = RealtimeConfig(serving.pool([], []), "sess_1")
    update = {"output_modalities": ["text"], **heard_with(**wish)}
    (wrong,) = choices.update(Update.model_validate(update))
    assert "is not understood here; en is" in str(wrong)
    where = "audio.input.transcription"
    assert wrong.param == f"{where}.language{'s.1' if 'languages' in wish else ''}"
    told = choices.as_dict()
    assert told["output_modalities"] == ["text"]
    assert told["audio"]["input"]["transcription"] == {"model": "whisper-tiny.en"}
    assert chosen(heard_with(languages=["en", "en-GB"]))


def test_the_session_that_a_client_is_told_of_can_be_sent_back() -> None:
    """As clients do that change one field of what they have got."""
    vad = {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.6}}}}
    for updates in ([], [heard_with(language="en")], [vad], [{"output_modalities": ["text"]}]):
        told = chosen(*updates)
        assert chosen(told) == told


@pytest.mark.net
def test_the_answer_that_a_client_has_got_can_be_sent_back() -> None:
    """With its thoughts and all the fields of other servers that hold nothing."""

    async def main(client: httpx.AsyncClient) -> None:
        reply = await client.post(CHAT, json={**ASKED, "metadata": {"app": "mine"}})
        got = {**reply.json()["choices"][0]["message"], "reasoning_content": "Counting.", "refusal": None}
        got |= {"annotations": [], "audio": None, "function_call": None, "tool_calls": None}
        talk = [*ASKED["messages"], got, {"role": "user", "content": "More."}]
        reply = await client.post(CHAT, json={**ASKED, "messages": talk})
        assert reply.status_code == 200, reply.text

    llm = served(main)
    assert [message.content for message in llm.asked[-1]] == ["Hi.", "One two three.", "More."]


@dataclass
class EndingLLM(TunedLLM):
    """Says how each answer ended."""

    last: Finish = field(default_factory=lambda: Finish("", "stop"))

    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        yield from super().stream(messages)
        yield self.last


@pytest.mark.net
@pytest.mark.parametrize(
    ("last", "content", "reason", "tokens"),
    [
        (Finish("", "stop", 9, 3), "One two three.", "stop", 3),
        (Finish("", "length", 9, 3), "One two three.", "length", 3),
        (Finish(" Par", "length", 9, 4), "One two three. Par", "length", 4),
        (Finish("", "stop"), "One two three.", "stop", 3),
    ],
)
def test_how_an_answer_ended_is_passed_on(last: Finish, content: str, reason: str, tokens: int) -> None:
    """What the engine says, not what the number of its items looks like: the limit is reached here."""

    async def main(client: httpx.AsyncClient) -> None:
        reply = (await client.post(CHAT, json={**ASKED, "max_tokens": 3})).json()
        (choice,), usage = reply["choices"], reply["usage"]
        assert (choice["message"]["content"], choice["finish_reason"]) == (content, reason)
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (last.prompt_tokens, tokens)
        streamed = await client.post(CHAT, json={**ASKED, "max_tokens": 3, "stream": True})
        chunks = [json.loads(line[6:]) for line in streamed.text.split("\n\n") if line.startswith("data: {")]
        assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == content
        assert chunks[-1]["choices"][0]["finish_reason"] == reason
        assert not [c for c in chunks[1:-1] if not c["choices"][0]["delta"]["content"]]
        lines = await client.post(
            "/generate", json={"prompt": "x"}, headers={"accept": "application/x-ndjson"}
        )
        assert json.loads(lines.text.splitlines()[-1])["end"]["reason"] == reason

    served(main, model=EndingLLM(["One two three."], last=last))


@dataclass
class ThinkingLLM(TunedLLM):
    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        yield from (Delta(thought="Well"), Delta(thought=", so"), "One", " two.", Finish("", "stop"))


@pytest.mark.net
@pytest.mark.parametrize("grain", ["token", "chunk", "sentence"])
def test_no_piece_of_a_generated_text_is_empty(grain: str) -> None:
    """While a model thinks there is none."""

    async def main(client: httpx.AsyncClient) -> None:
        reply = await client.post("/generate", json={"prompt": "x", "stream": grain})
        told = [line[6:] for line in reply.text.splitlines() if line.startswith('data: "')]
        assert told == (['"One"', '" two."'] if grain == "token" else ['"One two."'])

    served(main, model=ThinkingLLM([]))


@dataclass
class FullLLM(TunedLLM):
    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        raise ContextExceeded.of(5000, 4096)
        yield ""


@pytest.mark.net
def test_a_prompt_that_is_too_long_is_the_clients_fault() -> None:
    async def main(client: httpx.AsyncClient) -> None:
        for path, body in [(CHAT, ASKED), (CHAT, {**ASKED, "stream": True}), ("/generate", {"prompt": "x"})]:
            reply = await client.post(path, json=body)
            error = reply.json()["error"]
            assert (reply.status_code, error["code"]) == (400, "context_length_exceeded")
            assert "5000 tokens" in error["message"]
            assert "4096" in error["message"]

    served(main, model=FullLLM([]))
