"""One scripted conversation over every wire: the same is said, called and heard.

The engines go by what they hear and are asked, not by how often: so nothing but the wire can differ. What is
called is run by the client where its wire can carry that, and by the server where it cannot.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import grpc
import httpx
import numpy as np
import pytest
import serving
import telephone
import webrtc_client
from websockets.asyncio.client import connect
from wyoming.audio import AudioChunk
from wyoming.client import AsyncTcpClient

import satellite
import scripted
from agent import events as ev
from agent import testing
from agent.config import load
from agent.messages import Message
from agent.protocols import Delta, Engines
from agent.server.admission.exposure import host_and_port
from agent.server.grpc import backchat_pb2 as pb
from agent.server.pool import Pool
from agent.server.telemetry.metrics import Metrics
from agent.simulation import virtual as simulate
from agent.tools.tool import tool
from agent.transports.remote import RemoteSession, Sound
from audio.encode import Encoder
from audio.frame import Frame
from audio.g711 import MU_LAW
from audio.pcm import from_pcm16, pcm16
from audio.resampler import PromptResampler
from audio.stt import Transcript

pytestmark = pytest.mark.net

RATE = 24_000
BLOCK = 960  # bytes of 20 ms
STORY = (
    "Once upon a time there was a lighthouse keeper. He lived alone on a rock in the sea. "
    "Every night he lit the lamp. One night the lamp went out. Then a ship came close."
)
QUESTIONS = {400: "What is that?", 800: "Tell me a story.", 1200: "Wait, what time is it now?"}
"""What a tone of so many Hz means."""
BACKCHANNEL = 1600
"""The tone of an "uh-huh", which is no turn."""
HEARD = {**QUESTIONS, BACKCHANNEL: "Uh-huh."}
ANSWERS = dict(zip(QUESTIONS.values(), ["A bell.", STORY, "Let me look. It is noon."], strict=True))
CALLS = {"Wait, what time is it now?": "Let me look."}
"""Questions for which the clock is called, and what is said before that."""
CLOCK = "clock"
TIME = "noon"
"""What it says."""
FUNCTION = {"type": "function", "name": CLOCK, "description": "The time."}
NODDED = 1.0
"""The same after which they say "uh-huh"."""
OVER = 3.0
"""Seconds of the story's sound after which the user speaks over it."""
REASONS = {"completed": "finished", "cancelled": "interrupted"}
"""How a reply ended, in the Realtime protocol's words and in ours."""
EXPECTED = [(text, "interrupted" if answer is STORY else "finished") for text, answer in ANSWERS.items()]


class Ears:
    """Knows each question by its tone, however often it is asked for it."""

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        strength = np.abs(np.fft.rfft(audio.samples))
        if strength.max() < 1.0:
            return Transcript("")
        heard = float(strength.argmax()) * audio.rate / len(audio.samples)
        return Transcript(HEARD[min(HEARD, key=lambda tone: abs(tone - heard))])


@tool(effect="reads", name=CLOCK)
def clock() -> str:
    """The time."""
    return TIME


def read(message: Message) -> tuple[str, str]:
    """Who said what; and what was called behind that."""
    return message.role, " ".join([message.content, *(f"[{each.name}]" for each in message.calls)])


@dataclass
class Mind:
    """Answers by the question, and by what was called; keeps what it was asked."""

    asked: list[list[tuple[str, str]]] = field(default_factory=list)

    def with_tools(self, tools, *, required=False):
        return self

    def stream(self, messages):
        self.asked.append([read(m) for m in messages if m.role != "system"])
        last = messages[-1]
        answer = f"It is {last.content}." if last.role == "tool" else ANSWERS[last.content]
        yield from re.findall(r"\s*\S+", CALLS.get(last.content, answer))
        if last.content in CALLS:
            yield Delta(call=testing.call(CLOCK))

    def prefill(self, messages) -> None:
        pass


