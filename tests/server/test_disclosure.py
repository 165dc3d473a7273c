"""What strangers learn of a fault: a plain sentence and an id; the log has the rest with it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context
from dataclasses import replace
from typing import Any

import anyio
import grpc
import httpx
import pytest
import serving
from websockets.asyncio.client import connect

import agent.errors
from agent import events as ev
from agent.errors import PARTS, BackchatError, ContextExceeded, EngineFault, EngineStalled, RequestError
from agent.messages import Message
from agent.runner import Engine, Runner
from agent.server.grpc import backchat_pb2 as pb
from agent.server.grpc.server import running_server
from agent.server.run import _Json
from agent.server.telemetry.concealment import Concealment
from agent.server.telemetry.metrics import Metrics
from agent.transports.disclosure import said, told, wordless

SECRET = (
    "http://10.0.0.7:9999/v1 refuses the key sk-abc; set the environment variable LLM_KEY, /srv/private/x"
)
KINDS = [
    kind for kind in vars(agent.errors).values() if isinstance(kind, type) and issubclass(kind, Exception)
]


class Failing:
    """An engine that says everything that it knows when it fails, as engines do."""

    rate, language = 24_000, "en"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def stream(self, what: Sequence[Message] | str) -> Iterator[str]:
        raise self._error
        yield ""

    def prefill(self, messages: Sequence[Message]) -> None: ...

    def transcribe(self, audio: Any, *, final: bool = True) -> Any:
        raise self._error

    def look(self, picture: Any) -> Any:
        raise self._error


def pool(kind: str, error: Exception, *settings: str) -> serving.Scripted:
    made = serving.pool(["Hello there."], ["One two."], *settings)
    for slot in [*made._free, *made._halves]:
        slot.engines = replace(slot.engines, **{kind: Failing(error)})
    return made


def served(made: serving.Scripted, main: Callable) -> None:
    async def inside() -> None:
        with anyio.fail_after(30):
            async with serving.running(made) as address:
                await main(address)

    anyio.run(inside, backend="asyncio")


def found(caplog: pytest.LogCaptureFixture, text: str) -> dict[str, Any]:
    """The log's record with the id that is in a client's text."""
    (name,) = re.findall(r"\(error (\w{8})\)", text)
    (data,) = [r.data for r in caplog.records if getattr(r, "data", {}).get("id") == name]
    return data


def plain(text: str, who: str = "the language model failed") -> None:
    assert re.fullmatch(who + r" \(error \w{8}\)", text), text


class New(BackchatError):
    """A kind of error that somebody adds and thinks no more about."""


def test_a_new_kind_of_error_is_private() -> None:
    with (
        pytest.raises(RequestError, match=r"^a part of the server failed \(error \w{8}\)$") as caught,
        told("x"),
    ):
        raise New(SECRET)
    assert (caught.value.status, caught.value.code) == (500, "failed")


@pytest.mark.parametrize("kind", [k for k in KINDS if issubclass(k, EngineFault)])
def test_every_fault_of_an_engine_is_private(kind: type[EngineFault]) -> None:
    assert SECRET not in kind(SECRET).public
    with pytest.raises(RequestError) as caught, told("x"):
        raise ExceptionGroup("g", [kind(SECRET)])
    assert SECRET not in str(caught.value)


def test_an_event_is_private_too_where_nothing_else_is_said() -> None:
    assert SECRET not in ev.Error(0.0, "llm", SECRET).public
    assert "public" not in ev.as_dict(ev.Error(0.0, "llm", SECRET))


@pytest.mark.parametrize("engine", PARTS)
def test_the_bridge_notes_whose_fault_it_is(engine: Engine) -> None:
    def work() -> None:
        raise EngineFault(SECRET)

    def other() -> None:
        raise ValueError(SECRET)

    async def main() -> None:
        for each in (work, other):
            with pytest.raises(EngineFault) as caught:
                await Runner().call(engine, each, 1.0)
            assert caught.value.public == f"{PARTS[engine]} failed"
            assert caught.value.code == f"{engine}_failed"

    anyio.run(main)


def test_an_engine_that_takes_too_long_is_called_that() -> None:
    fault = EngineStalled(SECRET)
    fault.engine = "tts"
    assert fault.public == "the voice took too long"


def test_a_prompt_that_is_too_long_is_told_without_the_address_of_the_model() -> None:
    with pytest.raises(RequestError) as caught, told("x"):
        raise ContextExceeded(SECRET)
    assert str(caught.value) == "the conversation is longer than the model's context"
    assert (caught.value.status, caught.value.code) == (400, "context_length_exceeded")


@pytest.mark.net
def test_http_tells_a_sentence_and_an_id(caplog: pytest.LogCaptureFixture) -> None:
    chat = {"model": "backchat", "messages": [{"role": "user", "content": "x"}]}

    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            for path, body in [
                ("/generate", {"prompt": "x"}),
                ("/v1/chat/completions", chat),
                ("/v1/chat/completions", {**chat, "stream": True}),
            ]:
                reply = await client.post(path, json=body)
                error = reply.json()["error"]
                assert (reply.status_code, error["type"], error["code"]) == (
                    500,
                    "server_error",
                    "llm_failed",
                )
                plain(error["message"])
                assert found(caplog, error["message"])["text"] == SECRET
            reply = await client.post("/converse", content=serving.wav())
            (event,) = [json.loads(e) for e in re.findall(r'\{"event": "error".*?\}', reply.text)]
            plain(event["message"])
            assert event["code"] == "llm_failed"
            assert found(caplog, event["message"])["text"] == SECRET
            assert "10.0.0.7" not in reply.text

    served(pool("llm", EngineFault(SECRET)), main)


@pytest.mark.net
@pytest.mark.parametrize(
    ("kind", "path", "body"),
    [
        ("tts", "/v1/audio/speech", {"json": {"input": "One two."}}),
        ("stt", "/v1/audio/transcriptions", {"files": {"file": serving.wav()}}),
        ("stt", "/converse", {"content": serving.wav()}),
    ],
)
def test_so_do_the_voice_and_the_transcriber(
    kind: str, path: str, body: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            reply = await client.post(path, **body)
            error = reply.json()["error"]
            plain(error["message"], f"{PARTS[kind]} failed")
            assert (reply.status_code, error["code"]) == (500, f"{kind}_failed")
            assert SECRET in found(caplog, error["message"])["text"]

    served(pool(kind, OSError(SECRET)), main)


@pytest.mark.net
def test_realtime_tells_a_sentence_and_an_id(caplog: pytest.LogCaptureFixture) -> None:
    async def main(address: str) -> None:
        raw: list[str] = []
        async with connect(f"ws{address.removeprefix('http')}/v1/realtime?events=all") as socket:
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
            await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
            await socket.send(
                json.dumps({"type": "response.create", "response": {"output_modalities": ["text"]}})
            )
            while not raw or json.loads(raw[-1])["type"] != "response.done":
                raw.append(str(await socket.recv()))
        events = [json.loads(each) for each in raw]
        (error,) = [each["error"] for each in events if each["type"] == "error"]
        plain(error["message"])
        assert error["code"] == "llm_failed"
        plain(events[-1]["response"]["status_details"]["error"]["message"])
        assert found(caplog, error["message"])["text"] == SECRET
        assert "10.0.0.7" not in "".join(raw)

    served(pool("llm", EngineFault(SECRET)), main)


@pytest.mark.net
def test_grpc_tells_a_sentence_and_an_id(caplog: pytest.LogCaptureFixture) -> None:
    made = pool("llm", EngineFault(SECRET), "server.grpc_port=0")

    async def main() -> None:
        async with (
            running_server(made, None, Metrics(made)) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            generate = channel.unary_stream(
                "/backchat.v1.Backchat/Generate",
                pb.GenerateRequest.SerializeToString,
                pb.GenerateReply.FromString,
            )(pb.GenerateRequest(prompt="x"))
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await generate.read()
            assert failed.value.code() == grpc.StatusCode.INTERNAL
            plain(failed.value.details())
            assert dict(failed.value.trailing_metadata())["error-code"] == "llm_failed"
            assert found(caplog, failed.value.details())["text"] == SECRET
            converse = channel.stream_stream(
                "/backchat.v1.Backchat/Converse",
                pb.ConverseRequest.SerializeToString,
                pb.ConverseReply.FromString,
            )()
            await converse.write(pb.ConverseRequest(text="Hello."))
            while (reply := await converse.read()).event.name != "error":
                assert "10.0.0.7" not in str(reply)
            plain(reply.event.fields["message"])
            assert SECRET not in str(reply)
            converse.cancel()

    anyio.run(main, backend="asyncio")


@pytest.mark.net
def test_no_session_tells_where_the_weights_are() -> None:
    async def main(address: str) -> None:
        async with connect(f"ws{address.removeprefix('http')}/v1/realtime?events=all") as socket:
            await socket.send('{"type": "response.create"}')
            while (event := json.loads(await socket.recv()))["type"] != "backchat.event":
                pass
        started = event["event"]
        assert (started["event"], started["llm"]) == ("session_started", "llamacpp model")
        assert (started["stt"], started["tts"]) == ("whisper ears", "piper joe")

    paths = ("llm.model=/srv/private/model.gguf", "stt.model=/srv/private/ears", "tts.engine=piper")
    served(serving.pool(["x"], ["y"], *paths, "tts.voice=/srv/private/joe"), main)


def test_the_log_has_an_error_without_the_words_that_it_quotes() -> None:
    def request() -> None:
        with told("x"):
            said("My PIN is 4711, and Zanzibar is where I was born.")
            assert wordless("cannot say 'Zanzibar, 4711': is no word") == "cannot say '…, …': is no word"
            fault = ValueError("'zanzibar'")
            record = logging.LogRecord("backchat", 40, "", 0, "unforeseen", (), (ValueError, fault, None))
            line = json.loads(_Json(Concealment()).format(record))
            assert line["where"] == ["ValueError: '…'"]

    Context().run(request)
    assert Context().run(wordless, "Zanzibar") == "Zanzibar", "another request's words are its own"
