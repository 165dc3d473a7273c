"""A real server on a free port, with scripted engines: for tests of every wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import run

import anyio
import numpy as np
from openai import AsyncOpenAI

import scripted
from agent.config import load
from agent.server.pool import Pool
from agent.server.run import run_server
from agent.settings import Config
from agent.tools.tool import Tool
from audio.encode import Encoder
from audio.pcm import from_pcm16, pcm16

SETTINGS = (
    "stt.interim=0",
    "turns.meaning=off",
    "server.rate=100000",
    "server.client_timeout=5",
    "server.load=1",
)


class Scripted(Pool):
    """A pool that remembers its model."""

    model: SharedLLM


@dataclass
class SharedLLM:
    """As many scripted models as there are slots, each with the same script.

    limit: words that each can read and write together; 0: any number.
    """

    replies: list[str]
    count: int = 4
    token: float = 0.0
    limit: int = 0
    each: list[scripted.ScriptedLLM] = field(default_factory=list)

    def slots(self) -> list[scripted.ScriptedLLM]:
        kind = SlowLLM if self.token else scripted.ScriptedLLM
        self.each = [kind(list(self.replies)) for _ in range(self.count)]
        if self.limit:
            self.each = [scripted.CountingLLM(list(self.replies), limit=self.limit) for _ in self.each]
        for one in self.each:
            one.pause = self.token
        return list(self.each)

    @property
    def open(self) -> int:
        return sum(one.open for one in self.each)

    def pulled(self) -> list[int]:
        """Tokens that were written of each answer."""
        return [count for one in self.each for count in one.pulled]

    @property
    def asked(self) -> list:
        return [messages for one in self.each for messages in one.asked]


@dataclass
class SlowLLM(scripted.ScriptedLLM):
    """Takes `pause` seconds for each token."""

    pause: float = 0.01

    def stream(self, messages):
        import time

        inner = super().stream(messages)
        try:
            for token in inner:
                time.sleep(self.pause)
                yield token
        finally:
            inner.close()


def pool(
    texts: list[str],
    replies: list[str],
    *settings: str,
    token: float = 0.0,
    limit: int = 0,
    config: Config | None = None,
    tools: Sequence[Tool] = (),
) -> Scripted:
    config = config or load(None, [*SETTINGS, "server.port=0", *settings])
    stt, llm = scripted.ScriptedSTT(texts), SharedLLM(replies, config.server.sessions, token, limit)
    made = Scripted(
        config, [replace(scripted.with_loudness(stt, llm, scripted.ScriptedTTS()), tools=tuple(tools))]
    )
    made.model = llm
    return made


def tone(seconds: float, level: float = 0.4) -> bytes:
    """What the loudness detector takes for speech, or with level 0 for silence: 16 bit, 24 kHz."""
    t = np.arange(round(seconds * 24_000)) / 24_000
    return pcm16((level * np.sin(2 * np.pi * 500 * t)).astype(np.float32))


def wav(seconds: float = 1.0) -> bytes:
    """The same as a file."""
    encoder = Encoder("wav", 24_000)
    return encoder.feed(from_pcm16(tone(seconds))) + encoder.finish()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for this machine, and its key."""
    pair = folder / "certificate.pem", folder / "key.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-out", str(pair[0]), "-keyout", str(pair[1]), "-subj", "/CN=localhost", "-addext", names]
    run(command, check=True, capture_output=True)
    return pair


@asynccontextmanager
async def both(
    engines: Pool, token: str | None = None, tls: tuple[Path | None, Path | None] = (None, None)
) -> AsyncIterator[list[str]]:
    """Every address of the server while it runs: `http://127.0.0.1:PORT`; of gRPC `127.0.0.1:PORT`.

    tls: a certificate and its key, of `certificate`.
    """
    address: list[str] = []
    opened = anyio.Event()

    def started(at: list[str]) -> None:
        address.extend(each.removeprefix("grpc://") for each in at)
        opened.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_server, engines, token, *tls, started)
        await opened.wait()
        try:
            yield address
        finally:
            tasks.cancel_scope.cancel()


def stock(address: str) -> AsyncOpenAI:
    """OpenAI's own client of the server at `address`, for `async with`.

    One that is dropped unclosed closes its connections whenever it is collected, on the loop of another test.
    """
    return AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)


@asynccontextmanager
async def running(engines: Pool, token: str | None = None) -> AsyncIterator[str]:
    """The server's address, `http://127.0.0.1:PORT`, while it runs."""
    async with both(engines, token) as addresses:
        yield addresses[0]
