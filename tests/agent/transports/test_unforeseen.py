"""Faults of our own in a handler, on each wire: told in a line, logged whole, and the server goes on."""

from __future__ import annotations

import json
from collections.abc import Callable

import anyio
import grpc
import httpx
import pytest
import serving
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from agent.errors import RequestError, leaves
from agent.server.grpc import backchat_pb2 as pb
from agent.server.grpc import methods as calls
from agent.server.grpc.server import running_server
from agent.server.realtime.client_events import ClientEvents
from agent.server.telemetry.metrics import Metrics
from agent.transports.disclosure import told

FAULTS = [
    IndexError("list index out of range"),
    ValueError("wrong"),
    KeyError("x"),
    RecursionError(),
    OSError(5),
]


def served(main: Callable) -> None:
    async def inside() -> None:
        with anyio.fail_after(30):
            async with serving.running(serving.pool(["x"], ["One two three."])) as address:
                await main(address)

    anyio.run(inside, backend="asyncio")


def broken(fault: Exception) -> Callable:
    async def handler(*args: object, **kwargs: object) -> None:
        raise fault

    return handler


def logged(caplog: pytest.LogCaptureFixture) -> list[type[BaseException]]:
    """The kinds of the errors that were logged with their traceback."""
    faults = [r.exc_info[1] for r in caplog.records if r.exc_info and r.getMessage() == "unforeseen"]
    return [type(leaf) for fault in faults for leaf in leaves(fault)]


@pytest.mark.parametrize(
    "error",
    [RequestError("x", 404), ExceptionGroup("g", [ExceptionGroup("h", [RequestError("x")])])],
)
def test_refusals_go_on_as_they_are(error: Exception) -> None:
    with pytest.raises(RequestError, match=r"^x$"), told("it"):
        raise error


def test_a_cancellation_is_no_fault() -> None:
    with pytest.raises(KeyboardInterrupt), told("it"):
        raise KeyboardInterrupt


@pytest.mark.net
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_realtime_goes_on(
    fault: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(ClientEvents._HANDLERS, "input_audio_buffer.clear", (broken(fault), set[str]()))

    async def main(address: str) -> None:
        async with connect(f"ws{address.removeprefix('http')}/v1/realtime") as socket:
            await socket.recv()
            await socket.send(json.dumps({"type": "input_audio_buffer.clear", "event_id": "e1"}))
            error = json.loads(await socket.recv())["error"]
            assert (error["type"], error["code"], error["event_id"]) == (
                "server_error",
                "internal_error",
                "e1",
            )
            assert "input_audio_buffer.clear" in error["message"]
            await socket.send(
                json.dumps({"type": "response.create", "response": {"output_modalities": ["text"]}})
            )
            while (event := json.loads(await socket.recv()))["type"] != "response.done":
                pass
            assert event["response"]["status"] == "completed"

    served(main)
    assert logged(caplog) == [type(fault)]


@pytest.mark.net
def test_a_session_that_cannot_go_on_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.transports.remote.RemoteSession.run", broken(IndexError("x")))

    async def main(address: str) -> None:
        async with connect(f"ws{address.removeprefix('http')}/v1/realtime") as socket:
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": "AAAAAAAA"}))
            await socket.recv()
            error = json.loads(await socket.recv())
            assert (error["type"], error["error"]["type"]) == ("error", "server_error")
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd.code == 1011

    served(main)
    assert logged(caplog) == [IndexError]


@pytest.mark.net
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_http_is_never_bare(
    fault: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for place in ("text.write", "text.looked", "converse.words", "speech.say", "speech.segments"):
        monkeypatch.setattr(f"agent.server.http.{place}", lambda *args, **named: (_ for _ in ()).throw(fault))
    chat = {"model": "backchat", "messages": [{"role": "user", "content": "x"}]}
    requests = [
        ("/generate", {"json": {"prompt": "x"}}),
        ("/v1/chat/completions", {"json": chat}),
        ("/v1/chat/completions", {"json": {**chat, "stream": True}}),
        ("/v1/audio/speech", {"json": {"input": "x"}}),
        ("/v1/audio/transcriptions", {"files": {"file": serving.wav(0.1)}}),
        ("/converse", {"content": serving.wav(0.1)}),
    ]

    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            for path, body in requests:
                reply = await client.post(path, **body)
                error = reply.json()["error"]
                assert (reply.status_code, error["type"], error["code"]) == (
                    500,
                    "server_error",
                    "internal_error",
                )
            assert (await client.get("/v1/models")).status_code == 200

    served(main)
    assert logged(caplog) == [type(fault)] * len(requests)


@pytest.mark.net
def test_in_the_midst_of_a_stream_it_is_the_last_event(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def grains(tokens, grain):
        async for token in tokens:
            yield token.text
            raise IndexError

    monkeypatch.setattr("agent.server.http.text.grains", grains)

    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            reply = await client.post("/generate", json={"prompt": "x"})
            first, last = reply.text.strip().split("\n\n")
            assert first == 'data: "One"'
            assert last.startswith("event: error\n")
            assert "internal_error" in last

    served(main)
    assert logged(caplog) == [IndexError]


@pytest.mark.net
def test_grpc_has_a_status_and_a_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(calls.METHODS, "Generate", broken(IndexError("x")))

    async def main() -> None:
        pool = serving.pool(["x"], ["y"], "server.grpc_port=0")
        async with (
            running_server(pool, None, Metrics(pool)) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            call = channel.unary_stream(
                "/backchat.v1.Backchat/Generate",
                pb.GenerateRequest.SerializeToString,
                pb.GenerateReply.FromString,
            )
            with anyio.fail_after(30), pytest.raises(grpc.aio.AioRpcError) as failed:
                async for _ in call(pb.GenerateRequest(prompt="x")):
                    pass
        assert failed.value.code() == grpc.StatusCode.INTERNAL
        assert "server's own" in failed.value.details()

    anyio.run(main, backend="asyncio")
    assert logged(caplog) == [IndexError]
