"""A conversation over a bad network, by WebSocket and by WebRTC: lost packets, jitter, a narrow link, stalls.

The network is a relay of our own (tests/bad_network.py), the same both ways: TCP sends anew what was lost, a
round trip and 0.2 s later. The transcriber, the voice and the detectors are the real ones; the answers
are written in advance, so that it is known what the history must hold. The server is in this process.
"""

from __future__ import annotations

import base64
import json
import random
import statistics
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import click
import httpx
import numpy as np
import serving
import webrtc_client
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame
from bad_network import Detour, Link, Network, tcp
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from agent.config import load
from agent.engines import registry
from agent.messages import Message
from agent.server.pool import Pool
from audio.files import read_audio
from audio.frame import Samples
from audio.g711 import MU_LAW
from audio.pcm import from_pcm16, pcm16
from audio.resampler import PromptResampler
from benchmarks.measure import AGENT_AUDIBLE, USER_AUDIBLE
from benchmarks.results import Results
from helpers_wer import edits, normalise

OPTIONS = [
    click.Option(
        ["--wires"],
        default="websocket,pcmu,webrtc",
        show_default=True,
        help="`pcmu`: a WebSocket with the telephone's sound both ways, in messages of 0.1 s.",
    ),
    click.Option(
        ["--networks"],
        default="0,3,10,narrow",
        show_default=True,
        help="Percents of packets that are lost; or none, and `64k`: so many bits a second go through; "
        "`narrow`: `--narrow` bits a second for 30 s; `stalls`: every 4 s nothing goes for 0.5 to 2 s.",
    ),
    click.Option(["--narrow"], default=50_000, show_default=True),
    click.Option(["--delay"], default=0.15, show_default=True, help="Seconds that a packet takes."),
    click.Option(["--jitter"], default=0.05, show_default=True, help="Seconds more or less than that."),
]
STALLS, APART = (0.5, 2.0), 4.0
"""How long nothing goes through (s), and how often."""
NARROW_FROM, NARROW_FOR = 8.0, 30.0
"""When the narrow link becomes one, and for how long (s)."""
RATE, BLOCK = 24_000, 0.02
TELEPHONE, MESSAGE = 8_000, 800
"""The telephone's rate, and its samples in a message."""
CUSHION = {"websocket": 0.06, "pcmu": 0.06, "webrtc": 0.12}
"""Seconds that a client waits before it plays, as our page does; or behind the quickest packet."""
PATIENCE = 60.0
"""Seconds that an answer may take."""
BETWEEN = 1.0
OVER = 2.5
"""Seconds of the long answer that the user lets sound before they talk over it."""
QUESTIONS = Path("tests/data/questions")
ASKED = ("q01", "q02", "q03", "q05", "q08", "q10")
LONG = 3
"""The answer that is talked over."""
ANSWERS = (
    "Madrid is the capital of Spain.",
    "A spider has eight legs.",
    "That was William Shakespeare, four hundred years ago.",
    "That is Mercury, which goes round the sun in eighty eight days. It has no moon and hardly any air, so "
    "its days are hot enough to melt lead, and its nights are colder than any place on the earth.",
    "It is fifty six.",
    "Leonardo da Vinci did, in Florence.",
)


class Mind:
    """Answers the n-th question with the n-th answer, and keeps what it was asked last."""

    def __init__(self) -> None:
        self.asked: list[Message] = []

    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        self.asked = [m for m in messages if m.role != "system"]
        number = sum(m.role == "user" for m in self.asked)
        yield from (f"{word} " for word in ANSWERS[min(number, len(ANSWERS)) - 1].split())

    def prefill(self, messages: Sequence[Message]) -> None:
        pass


@dataclass
class Playing:
    """What a client plays. pieces: first and last moment (s) of each, and whether it is loud."""

    cushion: float
    pieces: list[tuple[float, float, bool]] = field(default_factory=list)
    gaps: float = 0.0

    def first(self, since: float) -> float | None:
        """When it was loud for the first time after `since`."""
        return next((begin for begin, _, loud in self.pieces if loud and begin > since), None)

    def loud(self, since: float, until: float) -> float:
        """Seconds from the first loud moment between the two to the last one."""
        found = [piece for piece in self.pieces if piece[2] and since < piece[0] < until]
        return found[-1][1] - found[0][0] if found else 0.0


