"""The examples of `serve` by curl in docs/getting-started.md, as printed; text while it is written; TLS."""

from __future__ import annotations

import json
import re
import shlex
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import grpc
import pytest
import serving
from websockets.asyncio.client import connect

from agent.config import load
from agent.errors import ConfigError
from agent.server.pool import Pool, load_pool
from agent.server.run import run_server, serve
from audio.files import read_audio

pytestmark = pytest.mark.net

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")
SECTION = PAGE.split("\n## Serve\n")[1].split("\n## ")[0]
EXAMPLES = [line for line in SECTION.splitlines() if line.startswith("curl ")]
REPLY = "There was a keeper. He lit the lamp. The ship came home."
HOST = "localhost:8400"


def served(pool: Pool, main: Callable, certificate: Path | None = None, key: Path | None = None) -> None:
    """Run `main(addresses)` against the server; a deadlock fails."""

    async def inside() -> None:
        found: list[str] = []
        opened = anyio.Event()

        def started(addresses: list[str]) -> None:
            found.extend(addresses)
            opened.set()

        with anyio.fail_after(120):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run_server, pool, None, certificate, key, started)
                await opened.wait()
                await main(found)
                tasks.cancel_scope.cancel()

    anyio.run(inside, backend="asyncio")


async def printed(line: str, address: str, folder: Path) -> str:
    """What an example prints; it runs where `configs/` is, as in a clone, at the port of the test."""
    assert HOST in line
    if not (folder / "configs").exists():
        (folder / "configs").symlink_to(ROOT / "configs")
    command = line.replace(HOST, address.removeprefix("http://"))
    done = await anyio.run_process(["bash", "-c", f"{command} --silent --show-error --fail"], cwd=folder)
    return done.stdout.decode()


def heard(path: Path) -> float:
    """Seconds of a sound file."""
    return read_audio(path).duration


def run_examples(pool: Pool, folder: Path, words: str) -> None:
    async def main(addresses: list[str]) -> None:
        outputs = [await printed(line, addresses[0], folder) for line in EXAMPLES]
        events = [block for block in outputs[0].split("\n\n") if block]
        assert len(events) >= 2
        assert events[-1].startswith("event: end\ndata: ")
        assert all(isinstance(json.loads(event.removeprefix("data: ")), str) for event in events[:-1])
        assert re.search(words, json.loads(outputs[2])["text"])
        assert 0.5 < heard(folder / "hello.wav") < 3.0
        assert 0.3 < heard(folder / "answer.wav") < 60.0

    assert len(EXAMPLES) == 4
    served(pool, main)


def test_the_examples_work_as_printed(tmp_path: Path) -> None:
    run_examples(serving.pool(["What is that?"], [REPLY]), tmp_path, "^What is that[?]$")


@pytest.mark.model
def test_the_examples_work_as_printed_with_real_engines(tmp_path: Path) -> None:
    settings = ["llm.model=smollm2", "llm.max_tokens=40", "server.sessions=2", "server.port=0"]
    run_examples(load_pool(load(None, settings)), tmp_path, "capital of France")


@pytest.mark.parametrize("grain", ["token", "chunk", "sentence"])
def test_curl_prints_the_first_piece_before_the_last_is_written(
    grain: str, record_property: Callable
) -> None:
    pool = serving.pool(["x"], [REPLY], token=0.05)
    example = next(line for line in EXAMPLES if "/generate" in line)
    assert '"stream": "sentence"' in example

    async def main(addresses: list[str]) -> None:
        line = example.replace('"sentence"', f'"{grain}"').replace(HOST, addresses[0].removeprefix("http://"))
        times: list[float] = []
        written: list[int] = []
        began = time.monotonic()
        async with await anyio.open_process([*shlex.split(line), "--silent"]) as curl:
            async for data in curl.stdout:
                for _ in re.findall(rb"^data: ", data, re.MULTILINE):
                    times.append(round(time.monotonic() - began, 3))
                    written.append(sum(pool.model.pulled()))
        assert await curl.wait() == 0
        record_property("times", times)
        print(grain, times, written)
        assert len(times) == {"token": 12, "sentence": 3}.get(grain, len(times) - 1) + 1
        assert written[0] < 12 == written[-1]

    served(pool, main)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for this machine, and its key."""
    return serving.certificate(tmp_path_factory.mktemp("tls"))


def test_tls_on_every_wire(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    pool = serving.pool(["x"], [REPLY], "server.grpc_port=0")
    chain = certificate[0].read_bytes()

    async def main(addresses: list[str]) -> None:
        http, rpc = addresses
        assert http.startswith("https://127.0.0.1:")
        line = next(line for line in EXAMPLES if "/generate" in line)
        safe = f"{line.replace(HOST, http)} --cacert {certificate[0]}"
        done = await anyio.run_process(["bash", "-c", f"{safe} --silent --fail"])
        assert b"event: end" in done.stdout
        unknown = await anyio.run_process(["curl", "--silent", f"{http}/healthz"], check=False)
        assert unknown.returncode == 60, "curl trusts a certificate that nobody vouches for"
        plain = await anyio.run_process(["curl", "-sf", http.replace("https", "http")], check=False)
        assert plain.returncode != 0
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        async with connect(f"wss{http.removeprefix('https')}/v1/realtime", ssl=trusting) as socket:
            assert json.loads(await socket.recv())["type"] == "session.created"
        credentials = grpc.ssl_channel_credentials(chain)
        async with grpc.aio.secure_channel(rpc.removeprefix("grpc://"), credentials) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert await check(b"") == b"\x08\x01"  # SERVING
        async with grpc.aio.insecure_channel(rpc.removeprefix("grpc://")) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=5)

    served(pool, main, *certificate)


@pytest.mark.parametrize("wrong", ["no certificate", "another's key"])
def test_a_certificate_that_cannot_be_used_is_one_line(
    certificate: tuple[Path, Path], tmp_path: Path, wrong: str
) -> None:
    chain, key = certificate
    if wrong == "no certificate":
        chain = tmp_path / "empty.pem"
        chain.write_text("nothing")
    else:
        key = tmp_path / "key.pem"
        subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)

    with pytest.raises(ConfigError, match=r"^TLS: ") as refused:
        serve(serving.pool(["x"], ["y"]), None, chain, key)
    assert "\n" not in str(refused.value)
