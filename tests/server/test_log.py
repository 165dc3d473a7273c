"""The server's log: a line for each session, one for who is refused, none for a client that goes."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import grpc
import httpx
import pytest
import serving
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from agent.errors import Busy, RequestError
from agent.server.grpc import backchat_pb2 as pb
from agent.server.run import run_server, start_log
from agent.server.telemetry.log import Refusals

pytestmark = pytest.mark.net

UPGRADE = "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
KEY = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
STORY = "One two three four five six. " * 20


class Log:
    """What the server has logged, as it is on standard error."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def said(self, what: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["what"] == what]

    @property
    def other(self) -> list[dict[str, Any]]:
        """All but what is there for every session and server."""
        usual = ("listening", "session begins", "session ends", "refused")
        return [line for line in self.lines if line["what"] not in usual]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    root, loud = logging.getLogger(), logging.getLogger("uvicorn.error")
    handlers, levels = root.handlers[:], (root.level, loud.level)
    kept = Log()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", kept.stream)
        start_log()
    yield kept
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    loud.setLevel(levels[1])


def served(main: Callable, *settings: str, tls: tuple[Path, Path] = (None, None), token: float = 0.0) -> None:
    made = serving.pool(
        ["x"], [STORY], "server.client_timeout=2", "server.grpc_port=0", *settings, token=token
    )

    async def inside() -> None:
        addresses: list[str] = []
        opened = anyio.Event()

        def started(at: list[str]) -> None:
            addresses.extend(at)
            opened.set()

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run_server, made, None, *tls, started)
                await opened.wait()
                await main(addresses[0], addresses[1].removeprefix("grpc://"))
                while not made.idle:
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()

    anyio.run(inside, backend="asyncio")


async def leave(address: str, data: bytes, *, abort: bool, read: bool) -> None:
    """Send some bytes, perhaps read what comes first, and go: in order, or as a cable that is pulled."""
    host, _, port = address.partition("//")[2].partition(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        if data:
            await stream.send(data)
        if read:
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError), anyio.move_on_after(3):
                await stream.receive()
        if abort:
            raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await anyio.sleep(0.02)


def parting(address: str) -> list[tuple[bytes, bool]]:
    """What a client sends before it goes, and whether it reads something first."""
    host = f"host: {address.partition('//')[2]}\r\n"
    sound, ask = serving.wav(0.3), json.dumps({"prompt": "x"})
    form = "content-type: multipart/form-data; boundary=x\r\n"

    def post(path: str, more: str, body: bytes) -> bytes:
        return f"POST {path} HTTP/1.1\r\n{host}{more}\r\n".encode() + body

    def upgrade(more: str, path: str = "/v1/realtime") -> bytes:
        return f"GET {path} HTTP/1.1\r\n{host}{UPGRADE}{more}".encode()

    return [
        (post("/generate", "content-length: 1000\r\n", b"{"), False),
        (post("/v1/chat/completions", "transfer-encoding: chunked\r\n", b"5\r\n{"), False),
        (post("/v1/audio/transcriptions", f"{form}content-length: 9999\r\n", b"--x\r\nContent-Disp"), False),
        (post("/converse", "content-length: 9999\r\n", b"RIFF"), False),
        (post("/generate", f"content-length: {len(ask)}\r\n", ask.encode()), True),
        (post("/converse", f"content-length: {len(sound)}\r\n", sound), True),
        (upgrade(""), False),
        (upgrade(f"{KEY}\r\n"), False),
        (upgrade(f"{KEY}\r\n"), True),
        (upgrade("\r\n"), True),
        (upgrade(f"{KEY}\r\n", "/nothing"), True),
        (upgrade(f"{KEY}\r\n") + b"\xff\xff\xff\xff", True),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", True),
        (b"", False),
    ]


@pytest.mark.parametrize("abort", [False, True])
def test_a_client_that_goes_leaves_no_trace_but_its_session(abort: bool, log: Log) -> None:
    async def main(address: str, _: str) -> None:
        for data, read in parting(address):
            await leave(address, data, abort=abort, read=read)

    served(main, token=0.002)
    assert log.other == []
    assert {line["why"] for line in log.said("session ends")} == {"client_left"}


def test_so_does_one_of_grpc(log: Log) -> None:
    async def main(_: str, address: str) -> None:
        channel = grpc.aio.insecure_channel(address)
        serialize = pb.ConverseRequest.SerializeToString
        methods = "/backchat.v1.Backchat"
        for closing in (False, True):
            ask = channel.stream_stream(f"{methods}/Generate", pb.GenerateRequest.SerializeToString)
            await (asked := ask(iter([pb.GenerateRequest(prompt="x")]))).read()
            upload = channel.stream_unary(f"{methods}/Transcribe", pb.TranscribeRequest.SerializeToString)()
            await upload.write(pb.TranscribeRequest(data=b"RIFF"))
            talk = channel.stream_stream(f"{methods}/Converse", serialize)()
            await talk.write(pb.ConverseRequest(text="Hello."))
            await talk.read()
            if closing:
                await channel.close()
            else:
                for call in (asked, upload, talk):
                    call.cancel()
            await anyio.sleep(0.2)

    served(main, token=0.002)
    assert log.other == []
    assert [line["why"] for line in log.said("session ends")] == ["client_left"] * 2


