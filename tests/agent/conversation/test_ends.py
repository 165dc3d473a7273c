"""How an answer ended is told: by the model itself, or since it may write no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent import events as ev
from agent import testing
from agent.cli.parts.view import NO_MORE, Conversation, print_line, verbose_line
from agent.config import load
from agent.messages import Message
from agent.protocols import Delta, Finish
from agent.reports.waits import turns
from agent.simulation.virtual import Line, converse

WORDS = ["One ", "two ", "three ", "four."]


@dataclass
class Ending:
    """A model that writes four words, and what it says of their end, if it says anything."""

    end: Finish | None

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        yield from WORDS
        if self.end is not None:
            yield self.end

    def prefill(self, messages: Sequence[Message]) -> None: ...


def held(out: Path, end: Finish | None, *settings: str, cut: bool = False) -> list[ev.Event]:
    """The events of one question and its answer, which may be talked over."""
    found: list[ev.Event] = []
    engines = replace(testing.engines(["What is new?", "Tell me of birds."]), llm=Ending(end))
    config = load(None, ["costs.mode=declared", "stt.interim=0", "turns.meaning=off", *settings])
    lines = [Line(testing.loud(1.0).frame), *([Line(testing.loud(1.5).frame, "over", 0.3)] if cut else [])]
    converse(engines, config, lines, out / "c.wav", watchers=[found.append])
    return found


@pytest.mark.parametrize(
    ("end", "settings", "reason"),
    [
        (Finish("", "length"), (), "length"),
        (Finish("", "stop"), (), "stop"),
        (Finish("", "stop"), ("llm.max_tokens=4",), "stop"),
        (None, ("llm.max_tokens=4",), "length"),
        (None, ("llm.max_tokens=5",), "stop"),
    ],
    ids=["broken off", "ended", "ended at the last token", "guessed", "guessed whole"],
)
def test_the_end_of_an_answer_has_its_reason(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    end: Finish | None,
    settings: tuple[str, ...],
    reason: str,
) -> None:
    found = held(tmp_path, end, *settings)
    (written,) = [event for event in found if isinstance(event, ev.GenerationEnded)]
    (ended,) = [event for event in found if isinstance(event, ev.TurnEnded)]
    assert (written.reason, written.tokens, ended.limited) == (reason, 4, reason == "length")
    (report,) = turns(found)
    assert report.whole == (reason == "stop")

    talk = Conversation()
    for event in found:
        talk.note(event)
    print_line(ended)
    shown = [talk.lines[-1][1], capsys.readouterr().out, verbose_line(written)]
    assert [NO_MORE in line for line in shown] == [reason == "length"] * 3


def test_an_answer_that_is_talked_over_was_not_broken_off(tmp_path: Path) -> None:
    found = held(tmp_path, Finish("", "length"), cut=True)
    first, *_ = [event for event in found if isinstance(event, ev.TurnEnded)]
    assert (first.reason, first.limited) == ("interrupted", False)
