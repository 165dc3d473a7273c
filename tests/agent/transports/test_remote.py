"""What a client is told of a reply that it shortens, in whatever order the two meet."""

from __future__ import annotations

import anyio
import serving

from agent import events as ev
from agent.runner import Runner, VirtualRunner
from agent.settings import Costs
from agent.simulation.virtual import run_virtual
from agent.transports.remote import RATE, RemoteSession
from agent.transports.slot import SessionSlot

STORY = "Once upon a time there was a king who had three sons and a daughter."


class VirtualSlot(SessionSlot):
    """On the virtual clock."""

    def runner(self, *, background: bool = False) -> Runner:
        return VirtualRunner(Costs())


def test_the_end_of_a_reply_tells_what_was_heard_though_it_is_read_after_it_was_truncated() -> None:
    """The news of the end waits for its reader, while the client truncates and is told so at once."""
    pool = serving.pool(["never"], [STORY])

    async def main() -> None:
        async with pool.slot() as slot, anyio.create_task_group() as tasks:
            line = RemoteSession(VirtualSlot(slot.engines), pool.config)
            tasks.start_soon(line.run)
            await line.ready.wait()
            turn = line.send_text("A story, please.")
            while line.sent(turn) < 2 * RATE:
                await anyio.sleep(0.02)
            line.cancel()
            while line.turn:
                await anyio.sleep(0.02)
            kept = line.truncate(turn, RATE)
            assert kept == "Once upon a time"
            line.hang_up()
            (end,) = [item async for item in line.items() if isinstance(item, ev.TurnEnded)]
            assert (end.heard, end.heard + end.unheard) == (kept, STORY)
            assert line.history.messages()[-1].content == kept

    run_virtual(pool.config, main)
