"""Runs the server: socket, signals, an orderly end, the log. Knows no route and no protocol."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import signal
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio

from agent import signals
from agent.errors import ConfigError, MissingExtra
from agent.runner import Runner
from agent.server.admission.exposure import authority, clear_text
from agent.server.admission.guard import Guard
from agent.server.app import application
from agent.server.grpc.server import RunningServer, running_server
from agent.server.http.sockets import AHEAD, Arrivals, protocols
from agent.server.pool import Pool
from agent.server.reception import Reception
from agent.server.telemetry.concealment import Concealment
from agent.server.telemetry.metrics import Metrics
from agent.server.telemetry.traces import Traces
from agent.server.wyoming.server import running_server as running_wyoming
from agent.settings import Config, ServerConfig
from agent.text.cleaning import json_text
from agent.transports.disclosure import trace, wordless

BACKLOG = 128
"""Connections that the system keeps until they are taken."""
AT_ONCE = 4
"""Connections that are taken before the others are looked after again: a crowd comes all at once."""
FILES, OTHER_FILES = 3, 256
"""Files of a connection (one of gRPC is passed on, so it has three), and all the others."""
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""glibc's numbers for them (malloc.h)."""
LARGE, ARENAS = 1 << 20, 2
"""Bytes from which a piece of memory is given back by itself, and heaps for all threads together."""
LOOK = 0.1
"""Seconds between two looks at whether the last reply has ended."""

TIDY = 5.0
"""Seconds between two looks at whether sessions have ended, whose remains are then cleared away.

What is left of one is held by cycles of frames and exceptions. Python clears those seldom, since it counts
its own few objects and not the 2.6 MB of a voice detector behind them.
"""

log = logging.getLogger("backchat")

MOST_FRAMES = 60
"""Lines of a trace that are logged, the last ones: of a recursion there may be a thousand."""


def serve(
    pool: Pool,
    token: str | None,
    certificate: Path | None = None,
    key: Path | None = None,
    started: Callable[[list[str]], None] = lambda addresses: None,
    traces: Traces | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; then admit nobody, let replies end, and close.

    In `backchat` a second one, more than `signals.AGAIN` later, ends the program at once.

    certificate, key: PEM files, for TLS. started: is told the addresses once they are open.
    traces: where turns are told as spans; closed at the end. Raises
    ConfigError where a port or the files cannot be used.
    """
    _allow_files(pool.config.server.connections)
    _return_memory()
    # The engines stay: left out of every collection, they make one take milliseconds.
    gc.collect()
    gc.freeze()
    try:
        anyio.run(run_server, pool, token, certificate, key, started, traces, backend="asyncio")
    finally:
        if traces is not None:
            traces.close()


def _allow_files(connections: int) -> None:
    """Let the process open as many files as so many connections need, where the system allows it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES * connections + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        more = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))


def _return_memory() -> None:
    """Have what is large given back to the system as soon as it is freed, where glibc manages the memory.

    By itself it learns from each large piece to keep the next one, and has a heap for each thread: what a
    crowd of large requests took for a moment would stay.
    """
    change = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if change is not None:
        change(M_MMAP_THRESHOLD, LARGE)
        change(M_ARENA_MAX, ARENAS)


async def run_server(
    pool: Pool,
    token: str | None,
    certificate: Path | None,
    key: Path | None,
    started: Callable[[list[str]], None],
    traces: Traces | None = None,
) -> None:
    """As `serve`, in an asyncio program of one's own."""
    settings = pool.config.server
    metrics = Metrics(pool, traces)
    reception = Reception.of(pool, token, metrics)
    arrivals = Arrivals(reception.connections)
    server = _server(application(reception), settings, arrivals, certificate, key)
    socket = arrivals.listening(_bound(settings.host, settings.port))
    scheme = "https" if certificate else "http"
    address = f"{scheme}://{authority(settings.host, socket.getsockname()[1])}"

    grpc: RunningServer | None = None

    async def until_told() -> None:
        try:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as told:
                await anext(told)
                log.info("stopping", extra={"data": {"taken": pool.taken}})
                pool.close()
                if grpc is not None:
                    await grpc.closing()
                tasks.start_soon(when_empty)
                await anyio.sleep(signals.AGAIN)
        finally:
            signals.at_once()  # asyncio would leave Ctrl-C to Python, which waits for threads that compute

    async def when_empty() -> None:
        with anyio.move_on_after(settings.drain_timeout):
            while not pool.idle:
                await anyio.sleep(LOOK)
        server.should_exit = True

    async with anyio.create_task_group() as tasks, AsyncExitStack() as wires:
        addresses = [address]
        reception.begin(tasks)
        if settings.grpc_port >= 0:
            calls = running_server(pool, token, metrics, certificate, key, reception)
            grpc = await wires.enter_async_context(calls)
            addresses.append(f"grpc://{grpc.address}")
        if settings.wyoming or settings.satellites:
            addresses += await wires.enter_async_context(running_wyoming(reception))
        tasks.start_soon(until_told)
        tasks.start_soon(tidy, pool)
        data = {"address": addresses, "slots": pool.size, "token": bool(token)}

        def accepting() -> None:
            log.info("listening", extra={"data": data})
            if why := clear_text(settings, certificate is not None):
                log.warning("clear text", extra={"data": {"why": why}})
            started(addresses)

        server.accepting = accepting
        await server.serve(sockets=[socket])
        tasks.cancel_scope.cancel()


