"""Sound and pictures that are too much, on every wire; and that one of them is decoded at a time."""

from __future__ import annotations

import base64
import io
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import anyio
import grpc
import httpx
import numpy as np
import pytest
import serving
import soundfile
import websockets

import pictures
from agent.images import Picture
from agent.protocols import Description
from agent.server.grpc import backchat_pb2 as pb
from agent.server.grpc.server import running_server
from agent.server.telemetry.metrics import Metrics
from agent.transports import transcription
from audio.files import stream_bytes
from audio.frame import Samples

pytestmark = pytest.mark.net

SHORT, LONG = serving.wav(1.9), serving.wav(2.1)
SMALL, LARGE = (pictures.encoded(pictures.noise(side, 50)) for side in (100, 101))


@dataclass
class SlowEye:
    """Keeps what it looked at, and how many it was given at once; the first time it waits to be let go."""

    looked: list[int] = field(default_factory=list)
    inside: int = 0
    most: int = 0
    go: threading.Event = field(default_factory=threading.Event)

    def look(self, picture: Picture) -> Description:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.go.wait(10.0)
        self.looked.append(picture.width)
        self.inside -= 1
        return Description("Look.", f"{picture.width} wide.", "I showed you something.")


@dataclass
class Wires:
    """A server with small limits, and how its wires are spoken to."""

    pool: serving.Scripted
    vision: SlowEye
    http: httpx.AsyncClient
    address: str
    channel: grpc.aio.Channel

    async def asked(self, data: bytes, path: str) -> httpx.Response:
        if path == "/converse":
            return await self.http.post(path, content=data)
        return await self.http.post(path, files={"file": ("a.wav", data)})

    async def chat(self, *shown: bytes) -> httpx.Response:
        parts = [{"type": "image_url", "image_url": {"url": url(data)}} for data in shown]
        content = [*parts, {"type": "text", "text": "What is it?"}]
        body = {"model": "backchat", "messages": [{"role": "user", "content": content}]}
        return await self.http.post("/v1/chat/completions", json=body)

    def method(self, name: str) -> Callable:
        request, reply = {
            "Transcribe": (pb.TranscribeRequest, pb.TranscribeReply),
            "Converse": (pb.ConverseRequest, pb.ConverseReply),
        }[name]
        return self.channel.stream_stream(
            f"/backchat.v1.Backchat/{name}",
            request_serializer=request.SerializeToString,
            response_deserializer=reply.FromString,
        )


