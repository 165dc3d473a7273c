"""How long to wait for more: words alone, the voice alone, both together."""

from __future__ import annotations

import dataclasses
import itertools
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.causes import Cause, Sign
from agent.turns.elicitation import NOTHING_ASKED, Elicitation
from agent.turns.endpointing import TOGETHER, Delays, Finished, decision, judge
from agent.turns.phrases import language

EN = language("en")
ASKED = Elicitation("yes_no")
WAITS = Delays(complete=0.1, likely=0.3, unsure=0.5, unlikely=1.0, incomplete=2.0)

COMMANDS = ["Stop.", "Go on.", "What did you say?"]
COMPLETE = [
    "What is the capital of Spain?",
    "So, how many legs does a spider have?",
    "Uh-huh.",
]
COMPLETE += [
    "Can you show it to me?",
    "Set a timer, please.",
    "Okay, and how old was he then, John?",
]
LIKELY = [
    "My name is Daniel.",
    "Turn off the light.",
    "I was born in 1984.",
    "If it rains, we stay at home.",
]
LIKELY += ["My number is 555 123 4567.", "What I like is tea.", "It is the same one."]
LIKELY += ["First wash it, then peel it.", "I was there first."]
OPEN = ["The year was 19.", "My number is 555 1234.", "Red.", "It costs twelve.", "No."]
OPEN += ["But milk.", "Okay, red."]
DOUBTFUL = [
    "How many?",
    "What is it for?",
    "I want to.",
    "",
    "Could you?",
    "I looked at.",
    "Turn it on.",
    "who painted the Mona Lisa",
    "My number is 555.",
    "It is five five five.",
    "My code is 5.",
    "It is five, five, five",
]
INCOMPLETE = [
    "I went to the market and",
    "I went to the market and.",
    "Because...",
    "Because.",
    "I think um.",
    "Well,",
]
INCOMPLETE += [
    "What is the capital of-",
    "What is the…",
    "Could you tell me the?",
    "I need milk; eggs;",
    "If the weather is nice.",
    "What is the difference between?",
    "I would like to",
    "Let me see.",
    "First, wash the potatoes.",
]

CASES = {
    "command": COMMANDS,
    "complete": COMPLETE,
    "likely": LIKELY,
    "open": OPEN,
    "doubtful": DOUBTFUL,
    "incomplete": INCOMPLETE,
}


@pytest.mark.parametrize(
    ("text", "wording"), [(text, kind) for kind, texts in CASES.items() for text in texts]
)
def test_words(text: str, wording: str):
    assert judge(text, EN)[0] == wording


@pytest.mark.parametrize(
    "text", ["Yes.", "No", "Nope.", "Twenty two.", "5", "I don't know.", "Yes, tomorrow", "Five, six."]
)
def test_an_answer_is_complete_when_the_agent_asked(text: str):
    assert judge(text, EN, asked=ASKED)[0] == "complete"


@pytest.mark.parametrize("text", ["Yes, and", "No, because...", "Yes, the"])
def test_an_answer_that_leads_on_is_not(text: str):
    assert judge(text, EN, asked=ASKED)[0] == "incomplete"


def test_a_no_is_an_answer_only_to_a_question():
    assert judge("No", EN)[0] == "doubtful"


@pytest.mark.parametrize(
    ("text", "complete", "wait"),
    [
        ("What is the capital of Spain?", None, 0.1),
        ("My name is Daniel.", None, 0.5),
        ("How many?", None, 1.0),
        ("My name is", None, 2.0),
        ("What is the capital of Spain?", 0.95, 0.1),
        ("What is the capital of Spain?", 0.01, 0.5),
        ("My name is Daniel.", 0.95, 0.3),
        ("My name is Daniel.", 0.5, 0.5),
        ("My name is Daniel.", 0.01, 1.0),
        ("The year was 19.", 0.95, 0.5),
        ("The year was 19.", 0.01, 1.0),
        ("How many?", 0.95, 0.5),
        ("How many?", 0.5, 1.0),
        ("I like apples and", 0.95, 2.0),
        ("I like apples and", 0.01, 2.0),
    ],
)
def test_waits(text: str, complete: float | None, wait: float):
    assert decision(text, complete, WAITS, EN).wait == wait


