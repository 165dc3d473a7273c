"""Who is not understood is told so, once: the rule by itself, and in whole conversations."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scripted
from agent import events as ev
from agent.config import load
from agent.simulation.virtual import Line, converse
from agent.turns.comprehension import IN_A_ROW, WHOLE, Comprehension, misheard, understood
from agent.turns.phrases import language
from audio.stt import Transcript

SORRY = "Sorry, I did not understand that."
APOLOGY = f"{SORRY} I only understand English."
FOREIGN = Transcript("Nesun ul teriora misadjo.", -1.2, 0.23)
NOTHING = Transcript("", 0.0, 0.3)
CLEAR = Transcript("What is that?", -0.2, 0.05)
COUGH = Transcript("You", -2.5, 0.9)
STOP = Transcript("Stop, stop, stop.", -1.2, 0.1)


def talk(tmp_path: Path, heard: list[Transcript], lines: list[Line], *settings: str):
    """The events of a conversation in which the lines are understood so; the model says "Well." to each."""
    engines = scripted.engines([""], ["Well."])
    coming = iter(heard)
    engines.stt.transcribe = lambda audio, *, final=True: next(coming)
    events: list[ev.Event] = []
    config = load(None, ["costs.mode=declared", "stt.interim=0", "turns.meaning=off", *settings])
    converse(engines, config, lines, tmp_path / "out.wav", watchers=[events.append])
    return events, engines.llm


def said(events: list[ev.Event]) -> list[str]:
    """What the agent said, "-" for what it let pass."""
    ends = [e for e in events if isinstance(e, ev.TurnEnded | ev.TurnDiscarded)]
    return [e.heard if isinstance(e, ev.TurnEnded) else "-" for e in ends]


def spoken(*seconds: float) -> list[Line]:
    return [Line(scripted.loud(each)) for each in seconds]


@pytest.mark.parametrize(
    ("heard", "answers"),
    [
        ([FOREIGN, FOREIGN, FOREIGN, FOREIGN], ["Well.", APOLOGY, "Well.", "Well."]),
        ([NOTHING, NOTHING, NOTHING, NOTHING], ["-", APOLOGY, "-", "-"]),
        ([NOTHING, FOREIGN, NOTHING], ["-", APOLOGY, "-"]),
        ([FOREIGN, CLEAR, FOREIGN, CLEAR], ["Well.", "Well.", "Well.", "Well."]),
        ([FOREIGN, FOREIGN, CLEAR, NOTHING, FOREIGN], ["Well.", APOLOGY, "Well.", "-", APOLOGY]),
        ([FOREIGN, STOP, STOP], ["Well.", "-", "-"]),
    ],
)
def test_who_is_not_understood_twice_running_is_told_once(
    tmp_path: Path, heard: list[Transcript], answers: list[str]
) -> None:
    events, llm = talk(tmp_path, heard, spoken(*[1.2] * len(heard)))
    assert said(events) == answers
    told = [e for e in events if isinstance(e, ev.NotUnderstood)]
    at = [number for number, answer in enumerate(answers) if answer == APOLOGY]
    reasons = ["low_confidence" if heard[number] is FOREIGN else "no_words" for number in at]
    assert [(e.turn, e.reason) for e in told] == [(n + 1, r) for n, r in zip(at, reasons, strict=True)]
    assert len(llm.asked) == answers.count("Well.")
    kept = [m.content for messages in llm.asked[-1:] for m in messages if m.role == "assistant"]
    assert " ".join(kept).count(APOLOGY) <= len(at)


def test_coughs_noises_and_short_words_are_no_reason(tmp_path: Path) -> None:
    events, _ = talk(tmp_path, [COUGH, NOTHING, COUGH, NOTHING, FOREIGN], spoken(0.3, 0.5, 0.6, 0.4, 1.2))
    assert said(events) == ["-", "-", "-", "-", "Well."]


def test_a_cough_between_changes_nothing(tmp_path: Path) -> None:
    events, _ = talk(tmp_path, [FOREIGN, COUGH, FOREIGN], spoken(1.2, 0.3, 1.2))
    assert said(events) == ["Well.", "-", APOLOGY]


def test_pauses_in_one_utterance_count_once(tmp_path: Path) -> None:
    halting = scripted.join(*[scripted.loud(0.9), scripted.silent(0.2)] * 3, scripted.loud(0.9))
    events, _ = talk(tmp_path, [FOREIGN] * 5, [Line(halting), *spoken(1.2)])
    assert [heard for heard in said(events) if heard != "-"] == ["Well.", APOLOGY]
    dropped = [e.cause.reason for e in events if isinstance(e, ev.TurnDiscarded)]
    assert dropped == ["went_on"] * 3


def test_it_may_be_interrupted_and_only_what_was_heard_is_kept(tmp_path: Path) -> None:
    lines = [*spoken(1.2, 1.2), Line(scripted.loud(0.6), "over", 1.0)]
    events, llm = talk(tmp_path, [FOREIGN, FOREIGN, CLEAR], lines)
    apology = [e for e in events if isinstance(e, ev.TurnEnded)][1]
    assert apology.reason == "interrupted"
    assert apology.heard
    assert (apology.heard + apology.unheard) == APOLOGY
    assert [m.content for m in llm.asked[-1]][1:] == [FOREIGN.text, f"Well. {apology.heard}", CLEAR.text]


def test_one_that_nobody_heard_is_said_again(tmp_path: Path) -> None:
    lines = [*spoken(1.2, 1.2), Line(scripted.loud(1.2), "over", 0.1)]
    events, _ = talk(tmp_path, [FOREIGN, FOREIGN, FOREIGN, FOREIGN], [*lines, *spoken(1.2)])
    assert said(events)[1] == ""
    assert APOLOGY in said(events)[2:]


def test_who_interrupts_and_is_not_understood_is_told_too(tmp_path: Path) -> None:
    lines = [*spoken(1.2), Line(scripted.loud(1.2), "over", 0.1)]
    events, _ = talk(tmp_path, [FOREIGN, FOREIGN], lines)
    assert said(events)[1:] == [APOLOGY]


@pytest.mark.parametrize(
    ("among", "answer"), [("[]", SORRY), ('["en", "es"]', SORRY), ('["en"]', APOLOGY), ('["es"]', None)]
)
def test_only_where_one_language_may_be_spoken_is_it_named(
    tmp_path: Path, among: str, answer: str | None
) -> None:
    events, _ = talk(
        tmp_path, [FOREIGN, FOREIGN], spoken(1.2, 1.2), "stt.language=auto", f"stt.languages={among}"
    )
    assert said(events) == ["Well.", answer or language("es").apology(language("es").name)]


OUTCOMES = st.lists(st.sampled_from(["no_words", "low_confidence", "clear", "cough"]), max_size=30)


@given(OUTCOMES)
def test_it_is_told_once_between_two_that_were_understood(outcomes: list[str]) -> None:
    rule, missed, told = Comprehension(), 0, False
    for outcome in outcomes:
        bad = outcome if outcome in ("no_words", "low_confidence") else None
        missed = missed + 1 if bad else 0 if outcome == "clear" else missed
        told = told and outcome != "clear"
        assert rule.tells(bad) == (bad is not None and missed >= IN_A_ROW and not told)
        if rule.tells(bad):
            rule.told()
            told = True
        rule.heard(bad, outcome == "clear")


@given(
    st.sampled_from(["nothing", "backchannel", "stop", "go_on", "repeat", "words", "echo"]),
    st.floats(-5, 0),
    st.floats(0, 30),
)
def test_what_is_misheard_is_long_and_no_command(kind, confidence: float, voiced: float) -> None:
    found = misheard(kind, confidence, voiced)
    assert found is None or (voiced >= WHOLE and kind in ("nothing", "words"))
    assert not (found and understood(kind, confidence))
