"""Real servers: one of the package over HTTP and standard output, and reference servers that are packages."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from agent import events as ev
from agent.settings import MCPConfig
from agent.tools.execution import Execution, Running
from agent.tools.mcp.connection import MCPServer, asked
from agent.tools.nowhere import Nowhere
from tool_calls import Done, held

pytestmark = pytest.mark.net

SERVER = Path(__file__).parents[2] / "package_tools.py"


@contextmanager
def serving(port: int, *args: str) -> Iterator[None]:
    """The package's server on that port."""
    command = [sys.executable, str(SERVER), str(port), *args]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def at(port: int, **more: str) -> MCPServer:
    config = MCPConfig(name="trains", url=f"http://127.0.0.1:{port}/mcp", **more)
    (server,) = asked([config])
    return server


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_over_http_calls_are_answered_and_changes_followed(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINS_TOKEN", "secret-7")
    results: list[str] = []

    async def talk(done: Done, execution: Execution) -> None:
        results.append((await done("departures", station="Ely", count=2)).told)
        results.append((await done("whose")).told)
        await done("grow")
        while "grown" not in execution.tools:
            await anyio.sleep(0.05)
        results.append((await done("grown")).told)

    with serving(port := free_port()):
        server = at(port, token_env="TRAINS_TOKEN")
        assert not server.failed
        held(server, talk, backend)
    assert results == ["Ely at 12 past\nEly at 32 past", "Bearer secret-7", "new"]


@pytest.mark.parametrize("kind", [(), ("json",)])
def test_over_http_no_more_is_read_than_can_be_held(kind: tuple[str, ...]) -> None:
    results: list[Running] = []

    async def talk(done: Done, _: Execution) -> None:
        results.append(await done("letter"))
        results.append(await done("departures", station="Ely"))

    with serving(port := free_port(), *kind):
        held(at(port), talk)
    assert results[0].told.startswith("The connection to trains broke")
    assert results[1].told == "Ely at 12 past"


def test_over_http_tools_come_back_with_their_server() -> None:
    results: list[Running] = []
    port = free_port()

    async def talk(done: Done, _: Execution) -> None:
        with serving(port):
            results.append(await done("departures", station="Ely"))
            results.append(await done("die"))
        results.append(await done("departures", station="Ely"))
        with serving(port):
            while (again := await done("departures", station="Ely")).told != "Ely at 12 past":
                await anyio.sleep(0.1)
            results.append(again)

    with serving(port):
        server = at(port, connect_timeout=2.0)
    events = held(server, talk)
    assert [running.result.outcome for running in results if running.result] == [
        "done",
        "failed",
        "failed",
        "done",
    ]
    assert "It may have been done" in results[1].told
    assert "Nothing was done" in results[2].told
    assert len([event for event in events if isinstance(event, ev.Error)]) >= 1


def test_the_package_s_server_by_standard_output() -> None:
    results: list[str] = []

    async def talk(done: Done, execution: Execution) -> None:
        await done("grow")
        while "grown" not in execution.tools:
            await anyio.sleep(0.05)
        results.append((await done("departures", station="Ely")).told)
        results.append((await done("die")).told)
        results.append((await done("departures", station="Ely")).told)

    (server,) = asked([MCPConfig(name="trains", command=sys.executable, args=(str(SERVER),))])
    held(server, talk)
    assert results[0] == results[2] == "Ely at 12 past"
    assert "It may have been done" in results[1]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the reference servers' programs, in an environment of their own."""
    folder = tmp_path_factory.mktemp("reference")
    packages = ("mcp-server-time", "mcp-server-fetch")
    uv, env = [sys.executable, "-m", "uv", "--quiet"], str(folder / "env")
    for command in (["venv", env], ["pip", "install", "-p", env, *packages]):
        if subprocess.run([*uv, *command], timeout=120, capture_output=True).returncode:
            pytest.skip("optional: the reference servers come from a package index")
    return Path(env) / "bin"


def test_the_reference_servers_serve(reference: Path) -> None:
    time_server = MCPConfig(
        name="time", command=str(reference / "mcp-server-time"), args=("--local-timezone", "Europe/Berlin")
    )
    fetch = MCPConfig(name="fetch", command=str(reference / "mcp-server-fetch"))
    servers = asked([time_server, fetch])
    assert [server.failed for server in servers] == ["", ""]
    offered = {tool.name: tool.effect for server in servers for tool in server.open(Nowhere()).tools}
    assert offered == {"get_current_time": "reads", "convert_time": "reads", "fetch": "reads"}
    told: list[str] = []

    async def talk(done: Done, _: Execution) -> None:
        zones = {"source_timezone": "Europe/Berlin", "target_timezone": "Asia/Tokyo"}
        told.append((await done("convert_time", time="12:30", **zones)).told)
        told.append((await done("convert_time", time="noon", **zones)).told)

    held(servers[0], talk)
    assert "20:30:00+09:00" in told[0]
    assert "Invalid time format" in told[1]
