"""Every limit of the settings, on every wire that it applies to: the same code, and the setting's name."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import grpc
import httpx
import pytest
import serving
from test_server_doc import NOT_LIMITS
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.pipeline import PipelineStage, RunPipeline
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart

import pictures
from agent.protocols import Description
from agent.server.admission.exposure import host_and_port
from agent.server.grpc import backchat_pb2 as pb
from agent.server.grpc.server import CODES
from agent.settings import ServerConfig

pytestmark = pytest.mark.net

ELSEWHERE = {
    "connections": "a connection is cut without a word: test_slow_clients",
    "load": "it is measured over ten seconds: test_load",
    "resume": "nobody is refused, a session is forgotten: test_resume",
    "resumable": "the same",
    "responses": "nobody is refused, the oldest is forgotten: test_model_responses",
    "max_buffer": "a client that does not read cannot be told: test_serve_model, test_grpc",
}
TOKEN = "t" * 20
LONG = "word " * 100
WYOMING = "server.wyoming=tcp://127.0.0.1:0"
PUSH_TO_TALK = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}


@dataclass(frozen=True)
class Refused:
    """What a client was told. status: as HTTP has it; 0 where the wire has none."""

    status: int
    code: str
    text: str


@dataclass
class Wires:
    address: str
    rpc: str
    wyoming: str
    channel: grpc.aio.Channel
    http: httpx.AsyncClient
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def realtime(self) -> str:
        return f"ws{self.address.removeprefix('http')}/v1/realtime"


Probe = Callable[[Wires], Awaitable[Refused]]


def http(path: str, **request: Any) -> Probe:
    async def probe(wires: Wires) -> Refused:
        reply = await wires.http.post(path, **request)
        return _of(reply.status_code, reply.text)

    return probe


def _of(status: int, body: str) -> Refused:
    error = json.loads(body)["error"]
    return Refused(status, error["code"], error["message"])


async def handshake(wires: Wires) -> Refused:
    with pytest.raises(InvalidStatus) as refused:
        await connect(wires.realtime)
    reply = refused.value.response
    return _of(reply.status_code, reply.body.decode())


def realtime(*events: dict[str, Any]) -> Probe:
    """A session that sends these events and is then silent, until it is told of an error."""

    async def probe(wires: Wires) -> Refused:
        async with connect(wires.realtime) as socket:
            for event in events:
                await socket.send(json.dumps(event))
            while (told := json.loads(await socket.recv()))["type"] != "error":
                pass
            return Refused(0, told["error"]["code"], told["error"]["message"])

    return probe


def item(**content: str) -> dict[str, Any]:
    return {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": [content]},
    }


def call(method: str, *messages: Any, pause: float = 0.0, forever: bool = False) -> Probe:
    """A gRPC call with these messages. forever: the client's side stays open, and the last comes again."""
    request: Any = {
        "Generate": pb.GenerateRequest,
        "Speak": pb.SpeakRequest,
        "Transcribe": pb.TranscribeRequest,
        "Converse": pb.ConverseRequest,
    }[method]

    async def sent() -> AsyncIterator[Any]:
        for message in messages:
            yield message
        while forever:
            await anyio.sleep(pause or 30.0)
            if pause:
                yield messages[-1]

    async def probe(wires: Wires) -> Refused:
        asked = wires.channel.stream_stream(
            f"/backchat.v1.Backchat/{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=pb.ConverseReply.FromString if method == "Converse" else None,
        )(sent())
        try:
            async for reply in asked:
                if method == "Converse" and reply.event.name == "error":
                    asked.cancel()
                    return Refused(0, reply.event.fields["code"], reply.event.fields["message"])
        except grpc.aio.AioRpcError as error:
            code = str(dict(error.trailing_metadata()).get("error-code", ""))
            status = next((status for status, name in CODES.items() if name == error.code().name), 400)
            same = [status for status, name in CODES.items() if name == error.code().name]
            return Refused(-1 if len(same) > 1 else status, code, f"{error.code().name} {error.details()}")
        raise AssertionError("it was taken")

    return probe


