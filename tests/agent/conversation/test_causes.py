"""Why was I cut off, and why did it wait: each decision, cut, silence and late answer has its cause."""

from __future__ import annotations

from pathlib import Path

import boundaries
import pytest
from boundaries import TYPED, Plan

import scripted
from agent import events as ev
from agent.causes import Cause
from agent.config import load
from agent.reports.waits import transcript_markdown
from agent.simulation.virtual import Line, converse

STORY = "Once upon a time there was a keeper. He lived alone on a rock. Every night he lit the lamp of it."
DECLARED = ["costs.mode=declared", "stt.interim=0", "turns.meaning=words", "turns.policy=semantic"]


def talk(tmp_path: Path, texts: list[str], lines: list[Line], *settings: str) -> list[ev.Event]:
    events: list[ev.Event] = []
    engines = scripted.engines(texts, [STORY, "Well."])
    converse(engines, load(None, [*DECLARED, *settings]), lines, tmp_path / "c.wav", watchers=[events.append])
    return events


def of(events: list[ev.Event], kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


def over(words: str) -> tuple[list[str], list[Line]]:
    """A question, and `words` said two seconds into the reply."""
    return ["Tell me a story.", words], [Line(scripted.loud(1.0)), Line(scripted.loud(0.5), "over", 2.0)]


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("What time is it?", Cause("words", "What time is it?")),
        ("Stop.", Cause("silence_wanted", "Stop.")),
    ],
)
def test_a_cut_names_the_words_and_the_reply(tmp_path: Path, words: str, cause: Cause) -> None:
    events = talk(tmp_path, *over(words))
    (cut,) = of(events, ev.Interrupted)
    assert (cut.turn, cut.cause) == (1, cause)
    (decided,) = [e for e in of(events, ev.Decision) if e.action == "interrupt"]
    assert (decided.turn, decided.cause) == (1, cause)
    (held,) = of(events, ev.AudioPaused)
    assert held.cause == Cause("speech")
    assert f": “{words}”)*" in transcript_markdown(events)


def test_the_vad_policy_is_cut_by_speech_alone(tmp_path: Path) -> None:
    events = talk(tmp_path, *over("Hm."), "turns.policy=vad")
    assert [e.cause for e in of(events, ev.Interrupted)] == [Cause("speech")]


@pytest.mark.parametrize(
    ("words", "reason"), [("Uh-huh.", "backchannel"), ("", "unintelligible"), ("Go on.", "go_on")]
)
def test_a_silence_says_why_it_began_and_why_it_ended(tmp_path: Path, words: str, reason: str) -> None:
    events = talk(tmp_path, *over(words))
    assert [e.cause for e in of(events, ev.AudioPaused)] == [Cause("speech")]
    assert [e.cause for e in of(events, ev.AudioResumed)] == [Cause(reason, words)]
    assert "s: somebody speaks; " in transcript_markdown(events)


@pytest.mark.parametrize(
    ("deed", "cause"),
    [
        ("typed", Cause("typed", TYPED)),
        ("asked", Cause("asked")),
        ("cancel", Cause("interrupt_call")),
    ],
)
def test_a_cut_from_outside_names_who_made_it(deed: str, cause: Cause) -> None:
    told = boundaries.hold(Plan(length=0.0, deed=deed, at=0.3))
    assert [e.cause for e in told.of(ev.Interrupted)] == [cause]
    assert [e.cause for e in told.of(ev.Decision) if e.action == "interrupt"] == [cause]


def test_a_client_that_cancels_is_not_the_program() -> None:
    told = boundaries.hold(Plan(length=0.0, deed="client", at=0.3))
    assert [e.cause for e in told.of(ev.Interrupted)] == [Cause("client")]


def test_a_wait_names_the_words_that_asked_for_it(tmp_path: Path) -> None:
    events = talk(tmp_path, ["I like apples and"], [Line(scripted.loud(1.0))])
    (released,) = of(events, ev.TurnCommitted)
    cause = released.cause
    assert (cause.reason, cause.sign, cause.word) == ("endpointing", "leads_on", "and")
    wait = load(None, DECLARED).turns.incomplete
    assert (cause.wait, cause.seconds) == (wait, pytest.approx(wait, abs=0.05))
    assert "“and” leads on" in transcript_markdown(events)


def test_an_answer_that_is_slow_says_so(tmp_path: Path) -> None:
    events = talk(tmp_path, ["What time is it now?"], [Line(scripted.loud(1.0))], "costs.first_token=1.2")
    (released,) = of(events, ev.TurnCommitted)
    assert released.cause.reason == "answer_late"
    assert released.cause.seconds > 1.2 > released.cause.wait
    assert "s of it first token: the answer was not ready earlier" in transcript_markdown(events)


def test_who_goes_on_makes_the_answer_too_early(tmp_path: Path) -> None:
    said = scripted.join(scripted.loud(0.6), scripted.silent(0.3), scripted.loud(0.6))
    events = talk(tmp_path, ["What is", "What is that now?"], [Line(said)])
    assert [(e.turn, e.cause.reason) for e in of(events, ev.TurnDiscarded)] == [(1, "went_on")]
    assert [e.turn for e in of(events, ev.Decision) if e.action == "generate"] == [1, 2]
