"""What is told while engines load, and that "listening" is said when the microphone gives sound."""

from __future__ import annotations

import io
import sys
from collections.abc import AsyncIterator

import anyio
import pytest
from rich.console import Console

import scripted
from agent.cli.parts.loading import CLEAR_LINE, loading
from agent.cli.parts.view import LiveView, PlainView
from agent.config import load
from agent.engines import registry as engines
from audio.frame import Frame, silence


class Screen(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_each_part_is_a_line_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str], monkeypatch):
    offered = scripted.engines(["What?"], ["That."])
    monkeypatch.setattr(engines, "find", lambda kind, _: lambda: getattr(offered, kind))
    monkeypatch.setattr(engines, "load_vision", lambda *_: None)
    monkeypatch.setattr(engines, "policy", lambda _: None)
    config = load(None, ["turns.policy=vad", "stt.model=ears", "llm.model=head", "tts.model=mouth"])
    with loading() as (progress, tell):
        engines.load(config, progress, tell)
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        "loading speech-to-text ears",
        "loading the language model head",
        "loading the voice mouth",
    ]


def test_a_command_whose_answer_is_all_that_is_wanted_says_nothing(capsys: pytest.CaptureFixture[str]):
    with loading(lines=False) as (_, tell):
        tell("the voice")
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_the_part_stands_there_until_the_next_and_the_cursor_stays(monkeypatch):
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with loading() as (_, tell):
        tell("the voice")
        assert screen.getvalue() == f"{CLEAR_LINE}loading the voice ..."
        tell("the rest")
        assert screen.getvalue().endswith(f"{CLEAR_LINE}loading the rest ...")
    assert screen.getvalue().endswith(CLEAR_LINE)
    assert "\x1b[?25l" not in screen.getvalue()


def test_the_bar_hides_the_cursor_no_longer_than_something_is_fetched(monkeypatch):
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    monkeypatch.setenv("TERM", "xterm")
    with loading() as (progress, tell):
        progress("toy", 0, 10)
        assert screen.getvalue().count("\x1b[?25l") == 1
        progress("toy", 10, 10)
        assert screen.getvalue().count("\x1b[?25h") == 1
        tell("toy")
        assert screen.getvalue().endswith(f"{CLEAR_LINE}loading toy ...")


async def frames(count: int) -> AsyncIterator[Frame]:
    for number in range(count):
        yield Frame(silence(320, 16_000), 16_000, number * 0.02)


def test_the_plain_view_listens_when_the_first_frame_has_come(capsys: pytest.CaptureFixture[str]):
    async def main() -> None:
        with PlainView() as view:
            assert "listening" not in capsys.readouterr().out
            heard = view.listening(frames(3))
            await anext(heard)
            assert capsys.readouterr().out == "listening; Ctrl-C ends\n"
            assert len([frame async for frame in heard]) == 2
            assert capsys.readouterr().out == ""

    anyio.run(main)


def test_the_live_view_listens_when_the_first_frame_has_come():
    shown = io.StringIO()
    view = LiveView(Console(file=shown, width=80, height=24, force_terminal=True, color_system=None))

    async def main() -> None:
        with view:
            view._live.refresh()
            assert "starting" in shown.getvalue()
            assert "listening" not in shown.getvalue()
            await anext(view.listening(frames(1)))
            view._live.refresh()
            assert "listening" in shown.getvalue()

    anyio.run(main)
