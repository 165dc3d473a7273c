"""The server on a cluster of this machine, started once: as without, and what dies is made up for."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import cluster_engines
import httpx
import psutil
import pytest
from coming_back import ComingBack

pytestmark = pytest.mark.net
ROOT = Path(__file__).parents[3]
FROM_OUTSIDE = "ServeReplica"
"""Of these Ray Serve opens one port each on every interface, whatever it is told (docs/cluster.md)."""


def processes(of: psutil.Process, title: str) -> list[psutil.Process]:
    found = list[psutil.Process]()
    for each in of.children(recursive=True):
        line = each.cmdline()
        found += [each] if line and title in line[0] else []
    return found


@contextmanager
def cluster(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *settings: str
) -> Iterator[tuple[str, psutil.Process]]:
    """`backchat serve --cluster`: its address and its process."""
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    monkeypatch.setattr(sys, "path", list(sys.path))
    cluster_engines.offer(folder)
    chosen = [*cluster_engines.SETTINGS, f"cluster.journal={folder}/sessions.jsonl", *settings]
    command = [str(Path(sys.executable).with_name("backchat")), "serve", "--cluster"]
    command += [word for each in chosen for word in ("--set", each)]
    with open(folder / "told", "w+") as told:
        server = subprocess.Popen(command, cwd=ROOT, stdout=told, stderr=subprocess.STDOUT)
        try:
            until = time.monotonic() + 120
            while not (found := re.search(r"^http://\S+$", (folder / "told").read_text(), re.M)):
                assert server.poll() is None, (folder / "told").read_text()[-3000:]
                assert time.monotonic() < until, (folder / "told").read_text()[-3000:]
                time.sleep(0.1)
            yield found.group(), psutil.Process(server.pid)
            server.send_signal(signal.SIGINT)
            assert server.wait(60) == 0
        finally:
            server.kill()
            server.wait()


def chat(address: str, text: str) -> str:
    asked = {"model": "backchat", "messages": [{"role": "user", "content": text}]}
    answer = httpx.post(f"{address}/v1/chat/completions", json=asked, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


async def ask(user: ComingBack, question: str) -> None:
    await user.ask(question, f"{question} {cluster_engines.COUNT}")


async def talk(address: str, server: psutil.Process) -> None:
    """A conversation, in which first the engines die, between two replies, and then the session's process."""
    user = ComingBack(address)
    await user.open()
    await ask(user, "first")
    for worker in processes(server, "ray::Worker"):
        worker.kill()
    await ask(user, "second")
    assert await user.told("Which words") == f"second {cluster_engines.COUNT}"

    async def kill() -> None:
        await anyio.sleep(1.0)
        for replica in processes(server, "ServeReplica:backchat:Sessions")[:1]:
            replica.kill()

    for question in ("third", "fourth"):
        async with anyio.create_task_group() as tasks:
            if not user.absences:
                tasks.start_soon(kill)
            await ask(user, question)
        assert await user.told("Which words") == f"{question} {cluster_engines.COUNT}"
    assert user.replaced == 0
    assert all(cut.right for cut in user.cuts)
    assert all(absence < 20 for absence in user.absences)
    await user.close()


def test_a_cluster_serves_as_one_process_does_and_goes_on_where_one_of_its_own_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    with cluster(tmp_path, monkeypatch) as (address, server):
        assert chat(address, "hello") == f"hello {cluster_engines.COUNT}"
        assert 'replica="' in httpx.get(f"{address}/metrics", timeout=60).text
        said = {"model": "tts-1", "voice": "alloy", "input": "hello you", "response_format": "pcm"}
        speech = httpx.post(f"{address}/v1/audio/speech", json=said, timeout=60)
        assert len(speech.content) == pytest.approx(len("hello you") * 0.06 * 48_000, rel=0.05)
        for each in server.children(recursive=True):
            ports = [c.laddr for c in each.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
            open_ = [port for port in ports if not port.ip.endswith(("127.0.0.1", "::1"))]
            assert len(open_) <= (FROM_OUTSIDE in each.cmdline()[0]), (each.cmdline()[0], open_)
        anyio.run(talk, address, server, backend="asyncio")
    assert not processes(psutil.Process(), "ray::")