@dataclass
class Said:
    """One exchange, as the client knows it; wait: seconds from the question's end to the answer's sound.

    calls: what its answer waits for, where the client runs it.
    """

    question: str = ""
    calls: int = 0
    reason: str = ""
    heard: str = ""
    text: str = ""
    sound: float = 0.0
    wait: float = 0.0


def tone(hertz: int, seconds: float = 1.0) -> bytes:
    t = np.arange(round(seconds * RATE)) / RATE
    return pcm16((0.4 * np.sin(2 * np.pi * hertz * t)).astype(np.float32))


class User:
    """Asks, listens to the end, asks for the story, says "uh-huh" over it and then more: the same on every
    wire that has sound.
    """

    def __init__(self) -> None:
        self.replies: list[Said] = []
        self.question = ""
        self.loud = 0.0

    async def speak(self, send: Callable[[bytes], Coroutine[Any, Any, None]]) -> None:
        """Until the third reply has ended."""
        quiet = bytes(BLOCK)
        await send(quiet)  # the first takes as long as the connection does
        due = anyio.current_time()

        async def say(sound: bytes) -> None:
            nonlocal due
            for start in range(0, len(sound), BLOCK):
                await send(sound[start : start + BLOCK])
                due += 0.02
                await anyio.sleep_until(due)

        first, second, third = QUESTIONS
        for hertz, ready, seconds in (
            (first, self.at_once, 1.0),
            (second, self.first_done, 1.0),
            (BACKCHANNEL, self.in_the_story, 0.4),
            (third, self.into_the_story, 1.0),
        ):
            while not ready():
                await say(quiet)
            await say(tone(hertz, seconds))
            self.loud = time.monotonic()
        while not self.all_done():
            await say(quiet)

    def at_once(self) -> bool:
        return True

    def first_done(self) -> bool:
        return bool(self.replies and self.replies[0].reason)

    def in_the_story(self) -> bool:
        return len(self.replies) > 1 and self.replies[1].sound >= NODDED

    def into_the_story(self) -> bool:
        return len(self.replies) > 1 and self.replies[1].sound >= OVER

    def all_done(self) -> bool:
        return len(self.replies) > 2 and bool(self.replies[2].reason)

    def told(self, name: str, fields: dict[str, Any]) -> None:
        """One event of ours."""
        if name == "turn_committed":
            self.answered(fields["text"])
        elif name == "turn_ended":
            self.ended(fields["reason"], fields["heard"])

    def answered(self, question: str) -> None:
        """A reply begins; or goes on, with what the client has made of a call in it."""
        if self.replies and self.replies[-1].calls:
            self.replies[-1].calls -= 1
        else:
            self.replies.append(Said(question))

    def ended(self, reason: str, heard: str) -> None:
        reply = self.replies[-1]
        reply.heard = " ".join(filter(None, (reply.heard, heard)))
        reply.reason = "" if reply.calls else reason

    def sounded(self, samples: np.ndarray) -> None:
        reply = self.replies[-1]
        if not reply.sound:
            reply.wait = time.monotonic() - self.loud
        reply.sound += len(samples) / RATE


async def by_line(pool: Pool, address: str) -> list[Said]:
    """In process, on the real clock."""
    user = User()
    async with pool.slot() as slot:
        line = RemoteSession(slot, pool.config)

        async def send(data: bytes) -> None:
            await line.push_audio(from_pcm16(data), RATE)

        async def ask() -> None:
            await user.speak(send)
            line.hang_up()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(line.run)
            tasks.start_soon(ask)
            async for item in line.items():
                if isinstance(item, Sound):
                    user.sounded(item.samples)
                else:
                    fields = ev.as_dict(item)
                    user.told(fields.pop("event"), fields)
    return user.replies