def test_the_reason_names_the_words_and_the_voice():
    text = "I like apples and"
    said = decision(text, 0.12, WAITS, EN).cause
    assert said == Cause("endpointing", text, wait=2.0, sign="leads_on", word="and", voice=0.12)
    assert decision("Stop.", None, WAITS, EN).cause.sign == "command"


def test_more_doubt_never_means_a_shorter_wait():
    """Down the table (wording) and across it (voice) the wait only grows."""
    order = ["complete", "likely", "unsure", "unlikely", "incomplete"]
    voices: list[Finished] = ["complete", "unsure", "incomplete"]
    rows = [[order.index(row[voice]) for voice in voices] for row in TOGETHER.values()]
    assert list(TOGETHER) == ["command", "complete", "asking", "likely", "open", "doubtful", "incomplete"]
    for row in rows:
        assert row == sorted(row)
    for above, below in itertools.pairwise(rows):
        assert all(a <= b for a, b in zip(above, below, strict=True))


@given(st.text(max_size=80), st.one_of(st.none(), st.floats(0, 1)), st.booleans())
def test_any_words_have_a_wait_and_a_reason(text: str, complete: float | None, asked: bool):
    found = decision(text, complete, WAITS, EN, ASKED if asked else NOTHING_ASKED)
    assert found.wait in (0.1, 0.3, 0.5, 1.0, 2.0)
    assert (found.cause.wait, found.cause.text, found.cause.voice) == (found.wait, text, complete)
    assert found.cause.sign in get_args(Sign)


ANY = st.sampled_from([t for texts in CASES.values() for t in texts])


@given(ANY, st.none() | st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_model_that_expects_an_answer_never_makes_one_wait_longer(
    text: str, voice: float | None, one: float, other: float
):
    waits = [0.1, 0.3, 0.5, 1.0, 2.0]
    without = decision(text, voice, WAITS, EN)
    found = [decision(text, voice, WAITS, EN, expected=each) for each in sorted((one, other))]
    assert found[1].wait <= found[0].wait
    for each in found:
        assert abs(waits.index(each.wait) - waits.index(without.wait)) <= 1, "it moves by one step at most"
        assert each.cause.sign == without.cause.sign


@pytest.mark.parametrize(
    ("text", "voice", "expected", "wait"),
    [
        ("My name is Daniel.", 0.95, 0.5, 0.1),
        ("My name is Daniel.", 0.95, 0.05, 0.3),
        ("My name is Daniel.", 0.95, 0.001, 0.5),
        ("What is the capital of Spain?", 0.95, 0.9, 0.1),
        ("What is the capital of Spain?", 0.95, 0.001, 0.1),
        ("I like apples and", 0.95, 0.001, 2.0),
    ],
)
def test_waits_with_what_the_model_expects(text: str, voice: float, expected: float, wait: float):
    found = decision(text, voice, WAITS, EN, expected=expected)
    assert (found.wait, found.cause.model) == (wait, expected)


@pytest.mark.parametrize(("code", "wait"), [("en", 0.5), ("es", 0.3), ("fr", 0.3), ("it", 0.3), ("de", 0.5)])
def test_from_when_a_model_expects_an_answer_is_the_languages_to_say(code: str, wait: float):
    """Models are less sure of the end of a turn in other languages than of that of an English one."""
    assert decision("Paris Roma Madrid.", 0.6, WAITS, language(code), expected=0.15).wait == wait


@given(ANY, st.floats(0, 1), st.floats(0, 1))
def test_a_voice_that_sounds_more_finished_never_waits_longer(text: str, one: float, other: float):
    lower, higher = sorted((one, other))
    assert decision(text, higher, WAITS, EN).wait <= decision(text, lower, WAITS, EN).wait


@pytest.mark.parametrize("closing", sorted([*EN.closings, ("if", "you", "would")]))
def test_a_closing_ends_a_turn_however_many_words_it_has(closing: tuple[str, ...]) -> None:
    with_it = dataclasses.replace(EN, closings=EN.closings | {closing})
    words = ["Bring", "me", "tea", *closing]
    assert judge(f"{' '.join(words)}.", with_it)[:2] == ("complete", "closing")
