"""The guard against the agent's own words: what is its echo, what is a person who talks meanwhile."""

from __future__ import annotations

import hypothesis.strategies as some
import pytest
from hypothesis import given, settings

from agent.turns.self_echo import KEPT, SelfEchoFilter

STORY = (
    "The highest mountain on Earth is Mount Everest, which rises 8,849 meters above the sea. "
    "It stands on the border of Nepal and Tibet, and the bus will not stop there."
)
PACE = 0.35
"""Seconds a word."""


def is_stop(text: str) -> bool:
    return text.casefold().strip(" .!") in ("stop", "wait", "please stop")


def speaking(text: str = STORY, begin: float = 10.0) -> SelfEchoFilter:
    guard = SelfEchoFilter(is_stop)
    for number, word in enumerate(text.split()):
        guard.said(word, begin + number * PACE, begin + (number + 1) * PACE)
    return guard


def at(word: str, text: str = STORY, begin: float = 10.0) -> float:
    """When the first word that begins so is said."""
    return begin + PACE * next(n for n, w in enumerate(text.split()) if w.startswith(word))


@pytest.mark.parametrize(
    ("heard", "first", "seconds"),
    [
        ("the highest mountain on earth", "The", 1.8),
        ("Highest mountain on earth is Mount Ever", "highest", 2.3),  # the last word cut
        ("tain on Earth is Mount Everest.", "mountain", 1.8),  # the first word cut
        ("The highest mountains on earth is mount ever rest", "The", 2.5),  # misheard, split
        ("The highest on Earth Mount Everest", "The", 2.5),  # words that the canceller took
        ("tain on Earth", "mountain", 1.0),
        ("is Mount Ever", "is", 1.0),
        ("highest Earth Everest rises meters sea", "highest", 5.0),  # only the loud words came through
        ("which rises 8849 metres above the sea", "which", 2.4),  # spelling
        ("and the bus will not stop there", "and", 2.4),  # an order within a sentence
        ("Mount Everest.", "Mount", 0.7),
        ("Everest", "Everest", 0.4),
    ],
)
def test_what_the_agent_says_is_its_echo(heard: str, first: str, seconds: float):
    begin = at(first)
    assert speaking().is_echo(heard, begin + 0.1, begin + 0.1 + seconds)


@pytest.mark.parametrize(
    ("heard", "first"),
    [
        ("What country is Everest in?", "Everest"),
        ("Sorry, I meant the highest building.", "highest"),
        ("No.", "Nepal"),
        ("No.", "not"),
        ("now", "not"),
        ("And how far is it from the sea to the border?", "sea"),
        ("Okay, thank you, that is enough.", "mountain"),
        ("the moon", "mountain"),
        ("Tell me about Tibet instead", "Tibet"),
        ("", "The"),
        (" ... ", "The"),
    ],
)
def test_what_a_person_says_is_none(heard: str, first: str):
    begin = at(first)
    assert not speaking().is_echo(heard, begin, begin + 0.3 * len(heard.split()))


def test_words_may_be_split_or_joined():
    assert speaking("a lighthouse keeper").is_echo("light house keeper", 10.0, 11.0)
    assert speaking("a light house keeper").is_echo("lighthouse keeper", 10.0, 11.4)
    assert speaking("he saw a lighthouse").is_echo("saw a light house", 10.3, 11.5)
    assert not speaking("a lighthouse keeper").is_echo("white mouse keeper", 10.0, 11.0)


def test_its_words_in_its_order_are_not_yet_its_sentence():
    assert not speaking().is_echo("The Earth is above the border there", 10.0, 22.0)


def test_stop_is_obeyed_even_when_the_agent_says_it_too():
    begin = at("stop")
    assert not speaking().is_echo("Stop!", begin, begin + 0.4)
    assert not speaking("please stop").is_echo("Please stop.", 10.0, 10.7)
    assert speaking().is_echo("not stop there", begin - PACE, begin + 0.7)


