"""The ladder and the switch as pure state machines: what they say to any order of events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.settings import TurnsConfig
from agent.turns.policy import Drop, Duck, Hold, Ladder, Listen, Prepare, Release, Resume, Switch, Yield

CONFIG = TurnsConfig()


def replying() -> Ladder:
    ladder = Ladder(CONFIG)
    ladder.speech_started(0.0)
    ladder.paused(1.0)
    ladder.understood(0.2, "complete")
    ladder.ready()
    assert [type(a) for a in ladder.tick(1.2)] == [Release]
    return ladder


def test_an_answer_waits_as_long_as_its_words_ask_for() -> None:
    ladder = Ladder(CONFIG)
    assert [type(a) for a in ladder.paused(1.0)] == [Prepare]
    assert ladder.tick(1.3) == []
    ladder.understood(0.6, "it dangles")
    assert ladder.ready() == []
    assert ladder.tick(1.5) == []
    (release,) = ladder.tick(1.6)
    assert "it dangles" in release.why


def test_no_turn_is_over_before_its_answer_can_sound() -> None:
    ladder = Ladder(CONFIG)
    ladder.paused(1.0)
    ladder.understood(0.4, "complete")
    assert ladder.tick(1.7) == []
    assert [type(a) for a in ladder.ready()] == [Release]
    assert ladder.ready() == []


def test_who_goes_on_before_the_answer_can_sound_interrupts_nobody() -> None:
    ladder = Ladder(CONFIG)
    ladder.paused(1.0)
    ladder.understood(0.4, "complete")
    ladder.tick(1.7)
    ladder.onset(1.75)
    assert [type(a) for a in ladder.resumed()] == [Drop]
    assert ladder.ready() == []
    assert [type(a) for a in ladder.paused(3.0)] == [Prepare]
    ladder.understood(0.4, "complete")
    assert ladder.tick(3.6) == [], "the answer that was ready is not this one"


def test_no_turn_waits_for_ever() -> None:
    ladder = Ladder(CONFIG)
    ladder.paused(1.0)
    ladder.understood(0.4, "complete")
    assert ladder.tick(1.0 + CONFIG.longest - 0.1) == []
    assert [type(a) for a in ladder.tick(1.0 + CONFIG.longest)] == [Release]


def test_no_answer_begins_while_the_person_may_be_going_on() -> None:
    ladder = Ladder(CONFIG)
    ladder.paused(1.0)
    ladder.understood(0.2, "complete")
    ladder.onset(1.15)
    assert ladder.tick(1.3) == []
    assert ladder.ready() == []
    ladder.no_speech()
    assert [type(a) for a in ladder.tick(1.35)] == [Release]


def test_who_goes_on_drops_the_answer() -> None:
    ladder = Ladder(CONFIG)
    ladder.paused(1.0)
    assert [type(a) for a in ladder.resumed()] == [Drop]
    assert ladder.tick(9.0) == []


def test_a_noise_ducks_and_no_more() -> None:
    ladder = replying()
    assert [type(a) for a in ladder.onset(2.0)] == [Duck]
    assert [type(a) for a in ladder.no_speech()] == [Resume]


def test_a_back_channel_holds_and_resumes() -> None:
    ladder = replying()
    ladder.onset(2.0)
    assert [type(a) for a in ladder.speech_started(2.0)] == [Hold]
    assert [type(a) for a in ladder.paused(2.3)] == [Listen]
    assert [type(a) for a in ladder.words("Uh-huh.", "backchannel", True)] == [Resume]
    assert ladder.tick(9.0) == []


def test_words_end_the_reply_and_are_answered() -> None:
    ladder = replying()
    ladder.speech_started(2.0)
    ladder.paused(3.0)
    given_up, prepare = ladder.words("What time is it?", "words", True)
    assert isinstance(given_up, Yield)
    assert isinstance(prepare, Prepare)
    assert (given_up.onset, prepare.text) == (2.0, "What time is it?")


def test_several_words_end_it_before_the_person_has_paused() -> None:
    ladder = replying()
    ladder.speech_started(2.0)
    assert ladder.words("What", "words", False) == []
    assert [type(a) for a in ladder.words("What time is", "words", False)] == [Yield]
    assert [type(a) for a in ladder.paused(3.0)] == [Prepare]


def test_stop_asks_for_silence() -> None:
    ladder = replying()
    ladder.speech_started(2.0)
    ladder.paused(2.4)
    (given_up,) = ladder.words("Stop.", "stop", True)
    assert isinstance(given_up, Yield)
    assert given_up.hush
    assert ladder.tick(9.0) == []


def test_words_that_come_late_are_not_final_when_the_person_went_on() -> None:
    ladder = replying()
    ladder.speech_started(2.0)
    ladder.paused(2.4)
    ladder.resumed()
    assert ladder.words("Uh-huh.", "backchannel", True) == []
    assert [type(a) for a in ladder.paused(3.0)] == [Listen]


def test_a_murmur_without_words_does_not_silence_it_for_good() -> None:
    ladder = replying()
    ladder.speech_started(2.0)
    assert ladder.tick(2.0 + CONFIG.unintelligible) == []
    assert [type(a) for a in ladder.tick(2.1 + CONFIG.unintelligible)] == [Resume]


def test_the_switch_yields_to_any_speech_and_waits_a_fixed_time() -> None:
    switch = Switch(CONFIG)
    switch.paused(1.0)
    assert switch.tick(1.2) == []
    assert [type(a) for a in switch.tick(1.0 + CONFIG.end)] == [Release]
    assert switch.onset(2.0) == []
    assert [type(a) for a in switch.speech_started(2.0)] == [Yield]


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


@given(STEPS, st.sampled_from([Ladder, Switch]))
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
                actions = policy.understood(seconds, "a test")
            case _:
                actions = []
        for action in actions:
            match action:
                case Prepare():
                    assert not released, "a second answer while one sounds"
                    assert not hushed, "an answer to who asked for silence"
                    prepared = True
                case Release():
                    assert prepared
                    assert not released, "two voices at once"
                    prepared, released = False, True
                case Drop():
                    assert prepared
                    assert not released
                    prepared = False
                case Hold():
                    assert released
                    assert not held
                    held = True
                case Duck():
                    assert released
                    assert not held
                case Resume():
                    assert released
                    held = False
                case Yield():
                    assert released
                    prepared = released = held = False
                    hushed = action.hush
                case Listen():
                    assert released
    # From any state: silence, words that are understood and time bring an answer, or the reply back.
    actions = policy.speech_started(now + 1) + policy.paused(now + 1.5)
    actions += policy.words("anything", "backchannel", True) + policy.tick(now + 9)
    assert not held or any(isinstance(a, Resume) for a in actions)
    assert released or any(isinstance(a, Release) for a in actions)
