"""The chat in print: what a reader of the terminal sees, and what a pipe gets."""

from __future__ import annotations

import io

import pytest

import scripted
from agent.cli.parts.typed_conversation import chat_in_print
from agent.config import load

REPLY = "<think>They greet me.</think>Hello, my friend."


class Screen(io.StringIO):
    """Standard output, a terminal or not."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_a_thought_is_dimmed_on_a_line_of_its_own_and_in_no_pipe(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen, llm = Screen(terminal), scripted.ScriptedLLM([REPLY, REPLY])
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello.\nHello again.\n"))
    chat_in_print(load(None, []), llm)
    shown = screen.getvalue().replace("\x1b[0m\x1b[2m", "")
    thought = "\x1b[2mThey greet me.\x1b[0m\n" if terminal else ""
    assert shown == f"{thought}Hello, my friend.\n" * 2
    assert [m.content for m in llm.asked[1] if m.role == "assistant"] == ["Hello, my friend."]
