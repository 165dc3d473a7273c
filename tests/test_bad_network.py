"""The relays of a bad network do what they say: on the clock of the test, and on real sockets."""

from __future__ import annotations

import random

import anyio
import bad_network
import pytest
from hypothesis import given
from hypothesis import strategies as st

RATES = st.none() | st.floats(8_000, 1_000_000)


@given(st.floats(0, 0.5), st.floats(0, 0.3), st.floats(0, 0.05), RATES, st.integers(0, 9))
def test_a_stream_loses_nothing_and_keeps_its_order(
    loss: float, delay: float, jitter: float, rate: float | None, seed: int
) -> None:
    link = bad_network.Link(loss, delay + jitter, jitter, rate, random.Random(seed))
    came = [link.segment(0.02 * number, 1000) for number in range(200)]
    assert came == sorted(came)
    assert all(at >= 0.02 * number + delay for number, at in enumerate(came))
    if rate is not None:
        assert came[-1] >= 200 * 8 * 1000 / rate


@given(st.floats(0, 0.5), RATES, st.integers(0, 9))
def test_datagrams_are_lost_by_share_and_before_a_full_queue(
    loss: float, rate: float | None, seed: int
) -> None:
    link = bad_network.Link(loss, 0.15, 0.05, rate, random.Random(seed))
    came = [link.datagram(0.02 * number, 100) for number in range(1000)]
    times = [(at, 0.02 * number) for number, at in enumerate(came) if at is not None]
    assert all(0.1 - 1e-9 <= at - sent <= 0.2 + bad_network.QUEUE + 1.2 for at, sent in times)
    if rate is None:
        assert abs(1 - len(times) / 1000 - loss) < 0.07


@pytest.mark.net
def test_what_goes_through_tcp_comes_whole_and_late() -> None:
    async def main() -> None:
        async def echo(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                async for data in stream:
                    await stream.send(data)

        async with anyio.create_task_group() as tasks:
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
            tasks.start_soon(listener.serve, echo)
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            network = bad_network.Network.like(loss=0.2, delay=0.02)
            data, began = random.Random(1).randbytes(40_000), anyio.current_time()
            async with (
                bad_network.tcp(network, port) as through,
                await anyio.connect_tcp("127.0.0.1", through) as stream,
            ):
                tasks.start_soon(stream.send, data)
                got = b""
                while len(got) < len(data):
                    got += await stream.receive()
            assert got == data
            assert anyio.current_time() - began >= network.up.timeout, "a fifth of the segments came late"
            tasks.cancel_scope.cancel()

    anyio.run(main, backend="asyncio")