async def by_grpc(pool: Pool, address: str) -> list[Said]:
    user = User()
    async with grpc.aio.insecure_channel(address) as channel:
        method = channel.stream_stream(
            "/backchat.v1.Backchat/Converse",
            request_serializer=pb.ConverseRequest.SerializeToString,
            response_deserializer=pb.ConverseReply.FromString,
        )
        call = method()
        declared = pb.Tool(name=CLOCK, description="The time.")
        await call.write(pb.ConverseRequest(settings=pb.Settings(tools=[declared])))

        async def send(data: bytes) -> None:
            await call.write(pb.ConverseRequest(audio=data))

        async def run(called: pb.ToolCall) -> None:
            assert called.name == CLOCK
            user.replies[-1].calls += 1
            output = pb.ToolOutput(call=called.call, output=TIME)
            await call.write(pb.ConverseRequest(tool_output=output))
            await call.write(pb.ConverseRequest(respond=pb.Respond()))

        async def ask() -> None:
            await user.speak(send)
            await call.done_writing()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            async for reply in call:
                match reply.WhichOneof("what"):
                    case "sound":
                        user.sounded(from_pcm16(reply.sound.audio))
                    case "call":
                        await run(reply.call)
                    case _:
                        user.told(reply.event.name, dict(reply.event.fields))
    return user.replies


async def by_realtime(pool: Pool, address: str) -> list[Said]:
    """The stock OpenAI client; the protocol's own words for what our events say."""
    user = User()
    async with serving.stock(address) as client:
        async with client.realtime.connect(model="backchat") as connection:
            await connection.session.update(session={"type": "realtime", "tools": [FUNCTION]})

            async def send(data: bytes) -> None:
                await connection.input_audio_buffer.append(audio=base64.b64encode(data).decode())

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(user.speak, send)
                while not user.all_done():
                    event = await connection.recv()
                    for wanted in understood(user, event.model_dump()):
                        await connection.send(wanted)
                    if event.type == "response.output_audio.delta":
                        user.sounded(from_pcm16(base64.b64decode(event.delta)))
        return user.replies


