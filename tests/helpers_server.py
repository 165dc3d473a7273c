"""Servers for tests: one that follows a script, byte by byte, and llama.cpp's own in a process of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def event(text: str | None = None, **choice: Any) -> bytes:
    """One event of a chat stream."""
    chunk = {"choices": [{"index": 0, "delta": {} if text is None else {"content": text}, **choice}]}
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


DONE = event(finish_reason="stop") + b"data: [DONE]\n\n"


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


def head(status: str = "200 OK", kind: str = "text/event-stream", **more: str) -> bytes:
    lines = {"Content-Type": kind, "Transfer-Encoding": "chunked", **more}
    return "".join([f"HTTP/1.1 {status}\r\n", *(f"{k}: {v}\r\n" for k, v in lines.items()), "\r\n"]).encode()


def answer(*texts: str) -> list[bytes]:
    """A whole answer, as a well-behaved server gives it."""
    return [head(), *(chunked(event(text)) for text in texts), chunked(DONE), b"0\r\n\r\n"]


def error(status: str, body: str, kind: str = "application/json", **more: str) -> list[bytes]:
    return [head(status, kind, **more), chunked(body.encode()), b"0\r\n\r\n"]


Step = bytes | float | str
"""Bytes to send, seconds to wait, "close" (an orderly end), "reset" (a connection that breaks), "stall"."""


@dataclass
class ScriptedServer:
    """Answers each request as the next script says. `seen`: the requests, as (path, headers, body)."""

    scripts: list[Sequence[Step]]
    seen: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    connections: int = 0
    gone: threading.Event = field(default_factory=threading.Event)
    """Set once a client closed its connection while the script stalled."""

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        for each in self._open:
            each.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._connection, args=(connection,), daemon=True).start()

    def _connection(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as reader:
                while self._request(reader):
                    script = self.scripts[min(len(self.seen), len(self.scripts)) - 1] if self.scripts else []
                    if not self._play(connection, script):
                        return
        except OSError:
            return

    def _request(self, reader: Any) -> bool:
        first = reader.readline().decode()
        if not first:
            return False
        headers: dict[str, str] = {}
        while line := reader.readline().strip().decode():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = json.loads(reader.read(int(headers["content-length"])))
        self.seen.append((first.split()[1], headers, body))
        return True

    def _play(self, connection: socket.socket, script: Sequence[Step]) -> bool:
        for step in script:
            if isinstance(step, bytes):
                connection.sendall(step)
            elif isinstance(step, float):
                time.sleep(step)
            elif step == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return False
            elif step == "close":
                return False
            else:
                connection.settimeout(20)
                if not connection.recv(1):
                    self.gone.set()
                return False
        return True


@contextmanager
def scripted(*scripts: Sequence[Step]) -> Iterator[ScriptedServer]:
    """A server with one script a request; the last one again and again."""
    server = ScriptedServer(list(scripts))
    try:
        yield server
    finally:
        server.close()


LLAMA = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.port = sys.argv[1], int(sys.argv[2])
params.n_ctx, params.n_parallel, params.verbosity, params.ui = 1024, 1, 0, False
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@dataclass
class LlamaServer:
    """llama.cpp's OpenAI-compatible server, in a process that can be killed and started again."""

    weights: Path
    process: subprocess.Popen[str] | None = None
    port: int = 0
    url: str = ""

    def start(self) -> None:
        if not self.port:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self.port = probe.getsockname()[1]
        command = [sys.executable, "-c", LLAMA, str(self.weights), str(self.port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        address = self.process.stdout.readline().strip()
        assert address, "the server did not start"
        self.url = f"{address}/v1"

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@contextmanager
def llama_server(weights: Path) -> Iterator[LlamaServer]:
    server = LlamaServer(weights)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether `condition` comes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
