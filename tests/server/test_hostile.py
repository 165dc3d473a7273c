"""A crowd that costs, for a few seconds, on every wire: the honest are served, and nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import logging

import anyio
import httpx
import psutil
import pytest
import serving
from websockets.asyncio.client import connect

import hostile_clients as hostile

pytestmark = pytest.mark.net

TOKEN = "0123456789abcdef" * 3
CLIENTS, SECONDS = 40, 4.0


def held() -> tuple[int, int]:
    """Sockets and other open files of this process, which is the server and all its clients."""
    process = psutil.Process()
    return len(process.net_connections()), process.num_fds()


async def honest(address: str, ended: asyncio.Event) -> int:
    """Somebody who talks by typing in one session, until told to end: how many answers there were."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    answered = 0
    async with connect(f"ws{address.removeprefix('http')}/v1/realtime", additional_headers=headers) as socket:
        while not ended.is_set():
            await socket.send(json.dumps(hostile.texts(20)))
            await socket.send(json.dumps({"type": "response.create"}))
            while (event := json.loads(await socket.recv()))["type"] != "response.done":
                assert event["type"] != "error", event
            assert event["response"]["status"] == "completed"
            answered += 1
    return answered


def test_a_crowd_of_all_kinds_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a socket nor a file, a task or a slot; nor a fault in the log."""
    hostile.prepared(list(hostile.KINDS))

    async def inside() -> None:
        pool = serving.pool(["x"], ["Yes. "] * 3, "server.grpc_port=0", "server.client_timeout=2")
        ended = asyncio.Event()
        async with serving.both(pool, TOKEN) as (address, grpc):
            port = int(address.rpartition(":")[2])
            await asyncio.sleep(0.1)
            tasks, files = len(asyncio.all_tasks()), held()
            talking = asyncio.ensure_future(honest(address, ended))
            heard = await hostile.crowd(
                lambda number: hostile.target(number, port, grpc, TOKEN),
                CLIENTS,
                list(hostile.KINDS),
                SECONDS,
            )
            ended.set()
            assert await talking >= 3
            assert all(heard.values()), heard
            with anyio.fail_after(15):  # where others compute on the same machine
                while not pool.idle or len(asyncio.all_tasks()) > tasks or held() > files:
                    await asyncio.sleep(0.05)
            async with httpx.AsyncClient(base_url=address) as client:
                shown = await client.get("/healthz")
                assert shown.status_code == 200

    with caplog.at_level(logging.INFO):
        anyio.run(inside, backend="asyncio")
    faults = [
        record for record in caplog.records if record.name == "backchat" and record.levelno >= logging.ERROR
    ]
    assert not faults, [(record.getMessage(), record.exc_info) for record in faults]
