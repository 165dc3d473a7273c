"""Clients that do what a server must bear: each kind sends something harmless that costs, or holds on to it.

All that they send is made here. As a program it lets a crowd of them loose on a server, below the priority of
everything else, and prints what they were told.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import functools
import io
import json
import os
import struct
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import grpc
import numpy as np
import soundfile
from PIL import Image
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from agent.server.grpc import backchat_pb2 as pb

VISIT = 25.0
"""Seconds after which a client leaves by itself: a little more than `server.client_timeout`."""
READ = 65_536
HOUR = 3600
LONG = 4 * HOUR
"""Seconds of sound that are too many: 0.4 MB of FLAC."""
Told = str
"""What a client was told in the end: an HTTP status and its code, a close code, "cut" or "left"."""
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Target:
    """The server, and where on this machine a client comes from.

    token: the right one; a guest who misbehaves has it too. source: an address of this machine, or "" where
    it has only one for itself.
    """

    port: int
    grpc: str
    token: str
    source: str = ""
    random: Random = field(default_factory=Random)

    @property
    def local(self) -> tuple[str, int] | None:
        """What its connections are bound to."""
        return (self.source, 0) if self.source else None

    def head(self, method: str, path: str, **headers: str) -> bytes:
        """A request's head, with the token unless another is given; an empty one is left out."""
        given = {"host": f"127.0.0.1:{self.port}", "authorization": f"Bearer {self.token}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items() if value)]
        return "\r\n".join([*lines, "", ""]).encode()


# ------------------------------------------------------------------------------------------- what they send


@functools.cache
def flac(seconds: int, rate: int = 8000, lying: bool = False) -> bytes:
    """Silence. lying: its header doesn't say how long it is."""
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", rate, 1, "PCM_16", format="FLAC") as file:
        for _ in range(seconds // 60):
            file.write(np.zeros(rate * 60, np.int16))
    data = bytearray(out.getvalue())
    if lying:  # the 36 bits of STREAMINFO that count the samples; 0 is "not known"
        data[21] &= 0xF0
        data[22:26] = bytes(4)
    return bytes(data)


@functools.cache
def wav(claimed: int) -> bytes:
    """A second of silence in a file that claims `claimed` bytes of it."""
    form = struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    return (
        b"RIFF" + struct.pack("<I", claimed) + b"WAVEfmt " + form
        + b"data" + struct.pack("<I", claimed) + bytes(32_000)
    )  # fmt: skip


@functools.cache
def png(side: int) -> str:
    """A picture of one colour, as a data URL."""
    out = io.BytesIO()
    Image.new("RGB", (side, side), (200, 30, 30)).save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def form(data: bytes, name: str = "a.flac") -> tuple[bytes, str]:
    """A form with one file, and its media type."""
    head = f'--X\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n--X--\r\n", "multipart/form-data; boundary=X"


def item(content: list[dict[str, Any]]) -> dict[str, Any]:
    """A Realtime event that adds what a user says or shows."""
    return {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": content},
    }


def texts(characters: int) -> dict[str, Any]:
    """The same with so many characters of text."""
    return item([{"type": "input_text", "text": "word " * (characters // 5)}])


# ------------------------------------------------------------------------------------------- how they send it


@contextlib.asynccontextmanager
async def opened(to: Target) -> AsyncIterator[Stream]:
    """A connection, which ends with a reset: what is left unread or unsent is given up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", to.port, local_addr=to.local)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def told(reader: asyncio.StreamReader) -> Told:
    """The status of an answer and the code of its error; "cut" where there is none."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin1").split("\r\n")
    status = lines[0].split()[1]
    lengths = [line.partition(":")[2] for line in lines if line.lower().startswith("content-length:")]
    if status == "200":
        while await reader.read(READ):  # `connection: close` is what they ask for
            pass
        return status
    body = await reader.readexactly(int(lengths[0])) if lengths else b""
    code = json.loads(body)["error"]["code"] if body else ""
    return f"{status} {code}".strip()


async def asked(to: Target, path: str, body: bytes, media: str = "application/json", **headers: str) -> Told:
    """Send a whole request, and read its answer while it is sent."""
    head = to.head(
        "POST", path, content_type=media, content_length=str(len(body)), connection="close", **headers
    )
    async with opened(to) as (reader, writer):
        writer.write(head + body)
        return await told(reader)


async def trickled(stream: Stream, piece: bytes, pause: float = 0.5) -> Told:
    """Send a piece again and again, until the server has enough of it."""
    reader, writer = stream
    answer = asyncio.ensure_future(told(reader))
    try:
        while not answer.done():
            writer.write(piece)
            await asyncio.wait([answer], timeout=pause)
        return await answer
    finally:
        answer.cancel()


@contextlib.asynccontextmanager
async def talking(to: Target, **options: Any) -> AsyncIterator[ClientConnection]:
    """A Realtime WebSocket, which ends with a reset."""
    socket = await connect(
        f"ws://127.0.0.1:{to.port}/v1/realtime",
        additional_headers={"authorization": f"Bearer {to.token}"},
        local_addr=to.local,
        max_size=None,
        compression=None,
        **options,
    )
    try:
        yield socket
    finally:
        socket.transport.abort()


async def answers(socket: ClientConnection, events: list[dict[str, Any]]) -> Told:
    """Send events, each once the one before was answered; the last error's code, or "taken"."""
    last = "taken"
    await socket.recv()  # session.created
    for event in events:
        await socket.send(json.dumps(event))
        answer = json.loads(await socket.recv())
        if answer["type"] == "error":
            last = str(answer["error"]["code"])
    return last


async def called(
    to: Target, method: str, *requests: Any, token: str | None = None, open_end: bool = False
) -> Told:
    """One gRPC call; the name of its status, with our own code. open_end: its requests never end."""
    kinds = {
        "Converse": (pb.ConverseRequest, pb.ConverseReply),
        "Generate": (pb.GenerateRequest, pb.GenerateReply),
        "Speak": (pb.SpeakRequest, pb.Speech),
        "Transcribe": (pb.TranscribeRequest, pb.TranscribeReply),
    }
    request, reply = kinds[method]
    options = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own
    async with grpc.aio.insecure_channel(to.grpc, options) as channel:
        call = channel.stream_stream(
            f"/backchat.v1.Backchat/{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=reply.FromString,
        )(metadata=[("authorization", f"Bearer {to.token if token is None else token}")])
        try:
            for each in requests:
                await call.write(each)
            if not open_end:
                await call.done_writing()
            while await call.read() is not grpc.aio.EOF:
                pass
            return "OK"
        except grpc.aio.AioRpcError as error:
            codes = [value for key, value in error.trailing_metadata() or () if key == "error-code"]
            return f"{error.code().name} {codes[0] if codes else ''}".strip()
        except asyncio.InvalidStateError:  # a write after the end
            return (await call.code()).name


# ---------------------------------------------------------------------------------------------------- kinds


async def long_sound(to: Target) -> Told:
    """Hours of silence in a small FLAC, or just less than the limit of it."""
    data = flac(to.random.choice((LONG, HOUR - 60)))
    if to.random.random() < 0.5:
        return await asked(to, "/converse", data, "audio/flac")
    body, media = form(data)
    return await asked(to, "/v1/audio/transcriptions", body, media)


async def lying_header(to: Target) -> Told:
    """Sound whose header says nothing of its length, or something that is not so."""
    data = to.random.choice((flac(2 * HOUR, lying=True), wav(0xFFFFFFFF), wav(0), wav(2_000_000_000)))
    body, media = form(data)
    return await asked(to, "/v1/audio/transcriptions", body, media)


async def large_picture(to: Target) -> Told:
    """Pictures of one colour, up to the limit of pixels and beyond it."""
    url = png(to.random.choice((7700, 4900)))
    if to.random.random() < 0.5:
        async with talking(to) as socket:
            return await answers(socket, [item([{"type": "input_image", "image_url": url}])] * 4)
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is it?"}]
    chat = {"model": "backchat", "max_tokens": 4, "messages": [{"role": "user", "content": content}]}
    return await asked(to, "/v1/chat/completions", json.dumps(chat).encode())


async def no_token(to: Target) -> Told:
    """Requests without the token or with a wrong one, on every wire."""
    wrong = to.random.choice(("", "Bearer wrong", "Basic d3Jvbmc6d3Jvbmc=", "Bearer é"))
    if to.random.random() < 0.2:
        return await called(to, "Generate", pb.GenerateRequest(prompt="Hi."), token="wrong")
    last = ""
    for _ in range(20):
        last = await asked(to, "/v1/models", b"", authorization=wrong)
    return last


async def cross_site(to: Target) -> Told:
    """Pictures and scripts of a page elsewhere that ask this server, and WebSockets that it opens."""
    marks = to.random.choice(({"sec_fetch_site": "cross-site"}, {"origin": "https://elsewhere.example"}))
    last = ""
    for _ in range(20):
        async with opened(to) as (reader, writer):
            path = to.random.choice(("/v1/models", "/metrics", "/v1/realtime"))
            writer.write(to.head("GET", path, connection="close", **marks))
            last = await told(reader)
    return last


async def slow_body(to: Target) -> Told:
    """A large body of which half a second brings a byte, or a good part of it in one go."""
    async with opened(to) as stream:
        path = to.random.choice(("/converse", "/v1/audio/transcriptions", "/generate"))
        stream[1].write(to.head("POST", path, content_length="23000000"))
        return await trickled(stream, bytes(to.random.choice((1, 1_000_000))))


async def slow_head(to: Target) -> Told:
    """A head that does not come to its end."""
    async with opened(to) as stream:
        stream[1].write(b"GET / HTTP/1.1\r\nx-slow: ")
        return await trickled(stream, b"x")


async def silent(to: Target) -> Told:
    """A connection on which nothing comes; of HTTP, or of gRPC."""
    if to.random.random() < 0.5:
        async with opened(to) as (reader, _):
            return await told(reader)
    host, _, port = to.grpc.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        while await reader.read(READ):
            pass
        return "cut"
    finally:
        writer.transport.abort()


async def unread_page(to: Target) -> Told:
    """The page's files, asked for again and again, and never read."""
    async with opened(to) as (_, writer):
        while True:
            writer.write(to.head("GET", "/app.js") * 100)
            await writer.drain()
            await asyncio.sleep(0.1)


async def unread_socket(to: Target) -> Told:
    """A session whose client asks for more and more, and never reads."""
    async with talking(to, max_queue=1) as socket:
        while True:
            await socket.send(json.dumps(texts(50)))
            await socket.send(json.dumps({"type": "response.create"}))
            await asyncio.sleep(0.2)


async def mute_socket(to: Target) -> Told:
    """A session whose client says nothing."""
    async with talking(to) as socket:
        async for _ in socket:
            pass
        return f"close {socket.close_code}"


async def large_items(to: Target) -> Told:
    """Realtime items, instructions and messages that are far too large, and many that are just allowed."""
    session = {"type": "session.update", "session": {"type": "realtime", "instructions": "word " * 300_000}}
    sound = {"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(1_400_000)).decode()}
    events = to.random.choice(
        ([texts(1_900_000)] * 20, [texts(190_000)] * 100, [session] * 5, [texts(3_000_000)])
    )
    async with talking(to) as socket:
        if to.random.random() < 0.25:
            await socket.send(json.dumps({"type": "session.update", "session": {"type": "realtime"}}))
            for _ in range(20):
                await socket.send(json.dumps(sound))
            return await answers(socket, [])
        return await answers(socket, events)


async def large_prompt(to: Target) -> Told:
    """Prompts, conversations and texts to be said that are far too large."""
    long, path = (
        "word " * 1_000_000,
        to.random.choice(("/generate", "/v1/chat/completions", "/v1/audio/speech")),
    )
    many = [{"role": "user", "content": "Hi."}] * 5000
    body: dict[str, Any] = {
        "/generate": {"prompt": long},
        "/v1/chat/completions": {"model": "backchat", "messages": many},
        "/v1/audio/speech": {"input": long},
    }[path]
    return await asked(to, path, json.dumps(body).encode())


async def large_call(to: Target) -> Told:
    """The same, and long sounds, over gRPC."""
    long = "word " * 350_000
    match to.random.randrange(6):
        case 0:
            return await called(to, "Generate", pb.GenerateRequest(prompt=long))
        case 1:
            return await called(to, "Speak", pb.SpeakRequest(text=long))
        case 2:
            return await called(to, "Converse", pb.ConverseRequest(settings=pb.Settings(system=long)))
        case 3:
            return await called(to, "Generate", pb.GenerateRequest(prompt="word " * 600_000))
        case 4:
            return await called(to, "Converse", *[pb.ConverseRequest(text="word " * 30_000)] * 50)
        case _:
            data = flac(LONG)
            parts = [pb.TranscribeRequest(data=data[at : at + READ]) for at in range(0, len(data), READ)]
            return await called(to, "Transcribe", *parts)


async def silent_call(to: Target) -> Told:
    """Calls whose message does not come."""
    method = to.random.choice(("Converse", "Transcribe", "Generate", "Speak"))
    return await called(to, method, open_end=True)


async def bad_json(to: Target) -> Told:
    """Bodies and events that are no JSON, or not the one that is asked for."""
    wrong = to.random.choice(
        (
            b"", b"{", b"null", b"[]", b'"\xff\xfe"', b"[" * 100_000, b'{"prompt": NaN}',
            b'{"prompt": 1e999}', b'{"prompt": "\\ud800"}', b'{"model": "backchat", "messages": [[[]]]}',
            b'{"a": 1}' * 10_000,
        )
    )  # fmt: skip
    path = to.random.choice(("/generate", "/v1/chat/completions", "/v1/audio/speech", "realtime"))
    if path != "realtime":
        return await asked(to, path, wrong)
    async with talking(to) as socket:
        await socket.recv()
        await socket.send(wrong)
        return str(json.loads(await socket.recv())["type"])


async def many_chunks(to: Target) -> Told:
    """A body in chunks of one byte each, by who may come and by who may not."""
    path, shown = to.random.choice(("/converse", "/generate", "/nowhere")), to.random.choice((True, False))
    more = {} if shown else {"authorization": ""}
    async with opened(to) as (reader, writer):
        writer.write(to.head("POST", path, transfer_encoding="chunked", connection="close", **more))
        writer.write(b"1\r\nx\r\n" * 8_000 + b"0\r\n\r\n")
        return await told(reader)


async def many_frames(to: Target) -> Told:
    """A session whose client sends frames without an end: of one byte, pings, small messages."""
    first, then = to.random.choice(
        (
            (b"\x01\x81\0\0\0\0x", b"\0\x81\0\0\0\0x"),
            (b"", b"\x89\x80\0\0\0\0"),
            (b"", b"\x81\x82\0\0\0\0{}"),
        )
    )
    async with talking(to, max_queue=None) as socket:
        socket.transport.write(first)
        while not socket.transport.is_closing():
            if socket.transport.get_write_buffer_size() < READ:
                socket.transport.write(then * 10_000)
            await asyncio.sleep(0.01)
        return f"close {socket.close_code}"


async def many_entries(to: Target) -> Told:
    """JSON of many little things: its memory is twenty times its bytes."""
    one = to.random.choice((b"[]", b"{}", b"1.5", b'""'))
    if to.random.random() < 0.3:
        async with talking(to) as socket:
            await socket.recv()
            for _ in range(10):
                await socket.send(b"[" + (one + b",") * 400_000 + b"1]")
                last = json.loads(await socket.recv())
            return str(last["error"]["code"])
    body = b'{"prompt": [' + (one + b",") * 3_000_000 + b"1]}"
    return await asked(to, to.random.choice(("/generate", "/v1/chat/completions")), body)


async def slow_reader(to: Target) -> Told:
    """A long text read aloud to who hardly listens, and so holds a place."""
    text = json.dumps({"input": "A sentence that is said aloud. " * 6000, "response_format": "wav"}).encode()
    async with opened(to) as (reader, writer):
        head = to.head("POST", "/v1/audio/speech", content_length=str(len(text)), connection="close")
        writer.write(head + text)
        first = await reader.readuntil(b"\r\n\r\n")
        while await reader.read(READ // 8):
            await asyncio.sleep(0.5)
        return first.split()[1].decode()


async def dense_sound(to: Target) -> Told:
    """Minutes at the highest rates that are taken, which are silent and so few bytes."""
    body, media = form(flac(180, 192_000))
    return await asked(to, "/v1/audio/transcriptions", body, media)


async def strangers_call(to: Target) -> Told:
    """A call that is for whoever asks, without a token and without its message."""
    async with grpc.aio.insecure_channel(to.grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        waiting = [channel.stream_unary("/grpc.health.v1.Health/Check")() for _ in range(50)]
        try:
            return (await waiting[0].code()).name
        finally:
            for each in waiting:
                each.cancel()


async def aborted(to: Target) -> Told:
    """Handshakes that end in the middle: of TCP, of HTTP, of TLS where there is none, of WebSockets."""
    upgrade = to.head(
        "GET", "/v1/realtime", connection="Upgrade", upgrade="websocket", sec_websocket_version="13",
        sec_websocket_key="MDEyMzQ1Njc4OWFiY2RlZg==",
    )  # fmt: skip
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64)
    for _ in range(20):
        async with opened(to) as (_, writer):
            writer.write(
                to.random.choice((b"", b"GE", hello, upgrade[:60], upgrade, upgrade + b"\x81\xfe\xff"))
            )
            await asyncio.sleep(to.random.choice((0.0, 0.01, 0.1)))
    return "left"


async def broken_upload(to: Target) -> Told:
    """Uploads that break off half way."""
    path = to.random.choice(("/converse", "/v1/audio/transcriptions", "/generate"))
    _, media = form(b"")
    for _ in range(5):
        async with opened(to) as (_, writer):
            writer.write(to.head("POST", path, content_type=media, content_length="1000000"))
            writer.write(b"--X\r\n" + bytes(500_000))
            await asyncio.sleep(0.1)
    return "left"


Kind = Callable[[Target], Awaitable[Told]]
KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        long_sound, lying_header, large_picture, no_token, cross_site, slow_body, slow_head, silent,
        unread_page, unread_socket, mute_socket, large_items, large_prompt, large_call, silent_call,
        bad_json, many_chunks, many_frames, many_entries, slow_reader, dense_sound, strangers_call,
        aborted, broken_upload,
    )
}  # fmt: skip
"""What a client may do, by name."""


# ------------------------------------------------------------------------------------------------- the crowd


async def visit(kind: str, to: Target, seconds: float = VISIT) -> Told:
    """One visit of one client: what it was told in the end."""
    try:
        async with asyncio.timeout(seconds):
            return await KINDS[kind](to)
    except TimeoutError:
        return "left"
    except InvalidHandshake as error:
        response = getattr(error, "response", None)
        return str(response.status_code) if response is not None else "cut"
    except ConnectionClosed as closed:
        return f"close {closed.rcvd.code}" if closed.rcvd else "cut"
    except (OSError, EOFError):
        return "cut"


async def crowd(
    to: Callable[[int], Target], clients: int, kinds: list[str], seconds: float
) -> dict[str, Counter[Told]]:
    """So many clients that come again and again, each time as another kind; what each kind was told.

    All kinds are there from the beginning, where there are as many clients.
    """
    heard = {kind: Counter[Told]() for kind in kinds}
    end = asyncio.get_running_loop().time() + seconds

    async def client(number: int) -> None:
        target, kind = to(number), kinds[number % len(kinds)]
        await asyncio.sleep(target.random.random())
        while (left := end - asyncio.get_running_loop().time()) > 0:
            heard[kind][await visit(kind, target, min(VISIT, left))] += 1
            await asyncio.sleep(target.random.random())
            kind = target.random.choice(kinds)

    async with asyncio.TaskGroup() as tasks:
        for number in range(clients):
            tasks.create_task(client(number))
    return heard


MADE: dict[str, Callable[[], Any]] = {
    "long_sound": lambda: [flac(LONG), flac(HOUR - 60)],
    "lying_header": lambda: flac(2 * HOUR, lying=True),
    "large_picture": lambda: [png(7700), png(4900)],
    "large_call": lambda: flac(LONG),
    "dense_sound": lambda: flac(180, 192_000),
}
"""What takes a while to make, by the kind that sends it."""


def prepared(kinds: list[str]) -> None:
    """Make all that is sent before anybody comes."""
    for kind in kinds:
        if kind in MADE:
            MADE[kind]()


def target(number: int, port: int, address: str, token: str) -> Target:
    """The server as the client with that number comes to it: from an address of its own, where it can."""
    source = f"127.1.{number // 250}.{number % 250 + 1}" if sys.platform == "linux" else ""
    return Target(port, address, token, source, Random(number))


def main() -> None:
    """`python -m hostile_clients PORT GRPC --clients N --kinds A,B --seconds S`; the token comes on stdin.

    Says "ready" when all that will be sent is made, and begins at the next line of stdin.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("grpc")
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--kinds", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    os.nice(10)
    token = sys.stdin.readline().strip()
    prepared(given.kinds.split(","))
    print("ready", flush=True)
    sys.stdin.readline()
    heard = asyncio.run(
        crowd(
            lambda number: target(number, given.port, given.grpc, token),
            given.clients,
            given.kinds.split(","),
            given.seconds,
        )
    )
    print(json.dumps(heard))


if __name__ == "__main__":
    main()