class InOrder(Playing):
    """Sound that comes in order, and late: where it is not there there is a gap, and then it goes on."""

    def __init__(self, cushion: float) -> None:
        super().__init__(cushion)
        self._item, self._end = "", 0.0

    def take(self, item: str, samples: Samples) -> None:
        now, length = time.monotonic(), len(samples) / RATE
        if item != self._item:
            self._item, self._end = item, now + self.cushion
        elif now > self._end:
            self.gaps += now + self.cushion - self._end
            self._end = now + self.cushion
        self.pieces.append((self._end, self._end + length, _loud(samples)))
        self._end += length

    def stop(self) -> None:
        """What has not sounded does not."""
        now = time.monotonic()
        self.pieces = [piece for piece in self.pieces if piece[0] < now]


class Packets(Playing):
    """Packets of 20 ms by their numbers, as a browser plays them: what comes late makes it wait, what is lost
    is a gap, and what it has waited it makes up for where nothing is said.
    """

    def __init__(self, cushion: float) -> None:
        super().__init__(cushion)
        self._came: dict[int, tuple[float, bool]] = {}
        self._decoder = OpusDecoder()
        self._holes: list[tuple[float, float]] = []

    def add(self, packet: Any) -> tuple[bool, None]:
        (frame,) = self._decoder.decode(JitterFrame(packet._data, packet.timestamp)) or [None]
        loud = frame is not None and _loud(from_int(frame))
        self._came.setdefault(packet.timestamp, (time.monotonic(), loud))
        return False, None

    def lay_out(self) -> None:
        """Play what came."""
        first = min(self._came)
        recent: deque[float] = deque(maxlen=100)
        behind = 0.0
        for stamp in range(first, max(self._came) + 960, 960):
            time = (stamp - first) / 48_000
            at, loud = self._came.get(stamp, (None, False))
            if at is None:
                self._holes.append((time + behind, BLOCK))
                continue
            recent.append(at - time)
            late = at - (time + behind)
            if stamp == first:
                behind = late + self.cushion
            elif late > 0 and at > min(self._came.get(stamp + 960 * n, (at, False))[0] for n in range(1, 4)):
                self._holes.append((time + behind, BLOCK))  # sent again, and not waited for
                continue
            elif late > 0:
                self._holes.append((time + behind, late))
                behind += late
            elif not loud:
                behind = max(min(recent) + self.cushion, behind - BLOCK)
            self.pieces.append((time + behind, time + behind + BLOCK, loud))

    def settle(self, spans: Sequence[tuple[float, float]]) -> None:
        """Count the gaps. spans: when answers sounded."""
        self.gaps = sum(
            length for at, length in self._holes if any(begin <= at <= end for begin, end in spans)
        )


def from_int(frame: Any) -> Samples:
    return frame.to_ndarray().reshape(-1, 2)[:, 0].astype(np.float32) / 32768


def _loud(samples: Samples) -> bool:
    return bool(np.abs(samples).max(initial=0.0) > 10 ** (AGENT_AUDIBLE / 20))


@dataclass
class Line:
    """A client's side of one wire: `send` takes 20 ms of the user's, float32 at 24 kHz."""

    send: Callable[[Samples], None]
    tell: Callable[[dict[str, Any]], None]
    told: list[tuple[float, dict[str, Any]]]
    playing: Playing

    def of(self, kind: str) -> list[tuple[float, dict[str, Any]]]:
        return [(at, event) for at, event in self.told if event["type"] == kind]


