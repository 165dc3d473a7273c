"""Whatever meets whatever at the end of a reply, every utterance has an answer or a reason for none."""

from __future__ import annotations

import boundaries
import pytest
from boundaries import FIRST, REPLY, TYPED, Plan
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agent import events as ev

QUESTION = "What time is it?"


def steps(first: float, last: float):
    """Moments in steps of 5 ms."""
    return st.integers(round(first * 200), round(last * 200)).map(lambda step: step / 200)


SETTINGS = st.tuples(
    st.sampled_from(["turns.policy=semantic", "turns.policy=vad"]),
    st.sampled_from(["turns.interrupt=true", "turns.interrupt=true", "turns.interrupt=false"]),
    st.sampled_from(["costs.stt=0", "costs.stt=0.1", "costs.stt=0.4", "costs.stt=2.5"]),
    st.sampled_from(["costs.first_token=0", "costs.first_token=0.1", "costs.first_token=3"]),
    st.sampled_from(["costs.token=0", "costs.token=0.3"]),
    st.sampled_from(["stt.interim=0", "stt.interim=0.2", "stt.interim=0.6"]),
    st.sampled_from(["turns.false_interruption_timeout=0.3", "turns.false_interruption_timeout=3.0"]),
    st.sampled_from(["turns.meaning=off", "turns.meaning=words"]),
)
PLANS = st.builds(
    Plan,
    reply=steps(0.3, 1.0),
    second=steps(0.2, 1.3),
    length=steps(0.05, 1.0),
    words=st.sampled_from([QUESTION, "Okay.", "", "Stop.", "Go on."]),
    deed=st.sampled_from(["", "typed", "twice", "asked", "cancel", "end"]),
    at=steps(0.0, 2.5),
    lead=st.sampled_from([0.0, 0.15]),
    settings=SETTINGS,
    fails=st.sampled_from(["", "", "stt", "llm", "tts"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(PLANS)
def test_nobody_is_met_with_silence(plan: Plan) -> None:
    """`scripts/bench boundaries` goes over all pairs of moments; here are some, others each time."""
    assert boundaries.faults(plan, boundaries.hold(plan)) == [], plan.settings


@pytest.mark.parametrize("lead", [0.0, 0.15])
@pytest.mark.parametrize("policy", ["semantic", "vad"])
def test_speech_confirmed_as_the_reply_ends_is_answered(policy: str, lead: float) -> None:
    for step in range(-8, 4):
        plan = Plan(second=1.0 - lead + step * 0.02, lead=lead, settings=(f"turns.policy={policy}",))
        told = boundaries.hold(plan)
        assert boundaries.faults(plan, told) == []
        assert told.history[-2:] == [("user", QUESTION), ("assistant", REPLY)]


def test_who_speaks_when_all_has_been_said_interrupts_nobody() -> None:
    told = boundaries.hold(Plan(second=0.9, lead=0.15))
    assert told.of(ev.AudioPaused) == []
    assert told.of(ev.Interrupted) == []
    assert [e.reason for e in told.of(ev.TurnEnded)] == ["finished", "finished"]


def test_a_duck_ends_with_its_reply() -> None:
    """The onset lowers the last syllable, and nothing of the next reply."""
    plan = Plan(second=0.95, length=0.3)
    told = boundaries.hold(plan)
    assert [e.action for e in told.of(ev.Decision)].count("duck") == 1
    assert boundaries.faults(plan, told) == []


def test_what_is_being_said_while_something_is_typed_is_answered_too() -> None:
    plan = Plan(second=0.3, length=0.6, deed="typed", at=0.6)
    told = boundaries.hold(plan)
    assert boundaries.faults(plan, told) == []
    assert told.history == [
        ("user", FIRST),
        ("assistant", "One two"),
        ("user", f"{TYPED} {QUESTION}"),
        ("assistant", REPLY),
    ]


def test_what_was_said_just_before_something_is_typed_is_answered_too() -> None:
    """It was typed while an answer to what was said was being prepared."""
    plan = Plan(reply=0.3, second=0.8, length=0.3, deed="typed", at=1.25)
    told = boundaries.hold(plan)
    assert boundaries.faults(plan, told) == []
    assert [e.cause.reason for e in told.of(ev.TurnDiscarded)] == ["typed"]
    assert told.history[-2:] == [("user", f"{TYPED} {QUESTION}"), ("assistant", REPLY)]


def test_words_known_before_the_pause_and_understood_after_it_are_answered() -> None:
    """The partial transcript of a pause that has begun meanwhile ends the reply, and the turn is prepared."""
    plan = Plan(second=0.2, length=0.3, settings=("stt.interim=0.2", "costs.stt=0.4"))
    told = boundaries.hold(plan)
    assert boundaries.faults(plan, told) == []
    assert told.history[-2:] == [("user", QUESTION), ("assistant", REPLY)]


def test_what_was_said_and_not_understood_yet_is_read_when_something_is_typed() -> None:
    """Their turn was over, the transcriber still at work."""
    slow = ("turns.policy=vad", "costs.stt=2.5")
    plan = Plan(reply=0.3, second=0.8, length=0.3, deed="typed", at=2.0, settings=slow)
    told = boundaries.hold(plan)
    assert boundaries.faults(plan, told) == []
    assert told.history[-2:] == [("user", f"{TYPED} {QUESTION}"), ("assistant", REPLY)]


@pytest.mark.parametrize("at", [0.3, 0.55, 0.85])
def test_when_the_microphone_ends_what_was_said_is_answered(at: float) -> None:
    plan = Plan(second=0.2, length=0.3, deed="end", at=at)
    told = boundaries.hold(plan)
    assert boundaries.faults(plan, told) == []
    assert told.history[-2:] == [("user", QUESTION), ("assistant", REPLY)]


def test_who_may_not_interrupt_does_not_silence_it_for_good() -> None:
    """They speak while the model is slow: the reply is held, and they are listened to as long as it is."""
    slow = ("turns.interrupt=false", "costs.first_token=3")
    plan = Plan(reply=1.0, second=5.0, length=1.0, words="", settings=slow, deed="typed", at=2.5)
    assert boundaries.faults(plan, boundaries.hold(plan)) == []


def test_typed_words_are_kept_when_others_follow_at_once() -> None:
    plan = Plan(length=0.0, deed="twice", at=0.5, settings=("costs.token=0.3",))
    told = boundaries.hold(plan)
    assert boundaries.faults(plan, told) == []
    assert told.history[-2:] == [("user", TYPED), ("assistant", REPLY)]
    assert [e.reason for e in told.of(ev.TurnEnded)] == ["interrupted", "interrupted", "finished"]
