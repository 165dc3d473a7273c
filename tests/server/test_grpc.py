"""The gRPC service, by a client that was made from the .proto, with scripted engines on a real socket."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import grpc
import httpx
import pytest
import serving
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import scripted
from agent.errors import ConfigError
from agent.server.grpc import backchat_pb2 as pb
from agent.server.grpc.server import RunningServer, running_server
from agent.server.run import run_server
from agent.server.telemetry.metrics import Metrics
from agent.testing import call as calls
from audio.pcm import from_pcm16

pytestmark = pytest.mark.net

ROOT = Path(__file__).parents[2]
PROTO = "agent/server/grpc/backchat.proto"
STORY = (
    "Once upon a time there was a lighthouse keeper. He lived alone on a rock in the sea. "
    "Every night he lit the lamp. One night the lamp went out. Then a ship came close."
)
PORT = "server.grpc_port=0"


def scripted_pool(texts: list[str], replies: list[str], *settings: str, **more) -> serving.Scripted:
    return serving.pool(texts, replies, PORT, *settings, **more)


@pytest.fixture(scope="session")
def stub(tmp_path_factory: pytest.TempPathFactory):
    """The client's class, as `protoc` makes it for anybody who has the file."""
    folder = tmp_path_factory.mktemp("stub")
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", ".", f"--grpc_python_out={folder}", PROTO]
    subprocess.run(command, cwd=ROOT, check=True)
    spec = importlib.util.spec_from_file_location("stub", folder / PROTO.replace(".proto", "_pb2_grpc.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BackchatStub


def served(pool: serving.Scripted, main: Callable, token: str | None = None) -> None:
    """Run `main(channel, running)`; a deadlock fails, and so does a slot that is not given back."""

    async def inside() -> None:
        with anyio.fail_after(60):
            async with running_server(pool, token, Metrics(pool)) as running, channel_to(running) as channel:
                await main(channel, running)
                await freed(pool)

    anyio.run(inside, backend="asyncio")


@asynccontextmanager
async def channel_to(running: RunningServer) -> AsyncIterator[grpc.aio.Channel]:
    # Without probes the client's window stays small: what is not read soon stays with the server.
    options = [("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(running.address, options) as channel:
        yield channel


async def freed(pool: serving.Scripted) -> None:
    with anyio.fail_after(10):
        while not pool.idle or pool.model.open:
            await anyio.sleep(0.01)


async def whole(call) -> list:
    return [reply async for reply in call]


async def until(done: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not done():
            await anyio.sleep(0.005)


class Talk:
    """One `Converse`; keeps what it is told."""

    def __init__(self, stub, **settings) -> None:
        self.call = stub.Converse()
        self._settings = pb.Settings(**settings)
        self.events: list[pb.Event] = []
        self.calls: list[pb.ToolCall] = []
        self.audio: dict[int, float] = {}
        self.loudest = 0.0

    async def start(self) -> None:
        await self.send(settings=self._settings)
        await self.until("session_started")

    async def send(self, **what) -> None:
        await self.call.write(pb.ConverseRequest(**what))

    async def said(self, data: bytes) -> None:
        """Send sound as it would be spoken."""
        for start in range(0, len(data), 960):
            await self.send(audio=data[start : start + 960])
            await anyio.sleep(0.02)

    async def read(self) -> bool:
        reply = await self.call.read()
        if reply is grpc.aio.EOF:
            return False
        if reply.WhichOneof("what") == "event":
            self.events.append(reply.event)
        elif reply.WhichOneof("what") == "call":
            self.calls.append(reply.call)
        else:
            samples = from_pcm16(reply.sound.audio)
            turn = reply.sound.turn
            self.audio[turn] = self.audio.get(turn, 0.0) + len(samples) / 24_000
            self.loudest = max(self.loudest, float(abs(samples).max()))
        return True

    async def until(self, name: str) -> pb.Event:
        """Read on until that event comes once more."""
        while await self.read():
            if self.events[-1].name == name and not self.of(name)[:-1].count(self.events[-1]):
                return self.events[-1]
        raise AssertionError(f"no {name}: {[e.name for e in self.events]}")

    async def rest(self) -> None:
        while await self.read():
            pass

    def of(self, name: str) -> list[pb.Event]:
        return [event for event in self.events if event.name == name]


def test_a_spoken_conversation_with_an_interruption(stub) -> None:
    pool = scripted_pool(["Tell me a story.", "What time is it now?"], [STORY, "It is noon."])

    async def main(channel: grpc.aio.Channel, _: RunningServer) -> None:
        talk = Talk(stub(channel))
        await talk.start()

        async def user() -> None:
            await talk.said(serving.tone(1.0))
            while talk.audio.get(1, 0.0) < 3.0:
                await talk.said(serving.tone(0.1, 0.0))
            await talk.said(serving.tone(1.2))
            while len(talk.of("turn_ended")) < 2:
                await talk.said(serving.tone(0.1, 0.0))
            await talk.call.done_writing()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(user)
            await talk.rest()
        assert await talk.call.code() == grpc.StatusCode.OK
        first, second = [dict(e.fields) for e in talk.of("turn_ended")]
        assert first["reason"] == "interrupted"
        assert first["heard"] + first["unheard"] == STORY[: len(first["heard"] + first["unheard"])]
        assert 0 < len(first["heard"]) < len(STORY) - 20
        assert (second["reason"], second["heard"]) == ("finished", "It is noon.")
        assert [e.fields["text"] for e in talk.of("turn_committed")] == [
            "Tell me a story.",
            "What time is it now?",
        ]
        assert len(first["heard"]) * scripted.SECONDS_PER_CHARACTER == pytest.approx(talk.audio[1], abs=0.8)
        (used,) = [one for one in pool.model.each if one.asked]
        assert first["heard"].strip() in [m.content for m in used.asked[-1]]

    served(pool, main)


def test_typed_questions_cancel_and_truncate(stub) -> None:
    pool = scripted_pool(["never"], [STORY, STORY, "Fine."])

    async def main(channel: grpc.aio.Channel, _: RunningServer) -> None:
        talk = Talk(stub(channel), system="Be brief.")
        await talk.start()
        await talk.send(text="A story!")
        while talk.audio.get(1, 0.0) < 2.0:
            await talk.read()
        await talk.send(cancel=pb.Cancel())
        ended = await talk.until("turn_ended")
        assert ended.fields["reason"] == "interrupted"
        assert ended.fields["heard"].startswith("Once upon a time there")
        await talk.send(text="Another.")
        await talk.until("turn_committed")
        while talk.audio.get(2, 0.0) < 3.0:
            await talk.read()
        await talk.send(truncate=pb.Truncate(turn=2, seconds=1.0))
        await talk.until("turn_ended")
        await talk.send(text="And now?")
        assert (await talk.until("turn_ended")).fields["heard"] == "Fine."
        await talk.call.done_writing()
        await talk.rest()
        assert await talk.call.code() == grpc.StatusCode.OK
        (used,) = [one for one in pool.model.each if one.asked]
        system, *_, second, question = [m.content for m in used.asked[-1]]
        assert system.startswith("Be brief.")
        assert question == "And now?"
        assert second == "Once upon a time"  # 16 characters take 0.96 s, the next word more than 1 s

    served(pool, main)


def test_a_conversation_in_text_only(stub) -> None:
    pool = scripted_pool(["never"], ["It is noon."])

    async def main(channel: grpc.aio.Channel, _: RunningServer) -> None:
        talk = Talk(stub(channel), text_only=True)
        await talk.start()
        await talk.send(text="What time is it?")
        assert (await talk.until("turn_ended")).fields["heard"] == "It is noon."
        assert talk.loudest == 0.0
        await talk.call.done_writing()
        await talk.rest()

    served(pool, main)


@pytest.mark.parametrize(
    ("grain", "pieces"),
    [
        (pb.TOKEN, ["One", " two", " three", " four.", " Five", " six."]),
        (pb.SENTENCE, ["One two three four.", " Five six."]),
    ],
)
def test_generate(stub, grain: int, pieces: list[str]) -> None:
    pool = scripted_pool([], ["One two three four. Five six."])

    async def main(channel: grpc.aio.Channel, _: RunningServer) -> None:
        replies = [r async for r in stub(channel).Generate(pb.GenerateRequest(prompt="Count.", grain=grain))]
        assert [r.text for r in replies[:-1]] == pieces
        assert (replies[-1].end.reason, replies[-1].end.completion_tokens) == ("stop", 6)
        replies = [r async for r in stub(channel).Generate(pb.GenerateRequest(prompt="Go.", max_tokens=2))]
        assert ([r.text for r in replies[:-1]], replies[-1].end.reason) == (["One", " two"], "length")

    served(pool, main)


def test_speak_and_transcribe(stub) -> None:
    pool = scripted_pool(["What time is it?"], ["-"])

    async def main(channel: grpc.aio.Channel, _: RunningServer) -> None:
        parts = [p async for p in stub(channel).Speak(pb.SpeakRequest(text="Hello there. How are you?"))]
        assert {p.rate for p in parts} == {24_000}
        assert len(parts) >= 2
        seconds = sum(len(p.audio) for p in parts) / 48_000
        assert seconds == pytest.approx(25 * scripted.SECONDS_PER_CHARACTER, rel=0.1)
        data = serving.wav()
        chunks = [pb.TranscribeRequest(data=data[i : i + 10_000]) for i in range(0, len(data), 10_000)]
        assert (await stub(channel).Transcribe(iter(chunks))).text == "What time is it?"

    served(pool, main)


def test_who_cancels_or_is_late_stops_the_model_within_a_token(stub) -> None:
    pool = scripted_pool([], [STORY * 20], token=0.01)

    async def main(channel: grpc.aio.Channel, _: RunningServer) -> None:
        for _ in range(20):
            call = stub(channel).Generate(pb.GenerateRequest(prompt="Go."))
            for _ in range(3):
                await call.read()
            before = sum(pool.model.pulled())
            call.cancel()
            await freed(pool)
            assert sum(pool.model.pulled()) - before <= 4
        call = stub(channel).Generate(pb.GenerateRequest(prompt="Go."), timeout=0.3)
        with pytest.raises(grpc.aio.AioRpcError) as late:
            async for _ in call:
                pass
        assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        await freed(pool)
        assert max(pool.model.pulled()) < 200

    served(pool, main)


def test_who_vanishes_in_mid_reply_frees_the_seat(stub) -> None:
    pool = scripted_pool(["hello"], [STORY * 20], "server.sessions=1", token=0.01)

    async def main(_: grpc.aio.Channel, running: RunningServer) -> None:
        for _ in range(10):
            async with channel_to(running) as channel:
                talk = Talk(stub(channel))
                await talk.start()
                await talk.send(text="Go.")
                while talk.audio.get(1, 0.0) < 0.1:
                    await talk.read()
            await freed(pool)

    served(pool, main)


def test_beyond_its_slots_it_says_when_to_come_again(stub) -> None:
    pool = scripted_pool([], [STORY * 20], "server.sessions=1", token=0.01)

    async def main(channel: grpc.aio.Channel, running: RunningServer) -> None:
        inside = stub(channel).Generate(pb.GenerateRequest(prompt="Go."))
        await inside.read()
        refused = stub(channel).Generate(pb.GenerateRequest(prompt="Me too."))
        with pytest.raises(grpc.aio.AioRpcError, match="all 1 places are taken") as busy:
            await refused.read()
        assert busy.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert dict(busy.value.trailing_metadata())["grpc-retry-pushback-ms"] == "5000"
        health = health_pb2_grpc.HealthStub(channel)
        asked = health_pb2.HealthCheckRequest(service="backchat.v1.Backchat")
        assert (await health.Check(asked)).status == health_pb2.HealthCheckResponse.SERVING
        pool.close()
        await running.closing()
        assert (await health.Check(asked)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert (await inside.read()).text, "who is inside is let end"
        inside.cancel()

    served(pool, main)


def test_token(stub) -> None:
    token = "correct-horse-battery"
    pool = scripted_pool([], ["Yes."])

    async def main(channel: grpc.aio.Channel, _: RunningServer) -> None:
        ask = stub(channel).Generate
        for shown in (None, "Bearer wrong", token, f"Bearer {token} "):
            call = ask(pb.GenerateRequest(prompt="Hi"), metadata=[("authorization", shown)] if shown else [])
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call.read()
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
            assert token not in refused.value.details()
        reflected = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        )
        with pytest.raises(grpc.aio.AioRpcError):
            await reflected.read()
        call = ask(pb.GenerateRequest(prompt="Hi"), metadata=[("authorization", f"Bearer {token}")])
        assert (await call.read()).text == "Yes."
        asked = health_pb2.HealthCheckRequest()
        assert (await health_pb2_grpc.HealthStub(channel).Check(asked)).status == 1  # open to whoever asks

    served(pool, main, token)


@pytest.mark.parametrize("method", ["Converse", "Transcribe"])
def test_who_sends_as_fast_as_they_can_is_told_why_they_are_refused(stub, method: str) -> None:
    """`grpc.aio` tells INTERNAL instead, if the status comes while a message is under way."""
    pool = scripted_pool([], ["Yes."])
    converse = method == "Converse"

    async def main(channel: grpc.aio.Channel, _: RunningServer) -> None:
        async def messages() -> AsyncIterator:
            for _ in range(50):
                yield (
                    pb.ConverseRequest(audio=bytes(640))
                    if converse
                    else pb.TranscribeRequest(data=bytes(640))
                )

        for _ in range(5):
            call = getattr(stub(channel), method)(messages(), metadata=[("authorization", "Bearer wrong")])
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await (call.read() if converse else call)
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
            assert dict(refused.value.trailing_metadata())["error-code"] == "invalid_api_key"

    served(pool, main, "correct-horse-battery")


def test_reflection_describes_the_service() -> None:
    pool = scripted_pool([], ["-"])

    async def main(channel: grpc.aio.Channel, _: RunningServer) -> None:
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([asked]))
        services = {s.name for s in (await call.read()).list_services_response.service}
        assert {"backchat.v1.Backchat", "grpc.health.v1.Health"} <= services
        asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol="backchat.v1.Backchat")
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([asked]))
        (file, *_) = (await call.read()).file_descriptor_response.file_descriptor_proto
        assert b"Converse" in file

    served(pool, main)


@pytest.mark.parametrize(
    ("method", "request_", "says"),
    [
        ("Generate", pb.GenerateRequest(), "prompt"),
        ("Generate", pb.GenerateRequest(prompt="x", grain=7), "grain"),
        ("Generate", pb.GenerateRequest(prompt="x", temperature=9), "temperature"),
        ("Speak", pb.SpeakRequest(text=" "), "text"),
        ("Speak", pb.SpeakRequest(text="x", voice="../../etc/passwd"), "no voice"),
        ("Transcribe", pb.TranscribeRequest(data=b"no sound at all"), "the sound"),
        ("Converse", pb.ConverseRequest(settings=pb.Settings(rate=3)), "settings.rate"),
        ("Converse", pb.ConverseRequest(audio=b"odd"), "odd number of bytes"),
        ("Converse", pb.ConverseRequest(truncate=pb.Truncate(turn=9, seconds=2)), "0.00 s were sent"),
        ("Converse", pb.ConverseRequest(), "a message without"),
    ],
)
def test_wrong_wishes_are_refused_by_name(stub, method: str, request_, says: str) -> None:
    pool = scripted_pool(["x"], ["-"])

    async def main(channel: grpc.aio.Channel, _: RunningServer) -> None:
        streams = method in ("Converse", "Transcribe")
        call = getattr(stub(channel), method)(iter([request_]) if streams else request_)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await (call if method == "Transcribe" else whole(call))
        assert says in refused.value.details()
        expected = grpc.StatusCode.NOT_FOUND if says == "no voice" else grpc.StatusCode.INVALID_ARGUMENT
        assert refused.value.code() == expected

    served(pool, main)


def test_garbage_and_huge_messages_do_not_hurt_others(stub) -> None:
    pool = scripted_pool(["x"], ["Yes."], "server.message=100000", "server.body=200000")

    async def main(channel: grpc.aio.Channel, _: RunningServer) -> None:
        ask = stub(channel)
        whole_one = pb.ConverseRequest(settings=pb.Settings(system="x" * 50, rate=16_000)).SerializeToString()
        luck = random.Random(5)
        junk = [luck.randbytes(luck.randrange(1, 60)) for _ in range(30)]
        for method in ("Converse", "Generate", "Speak", "Transcribe"):
            raw = channel.stream_stream(f"/backchat.v1.Backchat/{method}")
            for message in (*junk, whole_one[:-7], b""):
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await whole(raw(iter([message])))
            with pytest.raises(grpc.aio.AioRpcError):
                await whole(raw(iter([b"\xff" * 40])))
        await freed(pool)
        with pytest.raises(grpc.aio.AioRpcError) as large:
            await ask.Speak(pb.SpeakRequest(text="x" * 200_000)).read()
        assert large.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        with pytest.raises(grpc.aio.AioRpcError) as large:
            await ask.Transcribe(iter([pb.TranscribeRequest(data=bytes(90_000))] * 3))
        assert large.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await ask.Generate(pb.GenerateRequest(prompt="Still there?")).read()).text == "Yes."

    served(pool, main)


def test_who_says_nothing_or_reads_nothing_is_cut(stub) -> None:
    limits = ("server.client_timeout=0.5", "server.first_event=0.5", "server.max_buffer=1", "server.idle=0.5")
    pool = scripted_pool(["x"], [STORY * 40], *limits)

    async def main(channel: grpc.aio.Channel, _: RunningServer) -> None:
        silent = stub(channel).Converse()
        with pytest.raises(grpc.aio.AioRpcError) as cut:
            await silent.read()
        assert cut.value.code() == grpc.StatusCode.ABORTED
        idle = Talk(stub(channel))
        await idle.start()
        with pytest.raises(grpc.aio.AioRpcError, match="nothing was said"):
            await idle.rest()
        deaf = Talk(stub(channel))
        await deaf.start()
        await deaf.send(text="Go.")
        await freed(pool)

    served(pool, main)


def test_a_failing_engine_is_an_internal_error(stub) -> None:
    pool = scripted_pool(["x"], ["One two three."])
    for one in pool.model.each:
        one.fail_at = {0: 1}

    async def main(channel: grpc.aio.Channel, _: RunningServer) -> None:
        call = stub(channel).Generate(pb.GenerateRequest(prompt="Go."))
        assert (await call.read()).text == "One"
        with pytest.raises(grpc.aio.AioRpcError, match="the language model failed") as failed:
            await call.read()
        assert failed.value.code() == grpc.StatusCode.INTERNAL

    served(pool, main)


def test_tls(stub, tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-keyout", key, "-out", certificate, "-subj", "/CN=localhost"]
    subprocess.run([*command, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    pool = scripted_pool([], ["Yes."])

    async def inside() -> None:
        async with running_server(pool, None, Metrics(pool), certificate, key) as running:
            port = running.address.rpartition(":")[2]
            trusted = grpc.ssl_channel_credentials(certificate.read_bytes())
            async with grpc.aio.secure_channel(f"localhost:{port}", trusted) as channel:
                reply = await stub(channel).Generate(pb.GenerateRequest(prompt="Hi"), timeout=10).read()
            assert reply.text == "Yes."
            async with channel_to(running) as plain:
                with pytest.raises(grpc.aio.AioRpcError):
                    await stub(plain).Generate(pb.GenerateRequest(prompt="Hi"), timeout=10).read()

    anyio.run(inside, backend="asyncio")


def test_a_port_that_is_taken_is_said_clearly() -> None:
    async def inside() -> None:
        pool = scripted_pool([], ["-"])
        async with running_server(pool, None, Metrics(pool)) as running:
            port = running.address.rpartition(":")[2]
            other = serving.pool([], ["-"], f"server.grpc_port={port}")
            with pytest.raises(ConfigError, match="take another --grpc-port"):
                async with running_server(other, None, Metrics(other)):
                    pass

    anyio.run(inside, backend="asyncio")


def test_the_generated_code_is_current(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts" / "proto", tmp_path], check=True)
    folder = "agent/server/grpc"
    for name in ("backchat_pb2.py", "backchat_pb2.pyi"):
        made, kept = tmp_path / folder / name, ROOT / folder / name
        assert made.read_text() == kept.read_text(), "run scripts/proto"


def test_the_server_runs_it_beside_http() -> None:
    opened: list[str] = []
    pool = scripted_pool([], ["Yes."])

    async def inside() -> None:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run_server, pool, None, None, None, opened.extend)
                await until(lambda: len(opened) == 2)
                assert [address.partition(":")[0] for address in opened] == ["http", "grpc"]
                async with grpc.aio.insecure_channel(opened[1].removeprefix("grpc://")) as channel:
                    await channel.channel_ready()
                async with httpx.AsyncClient(base_url=opened[0]) as client:
                    assert (await client.get("/readyz")).json() == {"status": "ready"}
                tasks.cancel_scope.cancel()

    anyio.run(inside, backend="asyncio")


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = pb.Tool(name="weather", description="The weather.", parameters=json.dumps(CITY))
TIME = pb.Tool(name="time")


def test_a_call_its_output_and_the_answer(stub) -> None:
    pool = scripted_pool(
        [""], [["Let me look.", calls("weather", city="Ely")], "It rains."], "server.sessions=1"
    )

    async def main(channel, running) -> None:
        talk = Talk(stub(channel), tools=[WEATHER, TIME], text_only=True)
        await talk.start()
        await talk.send(text="Rain in Ely?")
        await talk.until("tool_called")
        await talk.read()
        (told,) = talk.calls
        assert (told.name, json.loads(told.arguments)) == ("weather", {"city": "Ely"})
        await talk.send(tool_output=pb.ToolOutput(call=told.call, output="rain"))
        await talk.send(respond=pb.Respond())
        assert (await talk.until("turn_ended")).fields["heard"] == "Let me look."
        assert (await talk.until("turn_ended")).fields["heard"] == "It rains."
        await talk.call.done_writing()

    served(pool, main)
    said = [(m.role, m.content, [c.name for c in m.calls]) for m in pool.model.each[0].asked[1]]
    assert said[1:] == [
        ("user", "Rain in Ely?", []),
        ("assistant", "Let me look.", ["weather"]),
        ("tool", "rain", []),
    ]
    assert [tool.name for tool in pool.model.each[0].tools] == ["weather", "time"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tools": [pb.Tool(name="no blanks")]}, "no tool"),
        ({"tools": [pb.Tool(name="x", parameters="{")]}, "no tool"),
        ({"tools": [pb.Tool(name="x", parameters='{"type": "array"}')]}, "no tool"),
        ({"tools": [pb.Tool(name="x", parameters='{"required": "a"}')]}, "parameters: no JSON schema"),
        ({"tools": [TIME, TIME]}, "two are called"),
        ({"tools": [TIME], "tool_choice": "x"}, "no tool 'x'"),
        ({"tool_choice": "required"}, "asks for tools"),
    ],
)
def test_what_cannot_be_is_refused(stub, settings: dict, words: str) -> None:
    async def main(channel, running) -> None:
        talk = Talk(stub(channel), **settings)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await talk.start()
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert words in (refused.value.details() or "")

    served(scripted_pool([""], ["Well."]), main)


def test_an_output_that_nobody_waits_for_is_refused(stub) -> None:
    async def main(channel, running) -> None:
        talk = Talk(stub(channel), tools=[TIME])
        await talk.start()
        await talk.send(tool_output=pb.ToolOutput(call="nobody", output="x"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await talk.rest()
        assert "no call that waits" in (refused.value.details() or "")

    served(scripted_pool([""], ["Well."]), main)