def wyoming(*events: Any, forever: bool = False) -> Probe:
    """A client of the stock library that sends these events. forever: and the last one again and again."""

    async def probe(wires: Wires) -> Refused:
        async with AsyncTcpClient(*host_and_port(wires.wyoming)) as client:
            for event in events:
                await client.write_event(event.event())

            async def more() -> None:
                while forever:
                    await anyio.sleep(0.02)
                    await client.write_event(events[-1].event())

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(more)
                while (told := await client.read_event()) is not None and not Error.is_type(told.type):
                    pass
                tasks.cancel_scope.cancel()
        assert told is not None, "it was taken"
        error = Error.from_event(told)
        return Refused(0, error.code or "", error.text)

    return probe


async def holding_seat(wires: Wires) -> None:
    socket = await wires.stack.enter_async_context(connect(wires.realtime))
    assert json.loads(await socket.recv())["type"] == "session.created"


async def three_requests(wires: Wires) -> None:
    for _ in range(3):
        await wires.http.get("/v1/models")


async def one_secret(wires: Wires) -> None:
    assert (await wires.http.post(SECRETS, json={})).status_code == 200


async def trickling(wires: Wires, rest: bytes = b"x") -> Refused:
    """A body that comes slowly, or with `rest` empty not at all."""
    host, _, port = wires.address.removeprefix("http://").partition(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        head = b"POST /converse HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 900\r\n\r\n"
        await stream.send(head)
        answer = b""
        while b"}}" not in answer:
            with anyio.move_on_after(0.05):
                answer += await stream.receive()
                continue
            if rest:
                await stream.send(rest)
    first, _, body = answer.partition(b"\r\n\r\n")
    return _of(int(first.split()[1]), body.decode())


async def silent(wires: Wires) -> Refused:
    return await trickling(wires, b"")


def data(seconds: float) -> str:
    return base64.b64encode(serving.tone(seconds)).decode()


PICTURE = pictures.encoded(pictures.noise(30, 30))
URL = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
SOUND = serving.wav(1.5)
CHAT, SPEECH = "/v1/chat/completions", "/v1/audio/speech"
SECRETS = "/v1/realtime/client_secrets"
FORM = {"files": {"file": ("a.wav", SOUND)}}


def chat(*texts: str, shown: int = 0) -> dict[str, Any]:
    content = [{"type": "image_url", "image_url": {"url": URL}}] * shown
    messages = [{"role": "user", "content": text} for text in texts]
    messages += [{"role": "user", "content": content}] if shown else []
    return {"model": "backchat", "messages": messages}


@dataclass(frozen=True)
class Limit:
    """One setting: a small value of it, what the refusal is called, and what is refused.

    first: what brings the server to its limit.
    """

    value: float
    status: int
    code: str
    probes: Sequence[Probe]
    first: Callable[[Wires], Awaitable[None]] | None = None
    more: tuple[str, ...] = ()


HEARD = (Transcribe(), AudioStart(16_000, 2, 1))
PIPELINE = RunPipeline(PipelineStage.WAKE, PipelineStage.TTS)
QUIET = AudioChunk(16_000, 2, 1, bytes(640))
ASKED = (
    http("/generate", json={"prompt": "x"}),
    handshake,
    call("Generate", pb.GenerateRequest(prompt="x")),
    call("Converse", pb.ConverseRequest(text="x")),
    wyoming(Transcript("x")),
)
TALK = {"type": "session.update", "session": PUSH_TO_TALK}
LIMITS = {
    "sessions": Limit(
        1,
        503,
        "busy",
        [*ASKED, http(CHAT, json=chat("x")), http("/converse", content=SOUND)],
        holding_seat,
    ),
    "rate": Limit(3, 429, "rate_limit_exceeded", ASKED, three_requests),
    "refusals": Limit(3, 429, "rate_limit_exceeded", ASKED, three_requests),
    "secrets": Limit(1, 429, "rate_limit_exceeded", [http(SECRETS, json={})], one_secret),
    "body": Limit(
        1000,
        413,
        "too_large",
        [
            *(http(path, content=bytes(2000)) for path in ("/generate", "/converse", SPEECH, CHAT)),
            http("/v1/audio/transcriptions", **FORM),
            call("Transcribe", *[pb.TranscribeRequest(data=bytes(900))] * 2),
        ],
    ),
    "max_audio": Limit(
        1,
        413,
        "too_large",
        [
            http("/converse", content=SOUND),
            http("/v1/audio/transcriptions", **FORM),
            realtime(TALK, {"type": "input_audio_buffer.append", "audio": data(1.5)}),
            realtime(item(type="input_audio", audio=data(1.5))),
            call("Transcribe", pb.TranscribeRequest(data=SOUND)),
            wyoming(*HEARD, AudioChunk(16_000, 2, 1, bytes(48_000))),
        ],
    ),
    "max_pictures": Limit(1, 400, "invalid_request_error", [http(CHAT, json=chat(shown=2))]),
    "max_pixels": Limit(
        100,
        413,
        "too_large",
        [
            http(CHAT, json=chat(shown=1)),
            realtime(item(type="input_image", image_url=URL)),
            call("Converse", pb.ConverseRequest(image=PICTURE), forever=True),
        ],
    ),
    "body_time": Limit(
        0.4,
        408,
        "timeout",
        [trickling, call("Transcribe", pb.TranscribeRequest(data=b"x"), pause=0.05, forever=True)],
    ),
    "bodies": Limit(
        1000,
        503,
        "busy",
        [
            http("/converse", content=bytes(100_000)),
            call("Transcribe", pb.TranscribeRequest(data=bytes(100_000))),
        ],
    ),
    "characters": Limit(
        200,
        413,
        "too_large",
        [
            http("/generate", json={"prompt": LONG}),
            http(CHAT, json=chat(LONG)),
            http(SPEECH, json={"input": LONG}),
            http(SECRETS, json={"session": {"type": "realtime", "instructions": LONG}}),
            http("/v1/audio/transcriptions", data={"prompt": LONG}, **FORM),
            realtime(item(type="input_text", text=LONG)),
            realtime({"type": "session.update", "session": {**PUSH_TO_TALK, "instructions": LONG}}),
            realtime({"type": "response.create", "response": {"instructions": LONG}}),
            call("Generate", pb.GenerateRequest(prompt=LONG)),
            call("Speak", pb.SpeakRequest(text=LONG)),
            call("Converse", pb.ConverseRequest(text=LONG)),
            call("Converse", pb.ConverseRequest(settings=pb.Settings(system=LONG))),
            wyoming(Transcript(LONG)),
            wyoming(Synthesize(LONG)),
            wyoming(SynthesizeStart(), *[SynthesizeChunk("word " * 9)] * 9),
        ],
    ),
    "entries": Limit(
        10,
        413,
        "too_large",
        [
            http("/generate", json={"prompt": "x", "stop": ["x"] * 11}),
            http(CHAT, json=chat(*["x"] * 11)),
            realtime({"type": "response.create", "response": {"output_modalities": ["text"] * 11}}),
            call("Generate", pb.GenerateRequest(prompt="x", stop=["x"] * 11)),
            wyoming(Transcript("x", context={"known": ["x"] * 11})),
        ],
    ),
    "memory": Limit(
        1000,
        413,
        "session_full",
        [
            realtime(TALK, {"type": "input_audio_buffer.append", "audio": data(0.1)}),
            realtime(item(type="input_text", text="x" * 1000)),
            realtime(item(type="input_image", image_url=URL)),
            call("Converse", pb.ConverseRequest(image=PICTURE), forever=True),
        ],
    ),
    "client_timeout": Limit(
        0.4,
        408,
        "timeout",
        [
            silent,
            *(call(method, forever=True) for method in ("Generate", "Speak", "Transcribe")),
            wyoming(*HEARD),
            wyoming(SynthesizeStart()),
        ],
    ),
    "first_event": Limit(
        0.4, 408, "session_expired", [realtime(), call("Converse", forever=True), wyoming(PIPELINE)]
    ),
    "longest": Limit(
        0.5,
        408,
        "session_expired",
        [
            realtime({"type": "response.create"}),
            call("Converse", pb.ConverseRequest(text="x"), forever=True),
            wyoming(PIPELINE, QUIET, forever=True),
        ],
    ),
    "idle": Limit(
        0.4,
        408,
        "session_expired",
        [
            realtime(TALK),
            realtime(item(type="input_text", text="x")),
            call("Converse", pb.ConverseRequest(settings=pb.Settings(text_only=True)), forever=True),
            wyoming(PIPELINE, QUIET, forever=True),
        ],
    ),
}


class Eye:
    def look(self, picture: Any) -> Description:
        return Description("Look.", "Noise.", "I showed you something.")


@pytest.fixture(autouse=True)
def no_wait_for_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.server.pool.FREEING", 0.05)


def served(main: Callable[[Wires], Awaitable[None]], *settings: str, token: str | None = None) -> None:
    made = serving.pool(["x"], ["y " * 200], "server.grpc_port=0", WYOMING, *settings)
    for slot in [*made._free, *made._halves]:
        slot.engines = replace(slot.engines, vision=Eye())

    async def inside() -> None:
        with anyio.fail_after(60):
            async with (
                serving.both(made, token) as (address, rpc, tcp),
                grpc.aio.insecure_channel(rpc) as channel,
                httpx.AsyncClient(base_url=address, timeout=30) as client,
            ):
                wires = Wires(address, rpc, tcp, channel, client)
                async with wires.stack:
                    await main(wires)

    anyio.run(inside, backend="asyncio")


def test_every_limit_is_tried() -> None:
    limits = set(ServerConfig.model_fields) - NOT_LIMITS
    assert limits == LIMITS.keys() | ELSEWHERE.keys() | {"message"}


@pytest.mark.parametrize("name", LIMITS)
def test_every_wire_refuses_at_the_limit_with_the_same_code_and_names_the_setting(name: str) -> None:
    limit, told = LIMITS[name], list[Refused]()

    async def main(wires: Wires) -> None:
        if limit.first is not None:
            await limit.first(wires)
        for probe in limit.probes:
            with anyio.fail_after(10):
                told.append(await probe(wires))

    served(main, f"server.{name}={limit.value}", token=TOKEN if name == "refusals" else None)
    assert [refused.code for refused in told] == [limit.code] * len(told)
    assert [refused for refused in told if f"server.{name}" not in refused.text] == []
    for refused in told:
        if refused.status > 0:
            assert refused.status == limit.status
        elif refused.status < 0:
            assert refused.text.split()[0] == CODES[limit.status]


def test_a_message_that_is_too_long_is_refused_by_the_protocols_themselves() -> None:
    """They read no more of it, so that they alone can say so; both have a code of their own for it. gRPC has
    words of its own too, and gives the number of bytes.
    """

    async def main(wires: Wires) -> None:
        async with connect(wires.realtime) as socket:
            await socket.send("x" * 2000)
            assert json.loads(await socket.recv())["type"] == "session.created"
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        assert "server.message" in closed.value.rcvd.reason
        refused = await call("Transcribe", pb.TranscribeRequest(data=bytes(2000)))(wires)
        assert refused.text.startswith("RESOURCE_EXHAUSTED")
        assert "1000" in refused.text
        for event in (Synthesize("x" * 2000), AudioChunk(16_000, 2, 1, bytes(2000))):
            refused = await wyoming(event)(wires)
            assert refused.code == "too_large"
            assert "server.message" in refused.text

    served(main, "server.message=1000")