async def tidy(pool: Pool) -> None:
    """Clear away what ended sessions leave, and give the memory back to the system.

    glibc by itself keeps what was freed: without this, the server grew by 0.15 MB a session.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    before, runner = pool.left, Runner()
    left = before
    while True:
        await anyio.sleep(TIDY)
        if left > before:  # those have been gone for a while, so that nothing holds them any more
            gc.collect()
            if trim is not None:  # glibc has it; over a large heap it takes a tenth of a second
                await runner.wait_for(partial(trim, 0))
        before, left = left, pool.left


def _server(
    app: Guard, settings: ServerConfig, arrivals: Arrivals, certificate: Path | None, key: Path | None
) -> Any:
    """uvicorn around the application. Raises MissingExtra, ConfigError."""
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra("the server's libraries are missing", "server") from error

    class Server(uvicorn.Server):
        """uvicorn, with the signals left to us; says when it accepts connections."""

        accepting: Callable[[], None]

        async def startup(self, sockets: list[Any] | None = None) -> None:
            # As uvicorn does it, which would wait a minute for a client that does not begin to speak TLS.
            loop, client_timeout = asyncio.get_running_loop(), settings.client_timeout if config.ssl else None
            made = partial(http, config=config, server_state=self.server_state, app_state={}, _loop=loop)
            self.servers = list[asyncio.Server]()
            for each in sockets or []:
                listening = loop.create_server(
                    made, sock=each, ssl=config.ssl, backlog=AT_ONCE, ssl_handshake_timeout=client_timeout
                )
                self.servers.append(await listening)
                each.listen(BACKLOG)  # asyncio takes as many at once as are kept, unless it is told later
            self.started = True
            self.accepting()

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None]:
            yield

    http, websocket = protocols(arrivals, settings)
    config = uvicorn.Config(
        app,
        http=http,
        ws=websocket,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        lifespan="off",
        server_header=False,
        ws_max_size=settings.message,
        ws_per_message_deflate=False,  # sound does not shrink, and it would cost time and memory
        ws_ping_interval=settings.client_timeout,
        ws_ping_timeout=settings.client_timeout,
        timeout_graceful_shutdown=1,
        ssl_certfile=str(certificate) if certificate else None,
        ssl_keyfile=str(key) if key else None,
    )
    try:
        config.load()
    except OSError as error:
        why = error.strerror or error
        raise ConfigError(f"TLS: the certificate or its key cannot be used ({why})") from error
    return Server(config)


def _bound(host: str, port: int) -> Any:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"server.port: {host}:{port} cannot be opened ({error.strerror}); take another with "
            f"--set server.port={port + 1}"
        ) from error
    # Of a socket that it did not open itself asyncio does not know that it is TCP, so that what is written
    # in two parts would wait 40 ms for the other side's acknowledgement of the first.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # The kernel would take megabytes of speech for a client whose network carries less than is said.
    if (unsent := getattr(socket, "TCP_NOTSENT_LOWAT", None)) is not None:
        made.setsockopt(socket.IPPROTO_TCP, unsent, AHEAD)
    return made


class _Json(logging.Formatter):
    """One JSON object a line. What is said or written in a session is never logged, nor secrets and paths."""

    def __init__(self, hide: Concealment) -> None:
        super().__init__()
        self._hide = hide

    def format(self, record: logging.LogRecord) -> str:
        data: dict[str, Any] = getattr(record, "data", {})
        entry: dict[str, Any] = {
            "time": round(time.time(), 3),
            "level": record.levelname.lower(),
            "what": record.getMessage() if record.name == log.name else wordless(record.getMessage()),
        }
        if record.exc_info and (kind := record.exc_info[0]) is not None:
            entry["error"] = kind.__name__
            where = list(trace(error)) if (error := record.exc_info[1]) is not None else []
            entry["where"] = where[-MOST_FRAMES:]
        return json_text({name: self._hidden(name, value) for name, value in {**entry, **data}.items()})

    def _hidden(self, name: str, value: Any) -> Any:
        """A field of a line; those with other people's text may have paths that no setting has."""
        if isinstance(value, list):
            return [self._hidden(name, each) for each in cast(list[Any], value)]
        if not isinstance(value, str):
            return value
        return self._hide(value) if name in ("what", "where", "text") else self._hide.known(value)


def start_log(config: Config | None = None, token: str | None = None) -> None:
    """Log to standard error, as JSON lines without what is private in these settings, and the token."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(Concealment.of(config or Config(), token)))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("aioice", "aiortc", "httpx", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It complains of what clients do, one line each: no HTTP, a body that ends early, a refused handshake.
    # Whom we refuse we log ourselves, and faults of ours never get that far.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
