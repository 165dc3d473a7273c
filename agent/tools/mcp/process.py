"""A server as a program of this machine: messages by its standard input and output, a JSON text a line.

The library has such a transport too; this one takes no more than it can hold, keeps what the program says of
its own troubles away from the terminal, and tells when it has ended.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from agent.errors import ConfigError, first_line
from agent.settings import MCPConfig
from agent.text.cleaning import cleaned
from agent.tools.mcp.flow import MESSAGE, Flow

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams
    from mcp.shared.message import SessionMessage

GRACE = 1.0
"""Seconds that a program is given to end by itself, and then after it was told to."""
POLL = 0.02
"""Seconds between two looks at whether it has ended."""
NEWS = ("notifications/tools/list_changed", "notifications/subscriptions/acknowledged")
"""What a server may say unasked that is listened to; not its log, nor how far it is."""
INHERITED = (
    (
        "APPDATA",
        "HOMEDRIVE",
        "HOMEPATH",
        "LOCALAPPDATA",
        "PATH",
        "PATHEXT",
        "SYSTEMROOT",
        "TEMP",
        "USERPROFILE",
    )
    if sys.platform == "win32"
    else ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
)
"""Environment variables that any program needs; others, which may be secret, it is given by name."""


def program(config: MCPConfig) -> str:
    """The path of the server's program. Raises ConfigError where there is none."""
    path = shutil.which(os.path.expanduser(config.command), path=_environment(config).get("PATH"))
    if path is None:
        raise ConfigError(f"tools.mcp: {config.name}: no program {config.command!r} is found")
    return path


def _environment(config: MCPConfig) -> dict[str, str]:
    given = {name: os.environ[name] for name in (*INHERITED, *config.inherit) if name in os.environ}
    return given | config.env


@asynccontextmanager
async def spoken_to(
    config: MCPConfig, lost: Callable[[str], None], outside: Callable[[], AbstractContextManager[None]]
) -> AsyncGenerator[TransportStreams]:
    """Start the program, and end it and its children afterwards. `lost` is told, once, why it is no use.

    outside: see `agent.tools.tool.ToolContext`. Raises ConfigError, OSError.
    """
    process = await anyio.open_process(
        [program(config), *config.args],
        env=_environment(config),
        cwd=os.path.expanduser(config.folder) or None,
        start_new_session=True,  # so that Ctrl-C is not for it, and its children can be ended with it
    )
    to_session, from_server = anyio.create_memory_object_stream["SessionMessage | Exception"]()
    to_server, from_session = anyio.create_memory_object_stream["SessionMessage"]()
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: PT018
    said = _Said(process.stderr, flow := Flow())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(said.listen)
        tasks.start_soon(_write, process.stdin, from_session)
        tasks.start_soon(_read, process.stdout, to_session, flow, lost, said)
        try:
            yield from_server, to_server
        finally:
            with anyio.CancelScope(shield=True), outside():
                await _end(process)
            tasks.cancel_scope.cancel()


class _Said:
    """The last line that a program has said of its troubles, which tells why it ended."""

    def __init__(self, stream: ByteReceiveStream, flow: Flow) -> None:
        self._stream, self._flow = stream, flow
        self._last = b""

    async def listen(self) -> None:
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            async for part in self._stream:
                self._last = (self._last + part)[-2000:]
                if self._flow.floods(len(part)):
                    await anyio.sleep(GRACE)  # it waits meanwhile

    def __str__(self) -> str:
        lines = cleaned(self._last.decode("utf-8", "replace")).strip().splitlines()
        return f": {first_line(ValueError(lines[-1].strip()[:200]))}" if lines else ""


async def _read(
    stream: ByteReceiveStream,
    to_session: MemoryObjectSendStream[SessionMessage | Exception],
    flow: Flow,
    lost: Callable[[str], None],
    said: _Said,
) -> None:
    """What the program writes, a message a line; a line that is none was meant for somebody else."""
    from mcp.shared.message import SessionMessage
    from mcp_types import JSONRPCNotification, jsonrpc_message_adapter

    rest = bytearray()
    with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
        async with to_session:
            async for part in stream:
                *lines, after = part.split(b"\n")
                if len(rest) > MESSAGE or flow.floods(len(part), len(lines)):
                    return lost("it sends more than can be read")
                for line in lines:
                    whole = bytes(rest) + line
                    rest.clear()
                    with suppress(ValueError):
                        message = jsonrpc_message_adapter.validate_json(whole, by_name=False)
                        if not isinstance(message, JSONRPCNotification) or message.method in NEWS:
                            await to_session.send(SessionMessage(message))
                rest += after
            await anyio.sleep(POLL)  # what it said last may come after the end of its output
            lost(f"it has ended{said}")
    return None


async def _write(stream: ByteSendStream, from_session: MemoryObjectReceiveStream[SessionMessage]) -> None:
    with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        async with from_session:
            async for message in from_session:
                line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await stream.send(line.encode() + b"\n")


async def _end(process: Process) -> None:
    """End a program as the protocol says: close its input, then tell it, then end it and its children."""
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: PT018
    with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        await process.stdin.aclose()
    if not await _ended(process):
        _signal(process, signal.SIGTERM)
        await _ended(process)
    _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    await _ended(process)
    for stream in (process.stdout, process.stderr):
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            await stream.aclose()


async def _ended(process: Process) -> bool:
    """Whether it ends in time. Its pipes may stay open, where it has handed them on."""
    with anyio.move_on_after(GRACE):
        while process.returncode is None:
            await anyio.sleep(POLL)
    return process.returncode is not None


def _signal(process: Process, number: int) -> None:
    """Tell it and its children, where there are any left."""
    with suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.terminate()
        else:
            os.killpg(process.pid, number)
