"""The history: what was said and heard, in turns that alternate."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from agent.conversation.history import History
from agent.messages import Message, ToolCall, joined

WORDS = st.text("abcdef ", min_size=1, max_size=40).filter(str.strip)


def history() -> History:
    return History("Be brief.")


def test_only_what_was_heard_enters_it() -> None:
    talk = history()
    talk.user("Tell me a story.")
    talk.agent("Once upon a time", " there was a queen.")
    talk.user("Stop.")
    assert talk.messages() == [
        Message("system", "Be brief."),
        Message("user", "Tell me a story."),
        Message("assistant", "Once upon a time"),
        Message("user", "Stop."),
    ]
    assert talk.unheard == "there was a queen."


def test_a_reply_that_was_not_heard_leaves_the_person_one_message() -> None:
    talk = history()
    talk.user("I want")
    talk.agent("  ", "What do you want?")
    assert talk.unheard == "What do you want?"
    assert talk.messages("to go home.")[1:] == [Message("user", "I want to go home.")]


def test_a_question_that_is_only_tried_leaves_no_trace() -> None:
    talk = history()
    talk.user("Hello.")
    before = talk.messages()
    talk.messages("And")
    assert talk.messages() == before


def test_what_was_unheard_is_forgotten_when_the_next_reply_was_heard_whole() -> None:
    talk = history()
    talk.agent("Once", " upon a time.")
    talk.agent("Yes.", "")
    assert talk.unheard == ""


@given(
    before=st.lists(WORDS, min_size=1, max_size=4),
    last=WORDS,
    at=st.integers(0, 60),
    older=st.booleans(),
)
def test_of_a_reply_with_calls_the_words_are_cut_and_no_call_is_lost(
    before: list[str], last: str, at: int, older: bool
) -> None:
    """However its words lie around its calls, what the client has not played is what goes."""
    talk = history()
    talk.user("Look.")
    done, whole = list[Message](), ""
    for number, text in enumerate(before):
        call = ToolCall(str(number), "look", "{}")
        done += [Message("assistant", text.strip(), calls=(call,)), Message("tool", "seen", call=call.id)]
        whole = f"{whole} {text.strip()}".strip()
    whole = f"{whole} {last.strip()}"
    talk.agent(last, "", done)
    if older:
        talk.user("Well?")
        talk.agent("zzz", "")
    kept = whole[:at].strip()
    talk.unhear(whole, kept)
    said = talk.said()
    words = "".join("".join(m.content.split()) for m in said if m.role == "assistant" and m.content != "zzz")
    assert words == "".join(kept.split())
    assert [call.id for m in said for call in m.calls] == [str(n) for n in range(len(before))]
    assert [m.call for m in said if m.role == "tool"] == [str(n) for n in range(len(before))]
    assert talk.unheard == ("" if older else whole[len(kept) :].strip())


@given(st.lists(st.tuples(st.booleans(), WORDS), max_size=30))
def test_sides_alternate_and_no_word_is_lost(said: list[tuple[bool, str]]) -> None:
    talk = history()
    for user, text in said:
        talk.user(text) if user else talk.agent(text, "")
    system, *messages = talk.messages()
    assert system.role == "system"
    assert all(a.role != b.role for a, b in itertools.pairwise(messages))
    for role, by_person in (("user", True), ("assistant", False)):
        words = " ".join(text for user, text in said if user == by_person).split()
        assert " ".join(m.content for m in messages if m.role == role).split() == words


@given(st.lists(st.tuples(st.booleans(), WORDS), min_size=1, max_size=20), st.data())
def test_what_fits_is_kept_and_what_is_said_meanwhile_too(
    said: list[tuple[bool, str]], data: st.DataObject
) -> None:
    talk = history()
    for user, text in said:
        talk.user(text) if user else talk.agent(text, "")
    parts = talk.said("And now?")
    end = parts[data.draw(st.integers(0, len(parts) - 1)) :]
    fitted = [Message(m.role, m.content[:3]) for m in end[:-1]] + end[-1:]
    talk.user("Meanwhile.")
    talk.keep(parts, fitted)
    assert talk.said() == [*fitted[:-1], Message("user", "Meanwhile.")]
    assert talk.messages()[1:] == joined([], talk.said())


def test_what_was_heard_last_is_all_of_it_since_the_person_spoke() -> None:
    talk = history()
    assert talk.heard == ""
    talk.user("Hello.")
    talk.agent("One.", "")
    talk.agent("Two?", "")
    assert (talk.heard, talk.last_sentence) == ("One. Two?", "Two?")
    talk.user("Yes.")
    assert talk.heard == ""


def test_a_reply_is_taken_back_after_the_beginning_was_forgotten() -> None:
    talk = history()
    for turn in ("one", "two"):
        talk.user(f"q {turn}")
        talk.agent(f"a {turn}", "")
    parts = talk.said()
    talk.keep(parts, parts[2:])
    talk.unhear("a two", "a")
    assert [m.content for m in talk.said()] == ["q two", "a"]
    assert talk.unheard == "two"
    talk.unhear("a one", "")
    assert [m.content for m in talk.said()] == ["q two", "a"]


def test_what_was_not_heard_after_all_is_taken_back_and_can_be_said_again():
    history = History("system")
    history.user("Tell me.")
    history.agent("One two three.", "Four.")
    history.user("Wait.")
    history.unhear("One two three.", "One two")
    assert [m.content for m in history.messages()][1:] == ["Tell me.", "One two", "Wait."]
    assert history.unheard == "three. Four."
    history.unhear("One two", "")
    assert [(m.role, m.content) for m in history.messages()][1:] == [("user", "Tell me. Wait.")]
    history.unhear("never said", "")
    assert len(history.messages()) == 2


def test_it_can_be_told_anew_who_it_is():
    history = History("a teacher")
    history.user("Hi.")
    history.instruct("a pirate")
    assert (history.system, history.messages()[0].content) == ("a pirate", "a pirate")
    assert len(history.messages()) == 2


@given(
    st.lists(st.tuples(st.sampled_from(["add", "put", "remove", "turn"]), st.integers(0, 99)), max_size=30)
)
def test_whatever_is_put_in_and_taken_out_the_rest_keeps_its_place(steps: list[tuple[str, int]]) -> None:
    talk, parts, expected = history(), [], []
    for number, (step, at) in enumerate(steps):
        at %= len(expected) + 1
        message = Message("user", f"{number}")
        if step == "add":
            parts.append(talk.add(message))
            expected.append(message)
        elif step == "put":
            parts.insert(at, talk.put(message, parts[at - 1] if at else None))
            expected.insert(at, message)
        elif step == "remove" and at < len(parts):
            talk.remove([parts.pop(at)])
            del expected[at]
        elif step == "turn":
            talk.user(f"{number}")
            parts += talk.newest
            talk.agent("Yes.", "")
            expected += [message, Message("assistant", "Yes.")]
    assert talk.said() == expected


def test_what_is_put_in_while_a_reply_is_heard_comes_behind_it() -> None:
    talk = history()
    talk.user("Count.")
    talk.add(Message("user", "Thanks."))
    talk.agent("One.", " Two.")
    assert [m.content for m in talk.said()] == ["Count.", "One.", "Thanks."]
    talk.user("More.")
    talk.remove(talk.newest[-1:])
    talk.agent("Two.", "")
    assert [m.content for m in talk.said()] == ["Count.", "One.", "Thanks.", "More."]
