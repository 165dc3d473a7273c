"""Every reason has words for people, and they are one line whatever was said."""

from __future__ import annotations

import io
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent import events as ev
from agent.causes import ActionName, Cause, Reason, Sign
from agent.cli.parts.view import LiveView, PlainView
from agent.reports.causes import REASONS, SIGNS, decision_line, in_words


def test_each_reason_and_sign_has_words() -> None:
    assert tuple(REASONS) == get_args(Reason)
    assert tuple(SIGNS) == get_args(Sign)


def test_the_evidence_is_told() -> None:
    cause = Cause("endpointing", "Apples and", 1.21, 1.2, "leads_on", "and", 0.12, 0.01)
    assert in_words(cause) == (
        "the silence was long enough (1.21 s, 1.20 s wanted): “Apples and”; “and” leads on; "
        "the model expects an answer with a probability of 0.01; "
        "the voice sounds finished with a probability of 0.12"
    )
    line = decision_line(ev.Decision(3.456, 2, "interrupt", Cause("words", "Wait.\nWhat?")))
    assert line.split() == ["3.46", "s", "interrupt", "#2", "words", "were", "said:", "“Wait.", "What?”"]


CAUSES = st.builds(
    Cause, st.sampled_from(get_args(Reason)), st.text(), sign=st.none() | st.sampled_from(get_args(Sign))
)


@given(CAUSES, st.sampled_from(get_args(ActionName)), st.none() | st.integers(1, 9999))
def test_any_decision_is_one_line(cause: Cause, action: ActionName, turn: int | None) -> None:
    line = decision_line(ev.Decision(1.0, turn, action, cause))
    assert len(line.splitlines()) == 1
    assert action in line


def test_talk_verbose_prints_each_decision_and_talk_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    event = ev.Decision(3.4, 2, "pause", Cause("speech"))
    for verbose in (False, True):
        PlainView(verbose=verbose).watch(event)
        console = Console(file=io.StringIO(), width=100, force_terminal=True)
        LiveView(console, verbose=verbose).watch(event)
        for shown in (capsys.readouterr().out, console.file.getvalue()):
            assert ("pause" in shown and "somebody speaks" in shown) == verbose