def test_echo_must_come_when_it_was_said():
    guard = speaking()
    for late, echo in ((0.0, True), (0.9, True), (-0.9, True), (8.0, False), (-8.0, False)):
        begin = at("Everest") + late
        assert guard.is_echo("Mount Everest, which rises", begin, begin + 1.4) == echo
    for late, echo in ((0.2, True), (2.0, False)):
        assert guard.is_echo("Everest", at("Everest") + late, at("Everest") + late + 0.4) == echo


def test_words_are_forgotten_after_a_while():
    guard = speaking()
    guard.said("later", 10 + KEPT + 20, 10 + KEPT + 21)
    assert not guard.is_echo("The highest mountain on earth", 10.0, 12.0)
    assert guard.is_echo("later", 10 + KEPT + 20, 10 + KEPT + 21)


def test_nothing_is_echo_while_the_agent_is_silent():
    assert not SelfEchoFilter(is_stop).is_echo("The highest mountain", 1.0, 2.0)


LETTERS = some.text("abcdefghijklmnoprstuvw", min_size=4, max_size=9)
SPOKEN = some.lists(LETTERS, min_size=8, max_size=30, unique=True)


@settings(deadline=None)
@given(SPOKEN, some.data())
def test_any_stretch_of_it_is_echo_also_with_one_word_misheard(spoken: list[str], data: some.DataObject):
    guard = speaking(" ".join(spoken), 0.0)
    first = data.draw(some.integers(0, len(spoken) - 4))
    last = data.draw(some.integers(first + 4, len(spoken)))
    heard = spoken[first:last]
    wrong = data.draw(some.integers(0, len(heard) - 1))
    heard[wrong] = "zzz"
    assert guard.is_echo(" ".join(heard), first * PACE, last * PACE)


@settings(deadline=None)
@given(SPOKEN, some.lists(some.text("xyzq", min_size=1, max_size=9), min_size=4, max_size=12), some.data())
def test_one_word_of_it_in_a_sentence_of_ones_own_is_none(
    spoken: list[str], own: list[str], data: some.DataObject
):
    guard = speaking(" ".join(spoken), 0.0)
    own.insert(data.draw(some.integers(0, len(own))), data.draw(some.sampled_from(spoken)))
    assert not guard.is_echo(" ".join(own), 0.0, len(spoken) * PACE)


UNLIKE = ["mountain", "border", "river", "seven", "light", "hammer", "orange", "window", "guitar", "kitchen"]


@settings(deadline=None)
@given(some.permutations(UNLIKE))
def test_order_counts(spoken: list[str]):
    """The same words backwards are no echo."""
    guard = speaking(" ".join(spoken), 0.0)
    assert not guard.is_echo(" ".join(reversed(spoken)), 0.0, len(spoken) * PACE)
    assert guard.is_echo(" ".join(spoken), 0.0, len(spoken) * PACE)


def test_a_scrap_that_comes_and_goes_with_the_voice_is_its_echo_the_second_time():
    guard = speaking("Then, in 2017, it was seen.")
    guard.paused(11.0, 10.8)
    assert not guard.is_echo("20.", 10.8, 11.2)
    guard.resumed(11.5, suspected=True)
    guard.paused(11.8, 11.6)
    assert guard.is_echo("20.", 11.6, 12.0)
    assert not guard.is_echo("Wait!", 11.6, 12.0), "an order to stop is obeyed whatever it may be"
    assert not guard.is_echo("20.", 11.6, 12.4), "it went on when the agent was silent"
    guard.resumed(12.5, suspected=False)
    guard.paused(12.8, 12.6)
    assert not guard.is_echo("20.", 12.6, 13.0), "what came before was a person's"
    guard.resumed(13.5, suspected=True)
    guard.paused(14.5, 14.3)
    assert not guard.is_echo("20.", 14.3, 14.7), "the agent had spoken on unharmed"
