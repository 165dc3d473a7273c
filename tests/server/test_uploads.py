"""What is uploaded is somebody's voice: no wire writes it to the disk, however large it is."""

from __future__ import annotations

import io
import os
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import av
import grpc
import httpx
import numpy as np
import pytest
import serving

from agent.server.grpc import backchat_pb2 as pb
from agent.server.run import run_server

pytestmark = pytest.mark.net

SECONDS = 30.0
"""Of sound: 1.4 MB, where starlette keeps 1 MB in memory."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
written: list[str] = []
watching: list[bool] = []


def watch(event: str, arguments: tuple) -> None:
    """Python's own report of each file that is opened. A hook stays for good, so this one can be silent."""
    if watching and event == "open" and arguments[2] & WRITING:
        written.append(str(arguments[0]))


@pytest.fixture
def no_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No place for temporary files, neither of Python's nor of the libraries'; and what is opened is seen."""
    nowhere = str(tmp_path / "nowhere")
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, nowhere)
    monkeypatch.setattr(tempfile, "tempdir", nowhere)
    written.clear()
    sys.addaudithook(watch)
    watching.append(True)
    yield
    watching.clear()


def phone(wav: bytes) -> bytes:
    """Something as phones record it, AAC in MP4, and as long in bytes: by a box that players skip."""
    sink = io.BytesIO()
    with av.open(sink, "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        for number in range(16):
            frame = av.AudioFrame.from_ndarray(np.full((1, 1024), 0.1, np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 16_000, 1024 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return sink.getvalue() + struct.pack(">I4s", len(wav), b"free") + bytes(len(wav) - 8)


async def transcribed(http: str, rpc: str, sound: bytes) -> str:
    async with httpx.AsyncClient(base_url=http, timeout=60) as client:
        reply = await client.post("/v1/audio/transcriptions", files={"file": ("question", sound)})
        return reply.json()["text"]


async def conversed(http: str, rpc: str, sound: bytes) -> str:
    async with httpx.AsyncClient(base_url=http, timeout=60) as client:
        return (await client.post("/converse", content=sound)).text


async def called(http: str, rpc: str, sound: bytes) -> str:
    async with grpc.aio.insecure_channel(rpc.removeprefix("grpc://")) as channel:
        ask = channel.stream_unary(
            "/backchat.v1.Backchat/Transcribe",
            request_serializer=pb.TranscribeRequest.SerializeToString,
            response_deserializer=pb.TranscribeReply.FromString,
        )
        pieces = [pb.TranscribeRequest(data=sound[at : at + 60_000]) for at in range(0, len(sound), 60_000)]
        return (await ask(iter(pieces))).text


@pytest.mark.usefixtures("no_disk")
@pytest.mark.parametrize(
    ("ask", "kind"), [(transcribed, bytes), (conversed, bytes), (called, bytes), (transcribed, phone)]
)
def test_no_upload_touches_the_disk(ask: Callable, kind: Callable) -> None:
    sound = kind(serving.wav(SECONDS))
    assert len(sound) > 1 << 20
    opened = anyio.Event()
    found: list[str] = []

    def started(addresses: list[str]) -> None:
        found.extend(addresses)
        opened.set()

    async def main() -> None:
        pool = serving.pool(["What is that?"] * 9, ["A bell."], "server.grpc_port=0", "server.body=3000000")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_server, pool, None, None, None, started)
            await opened.wait()
            with anyio.fail_after(60):
                assert "What is that?" in await ask(*found, sound)
            tasks.cancel_scope.cancel()

    anyio.run(main, backend="asyncio")
    assert written == []
