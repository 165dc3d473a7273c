"""The chat in print: what a reader of the terminal sees, and what a pipe gets."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import scripted
from agent import tool
from agent.cli.parts.typed_conversation import chat_in_print, for_print
from agent.config import load
from agent.engines import registry
from agent.errors import ToolError
from agent.settings import ToolsConfig
from agent.testing import call
from agent.tools.registry import loaded
from agent.tools.tool import Tool

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
    chatted(monkeypatch, llm, ["Hello.", "Hello again."])
    shown = screen.getvalue().replace("\x1b[0m\x1b[2m", "")
    thought = "\x1b[2mThey greet me.\x1b[0m\n" if terminal else ""
    assert shown == f"{thought}Hello, my friend.\n" * 2
    assert [m.content for m in llm.asked[1] if m.role == "assistant"] == ["Hello, my friend."]


def chatted(
    monkeypatch: pytest.MonkeyPatch, llm: Any, lines: Sequence[str], tools: Sequence[Tool] = (), *sets: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    given = for_print(llm)
    config = load(None, ["turns.meaning=off", *sets])
    engines = registry.load(config, given=registry.Given(**{**vars_of(given), "tools": tools}))
    chat_in_print(config, engines)


def vars_of(given: registry.Given) -> dict[str, Any]:
    return {name: getattr(given, name) for name in ("stt", "llm", "tts", "vad", "endpointing")}


@tool(effect="reads")
def departures(station: str, count: int = 3) -> str:
    """The next trains."""
    return f"{count} trains from {station}, the next at twelve past"


@tool(effect="changes", private=True)
def prescribe(drug: str) -> str:
    """Prescribe something."""
    raise ToolError(f"no {drug} there")


def test_calls_are_told_beside_the_answer_and_what_is_private_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replies = [
        ["Let me look.", call("departures", station="Ely", count=1)],
        "At twelve past.",
        [call("prescribe", drug="aspirin")],
        "It is not there.",
    ]
    llm = scripted.ScriptedLLM(replies)
    chatted(monkeypatch, llm, ["When is the next train from Ely?", "Aspirin."], [departures, prescribe])
    out, err = capsys.readouterr()
    assert out == "Let me look.\nAt twelve past.\nIt is not there.\n"
    assert re.sub(r"\d\.\d s", "N s", err).splitlines() == [
        '  departures(station="Ely", count=1)',
        "  departures: done after N s: 1 trains from Ely, the next at twelve past",
        "  prescribe(…)",
        "  prescribe: failed after N s",
    ]
    assert "no aspirin there" in llm.asked[3][-1].content, "the model is told"


def test_what_needs_a_yes_is_asked_and_what_ends_the_conversation_ends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []

    @tool(effect="changes", confirm="Shall I really drop {what}?")
    def drop(what: str) -> str:
        """Drop something."""
        done.append(what)
        return "dropped"

    replies = [[call("drop", what="it")], "It is gone.", [call("end_conversation")], "Goodbye."]
    tools = [drop, *loaded(ToolsConfig(use=("goodbye",)))]
    chatted(
        monkeypatch, scripted.ScriptedLLM(replies), ["Drop it.", "Yes.", "Goodbye.", "Are you there?"], tools
    )
    assert capsys.readouterr().out == "Shall I really drop it?\nIt is gone.\nGoodbye.\n"
    assert done == ["it"]


def test_what_speaks_up_by_itself_stands_on_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One that was due before is told when the conversation begins, and no answer is cut in print."""
    (tmp_path / "timers.json").write_text('[{"due": 1.0, "kind": "reminder:", "about": "call Ann"}]')
    tools = loaded(ToolsConfig(use=("timers",), folder=str(tmp_path)))
    chatted(monkeypatch, scripted.ScriptedLLM(["It is. And so on."]), ["Is it?"], tools)
    lines = capsys.readouterr().out.splitlines()
    assert lines.count("It is. And so on.") == 1
    (reminder,) = [line for line in lines if line != "It is. And so on."]
    assert re.fullmatch(r"Here is your reminder: call Ann\. It was due \d+ days .* ago\.", reminder)


class Breaking(scripted.ScriptedLLM):
    """Fails in the midst of its first answer."""

    def stream(self, messages: Any) -> Iterator[Any]:
        for word in super().stream(messages):
            yield word
            if len(self.asked) == 1:
                raise RuntimeError("no more paper")


def test_what_stood_there_of_an_answer_that_broke_off_is_in_the_history_and_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is read is known as it is written: the model must not believe that it has said nothing."""
    llm = Breaking(["Seven of them.", "Two more."])
    chatted(monkeypatch, llm, ["How many?", "And then?"])
    out, err = capsys.readouterr()
    assert out == "Seven\nTwo more.\n"
    assert err == "backchat: the llm engine failed: RuntimeError: no more paper\n"
    assert [m.content for m in llm.asked[1] if m.role == "assistant"] == ["Seven"]


def test_a_line_that_is_typed_over_what_speaks_up_is_answered_below_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Two are due at once: each stands there whole, and once."""
    (tmp_path / "timers.json").write_text(
        '[{"due": 1.0, "kind": "reminder:", "about": "call Ann"},'
        ' {"due": 2.0, "kind": "reminder:", "about": "call Ben"}]'
    )
    tools = loaded(ToolsConfig(use=("timers",), folder=str(tmp_path)))
    chatted(monkeypatch, scripted.ScriptedLLM(["It is.", "It was."]), ["Is it?", "Was it?"], tools)
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split(". ")[0] for line in lines) == [
        "Here is your reminder: call Ann",
        "Here is your reminder: call Ben",
        "It is.",
        "It was.",
    ]
