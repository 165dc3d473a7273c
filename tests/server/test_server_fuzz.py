"""Random requests: by the HTTP interface's own description, and garbled messages on WebSocket and gRPC.

Never a server error, never a dead server, never an exception that nobody had thought of.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial

import anyio
import anyio.to_thread
import grpc
import pytest
import schemathesis
import serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from websockets.sync.client import connect

from agent.server.grpc import backchat_pb2 as pb
from agent.server.grpc.server import running_server
from agent.server.http.openapi import description
from agent.server.telemetry.metrics import Metrics

pytestmark = pytest.mark.net

QUICK = settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
LATER = 5.0
"""Seconds within which a server that is well answers."""


@pytest.fixture(autouse=True)
def nothing_unforeseen(caplog: pytest.LogCaptureFixture):
    """An exception in our application is logged, and fails the test."""
    caplog.set_level(logging.ERROR)
    yield
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def against(main: Callable[[str, str], None]) -> None:
    """Run `main(http, grpc)`, which blocks, in a thread beside the server."""
    pool = serving.pool(["What?"], ["A bell, my friend."], "server.grpc_port=0", "server.sessions=4")

    async def inside() -> None:
        with anyio.fail_after(240):
            async with serving.running(pool) as address, running_server(pool, None, Metrics(pool)) as calls:
                await anyio.to_thread.run_sync(main, address, calls.address)
                with anyio.fail_after(15):
                    while not pool.idle:
                        await anyio.sleep(0.01)

    anyio.run(inside, backend="asyncio")


OPERATIONS = [
    (method.upper(), path) for path, methods in description()["paths"].items() for method in methods
]

BODIES = [it for it in OPERATIONS if "requestBody" in description()["paths"][it[1]].get("post", {})]
"""Those that take something, which can be wrong."""
RIGHT, WRONG = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [(*it, RIGHT) for it in OPERATIONS]
    + [(*it, WRONG) for it in OPERATIONS if it in BODIES and it[1] != "/converse"],  # takes any bytes
)
def test_http_by_its_own_description(method: str, path: str, mode: schemathesis.GenerationMode) -> None:
    """Requests as it says they should be, and requests that are wrong in one way."""

    def main(address: str, _: str) -> None:
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
        operation = schema[path][method]

        @QUICK
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case) -> None:
            response = case.call(timeout=10)
            case.validate_response(
                response,
                checks=[
                    checks.not_a_server_error,
                    status_code_conformance,
                    content_type_conformance,
                    response_schema_conformance,
                ],
            )

        check()

    against(main)


@given(body=st.binary(max_size=300), path=st.sampled_from([p for m, p in OPERATIONS if m == "POST"]))
@QUICK
def _posted(address: str, body: bytes, path: str) -> None:
    import httpx

    kind = "multipart/form-data; boundary=x" if path.endswith("transcriptions") else "application/json"
    reply = httpx.post(address + path, content=body, headers={"content-type": kind}, timeout=10)
    assert 400 <= reply.status_code < 500, reply.text
    assert reply.json()["error"]["message"]


def test_http_bodies_of_random_bytes() -> None:
    against(lambda address, _: _posted(address))


SOUND = "AAAA" * 100
VALID = [
    {"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"]}},
    {"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"turn_detection": None}}}},
    {"type": "input_audio_buffer.append", "audio": SOUND},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]},
    },
    {
        "type": "conversation.item.create",
        "previous_item_id": "root",
        "item": {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Hi."}]},
    },
    {"type": "conversation.item.delete", "item_id": "item_1"},
    {"type": "backchat.view", "image_url": None},
    {"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0, "audio_end_ms": 10},
    {"type": "conversation.item.retrieve", "item_id": "item_1"},
    {"type": "response.create", "response": {"output_modalities": ["text"], "instructions": "Be brief."}},
    {"type": "response.cancel", "response_id": "resp_1", "event_id": "mine"},
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def garbled(draw: st.DrawFn) -> str | bytes:
    """A message that is right, that has another value somewhere, that is cut short, or that is none."""
    event = json.loads(json.dumps(draw(st.sampled_from(VALID))))
    kind = draw(st.sampled_from(["right", "value", "value", "key", "cut", "random", "bytes"]))
    if kind == "bytes":
        return draw(st.binary(max_size=100))
    if kind == "random":
        return json.dumps(draw(JSON))
    if kind in ("value", "key"):
        inner = event
        while True:
            name = draw(st.sampled_from(sorted(inner)))
            if not (isinstance(inner[name], dict) and inner[name] and draw(st.booleans())):
                break
            inner = inner[name]
        inner[draw(st.text(max_size=8)) if kind == "key" else name] = draw(JSON)
    text = json.dumps(event)
    return text[: draw(st.integers(0, len(text)))] if kind == "cut" else text


@given(messages=st.lists(garbled(), min_size=1, max_size=12))
@QUICK
def _realtime(address: str, messages: list[str | bytes]) -> None:
    with connect(f"ws{address.removeprefix('http')}/v1/realtime") as socket:
        for message in messages:
            socket.send(message)
        last = {"type": "session.update", "event_id": "last", "session": 5}
        socket.send(json.dumps(last))
        while True:  # its own error is the sign that all before has been dealt with
            told = json.loads(socket.recv(LATER))
            if told["type"] == "error":
                assert told["error"]["type"] == "invalid_request_error", (told, messages)
                if told["error"].get("event_id") == "last":
                    return


def test_websocket_messages_at_random() -> None:
    against(lambda address, _: _realtime(address))


MESSAGES = [
    pb.ConverseRequest(settings=pb.Settings(rate=16_000, text_only=True)),
    pb.ConverseRequest(audio=b"\0\0" * 320),
    pb.ConverseRequest(text="What is that?"),
    pb.ConverseRequest(cancel=pb.Cancel()),
    pb.ConverseRequest(truncate=pb.Truncate(turn=1, seconds=0.5)),
    pb.ConverseRequest(forget=pb.Forget()),
    pb.GenerateRequest(prompt="Hi.", grain=pb.CHUNK, max_tokens=5),
    pb.SpeakRequest(text="Hello there.", voice="default"),
    pb.TranscribeRequest(data=serving.wav(0.2)),
]


@st.composite
def bytes_on_the_wire(draw: st.DrawFn) -> bytes:
    """A protobuf message, whole, cut short, with a byte changed, or just bytes."""
    data = bytearray(draw(st.sampled_from(MESSAGES)).SerializeToString())
    match draw(st.sampled_from(["right", "cut", "changed", "random"])):
        case "cut":
            return bytes(data[: draw(st.integers(0, len(data)))])
        case "changed":
            data[draw(st.integers(0, min(len(data), 60) - 1))] = draw(st.integers(0, 255))
        case "random":
            return draw(st.binary(max_size=80))
    return bytes(data)


def _call(channel: grpc.Channel, method: str, messages: list[bytes]) -> grpc.StatusCode:
    """The status with which a call of raw messages ends."""
    call = channel.stream_stream(f"/backchat.v1.Backchat/{method}")(iter(messages), timeout=20)
    try:
        for _ in call:
            pass
    except grpc.RpcError:
        pass
    return call.code()


def test_grpc_messages_at_random() -> None:
    @given(
        method=st.sampled_from(["Converse", "Generate", "Speak", "Transcribe"]),
        messages=st.lists(bytes_on_the_wire(), max_size=6),
    )
    @QUICK
    def check(channel: grpc.Channel, method: str, messages: list[bytes]) -> None:
        code = _call(channel, method, messages)
        assert code not in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.DEADLINE_EXCEEDED), (method, messages)
        asked = pb.GenerateRequest(prompt="Hi.").SerializeToString()
        assert _call(channel, "Generate", [asked]) == grpc.StatusCode.OK

    def main(_: str, address: str) -> None:
        with grpc.insecure_channel(address) as channel:
            partial(check, channel)()

    against(main)