class Telephone:
    """The client's side of sound as G.711 at 8 kHz."""

    def __init__(self) -> None:
        self._down, self._up = PromptResampler(RATE, TELEPHONE), PromptResampler(TELEPHONE, RATE)
        self._waiting = b""

    def encode(self, samples: Samples) -> bytes:
        """What is to be sent now: nothing, until there is a message full of it."""
        self._waiting += MU_LAW.encode(self._down.feed(samples))
        sent, self._waiting = (self._waiting, b"") if len(self._waiting) >= MESSAGE else (b"", self._waiting)
        return sent

    def decode(self, data: bytes) -> Samples:
        return self._up.feed(MU_LAW.decode(data))


@asynccontextmanager
async def by_pcmu(address: str, network: Network) -> AsyncIterator[Line]:
    """The same with the telephone's sound."""
    telephone, form = Telephone(), {"format": {"type": "audio/pcmu"}}
    async with by_websocket(address, network, telephone.encode, telephone.decode) as line:
        audio = {"input": form, "output": form}
        line.tell({"type": "session.update", "session": {"type": "realtime", "audio": audio}})
        yield line


@asynccontextmanager
async def by_websocket(
    address: str,
    network: Network,
    encode: Callable[[Samples], bytes] = pcm16,
    decode: Callable[[bytes], Samples] = from_pcm16,
) -> AsyncIterator[Line]:
    """As a browser does it, which sends no pings: it plays what comes, and stops when the user speaks."""
    port = int(address.rpartition(":")[2])
    put, waiting = anyio.create_memory_object_stream[str](float("inf"))
    playing = InOrder(CUSHION["websocket"])

    def tell(event: dict[str, Any]) -> None:
        put.send_nowait(json.dumps(event))

    def send(samples: Samples) -> None:
        if data := encode(samples):
            tell({"type": "input_audio_buffer.append", "audio": base64.b64encode(data).decode()})

    line = Line(send, tell, [], playing)

    def take(event: dict[str, Any]) -> None:
        match event["type"]:
            case "response.output_audio.delta":
                playing.take(event["item_id"], decode(base64.b64decode(event.pop("delta"))))
            case "input_audio_buffer.speech_started":
                playing.stop()
        line.told.append((time.monotonic(), event))

    async def listen(socket: Any) -> None:
        with suppress(ConnectionClosed):
            async for text in socket:
                take(json.loads(text))
        line.told.append((time.monotonic(), {"type": "closed"}))

    async def write(socket: Any) -> None:
        with suppress(ConnectionClosed):
            async for text in waiting:
                await socket.send(text)

    async with tcp(network, port) as through, anyio.create_task_group() as tasks:
        where = f"ws://127.0.0.1:{through}/v1/realtime?events=all"
        async with connect(where, max_size=None, open_timeout=30, ping_interval=None) as socket:
            tasks.start_soon(listen, socket)
            tasks.start_soon(write, socket)
            yield line
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def by_webrtc(address: str, network: Network) -> AsyncIterator[Line]:
    """aiortc, whose packets are taken as they come."""
    client, detour, resampler = webrtc_client.Client(), Detour(network), PromptResampler(RATE, 48_000)
    playing = Packets(CUSHION["webrtc"])
    try:
        async with httpx.AsyncClient(base_url=address, timeout=30) as http:
            offer = await detour.offer(await client.offer())
            kind = {"content-type": "application/sdp"}
            answer = await http.post("/v1/realtime/calls?events=all", content=offer, headers=kind)
        (receiver,) = client.connection.getReceivers()
        vars(receiver)["_RTCRtpReceiver__jitter_buffer"] = playing  # private: there is no other way to it
        await client.accept(detour.answer(answer.text))
        line = Line(
            lambda samples: client.microphone.say(resampler.feed(samples)),
            lambda event: client.send(event.pop("type"), **event),
            [],
            playing,
        )
        client.channel.on("message", lambda text: line.told.append((time.monotonic(), json.loads(text))))
        with anyio.fail_after(30):
            await client.until("session.created")
        yield line
    finally:
        await client.connection.close()
        detour.close()


WIRES: dict[str, Callable[[str, Network], AbstractAsyncContextManager[Line]]] = {
    "websocket": by_websocket,
    "pcmu": by_pcmu,
    "webrtc": by_webrtc,
}