def test_a_session_begins_and_ends_in_the_log_without_words(log: Log) -> None:
    async def main(address: str, _: str) -> None:
        async with connect(f"ws{address.removeprefix('http')}/v1/realtime") as one:
            created = json.loads(await one.recv())["session"]["id"]
            await one.send('{"type": "response.create", "response": {"output_modalities": ["text"]}}')
            while json.loads(await one.recv())["type"] != "response.done":
                pass
            names.append(created)

    names: list[str] = []
    served(main)
    (begin,), (end,) = log.said("session begins"), log.said("session ends")
    assert (begin["session"], begin["wire"], begin["address"]) == (names[0], "realtime", "127.0.0.1")
    assert (end["session"], end["wire"], end["turns"]) == (names[0], "realtime", 1)
    assert 0.0 <= end["seconds"] < 60.0
    assert end["why"] == "client_left"
    assert "three" not in log.stream.getvalue()


def test_a_hundred_and_fifty_refused_handshakes_are_one_line(log: Log) -> None:
    async def main(address: str, _: str) -> None:
        for _ in range(150):
            with pytest.raises(InvalidStatus):
                await connect(
                    f"ws{address.removeprefix('http')}/v1/realtime",
                    additional_headers={"origin": "https://elsewhere.example"},
                )

    served(main)
    assert log.other == []
    (line,) = log.said("refused")
    assert (line["level"], line["why"], line["wire"]) == ("info", "forbidden_origin", "websocket")


def test_what_is_refused_behind_the_door_is_one_line_too(log: Log) -> None:
    async def main(address: str, wire: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            for _ in range(5):
                assert (await client.post("/generate", json={})).status_code == 400
                assert (
                    await client.post("/v1/audio/speech", json={"input": "x", "voice": "y"})
                ).status_code == 404
        async with grpc.aio.insecure_channel(wire) as channel:
            speak = channel.unary_stream("/backchat.v1.Backchat/Speak", pb.SpeakRequest.SerializeToString)
            for _ in range(5):
                with pytest.raises(grpc.aio.AioRpcError):
                    await speak(pb.SpeakRequest()).read()

    served(main)
    assert log.other == []
    assert [(line["level"], line["why"], line["wire"]) for line in log.said("refused")] == [
        ("info", "invalid_value", "http"),
        ("info", "voice_not_found", "http"),
        ("info", "invalid_request_error", "grpc"),
    ]


def test_busy_is_counted_and_told_once(log: Log) -> None:
    async def main(address: str, _: str) -> None:
        async with (
            connect(f"ws{address.removeprefix('http')}/v1/realtime"),
            httpx.AsyncClient(base_url=address) as client,
        ):
            assert (await client.post("/generate", json={"prompt": "x"})).status_code == 503
            figures = (await client.get("/metrics")).text
        assert 'backchat_refused_total{cause="busy"} 1.0' in figures

    served(main, "server.sessions=1")
    assert [line["why"] for line in log.said("refused")] == ["busy"]


def test_who_is_refused_is_told_once_a_minute_and_counted_by_subscriber(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    refusals = Refusals()
    for number in range(30):
        refusals.note(f"2001:db8::{number:x}", RequestError("x", 401, "invalid_api_key"), "http")
    refusals.note("2001:db8::1", Busy("x"), "http")
    refusals.note("2001:db8::1", RequestError("x", 500, "llm_failed"), "http")
    refusals.note("2001:db8::1", RequestError("x", 499, "gone"), "http")
    now += 61.0
    refusals.note("2001:db8::1", RequestError("x", 401, "invalid_api_key"), "http")
    told = [(record.data["why"], record.data.get("before")) for record in caplog.records]
    assert told == [("invalid_api_key", None), ("busy", None), ("invalid_api_key", 29)]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    pair = folder / "certificate.pem", folder / "key.pem"
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run([*make, "-keyout", pair[1], "-out", pair[0]], check=True, capture_output=True)
    return pair


def test_scanners_of_a_port_with_tls_fill_no_log(certificate: tuple[Path, Path], log: Log) -> None:
    async def main(address: str, _: str) -> None:
        for abort in (False, True):
            for data in (
                b"GET / HTTP/1.1\r\n\r\n",
                b"\x00\x01\x02" * 30,
                b"\x16\x03\x01\x02\x00\x01\x00\x01",
                b"",
            ):
                await leave(address, data, abort=abort, read=data[:1] == b"G")
        with pytest.raises(httpx.ConnectError):
            async with httpx.AsyncClient(verify=ssl.create_default_context()) as stranger:
                await stranger.get(address)

    served(main, tls=certificate)
    assert log.other == []
