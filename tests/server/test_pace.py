"""Speech goes to who takes it as fast as it plays: others are kept from a place for no longer than that."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import numpy as np
import pytest
import trio

from agent.errors import RequestError
from agent.server.http.speech import as_it_plays
from agent.settings import ServerConfig
from audio.tts import Speech

PARTS = 200
LIMITS = ServerConfig(client_timeout=20.0, longest=150.0)


async def spoken() -> AsyncIterator[Speech]:
    """So many seconds of speech, in parts of one."""
    for number in range(PARTS):
        yield Speech(np.zeros(24_000, np.float32), 24_000, number, number + 1, ())


async def taken(pauses: list[float]) -> tuple[int, float, str]:
    """By who needs so long for each part, again and again: how many, after how long, and what was told."""
    began, count = anyio.current_time(), 0
    try:
        async for _ in as_it_plays(spoken(), LIMITS):
            count += 1
            await anyio.sleep(pauses[count % len(pauses)])
    except RequestError as error:
        return count, anyio.current_time() - began, f"{error.status} {error}"
    return count, anyio.current_time() - began, ""


@pytest.mark.parametrize(
    ("pauses", "count", "seconds", "told"),
    [
        ([0.0], PARTS, 0.0, ""),
        ([0.7], PARTS, 140.0, ""),
        ([0.0, 1.4], PARTS, 140.0, ""),  # by fits and starts
        ([*[0.0] * 39, 19.0], PARTS, 5 * 19.0, ""),  # who fills a buffer and then plays it
        ([1.0], 151, 151.0, "server.longest"),  # as it plays, but for too long
        ([3.0], 11, 33.0, "server.client_timeout"),  # each part in time, and always further behind
        ([19.9], 2, 39.8, "server.client_timeout"),
    ],
)
def test_who_is_slower_than_speech_is_let_go(
    pauses: list[float], count: int, seconds: float, told: str
) -> None:
    found = trio.run(taken, pauses, clock=trio.testing.MockClock(autojump_threshold=0))
    assert found[0] == count
    assert found[1] == pytest.approx(seconds)
    assert told in found[2]
    assert found[2][:3] == ("408" if told else "")
