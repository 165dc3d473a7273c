"""Every command that draws, at a terminal: what stands on the screen, and that it can be typed on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from agent.models import cache_dir, resolve
from terminal import Terminal, terminal

ROOT = Path(__file__).parents[1]
BACKCHAT = (sys.executable, "-c", "from agent.cli import main; main()")
SMALL = ("--llm", "smollm2", "--set", "llm.temperature=0", "--set", "llm.max_tokens=24")


def environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "HF_ENDPOINT") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "BACKCHAT_CACHE": str(cache_dir()), "TERM": "screen-256color"}


def at_a_terminal(*words: object, folder: Path = ROOT, **env: str):
    return terminal([*BACKCHAT, *words], environment() | env, folder)


def is_as_it_was(screen: Terminal) -> bool:
    """Whether the shell gets its terminal back: with a cursor, an echo, lines."""
    return screen.cursor_shown and screen.echoes


@pytest.mark.model
def test_chat_keeps_what_was_typed_and_all_of_what_was_answered():
    resolve("smollm2")
    with at_a_terminal("chat", *SMALL) as screen:
        screen.wait_for("you>")
        screen.type("Say hello.")
        screen.wait_for("you> Say hello.")  # the letters stand there while they are typed
        screen.press("Enter")
        seen = screen.wait(lambda lines: lines[-1] == "you>")
        at = seen.index("you> Say hello.")
        answer = " ".join(seen[at + 1 : -1])
        assert len(answer.split()) > 5, seen
        screen.type("Say no.\n")
        seen = screen.wait(lambda lines: lines[-1] == "you>")
        assert seen[at : at + 1] == ["you> Say hello."]
        assert answer == " ".join(seen[at + 1 : seen.index("you> Say no.")])
        screen.press("Enter")
        screen.wait_for("ended 0")
        assert is_as_it_was(screen)
