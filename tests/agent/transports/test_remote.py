"""What a client is told of a reply that it shortens, in whatever order the two meet; and one that is slow."""

from __future__ import annotations

from unittest.mock import patch

import anyio
import pytest
import serving

from agent import events as ev
from agent.config import load
from agent.errors import RequestError
from agent.runner import Runner, VirtualRunner
from agent.settings import Costs
from agent.simulation.virtual import run_virtual
from agent.testing import SECONDS_PER_CHARACTER
from agent.transports.playout import BLOCK, Playout
from agent.transports.remote import RATE, REST, STEP, UNSENT, RemoteSession, Sound
from agent.transports.slot import SessionSlot

STORY = "Once upon a time there was a king who had three sons and a daughter."


class VirtualSlot(SessionSlot):
    """On the virtual clock."""

    def runner(self, *, background: bool = False) -> Runner:
        return VirtualRunner(Costs())


class DeclaredSlot(SessionSlot):
    """The same, whose work takes what it is declared to take, however busy this machine is."""

    def runner(self, *, background: bool = False) -> Runner:
        return VirtualRunner(Costs(mode="declared"))


def test_the_end_of_a_reply_tells_what_was_heard_though_it_is_read_after_it_was_truncated() -> None:
    """The news of the end waits for its reader, while the client truncates and is told so at once."""
    pool = serving.pool(["never"], [STORY])

    async def main() -> None:
        async with pool.slot() as slot, anyio.create_task_group() as tasks:
            line = RemoteSession(VirtualSlot(slot.engines), pool.config)
            tasks.start_soon(line.run)
            await line.ready.wait()
            turn = line.send_text("A story, please.")
            items = line.items()
            while line.sent(turn) < 2 * RATE:
                await anext(items)
            line.cancel()
            while line.turn:
                await anyio.sleep(0.02)
            kept = line.truncate(turn, RATE)
            assert kept == "Once upon a time"
            line.hang_up()
            (end,) = [item async for item in items if isinstance(item, ev.TurnEnded)]
            assert (end.heard, end.heard + end.unheard) == (kept, STORY)
            assert line.history.messages()[-1].content == kept

    run_virtual(pool.config, main)


def slowly(pool: serving.Scripted, seconds: float, most: float) -> tuple[float, ev.TurnEnded, RemoteSession]:
    """A client that needs so long for each block of 20 ms, and takes no more than `most` seconds of sound.

    The seconds that it took, the end of the reply, and the session.
    """
    found: list[tuple[float, ev.TurnEnded, RemoteSession]] = []

    async def main() -> None:
        taken = 0
        async with pool.slot() as slot, anyio.create_task_group() as tasks:
            line = RemoteSession(VirtualSlot(slot.engines), pool.config)
            tasks.start_soon(line.run)
            await line.ready.wait()
            turn = line.send_text("A story, please.")
            async for item in line.items():
                if isinstance(item, ev.TurnEnded):
                    found.append((taken * BLOCK / RATE, item, line))
                    line.hang_up()
                if isinstance(item, Sound):
                    await anyio.sleep(seconds)
                    taken += 1
                    assert line.sent(turn) // BLOCK - taken <= UNSENT + 1
                    if taken * BLOCK / RATE >= most and line.turn:
                        line.cancel()

    run_virtual(pool.config, main)
    return found[0]


def test_who_reads_more_slowly_than_speech_plays_gets_all_of_it() -> None:
    """For three times as long as may wait: it is held back, and nobody is cut."""
    pool = serving.pool(["never"], [STORY], config=load(None, [*serving.SETTINGS, "server.max_buffer=1"]))
    taken, end, _ = slowly(pool, 0.06, 60.0)
    assert (end.reason, end.heard, end.unheard) == ("finished", STORY, "")
    assert abs(taken - len(STORY) * SECONDS_PER_CHARACTER) < 0.1


def test_what_such_a_client_has_not_got_was_not_heard() -> None:
    pool = serving.pool(["never"], [STORY])
    taken, end, line = slowly(pool, 0.06, 2.0)
    assert (end.reason, end.heard + end.unheard) == ("interrupted", STORY)
    assert taken - 0.6 <= len(end.heard) * SECONDS_PER_CHARACTER <= taken + UNSENT * BLOCK / RATE
    assert line.history.messages()[-1].content == end.heard


def test_silence_is_not_read_and_what_sounds_is_at_once() -> None:
    """A session in which nobody speaks for a minute, then answers, is silent once more, and answers again.

    It was read fifty times a second, by a task that woke a hundred times.
    """
    pool, reads = serving.pool(["never"], [STORY]), list[float]()
    read = Playout.read

    def counted(self: Playout, count: int, at: float):
        reads.append(at)
        return read(self, count, at)

    async def main() -> None:
        async with pool.slot() as slot, anyio.create_task_group() as tasks:
            line = RemoteSession(DeclaredSlot(slot.engines), pool.config)
            tasks.start_soon(line.run)
            await line.ready.wait()
            items = line.items()
            for _ in range(2):
                before = len(reads)
                await anyio.sleep(60.3)
                assert len(reads) - before <= 2 * 60.3 / REST
                line.send_text("A story, please.")
                made = sounds = ended = None
                while ended is None:
                    item = await anext(items)
                    if isinstance(item, ev.Synthesized) and made is None:
                        made = item.time
                    if isinstance(item, Sound) and sounds is None:
                        assert made is not None
                        sounds = item.time
                        assert made - STEP <= sounds <= made + STEP
                    ended = item if isinstance(item, ev.TurnEnded) else None
                assert ended.heard == STORY
            line.hang_up()
            async for _ in items:
                pass

    with patch.object(Playout, "read", counted):
        run_virtual(pool.config, main)


def test_what_is_asked_of_a_session_that_has_ended_is_refused_and_no_fault() -> None:
    """It ends while the client's words are on their way."""
    pool = serving.pool([], [STORY])

    async def main() -> None:
        async with pool.slot() as slot, anyio.create_task_group() as tasks:
            line = RemoteSession(VirtualSlot(slot.engines), pool.config)
            tasks.start_soon(line.run)
            await line.ready.wait()
            line.hang_up()
            async for _ in line.items():
                pass
            for ask in (lambda: line.send_text("A story, please."), lambda: line.show(None)):
                with pytest.raises(RequestError, match="this session has ended; connect anew"):
                    ask()

    run_virtual(pool.config, main)