def url(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def served(main: Callable, *settings: str) -> None:
    """Run `main(wires)`; what was too much must have left nothing behind."""
    limits = ("server.max_audio=2", "server.max_pixels=5000", "server.grpc_port=0", *settings)
    pool, vision = serving.pool(["What time is it?"], ["Noon."], *limits), SlowEye()
    slots = [*pool._free, *pool._halves]
    for slot in slots:
        slot.engines = replace(slot.engines, vision=vision)

    async def inside() -> None:
        with anyio.fail_after(60):
            async with (
                serving.running(pool) as address,
                running_server(pool, None, Metrics(pool)) as running,
                grpc.aio.insecure_channel(running.address) as channel,
                httpx.AsyncClient(base_url=address, timeout=30) as http,
            ):
                await main(Wires(pool, vision, http, address, channel))
                while not pool.idle:
                    await anyio.sleep(0.01)

    anyio.run(inside, backend="asyncio")


async def events(socket: websockets.ClientConnection, kind: str) -> dict:
    while True:
        event = json.loads(await socket.recv())
        if event["type"] == kind:
            return event


PUSH_TO_TALK = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/converse"])
def test_sound_that_is_too_long_is_refused_over_http(path: str) -> None:
    async def main(wires: Wires) -> None:
        refused = await wires.asked(LONG, path)
        assert refused.status_code == 413
        error = refused.json()["error"]
        assert error["code"] == "too_large"
        assert "longer than 2 s" in error["message"]
        assert "server.max_audio" in error["message"]
        assert wires.pool._halves[0].engines.stt.calls == 0
        assert (await wires.asked(SHORT, path)).status_code == 200

    served(main)


def test_sound_that_is_too_long_is_refused_over_grpc() -> None:
    async def main(wires: Wires) -> None:
        with pytest.raises(grpc.aio.AioRpcError, match=r"server\.max_audio") as refused:
            _ = [_ async for _ in wires.method("Transcribe")(iter([pb.TranscribeRequest(data=LONG)]))]
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        replies = wires.method("Transcribe")(iter([pb.TranscribeRequest(data=SHORT)]))
        assert [reply.text async for reply in replies] == ["What time is it?"]

    served(main)


def test_sound_that_is_too_long_is_refused_over_the_websocket() -> None:
    async def main(wires: Wires) -> None:
        async with websockets.connect(wires.address.replace("http", "ws") + "/v1/realtime") as socket:

            async def send(kind: str, **fields: object) -> None:
                await socket.send(json.dumps({"type": kind, **fields}))

            def sound(seconds: float) -> str:
                return base64.b64encode(serving.tone(seconds)).decode()

            await send("session.update", session=PUSH_TO_TALK)
            for _ in range(2):
                await send("input_audio_buffer.append", audio=sound(1.0))
            await send("input_audio_buffer.append", audio=sound(0.1))
            error = (await events(socket, "error"))["error"]
            assert error["code"] == "too_large"
            assert "server.max_audio" in error["message"]
            said = {"type": "input_audio", "audio": sound(2.1)}
            await send(
                "conversation.item.create", item={"type": "message", "role": "user", "content": [said]}
            )
            assert "server.max_audio" in (await events(socket, "error"))["error"]["message"]
            await send("input_audio_buffer.commit")  # what fitted is still there
            heard = await events(socket, "conversation.item.input_audio_transcription.completed")
            assert heard["transcript"] == "What time is it?"
            assert heard["usage"]["seconds"] == 2.0

    served(main)


def test_one_file_is_decoded_at_a_time_step_by_step_and_never_by_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inside, most, threads = 0, 0, set[int]()
    order = list[int]()

    def watched(data: bytes, name: str, rate: int, longest: float) -> Iterator[Samples]:
        nonlocal inside, most
        blocks, number = stream_bytes(data, name, rate, longest), len(order)
        order.append(number)
        while True:
            inside += 1
            most = max(most, inside)
            threads.add(threading.get_ident())
            order.append(number)
            block = next(blocks, None)
            inside -= 1
            if block is None:
                return
            yield block

    monkeypatch.setattr(transcription, "stream_bytes", watched)
    monkeypatch.setattr("audio.files._STEP", 4096)

    async def main(wires: Wires) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(wires.asked, SHORT, "/v1/audio/transcriptions")
        assert most == 1
        assert threading.get_ident() not in threads
        assert wires.pool._halves[0].engines.stt.calls == 6

    served(main)
    changes = sum(one != other for one, other in itertools.pairwise(order))
    assert changes > 20, "a long file keeps the others waiting"


def test_a_short_clip_is_not_kept_waiting_by_the_densest_long_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes with a word while files at 192 kHz in stereo are being decoded is done before them."""
    out, done, begun = io.BytesIO(), list[str](), list[int]()
    soundfile.write(out, np.zeros((int(1.9 * 192_000), 2), np.int16), 192_000, "PCM_16", format="FLAC")

    def watched(data: bytes, name: str, rate: int, longest: float) -> Iterator[Samples]:
        begun.append(len(data))
        yield from stream_bytes(data, name, rate, longest)

    monkeypatch.setattr(transcription, "stream_bytes", watched)
    monkeypatch.setattr("audio.files._STEP", 1 << 12)  # as an hour of it, in several hundred steps
    monkeypatch.setattr("audio.decode.BLOCK", 1 << 12)

    async def main(wires: Wires) -> None:
        async def ask(name: str, data: bytes) -> None:
            assert (await wires.asked(data, "/v1/audio/transcriptions")).status_code == 200
            done.append(name)

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask, "dense", out.getvalue())
            while len(begun) < 3:
                await anyio.sleep(0.001)
            tasks.start_soon(ask, "short", serving.wav(0.2))

    served(main)
    assert done == ["short", "dense", "dense", "dense"]


def test_a_picture_with_too_many_pixels_is_refused_on_every_wire() -> None:
    async def main(wires: Wires) -> None:
        wires.vision.go.set()
        refused = await wires.chat(LARGE)
        assert refused.status_code == 413
        assert refused.json()["error"]["code"] == "too_large"
        assert "101 x 50 pixels" in refused.json()["error"]["message"]
        assert "server.max_pixels" in refused.json()["error"]["message"]
        assert (await wires.chat(SMALL)).status_code == 200
        async with websockets.connect(wires.address.replace("http", "ws") + "/v1/realtime") as socket:
            image = {"type": "input_image", "image_url": url(LARGE)}
            item = {"type": "message", "role": "user", "content": [image]}
            await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
            assert "server.max_pixels" in (await events(socket, "error"))["error"]["message"]
        call = wires.method("Converse")()
        await call.write(pb.ConverseRequest(image=LARGE))
        async for reply in call:
            if reply.event.name == "error":
                assert "server.max_pixels" in json.dumps(dict(reply.event.fields))
                break
        await call.done_writing()
        async for _ in call:
            pass
        assert wires.vision.looked == [100]

    served(main)


def test_pictures_are_decoded_in_a_seat_and_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = list[int]()

    async def main(wires: Wires) -> None:
        from agent.server.http import pictures as ours

        real = ours.open_image

        def watched(source: object) -> Picture:
            opened.append(wires.pool.taken)
            return real(source)

        monkeypatch.setattr(ours, "open_image", watched)
        answers = list[int]()

        async def ask() -> None:
            answers.append((await wires.chat(SMALL, SMALL)).status_code)

        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(ask)
            while len(answers) < 4:  # there are two slots, and two may wait for them
                await anyio.sleep(0.01)
            assert len(opened) == 1, "one is decoded, the others wait"
            wires.vision.go.set()
        assert sorted(answers) == [200] * 2 + [503] * 4
        assert len(opened) == 4
        assert min(opened) >= 1, "a picture was opened without a slot"
        assert wires.vision.most == 1

    served(main, "server.sessions=2")


def test_pictures_that_others_have_replaced_are_not_looked_at() -> None:
    """However many are sent while the vision engine is at work, it then looks at the last one."""

    async def main(wires: Wires) -> None:
        async with websockets.connect(wires.address.replace("http", "ws") + "/v1/realtime") as socket:
            for width in range(1, 20):
                image = {
                    "type": "input_image",
                    "image_url": url(pictures.encoded(pictures.noise(width, 10))),
                }
                item = {"type": "message", "role": "user", "content": [image]}
                await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
                await events(socket, "conversation.item.done")
                while not wires.vision.inside:
                    await anyio.sleep(0.01)
            wires.vision.go.set()
            await socket.send(json.dumps({"type": "response.create"}))
            await events(socket, "response.done")
        assert wires.vision.looked == [1, 19]

    served(main)


def test_several_pictures_in_one_item_are_refused_by_name() -> None:
    async def main(wires: Wires) -> None:
        async with websockets.connect(wires.address.replace("http", "ws") + "/v1/realtime") as socket:
            image = {"type": "input_image", "image_url": url(SMALL)}
            item = {"type": "message", "role": "user", "content": [image, image]}
            await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
            assert (await events(socket, "error"))["error"]["param"] == "item.content"

    served(main)


def test_the_number_of_pictures_in_a_request_is_a_setting() -> None:
    async def main(wires: Wires) -> None:
        wires.vision.go.set()
        refused = await wires.chat(SMALL, SMALL, SMALL)
        assert refused.status_code == 400
        assert "more than 2 pictures (server.max_pictures)" in refused.json()["error"]["message"]
        assert (await wires.chat(SMALL, SMALL)).status_code == 200

    served(main, "server.max_pictures=2")


def test_silence_is_still_silence_for_the_transcriber() -> None:
    """What is transcribed is what was sent: at its level, and as long."""
    given = list[Samples]()

    async def main(wires: Wires) -> None:
        stt = wires.pool._halves[0].engines.stt
        original = stt.transcribe

        def transcribe(audio, *, final: bool = True):
            given.append(audio.samples)
            return original(audio, final=final)

        stt.transcribe = transcribe
        await wires.asked(SHORT, "/v1/audio/transcriptions")

    served(main)
    assert len(given[0]) == round(1.9 * 16_000)
    assert np.abs(given[0]).max() == pytest.approx(0.4, abs=0.02)