async def by_twilio(pool: Pool, address: str) -> list[Said]:
    """A telephone, which knows nothing but sound: what was said and heard is what the server tells."""
    user, resampler = User(), PromptResampler(RATE, telephone.RATE)
    async with watched(user), connect(f"ws{address.removeprefix('http')}/v1/twilio") as socket:
        call = telephone.Twilio(socket)
        await call.begin()

        async def send(data: bytes) -> None:
            await call.sound(MU_LAW.encode(resampler.feed(from_pcm16(data))))

        async def listen() -> None:
            known = 0
            while True:
                for message in call.of("media")[known:]:
                    known += 1
                    sound = MU_LAW.decode(base64.b64decode(message["media"]["payload"]))
                    user.sounded(np.repeat(sound, RATE // telephone.RATE))
                await anyio.sleep(0.005)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.read)
            tasks.start_soon(listen)
            await user.speak(send)
            tasks.cancel_scope.cancel()
    return user.replies


async def by_wyoming(pool: Pool, address: str) -> list[Said]:
    """A satellite, which knows as little as a telephone; its sound goes as it comes."""
    user, resampler = User(), PromptResampler(RATE, satellite.RATE)
    async with watched(user), AsyncTcpClient(*host_and_port(address)) as client:
        side = satellite.Satellite(client)
        await side.begin()

        async def send(data: bytes) -> None:
            sound = pcm16(resampler.feed(from_pcm16(data)))
            await client.write_event(AudioChunk(satellite.RATE, 2, 1, sound).event())

        async def listen() -> None:
            known = 0
            while True:
                for event in side.told[known:]:
                    known += 1
                    if event.type == "audio-chunk":
                        user.sounded(from_pcm16(event.payload or b""))
                await anyio.sleep(0.005)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(side.read)
            tasks.start_soon(listen)
            await user.speak(send)
            tasks.cancel_scope.cancel()
    return user.replies


@asynccontextmanager
async def watched(user: User) -> AsyncIterator[None]:
    """`user` is told what every session of the server tells its watchers."""
    before = Metrics.watchers

    def watch(event: ev.Event) -> None:
        fields = ev.as_dict(event)
        user.told(fields.pop("event"), fields)

    Metrics.watchers = lambda self: [*before(self), watch]
    try:
        yield
    finally:
        Metrics.watchers = before


async def by_webrtc(pool: Pool, address: str) -> list[Said]:
    """aiortc; the same words for our events as on the WebSocket, the sound on tracks."""
    user, resampler = User(), PromptResampler(RATE, webrtc_client.RATE)
    client = webrtc_client.Client()
    async with httpx.AsyncClient(base_url=address) as http:
        offer, kind = await client.offer(), {"content-type": "application/sdp"}
        await client.accept((await http.post("/v1/realtime/calls", content=offer, headers=kind)).text)
    await client.until("session.created")
    client.send("session.update", session={"type": "realtime", "tools": [FUNCTION]})

    async def send(data: bytes) -> None:
        client.microphone.say(resampler.feed(from_pcm16(data)))

    async def listen() -> None:
        told = heard = 0
        while True:
            for event in client.told[told:]:
                told += 1
                for wanted in understood(user, event):
                    client.send(wanted.pop("type"), **wanted)
            for block in client.heard[heard:]:
                heard += 1
                if user.replies and np.abs(block).max() > 0.05:
                    user.sounded(block[:: webrtc_client.RATE // RATE])
            await anyio.sleep(0.005)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await user.speak(send)
        tasks.cancel_scope.cancel()
    await client.connection.close()
    return user.replies


def understood(user: User, event: dict[str, Any]) -> list[dict[str, Any]]:
    """One event of the Realtime protocol but its sound, and what the client says to it."""
    assert event["type"] != "error", event
    match event["type"]:
        case "response.created":
            user.answered(user.question)
        case "conversation.item.input_audio_transcription.completed":
            user.question = event["transcript"]
        case "response.function_call_arguments.done":
            user.replies[-1].calls += 1
            output = {"type": "function_call_output", "call_id": event["call_id"], "output": TIME}
            return [{"type": "conversation.item.create", "item": output}, {"type": "response.create"}]
        case "response.done":
            item, *_ = event["response"]["output"]
            user.ended(REASONS[event["response"]["status"]], item["content"][0]["transcript"])
        case _:
            pass
    return []


async def parts(response: httpx.Response) -> AsyncIterator[tuple[str, bytes]]:
    """Media type and content of each part of a multipart answer, as they come."""
    waiting = b""
    async for data in response.aiter_bytes():
        waiting += data
        while match := re.match(rb"--\S+\r\nContent-Type: (\S+)\r\nContent-Length: (\d+)\r\n\r\n", waiting):
            end = match.end() + int(match[2])
            if len(waiting) < end + 2:
                break
            yield match[1].decode(), waiting[match.end() : end]
            waiting = waiting[end + 2 :]


async def by_http(pool: Pool, address: str) -> list[Said]:
    """One request a question, as HTTP has no conversation; to interrupt is to go.

    What was heard of the story the client knows from the words that it was told to have sounded.
    """
    found: list[Said] = []
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        for hertz, question in QUESTIONS.items():
            said = Said()
            found.append(said)
            encoder = Encoder("wav", RATE)
            body = encoder.feed(from_pcm16(tone(hertz))) + encoder.finish()
            began = time.monotonic()
            async with client.stream("POST", "/converse", content=body) as response:
                async for media, content in parts(response):
                    if not media.startswith("application/json"):
                        said.wait = said.wait or time.monotonic() - began
                        said.sound += len(content) / 2 / RATE
                        if ANSWERS[question] is STORY and said.sound >= OVER:
                            said.reason = "interrupted"
                            break
                        continue
                    event = json.loads(content)
                    match event["event"]:
                        case "question":
                            said.question = event["text"]
                        case "token":
                            said.text += event["text"]
                        case "word_heard":
                            said.heard = said.text[: event["end"]]
                        case "turn_ended":
                            said.reason, said.heard = event["reason"], event["heard"]
            with anyio.fail_after(10):
                while not pool.idle:
                    await anyio.sleep(0.01)
    return found


def engines(mind: Mind, voice: scripted.ScriptedTTS, *, runs: bool) -> Engines:
    """runs: whether the clock is the server's own tool."""
    return scripted.with_loudness(Ears(), mind, voice, tools=(clock,) if runs else ())


def talked(name: str) -> tuple[list[Said], Mind]:
    """Hold the conversation over a wire; a deadlock fails, and so does a slot that is not given back."""
    mind, found, wire = Mind(), list[Said](), WIRES[name]
    more = OWN_PORT.get(name, ())
    config = load(None, [*serving.SETTINGS, "server.port=0", "server.sessions=1", *more])
    pool = Pool(config, [engines(mind, scripted.Humming(), runs=name not in CLIENT_RUNS)])

    async def inside() -> None:
        with anyio.fail_after(60):
            async with serving.both(pool) as addresses:  # a port of its own stands behind that of HTTP
                found.extend(await wire(pool, addresses[-1]))
                while not pool.idle:
                    await anyio.sleep(0.01)

    anyio.run(inside, backend="asyncio")
    return found, mind


def rehearsed(folder: Path) -> list[Said]:
    """The same in process on the virtual clock: what the wires are held against."""
    found: list[Said] = []

    def watch(event: ev.Event) -> None:
        match event:
            case ev.TurnCommitted():
                found.append(Said(event.text))
            case ev.TurnEnded():
                found[-1].reason, found[-1].heard = event.reason, event.heard

    sounds = [Frame(from_pcm16(tone(hertz)), RATE).at_rate(16_000) for hertz in QUESTIONS]
    lines = [
        simulate.Line(sounds[0], "at", 0.5),
        simulate.Line(sounds[1], "after", 0.6),
        simulate.Line(sounds[2], "over", OVER),
    ]
    config = load(None, [*serving.SETTINGS, "costs.mode=declared"])
    made = engines(Mind(), scripted.ScriptedTTS(), runs=True)
    simulate.converse(made, config, lines, folder / "talk.wav", watchers=[watch])
    return found


WIRES = {
    "line": by_line,
    "grpc": by_grpc,
    "realtime": by_realtime,
    "twilio": by_twilio,
    "webrtc": by_webrtc,
    "http": by_http,
    "wyoming": by_wyoming,
}
OWN_PORT = {
    "grpc": ("server.grpc_port=0",),
    "wyoming": ("server.wyoming=tcp://127.0.0.1:0", "echo.cancel=false"),  # no canceller knows this voice
}
"""What opens the port of wires that do not go by that of HTTP."""
CLIENT_RUNS = {"grpc", "realtime", "webrtc"}
"""Wires whose client runs the tool itself."""
WORDS = {"http": 3}
"""Words by which what was heard of the story may differ: the client's `OVER` is counted from what it was
sent, up to `server.lead` before it sounds. Over HTTP the user goes at once and need not be understood."""


@pytest.mark.parametrize("name", WIRES)
def test_the_same_is_said_and_heard_on_every_wire(
    name: str, tmp_path: Path, record_property: Callable
) -> None:
    expected = rehearsed(tmp_path)
    assert [(said.question, said.reason) for said in expected] == EXPECTED
    found, mind = talked(name)
    record_property("waits", [round(said.wait, 3) for said in found])
    print(name, [(round(said.wait, 3), said.heard) for said in found], expected[1].heard)
    assert [(said.question, said.reason) for said in found] == EXPECTED
    assert [found[0].heard, found[2].heard] == ["A bell.", "Let me look. It is noon."]
    assert [said.heard for said in expected[::2]] == ["A bell.", "Let me look. It is noon."]
    here, there = found[1].heard.strip(), expected[1].heard.strip()
    assert here
    assert STORY.startswith(here)
    assert abs(len(here.split()) - len(there.split())) <= WORDS.get(name, 2)
    before = [  # where there is one conversation, the model is told what was heard, and no more
        ("user", "What is that?"),
        ("assistant", "A bell."),
        ("user", "Tell me a story."),
        ("assistant", here),
    ]
    assert mind.asked[-1] == [
        *(before if name != "http" else []),
        ("user", "Wait, what time is it now?"),
        ("assistant", f"Let me look. [{CLOCK}]"),
        ("tool", TIME),
    ]
