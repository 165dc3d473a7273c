"""The ladder and the switch as pure state machines: what they say to any order of events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.causes import Cause, Kind
from agent.settings import TurnsConfig
from agent.turns.endpointing import EndpointingDecision, fixed
from agent.turns.policy import (
    Commit,
    Discard,
    Duck,
    Generate,
    Interrupt,
    Pause,
    Resume,
    SemanticPolicy,
    TranscribeOverlap,
    VADPolicy,
)

CONFIG = TurnsConfig()


def replying() -> SemanticPolicy:
    policy = SemanticPolicy(CONFIG)
    policy.speech_started(0.0)
    policy.paused(1.0)
    policy.understood(fixed(0.2))
    policy.ready()
    assert [type(a) for a in policy.tick(1.2)] == [Commit]
    return policy


def test_an_answer_waits_as_long_as_its_words_ask_for() -> None:
    policy = SemanticPolicy(CONFIG)
    dangles = Cause("endpointing", "Apples and", wait=0.6, sign="leads_on", word="and")
    assert [type(a) for a in policy.paused(1.0)] == [Generate]
    assert policy.tick(1.3) == []
    policy.understood(EndpointingDecision(0.6, dangles))
    assert policy.ready() == []
    assert policy.tick(1.5) == []
    (release,) = policy.tick(1.6)
    assert release == Commit(replace(dangles, seconds=pytest.approx(0.6)))


def test_no_turn_is_over_before_its_answer_can_sound() -> None:
    policy = SemanticPolicy(CONFIG)
    policy.paused(1.0)
    policy.understood(fixed(0.4))
    assert policy.tick(1.7) == []
    assert [type(a) for a in policy.ready()] == [Commit]
    assert policy.ready() == []


def test_who_goes_on_before_the_answer_can_sound_interrupts_nobody() -> None:
    policy = SemanticPolicy(CONFIG)
    policy.paused(1.0)
    policy.understood(fixed(0.4))
    policy.tick(1.7)
    policy.onset(1.75)
    assert [type(a) for a in policy.resumed()] == [Discard]
    assert policy.ready() == []
    assert [type(a) for a in policy.paused(3.0)] == [Generate]
    policy.understood(fixed(0.4))
    assert policy.tick(3.6) == [], "the answer that was ready is not this one"


def test_no_turn_waits_for_ever() -> None:
    policy = SemanticPolicy(CONFIG)
    policy.paused(1.0)
    policy.understood(fixed(0.4))
    assert policy.tick(1.0 + CONFIG.longest - 0.1) == []
    assert [type(a) for a in policy.tick(1.0 + CONFIG.longest)] == [Commit]


def test_no_answer_begins_while_the_person_may_be_going_on() -> None:
    policy = SemanticPolicy(CONFIG)
    policy.paused(1.0)
    policy.understood(fixed(0.2))
    policy.onset(1.15)
    assert policy.tick(1.3) == []
    assert policy.ready() == []
    policy.no_speech()
    assert [type(a) for a in policy.tick(1.35)] == [Commit]


def test_who_goes_on_drops_the_answer() -> None:
    policy = SemanticPolicy(CONFIG)
    policy.paused(1.0)
    assert [type(a) for a in policy.resumed()] == [Discard]
    assert policy.tick(9.0) == []


def test_a_noise_ducks_and_no_more() -> None:
    policy = replying()
    assert [type(a) for a in policy.onset(2.0)] == [Duck]
    assert [type(a) for a in policy.no_speech()] == [Resume]


def test_a_back_channel_holds_and_resumes() -> None:
    policy = replying()
    policy.onset(2.0)
    assert [type(a) for a in policy.speech_started(2.0)] == [Pause]
    assert [type(a) for a in policy.paused(2.3)] == [TranscribeOverlap]
    assert [type(a) for a in policy.words("Uh-huh.", "backchannel", True)] == [Resume]
    assert policy.tick(9.0) == []


def test_words_end_the_reply_and_are_answered() -> None:
    policy = replying()
    policy.speech_started(2.0)
    policy.paused(3.0)
    given_up, prepare = policy.words("What time is it?", "words", True)
    assert isinstance(given_up, Interrupt)
    assert isinstance(prepare, Generate)
    assert (given_up.onset, prepare.text) == (2.0, "What time is it?")


def test_several_words_end_it_before_the_person_has_paused() -> None:
    policy = replying()
    policy.speech_started(2.0)
    assert policy.words("What", "words", False) == []
    assert [type(a) for a in policy.words("What time is", "words", False)] == [Interrupt]
    assert [type(a) for a in policy.paused(3.0)] == [Generate]


def test_stop_asks_for_silence() -> None:
    policy = replying()
    policy.speech_started(2.0)
    policy.paused(2.4)
    (given_up,) = policy.words("Stop.", "stop", True)
    assert isinstance(given_up, Interrupt)
    assert given_up.no_response
    assert policy.tick(9.0) == []


@pytest.mark.parametrize(("kind", "told"), [("stop", Interrupt), ("backchannel", Resume)])
def test_while_in_doubt_whether_the_user_goes_on_their_words_are_not_all(kind: Kind, told: type) -> None:
    """A "Wait," and a breath later "how many days ...", as of the demo's user."""
    for goes_on in (True, False):
        policy = replying()
        policy.onset(5.0)
        policy.speech_started(5.0)
        policy.paused(5.3)
        policy.onset(5.42)
        assert policy.words("Wait.", kind, True) == []
        if goes_on:
            assert policy.resumed() == []
            (cut,) = policy.words("Wait, how many days are there", "words", False)
            assert isinstance(cut, Interrupt)
            assert not cut.no_response
        else:
            (action,) = policy.no_speech()
            assert isinstance(action, told)
            assert action.cause.text == "Wait."


