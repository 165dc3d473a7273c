"""A session that is used too early, too late or twice says so in one line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import anyio
import pytest

import scripted
from agent import events as ev
from agent.config import load
from agent.conversation.session import Session
from agent.errors import SessionError
from agent.settings import Config
from agent.simulation.virtual import VirtualRunner, run_virtual
from audio.frame import HEARING_RATE, Frame
from audio.playback import Playback

CONFIG = load(None, ["costs.mode=declared", "stt.interim=0", "turns.meaning=off"])


class NoCamera:
    def grab(self):
        raise AssertionError("nobody looks")


USES: dict[str, Callable[[Session], None]] = {
    "send_text": lambda session: session.send_text("Hello."),
    "asked": lambda session: session.send_text(""),
    "show": lambda session: session.show(b"no picture"),
    "follow": lambda session: session.follow(NoCamera()),
    "update": lambda session: session.update(Config()),
    "clear_audio": lambda session: session.clear_audio(),
    "cancel": lambda session: session.cancel(),
}
EARLY = {"send_text", "asked"}
LATE = {"send_text", "asked", "show", "follow"}
"""What can do nothing then, and so is refused; all else is allowed, and does no harm."""


def held(main) -> None:
    run_virtual(CONFIG, main)


def made(events: list[ev.Event], watchers=()) -> Session:
    runner, engines = VirtualRunner(CONFIG.costs), scripted.engines(["What is it?"], ["A bell."])
    session = Session(engines, CONFIG, runner, Playback(), [events.append, *watchers])

    async def microphone() -> AsyncIterator[Frame]:
        for count in range(200):
            await runner.sleep_until(count * 0.02)
            session_playback.read(480, count * 0.02)
            yield Frame(scripted.silent(0.02).samples, HEARING_RATE, count * 0.02)

    session_playback = session.controller._playback
    session.microphone = microphone
    return session


@pytest.mark.parametrize("use", USES)
def test_before_it_listens(use: str) -> None:
    async def main() -> None:
        session = made([])
        if use in EARLY:
            with pytest.raises(SessionError, match="does not listen yet; wait for its event SessionStarted"):
                USES[use](session)
        else:
            USES[use](session)

    held(main)


@pytest.mark.parametrize("use", USES)
def test_after_its_end(use: str) -> None:
    async def main() -> None:
        session = made(events := [])
        await session.run(session.microphone())
        assert isinstance(events[-1], ev.SessionEnded)
        if use in LATE:
            with pytest.raises(SessionError, match="this session has ended; make another one"):
                USES[use](session)
        else:
            USES[use](session)

    held(main)


def test_twice() -> None:
    async def main() -> None:
        session = made([])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.run, session.microphone())
            await anyio.sleep(0.5)
            with pytest.raises(SessionError, match="listens already"):
                await session.run(session.microphone())
        with pytest.raises(SessionError, match="has ended"):
            await session.run(session.microphone())

    held(main)


def test_whoever_is_told_that_it_listens_may_type_at_once() -> None:
    async def main() -> None:
        def greet(event: ev.Event) -> None:
            if isinstance(event, ev.SessionStarted):
                session.send_text("Hello.")

        session = made(events := [], [greet])
        await session.run(session.microphone())
        (ended,) = [event for event in events if isinstance(event, ev.TurnEnded)]
        assert (ended.reason, ended.heard) == ("finished", "A bell.")

    held(main)


def test_a_session_whose_microphone_fails_has_ended() -> None:
    async def broken() -> AsyncIterator[Frame]:
        raise ValueError("torn")
        yield

    async def main() -> None:
        session = made([])
        with pytest.raises(BaseExceptionGroup, match="nursery"):
            await session.run(broken())
        with pytest.raises(SessionError, match="has ended"):
            session.send_text("Hello.")

    held(main)