@dataclass
class Talk:
    """What was seen of a conversation."""

    waits: list[float] = field(default_factory=list)
    heard: list[tuple[str, str]] = field(default_factory=list)
    """What was asked, and what the server understood."""
    unanswered: int = 0
    off: int = 0
    """Words by which the history has more of the answer that was cut than sounded, or fewer."""
    gaps: float = 0.0
    lost: int = 0
    """Exchanges that the history does not hold as they were."""
    alive: bool = True


class User:
    """Asks, listens to the answer's end, and asks again; talks over the long one."""

    def __init__(self, line: Line, texts: dict[str, str]) -> None:
        self._line, self._texts = line, texts
        self.talk = Talk()
        self._asked: list[tuple[float, float]] = []
        """Of each question the end of its sound, and when its answer was over."""
        self._quiet = np.zeros(round(BLOCK * RATE), np.float32)
        self._due = time.monotonic()

    async def _say(self, block: Samples) -> None:
        self._line.send(block)
        self._due += BLOCK
        await anyio.sleep(max(0.0, self._due - time.monotonic()))

    async def speak(self) -> None:
        """To the end of the last answer."""
        for _ in range(50):
            await self._say(self._quiet)
        for number, name in enumerate(ASKED):
            samples = read_audio(QUESTIONS / f"{name}.flac").at_rate(RATE).samples
            last = int(np.flatnonzero(np.abs(samples) > 10 ** (USER_AUDIBLE / 20))[-1])
            said = time.monotonic() + last / RATE
            for at in range(0, len(samples) - len(self._quiet) + 1, len(self._quiet)):
                await self._say(samples[at : at + len(self._quiet)])
            over = self._into_it if number == LONG else self._over
            while not over(said, number) and time.monotonic() < said + PATIENCE and not self._gone:
                await self._say(self._quiet)
            self._asked.append((said, time.monotonic()))

    @property
    def _gone(self) -> bool:
        return bool(self._line.of("closed"))

    def _over(self, said: float, number: int) -> bool:
        done = [
            at
            for at, event in self._line.of("response.done")
            if at > said and event["response"]["status"] == "completed"
        ]
        return bool(done) and time.monotonic() > done[-1] + BETWEEN

    def _into_it(self, said: float, number: int) -> bool:
        begun = [
            at
            for at, event in self._line.of("backchat.event")
            if at > said and event["event"]["event"] == "word_heard"
        ]
        return bool(begun) and time.monotonic() > begun[0] + OVER

    def settle(self, mind: Mind) -> Talk:
        """Judge it, once it is over."""
        talk, playing = self.talk, self._line.playing
        if isinstance(playing, Packets):
            playing.lay_out()
            playing.settle(self._spans())
        begun = [playing.first(said) for said, _ in self._asked]
        talk.waits = [
            first - said
            for number, (first, (said, over)) in enumerate(zip(begun, self._asked, strict=True))
            if number != LONG + 1 and first and first < over + 1  # what talks over an answer hears its rest
        ]
        talk.unanswered = len(ASKED) - 1 - len(talk.waits)
        talk.gaps, talk.alive = playing.gaps, not self._gone
        self._remembered(mind)
        return talk

    def _spans(self) -> list[tuple[float, float]]:
        found = list[tuple[float, float]]()
        for said, over in self._asked:
            loud = [piece for piece in self._line.playing.pieces if piece[2] and said < piece[0] < over]
            found += [(loud[0][0], loud[-1][1])] if loud else []
        return found

    def _remembered(self, mind: Mind) -> None:
        """Compare the history with what was said and what has sounded."""
        talk, kept = self.talk, [(m.role, m.content.strip()) for m in mind.asked]
        users = [content for role, content in kept if role == "user"]
        talk.heard = list(zip([self._texts[name] for name in ASKED], users, strict=False))
        talk.lost = max(0, len(ASKED) - len(users)) + users.count("")
        told = {content for role, content in kept if role == "assistant"}
        whole = [answer for number, answer in enumerate(ANSWERS[:-1]) if number != LONG]
        talk.lost += sum(answer not in told for answer in whole)
        (cut,) = [content for content in told if ANSWERS[LONG].startswith(content)] or [""]
        talk.off = abs(len(cut.split()) - self._sounded())

    def _sounded(self) -> int:
        """Words of the long answer that this client has played when it fell silent."""
        said, over = self._asked[LONG]
        seconds = self._line.playing.loud(said, over + 3.0)
        words = [
            event["event"]
            for _, event in self._line.of("backchat.event")
            if event["event"]["event"] == "word_heard"
        ]
        ends: dict[int, list[float]] = {}
        for word in words:
            ends.setdefault(word["turn"], []).append(word["audio_end_ms"] / 1000)
        turns = [ends[turn] for turn in sorted(ends)]
        return sum(end <= seconds for end in turns[LONG]) if len(turns) > LONG else 0