def test_with_vad_too_what_was_said_in_doubt_lets_the_reply_go_on() -> None:
    """Where somebody spoke before a reply to something typed, and a noise came with their words."""
    policy = VADPolicy(CONFIG)
    policy.replying(said=True)
    policy.onset(1.0)
    assert policy.words("Uh-huh.", "backchannel", True) == []
    (action,) = policy.no_speech()
    assert isinstance(action, Resume)


@pytest.mark.parametrize(("kind", "answered"), [("stranger", False), ("no_leave", True)])
def test_what_a_stranger_said_is_not_answered_when_the_reply_is_over(kind: Kind, answered: bool) -> None:
    """Who may not interrupt is: then it is their turn."""
    policy = replying()
    policy.speech_started(2.0)
    policy.paused(2.4)
    assert policy.words("And now the news.", kind, final=True) == [Resume(Cause(kind))]
    assert [type(a) for a in policy.reply_over()] == [Generate] * answered


def test_words_that_come_late_are_not_final_when_the_person_went_on() -> None:
    policy = replying()
    policy.speech_started(2.0)
    policy.paused(2.4)
    policy.resumed()
    assert policy.words("Uh-huh.", "backchannel", True) == []
    assert [type(a) for a in policy.paused(3.0)] == [TranscribeOverlap]


def test_a_murmur_without_words_does_not_silence_it_for_good() -> None:
    policy = replying()
    policy.speech_started(2.0)
    assert policy.tick(2.0 + CONFIG.false_interruption_timeout) == []
    assert [type(a) for a in policy.tick(2.1 + CONFIG.false_interruption_timeout)] == [Resume]


def test_the_switch_yields_to_any_speech_and_waits_a_fixed_time() -> None:
    policy = VADPolicy(CONFIG)
    policy.paused(1.0)
    assert policy.tick(1.2) == []
    assert [type(a) for a in policy.tick(1.0 + CONFIG.end)] == [Commit]
    assert policy.onset(2.0) == []
    assert [type(a) for a in policy.speech_started(2.0)] == [Interrupt]


KINDS = st.sampled_from(["nothing", "backchannel", "stop", "go_on", "repeat", "words", "echo"])
STEPS = st.lists(
    st.one_of(
        st.sampled_from(
            ["onset", "no_speech", "speech", "pause", "resume", "too_long", "over", "late", "ready", "typed"]
        ),
        st.tuples(st.just("words"), KINDS, st.booleans()),
        st.tuples(st.just("wait"), st.floats(0.1, 3.0)),
    ),
    max_size=60,
)


@given(STEPS, st.sampled_from([SemanticPolicy, VADPolicy]))
def test_whatever_happens_one_voice_at_a_time_and_no_deadlock(steps, kind) -> None:
    """A model of the session beside the machine: what it says must make sense in that order."""
    policy, now = kind(CONFIG), 0.0
    prepared = released = held = hushed = False
    for step in steps:
        now += 0.3
        match step:
            case "onset":
                actions = policy.onset(now)
            case "no_speech":
                actions = policy.no_speech()
            case "speech":
                actions, hushed = policy.speech_started(now), False
            case "pause":
                actions = policy.paused(now)
                hushed = hushed and not actions
            case "resume":
                actions = policy.resumed()
            case "too_long":
                actions = policy.too_long(now)
            case "over" if not held:
                actions = policy.reply_over()
                prepared = released = False
            case "typed":
                said, prepared, released, held = prepared, False, True, False
                actions, hushed = policy.replying(said=said), False
            case "ready":
                actions = policy.ready()
            case "late":
                actions = policy.tick(now)
            case ("words", what, final):
                actions = policy.words("one two three four", what, final)
            case ("wait", seconds):
                actions = policy.understood(fixed(seconds))
            case _:
                actions = []
        for action in actions:
            match action:
                case Generate():
                    assert not released, "a second answer while one sounds"
                    assert not hushed, "an answer to who asked for silence"
                    prepared = True
                case Commit():
                    assert prepared
                    assert not released, "two voices at once"
                    prepared, released = False, True
                case Discard():
                    assert prepared
                    assert not released
                    prepared = False
                case Pause():
                    assert released
                    assert not held
                    held = True
                case Duck():
                    assert released
                    assert not held
                case Resume():
                    assert released
                    held = False
                case Interrupt():
                    assert released
                    prepared = released = held = False
                    hushed = action.no_response
                case TranscribeOverlap():
                    assert released
    # From any state: silence, words that are understood and time bring an answer, or the reply back.
    actions = policy.speech_started(now + 1) + policy.paused(now + 1.5)
    actions += policy.words("anything", "backchannel", True) + policy.tick(now + 9)
    assert not held or any(isinstance(a, Resume) for a in actions)
    assert released or any(isinstance(a, Commit) for a in actions)
