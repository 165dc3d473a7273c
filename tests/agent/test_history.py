"""The history: what was said and heard, in turns that alternate, within the model's context."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from agent.history import CHARACTERS_PER_TOKEN, History
from agent.llm import Message

WORDS = st.text("abcdef ", min_size=1, max_size=40).filter(str.strip)


def history(context: int = 4096, reply: int = 256) -> History:
    return History("Be brief.", context, reply)


def test_only_what_was_heard_enters_it() -> None:
    talk = history()
    talk.person("Tell me a story.")
    talk.agent("Once upon a time", " there was a queen.")
    talk.person("Stop.")
    assert talk.messages() == [
        Message("system", "Be brief."),
        Message("user", "Tell me a story."),
        Message("assistant", "Once upon a time"),
        Message("user", "Stop."),
    ]
    assert talk.unheard == "there was a queen."


def test_a_reply_that_was_not_heard_leaves_the_person_one_message() -> None:
    talk = history()
    talk.person("I want")
    talk.agent("  ", "What do you want?")
    assert talk.unheard == "What do you want?"
    assert talk.messages("to go home.")[1:] == [Message("user", "I want to go home.")]


def test_a_question_that_is_only_tried_leaves_no_trace() -> None:
    talk = history()
    talk.person("Hello.")
    before = talk.messages()
    talk.messages("And")
    assert talk.messages() == before


def test_what_was_unheard_is_forgotten_when_the_next_reply_was_heard_whole() -> None:
    talk = history()
    talk.agent("Once", " upon a time.")
    talk.agent("Yes.", "")
    assert talk.unheard == ""


@given(st.lists(st.tuples(st.booleans(), WORDS), max_size=30))
def test_sides_alternate_and_no_word_is_lost(said: list[tuple[bool, str]]) -> None:
    talk = history(context=100_000)
    for person, text in said:
        talk.person(text) if person else talk.agent(text, "")
    system, *messages = talk.messages()
    assert system.role == "system"
    assert all(a.role != b.role for a, b in itertools.pairwise(messages))
    for role, by_person in (("user", True), ("assistant", False)):
        words = " ".join(text for person, text in said if person == by_person).split()
        assert " ".join(m.content for m in messages if m.role == role).split() == words


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), max_size=40))
def test_it_never_outgrows_the_context_and_begins_with_the_person(turns: list[tuple[int, int]]) -> None:
    context, reply = 700, 200
    talk = history(context, reply)
    for question, answer in turns:
        talk.person("q" * question)
        talk.agent("a" * answer, "")
        before = talk.messages()[1:]
        talk.trim()
        _, *messages = talk.messages()
        assert sum(len(m.content) for m in messages) <= (context - reply) * CHARACTERS_PER_TOKEN
        assert messages[0].role == "user"
        assert messages == before[len(before) - len(messages) :], "only the oldest is forgotten"
        if len(messages) < len(before):
            assert len(messages) <= len(before) / 2 + 1, "half at once: the prefix cache then stays valid"


def test_the_newest_exchange_is_kept_however_long() -> None:
    talk = history(600, 200)
    talk.person("q" * 5000)
    talk.agent("a" * 5000, "")
    talk.trim()
    assert [m.role for m in talk.messages()] == ["system", "user", "assistant"]


def test_what_was_not_heard_after_all_is_taken_back_and_can_be_said_again():
    history = History("system", 4096, 400)
    history.person("Tell me.")
    history.agent("One two three.", "Four.")
    history.person("Wait.")
    history.unhear("One two three.", "One two")
    assert [m.content for m in history.messages()][1:] == ["Tell me.", "One two", "Wait."]
    assert history.unheard == "three. Four."
    history.unhear("One two", "")
    assert [(m.role, m.content) for m in history.messages()][1:] == [("user", "Tell me."), ("user", "Wait.")]
    history.unhear("never said", "")
    assert len(history.messages()) == 3


def test_it_can_be_told_anew_who_it_is():
    history = History("a teacher", 4096, 400)
    history.person("Hi.")
    history.instruct("a pirate")
    assert (history.system, history.messages()[0].content) == ("a pirate", "a pirate")
    assert len(history.messages()) == 2