async def narrowed(network: Network, bits: int) -> None:
    """Make it narrow, for a while."""
    await anyio.sleep(NARROW_FROM)
    for rate in (bits, None):
        for link in network.links:
            link.rate = rate
        await anyio.sleep(NARROW_FOR)


async def stalled(network: Network) -> None:
    """Let nothing through now and then, both ways."""
    draw = random.Random(1)
    while True:
        await anyio.sleep(APART)
        until = anyio.current_time() + draw.uniform(*STALLS)
        for link in network.links:
            link.free = max(link.free, until)


def talked(wire: str, how: str, narrow: int, delay: float, jitter: float) -> Talk:
    """Hold the conversation by one wire over one kind of network."""
    mind = Mind()
    loss = float(how) / 100 if how.isdigit() else 0.0
    rate = float(how[:-1]) * 1000 if how.endswith("k") else None
    config = load(None, ["server.port=0", "server.sessions=1", "server.load=1", "server.rate=100000"])
    engines = registry.load(config, given=registry.Given(llm=mind))
    lines = (QUESTIONS / "questions.tsv").read_text(encoding="utf-8").splitlines()
    texts = {name.removesuffix(".flac"): text for name, text in (line.split("\t") for line in lines)}
    links = Network.like().links
    network = Network(*(Link(loss, delay, jitter, rate, draw=link.draw) for link in links))
    found: list[Talk] = []

    async def inside() -> None:
        pool = Pool(config, [engines])
        async with serving.running(pool) as address, WIRES[wire](address, network) as line:
            async with anyio.create_task_group() as tasks:
                if how == "narrow":
                    tasks.start_soon(narrowed, network, narrow)
                if how == "stalls":
                    tasks.start_soon(stalled, network)
                user = User(line, texts)
                await user.speak()
                tasks.cancel_scope.cancel()
            found.append(user.settle(mind))

    anyio.run(inside, backend="asyncio")
    return found[0]


def row(wire: str, how: str, talk: Talk) -> dict[str, Any]:
    """One line of the table."""
    said = [(normalise(text).split(), normalise(heard).split()) for text, heard in talk.heard]
    wrong, count = sum(edits(*pair) for pair in said), sum(len(words) for words, _ in said)
    return {
        "wire": wire,
        "network": f"{how} %" if how.isdigit() else how,
        "answers": len(talk.waits),
        "median": statistics.median(talk.waits) if talk.waits else float("nan"),
        "worst": max(talk.waits, default=float("nan")),
        "gaps s": round(talk.gaps, 2),
        "wrong words": f"{wrong} of {count}",
        "lost": talk.lost,
        "cut off by": talk.off,
        "lives": "yes" if talk.alive else "no",
    }


def run(wires: str, networks: str, narrow: int, delay: float, jitter: float) -> Results:
    results = Results("network")
    for wire in wires.split(","):
        for how in networks.split(","):
            talk = talked(wire, how, narrow, delay, jitter)
            for said, heard in talk.heard:
                if normalise(said) != normalise(heard):
                    print(f"  {said} -> {heard}", file=sys.stderr)
            results.add(row(wire, how, talk))
            if how != "10":
                results.target(f"{wire}, {how}: lost of the history", talk.lost, "<=", 0)
            results.target(f"{wire}, {how}: lives on", talk.alive, ">=", 1)
    return results
