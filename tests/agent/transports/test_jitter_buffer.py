"""Sound that arrives early, late, in bursts or not at all, as an even microphone, on a virtual clock."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable

import anyio
import numpy as np
import pytest
import trio
import trio.testing

from agent.runner import VirtualRunner
from agent.settings import Costs
from agent.transports.jitter_buffer import JitterBuffer
from audio.frame import HEARING_RATE, Frame


def heard(main: Callable, seconds: float, max_buffer: float = 20.0) -> list[Frame]:
    """What comes out within `seconds` while `main(intake)` puts in."""
    frames: list[Frame] = []
    arrived: list[float] = []

    async def inside() -> None:
        runner = VirtualRunner(Costs(mode="declared"))
        runner.now()
        intake = JitterBuffer(runner, max_buffer)

        async def listen() -> None:
            async for frame in intake.frames():
                frames.append(frame)
                arrived.append(runner.now())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            tasks.start_soon(main, intake)
            await anyio.sleep(seconds)
            tasks.cancel_scope.cancel()

    trio.run(inside, clock=trio.testing.MockClock(autojump_threshold=0))
    for before, after in itertools.pairwise(frames):
        assert after.time == pytest.approx(before.end), "the frames do not follow each other"
    for frame, moment in zip(frames, arrived, strict=True):
        assert frame.end <= moment + 1e-6, "sound from the future"
    return frames


def ones(seconds: float) -> np.ndarray:
    return np.ones(round(seconds * HEARING_RATE), np.float32)


def test_live_sound_comes_through_at_once() -> None:
    async def live(intake: JitterBuffer) -> None:
        for _ in range(50):
            await anyio.sleep(0.02)
            await intake.put(ones(0.02), HEARING_RATE)

    frames = heard(live, 1.01)
    assert len(frames) == 50
    assert all(frame.samples.all() for frame in frames)


def test_a_burst_is_heard_at_the_pace_of_the_clock() -> None:
    async def burst(intake: JitterBuffer) -> None:
        await intake.put(ones(2.0), HEARING_RATE)

    assert sum(f.duration for f in heard(burst, 1.0)) == pytest.approx(1.0, abs=0.05)


def test_late_sound_is_caught_up_with_and_not_torn_apart() -> None:
    async def jittery(intake: JitterBuffer) -> None:
        for _ in range(5):
            await anyio.sleep(0.2)
            await intake.put(ones(0.2), HEARING_RATE)

    frames = heard(jittery, 1.25)
    sound = np.concatenate([f.samples for f in frames])
    assert sound[: HEARING_RATE - 400].all(), "silence was put into the midst of it"


def test_a_client_that_falls_silent_is_silence() -> None:
    async def one_word(intake: JitterBuffer) -> None:
        await anyio.sleep(0.5)
        await intake.put(ones(0.5), HEARING_RATE)

    frames = heard(one_word, 3.0)
    sound = np.concatenate([f.samples for f in frames])
    assert not sound[round(0.55 * HEARING_RATE) :].any()
    assert frames[-1].end == pytest.approx(3.0, abs=0.15)


def test_beyond_the_backlog_the_client_is_held_back() -> None:
    put: list[float] = []

    async def flood(intake: JitterBuffer) -> None:
        for number in range(100):
            await intake.put(ones(1.0), HEARING_RATE)
            put.append(number)

    heard(flood, 5.0, max_buffer=2.0)
    assert 5 <= len(put) <= 8


def test_other_rates_are_converted() -> None:
    async def at_24k(intake: JitterBuffer) -> None:
        for _ in range(50):
            await anyio.sleep(0.02)
            await intake.put(np.ones(480, np.float32), 24_000)

    frames = heard(at_24k, 1.0)
    assert sum(f.duration for f in frames) == pytest.approx(1.0, abs=0.05)
    assert {f.rate for f in frames} == {HEARING_RATE}


def test_a_hiccup_of_the_network_delays_nothing_for_good() -> None:
    """Two seconds of speech and pauses, of which the middle second comes late and in one piece."""
    speech = np.tile(np.concatenate([ones(0.2), 0 * ones(0.2)]), 10)
    early, late, rest = np.split(speech, [HEARING_RATE, 2 * HEARING_RATE])

    async def torn(intake: JitterBuffer) -> None:
        for second in (early, rest):
            for block in second.reshape(-1, 320):
                await anyio.sleep(0.02)
                await intake.put(block, HEARING_RATE)
            if second is early:
                await anyio.sleep(1.0)
                await intake.put(late, HEARING_RATE)
        await anyio.sleep(1.0)

    sound = np.concatenate([f.samples for f in heard(torn, 4.6)])
    assert np.count_nonzero(sound) == np.count_nonzero(speech), "speech was lost"
    last = np.flatnonzero(sound)[-1] / HEARING_RATE
    assert last < 4.0 + 0.1, "it is still heard late"


def test_who_falls_silent_and_speaks_again_keeps_the_pauses() -> None:
    speech = np.concatenate([ones(0.2), 0 * ones(0.3), ones(0.2)])

    async def twice(intake: JitterBuffer) -> None:
        for _ in range(2):
            for block in speech.reshape(-1, 320):
                await anyio.sleep(0.02)
                await intake.put(block, HEARING_RATE)
            await anyio.sleep(1.0)

    sound = np.concatenate([f.samples for f in heard(twice, 3.5)])
    gaps = np.diff(np.flatnonzero(sound)) / HEARING_RATE
    assert sum(gap > 0.25 for gap in gaps) == 3


def test_a_large_message_is_converted_little_by_little() -> None:
    """Converting takes many times the memory of the sound, and holds up whatever else is going on."""
    peak = 0

    async def put(intake: JitterBuffer) -> None:
        nonlocal peak
        tracemalloc.start()
        await intake.put(np.ones(60 * 24_000, np.float32), 24_000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    frames = heard(put, 60.0, max_buffer=2.0)
    assert len(frames) >= 2999, "it is all heard"
    assert peak < 20_000_000, f"{peak / 1e6:.0f} MB"
