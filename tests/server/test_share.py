"""However costly it is to read what one connection sends, the others are looked after."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace

import anyio
import httpx
import pytest
import serving
from hypothesis import given
from hypothesis import strategies as st

from agent.server.http import share
from agent.server.http.share import BRIEF, LARGE, REST, SMALL, RoundRobin, Share


class Machine:
    """A clock of the processor, and an event loop that runs what is due when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, after: float, work: Callable[[], None]) -> Machine:
        self.due.append((self.now + after, work))
        return self

    def cancel(self) -> None:
        self.due.clear()

    def run(self) -> None:
        while self.due:
            moment, work = min(self.due, key=lambda each: each[0])
            self.due.remove((moment, work))
            self.now = max(self.now, moment)
            work()


class Connection:
    """What is read of one, when, and whether it is read on; each byte costs `cost` seconds."""

    def __init__(self, machine: Machine, round_robin: RoundRobin, cost: float) -> None:
        self.machine, self.cost = machine, cost
        self.read, self.parts = b"", list[tuple[float, float]]()
        self.reading = True
        self.share = Share(round_robin, self, self.handle, lambda: True)

    def handle(self, data: bytes) -> None:
        assert data
        self.read += data
        began = self.machine.now
        self.machine.now += len(data) * self.cost
        self.parts.append((began, self.machine.now))

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def faked(patch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    patch.setattr(share, "time", SimpleNamespace(thread_time=lambda: made.now, monotonic=lambda: made.now))
    patch.setattr(share, "asyncio", SimpleNamespace(get_running_loop=lambda: made))
    return made


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return faked(monkeypatch)


def test_costly_ones_are_read_a_little_at_a_time_and_rest_together(machine: Machine) -> None:
    """200 of 20 kB that take 0.6 s each if they are read in one go, as chunks of one byte do."""
    round_robin = RoundRobin()
    crowd = [Connection(machine, round_robin, 30e-6) for _ in range(200)]
    for each in crowd:
        each.share.feed(bytes(20_000))
    machine.run()
    assert all(each.read == bytes(20_000) and each.reading for each in crowd)
    stretches = sorted(part for each in crowd for part in each.parts)
    assert max(end - begin for begin, end in stretches) <= SMALL * 30e-6 + 1e-9
    begun = stretches[len(crowd) - 1][1]  # by then each has had a first part, as a small thing would be read
    worked = sum(end - begin for begin, end in stretches if begin >= begun)
    assert worked / (machine.now - begun) < 1.01 / (1 + REST)
    free = [later[0] - earlier[1] for earlier, later in pairwise(stretches[len(crowd) - 1 :])]
    assert min(free) > BRIEF, "between two parts the others have their turn"


def test_what_is_cheap_is_read_in_large_parts_and_small_things_at_once(machine: Machine) -> None:
    """A picture of 2 MB, then a word."""
    one = Connection(machine, RoundRobin(), 2e-9)
    one.share.feed(bytes(2_000_000))
    machine.run()
    assert len(one.parts) < 2_000_000 / LARGE + 10
    assert machine.now < 0.03
    one.share.feed(b"word")
    assert one.read.endswith(b"word")


def test_one_that_fails_is_ended_and_keeps_no_other_from_its_turn(machine: Machine) -> None:
    round_robin = RoundRobin()
    faulty, sound = Connection(machine, round_robin, 30e-6), Connection(machine, round_robin, 30e-6)

    def handle(data: bytes) -> None:
        machine.now += 1.0
        if machine.now > 1.5:
            raise ValueError("a fault")

    faulty.share._handle = handle
    faulty.share.feed(bytes(5000))
    sound.share.feed(bytes(5000))
    with pytest.raises(ValueError, match="a fault"):
        machine.run()
    machine.run()
    assert faulty.aborted
    assert sound.read == bytes(5000)


@given(st.lists(st.binary(min_size=1, max_size=2000), max_size=8), st.sampled_from([1e-9, 1e-6, 1e-4]))
def test_all_comes_in_its_order(pieces: list[bytes], cost: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        made = faked(patch)
        one = Connection(made, RoundRobin(), cost)
        for piece in pieces:
            one.share.feed(piece)
        made.run()
        assert one.read == b"".join(pieces)
        assert one.reading


@pytest.mark.net
@pytest.mark.parametrize("path", ["/converse", "/nowhere"])
def test_a_body_in_chunks_of_one_byte_is_read_whole(path: str) -> None:
    async def inside() -> None:
        async with serving.running(serving.pool(["x"], ["y"])) as address:
            host, _, port = address.removeprefix("http://").partition(":")
            async with await anyio.connect_tcp(host, int(port)) as stream:
                head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n"
                await stream.send(head.encode() + b"1\r\nx\r\n" * 2_000 + b"0\r\n\r\n")
                with anyio.fail_after(20):
                    said = await stream.receive()
            assert said.startswith(b"HTTP/1.1 400" if path == "/converse" else b"HTTP/1.1 404")
            async with httpx.AsyncClient(base_url=address) as client:
                assert (await client.get("/healthz")).status_code == 200

    anyio.run(inside, backend="asyncio")


@pytest.mark.net
def test_nonsense_after_an_answer_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    """What comes behind a request that was answered with `connection: close`, or while it is answered."""

    async def inside() -> None:
        async with serving.running(serving.pool(["x"], ["y"])) as address:
            host, _, port = address.removeprefix("http://").partition(":")
            for more in ("connection: close\r\n", ""):
                async with await anyio.connect_tcp(host, int(port)) as stream:
                    await stream.send(f"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n{more}\r\n".encode())
                    with (
                        anyio.fail_after(10),
                        contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError),
                    ):
                        await stream.receive()
                        while True:
                            await stream.send(b"\0nonsense\r\n\r\n" * 100)
                            await stream.receive()

    anyio.run(inside, backend="asyncio")
    assert [record for record in caplog.records if record.name == "asyncio"] == []
