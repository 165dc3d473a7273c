"""Seats: who is let in, and when; and that nothing of a session stays behind."""

from __future__ import annotations

import gc
import json

import anyio
import pytest
import serving
from websockets.asyncio.client import ClientConnection, connect

from agent.errors import Busy
from agent.server import run as service
from audio.vad import VoiceDetector

REPLY = "One two three four five six seven."

pytestmark = pytest.mark.net


def run(main) -> None:
    async def inside() -> None:
        with anyio.fail_after(60):
            await main()

    anyio.run(inside, backend="asyncio")


async def speaking(address: str) -> ClientConnection:
    """A session whose reply has begun to sound."""
    socket = await connect(f"ws{address.removeprefix('http')}/v1/realtime")
    await socket.send(json.dumps({"type": "response.create"}))
    while json.loads(await socket.recv())["type"] != "response.output_audio.delta":
        pass
    return socket


def test_the_seat_of_one_who_has_just_gone_is_given_to_the_next() -> None:
    async def main() -> None:
        # A slow token keeps the slot taken for a while after its client has vanished.
        pool = serving.pool(["x"], [REPLY], "server.sessions=1", token=0.2)
        async with serving.running(pool) as address:
            for _ in range(3):
                (await speaking(address)).transport.abort()
            await (await speaking(address)).close()

    run(main)


def test_a_full_server_refuses_after_a_moment_and_a_crowd_at_once() -> None:
    async def main() -> None:
        pool = serving.pool(["x"], [REPLY], "server.sessions=1")
        refused: list[str] = []

        async def come() -> None:
            with pytest.raises(Busy, match="all 1 places are taken"):
                async with pool.slot():
                    pass
            refused.append("one")

        async with pool.slot(), anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(come)
            await anyio.wait_all_tasks_blocked()
            assert len(refused) == 4, "one alone may wait"
        assert len(refused) == 5

    run(main)


def test_who_waits_for_a_seat_is_told_that_the_server_stops() -> None:
    async def main() -> None:
        pool = serving.pool(["x"], [REPLY], "server.sessions=1")

        async def come() -> None:
            with pytest.raises(Busy, match="about to stop"):
                async with pool.slot():
                    pass

        async with pool.slot(), anyio.create_task_group() as tasks:
            tasks.start_soon(come)
            await anyio.wait_all_tasks_blocked()
            pool.close()

    run(main)


def test_what_a_session_used_is_given_back_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions end in cycles of frames and exceptions; each keeps a detector of 2.6 MB that gc cannot see."""
    monkeypatch.setattr(service, "TIDY", 0.5)  # time to let go of the last one, on a busy machine too

    def detectors() -> int:
        # By `type`: to `isinstance`, a weak proxy of something that is gone is an error.
        return sum(type(one) is VoiceDetector for one in gc.get_objects())

    async def main() -> None:
        pool = serving.pool(["x"], [REPLY], "server.sessions=1")
        gc.collect()
        before = detectors()
        gc.disable()  # the worst case: nothing comes by chance
        try:
            async with serving.running(pool) as address:
                for _ in range(6):
                    (await speaking(address)).transport.abort()
                    while not pool.idle:
                        await anyio.sleep(0.01)
                with anyio.move_on_after(10):
                    while not pool.idle or detectors() > before:
                        await anyio.sleep(0.05)
                assert detectors() <= before
        finally:
            gc.enable()

    run(main)
