"""Connections and bodies that only cost: which one goes, when, and that an honest one always has room."""

from __future__ import annotations

import anyio
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import RequestError
from agent.server.admission.auth import Admission
from agent.server.admission.bodies import SMALL, Bodies
from agent.server.admission.connections import Connection, Connections
from agent.server.admission.guard import Guard
from agent.server.telemetry.log import Refusals
from agent.settings import ServerConfig


class Table:
    """Connections that note who was ended."""

    def __init__(self, most: int, client_timeout: float = 20.0) -> None:
        self.all = Connections(most, client_timeout)
        self.ended: list[str] = []

    def open(self, name: str, address: str = "10.0.0.1") -> Connection:
        return self.all.opened(address, lambda: self.ended.append(name))


def test_the_one_that_waited_longest_makes_room_and_nobody_who_is_served() -> None:
    table = Table(3)
    served, silent, asking = table.open("served"), table.open("silent"), table.open("asking")
    with served.request(body=False):
        silent.since, asking.since = 1.0, 2.0
        table.open("new")
        assert table.ended == ["silent"]
        with asking.request(body=True):
            table.open("newer")
            assert table.ended == ["silent", "asking"], "its body trickles, and it is the oldest"
    assert len(table.all) == 3


def test_who_has_many_makes_room_for_who_has_one() -> None:
    """However old the honest one is; and a subscriber's IPv6 addresses are one crowd."""
    table = Table(5)
    honest = table.open("honest", "192.0.2.1")
    honest.since = 0.0
    for number in range(50):
        table.open(f"crowd {number}", f"2001:db8::{number:x}")
    assert table.ended == [f"crowd {number}" for number in range(46)]


def test_a_newcomer_is_turned_away_when_all_are_served() -> None:
    table = Table(2)
    with table.open("a").request(body=False), table.open("b").request(body=False):
        table.open("c")
        assert table.ended == ["c"]
    table.open("d")
    assert table.ended == ["c", "b"], "they have been answered"


def test_a_connection_is_served_while_any_of_its_requests_is_whole() -> None:
    """HTTP/2 carries many."""
    one = Connection()
    assert (one.served, one.waits) == (False, True)
    with one.request(body=True) as first, one.request(body=True) as second:
        assert (one.served, one.waits) == (False, False), "both are yet to come"
        second()
        second()
        assert one.served
        first()
    assert (one.served, one.waits) == (False, True)
    with one.request(body=False):
        with one.request(body=True):
            pass
        assert one.served


def test_who_must_go_is_told_by_the_setting_and_its_work_ends() -> None:
    async def main() -> None:
        table, told = Connections(2, 20.0), list[RequestError]()

        async def held(address: str) -> None:
            try:
                with table.holding(address):
                    await anyio.sleep_forever()
            except RequestError as error:
                told.append(error)

        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(held, "10.0.0.1" if number else "192.0.2.1")
            await anyio.wait_all_tasks_blocked()
            assert len(table) == 2
            assert [(error.status, error.code, error.retry_after) for error in told] == [(503, "busy", 5)] * 3
            assert all("server.connections" in str(error) for error in told)
            tasks.cancel_scope.cancel()
        assert len(table) == 0

    anyio.run(main)


@given(st.lists(st.lists(st.integers(1, 200_000), max_size=5), max_size=8), st.integers(1_000, 400_000))
def test_no_more_is_held_than_may_be_and_a_small_body_always_has_room(sizes, most: int) -> None:
    bodies = Bodies(most)
    refused: list[tuple[int, int | None, int]] = []

    def nest(rest) -> None:
        if not rest:
            with bodies.holding() as hold:
                hold(SMALL)
            return
        with bodies.holding() as hold:
            for part in rest[0]:
                before = bodies.held
                try:
                    hold(part)
                except RequestError as error:
                    refused.append((error.status, error.retry_after, bodies.held - before))
                    break
                assert bodies.held <= most
            nest(rest[1:])

    nest(sizes)
    assert bodies.held == 0
    assert set(refused) <= {(503, 5, 0)}


async def trickled(config: ServerConfig, pause: float, part: int, length: int = 10**6) -> tuple[int, float]:
    """A body of which `part` bytes come every `pause` seconds: the status, and when it was given."""
    status: list[int] = []

    async def app(scope, receive, send) -> None:
        try:
            while (await receive()).get("more_body"):
                pass
        except RequestError as error:
            status.append(error.status)
        else:
            status.append(200)

    left = length

    async def receive() -> dict:
        nonlocal left
        await anyio.sleep(pause)
        left -= part
        return {"type": "http.request", "body": bytes(part), "more_body": left > 0}

    async def send(message: dict) -> None:
        status.append(message.get("status", 0))

    headers = [(b"host", b"127.0.0.1"), (b"content-length", str(length).encode())]
    scope = {"type": "http", "method": "POST", "path": "/converse", "headers": headers, "scheme": "http"}
    began = anyio.current_time()
    guard = Guard(app, config, Admission(config, None), Refusals())
    await guard({**scope, "client": ("127.0.0.1", 1)}, receive, send)
    return status[0], anyio.current_time() - began


@pytest.mark.parametrize(
    ("pause", "part", "expected"),
    [
        (10.0, 1, (408, 60.0)),  # each byte in time, the whole never
        (30.0, 1, (408, 20.0)),
        (1.0, 20_000, (200, 50.0)),
        (1.0, 10_000, (408, 60.0)),
    ],
)
def test_a_body_has_a_deadline_as_a_whole(pause: float, part: int, expected: tuple[int, float]) -> None:
    config = ServerConfig(client_timeout=20.0, body_time=60.0)
    assert trio.run(
        trickled, config, pause, part, clock=trio.testing.MockClock(autojump_threshold=0)
    ) == pytest.approx(expected)


def test_an_answered_connection_has_time_again() -> None:
    """From each request on; and from the end of what was served, however long that took."""

    async def main() -> None:
        table = Table(9, client_timeout=0.2)
        table.open("idle")
        served, sending = table.open("served"), table.open("sending")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(table.all.watch)
            with served.request(body=False), sending.request(body=True):
                await anyio.sleep(0.4)
                assert table.ended == ["idle"]
            with anyio.fail_after(5):
                while len(table.all):
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        assert table.ended == ["idle", "served", "sending"]

    anyio.run(main)
