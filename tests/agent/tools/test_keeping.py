"""Whose timers and notes are: the user's of this machine in all conversations, or each conversation's own."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import Session, events, testing
from agent.config import load
from agent.errors import ToolError
from agent.server import pool
from agent.settings import ToolsConfig
from agent.testing import call
from agent.tools.nowhere import Nowhere
from agent.tools.registry import loaded
from agent.tools.tool import Tool, ToolContext

SETS = ("timers", "notes")


def told(tool: Tool, conversation: ToolContext, **arguments: Any) -> str:
    """What a call gives, or why it failed."""
    try:
        work = tool.begin(arguments, conversation)
        assert not inspect.isawaitable(work)
        return work()
    except ToolError as error:
        return str(error)


def own(tools: dict[str, Tool], conversation: ToolContext) -> tuple[str, str]:
    """All that a conversation has, timers and notes."""
    return told(tools["list_timers"], conversation), told(tools["recall"], conversation)


WORDS = ("tea", "bread", "Ann")
STEPS = st.tuples(
    st.integers(0, 2), st.sampled_from(["set", "cancel", "remember", "forget"]), st.sampled_from(WORDS)
)


@given(st.lists(STEPS, max_size=15))
def test_what_one_conversation_keeps_no_other_lists_or_forgets(steps: list[tuple[int, str, str]]) -> None:
    """Each of three has the words that it has put in and not taken out, whatever the others do."""
    tools = {tool.name: tool for tool in loaded(ToolsConfig(use=SETS, folder=""))}
    conversations = [Nowhere() for _ in range(3)]
    timers: list[list[str]] = [[], [], []]
    notes: list[list[str]] = [[], [], []]
    for who, step, word in steps:
        if step == "set":
            told(tools["set_timer"], conversations[who], minutes=5, about=word)
            timers[who].append(word)
        elif step == "cancel":
            told(tools["cancel_timer"], conversations[who], about=f"all {word}")
            timers[who] = [each for each in timers[who] if each != word]
        elif step == "remember":
            told(tools["remember"], conversations[who], note=word)
            notes[who].append(word)
        else:
            told(tools["forget"], conversations[who], about=word)
            notes[who] = [each for each in notes[who] if each != word]
    for who, conversation in enumerate(conversations):
        listed, recalled = own(tools, conversation)
        assert [listed.count(word) for word in WORDS] == [timers[who].count(word) for word in WORDS]
        assert [recalled.count(word) for word in WORDS] == [notes[who].count(word) for word in WORDS]


def test_what_was_kept_ends_with_its_conversation_and_a_new_one_has_nothing() -> None:
    tools = {tool.name: tool for tool in loaded(ToolsConfig(use=SETS, folder=""))}
    first = Nowhere()
    assert told(tools["remember"], first, note="No peanuts.").endswith("until this conversation ends.")
    del first
    gc.collect()
    nothing = ("No timer, alarm or reminder is set.", "Nothing has been remembered.")
    assert own(tools, Nowhere()) == nothing


def test_the_user_of_this_machine_has_the_same_in_every_conversation(tmp_path: Path) -> None:
    folder = str(tmp_path / "mine")
    tools = {tool.name: tool for tool in loaded(ToolsConfig(use=SETS, folder=folder))}
    assert told(tools["remember"], Nowhere(), note="No peanuts.") == "Remembered: No peanuts."
    told(tools["set_timer"], Nowhere(), minutes=5, about="tea")
    timers, notes = own(tools, Nowhere())
    assert "tea" in timers
    assert "No peanuts." in notes
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["notes.md", "timers.json"]


def test_a_timer_rings_in_the_conversation_that_set_it_and_in_no_other() -> None:
    """Two at once on one clock, with the same tools: each hears its own, at its own time."""

    async def talked(seconds: int, tools: Sequence[Tool], heard: dict[int, list[str]]) -> None:
        replies = [[call("set_timer", seconds=seconds)], "It runs.", [call("list_timers")], "So it is."]
        session = testing.session(["Set a timer.", "Which?"], replies, SETTINGS, tools)
        async with session:
            for _ in range(2):
                await session.push_audio(*testing.loud(1.0))
                await session.push_audio(*testing.quiet(6.0))
            await session.push_audio(*testing.quiet(40.0))
            session.close()
            heard[seconds] = await ended(session)

    async def both() -> dict[int, list[str]]:
        tools, heard = loaded(ToolsConfig(use=("timers",), folder="")), dict[int, list[str]]()
        async with anyio.create_task_group() as tasks:
            for seconds in (20, 30):
                tasks.start_soon(talked, seconds, tools, heard)
        return heard

    heard = testing.run(both)
    assert heard == {
        seconds: [
            "It runs.",
            f"timer for {seconds} seconds",
            "So it is.",
            f"Your timer for {seconds} seconds is over.",
        ]
        for seconds in (20, 30)
    }


SETTINGS = load(None, ["turns.meaning=off"])


async def ended(session: Session) -> list[str]:
    """What was heard, and what was listed before that, without how much was left."""
    found = list[str]()
    async for event in session.events():
        if isinstance(event, events.ToolReturned) and event.name == "list_timers":
            found.append(event.result.partition(",")[0])
        if isinstance(event, events.TurnEnded):
            found.append(event.heard)
    return found


@pytest.mark.parametrize(("one_user", "folder"), [("false", ""), ("true", "/there")])
def test_a_server_keeps_files_only_where_all_are_one_user(
    one_user: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()

    def engines(config: Any, *_: Any) -> Any:
        asked.append(config.tools.folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "load", engines)
    with pytest.raises(KeyboardInterrupt):
        pool.load_pool(load(None, ["tools.folder=/there", f"server.one_user={one_user}"]))
    assert asked == [folder]
