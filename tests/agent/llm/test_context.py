"""A conversation that outgrows its model's context: what it is asked with, and what is never lost."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scripted
from agent import events as ev
from agent.cli.parts.typed_conversation import chat_in_print, for_print
from agent.config import load
from agent.conversation.history import History
from agent.engines import registry
from agent.errors import ContextExceeded
from agent.llm.context import TOO_LONG, ContextWindow, beginning, estimate, newest
from agent.messages import Message
from agent.protocols import CountsTokens
from agent.simulation.virtual import Line, converse
from scripted import CountingLLM, LimitedLLM, ScriptedLLM

SYSTEM = "You are brief and kind to all."
LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=40)


def conversation(lengths: list[int]) -> list[Message]:
    """User and agent in turns, the last of them the user, each of so many words."""
    roles = ("user", "assistant") if len(lengths) % 2 else ("assistant", "user")
    return [Message(roles[n % 2], " ".join(f"w{n}" for _ in range(some))) for n, some in enumerate(lengths)]


def words(message: Message) -> int:
    return len(message.content.split())


@given(LENGTHS, st.integers(20, 600))
def test_what_fits_is_left_alone_and_what_does_not_is_halved(lengths: list[int], budget: int) -> None:
    said = conversation(lengths)
    fitted = newest(said, words, budget)
    total = sum(lengths)
    if total <= budget:
        assert fitted == said
        return
    assert fitted[-1] is said[-1], "the newest message stays as it is"
    assert len(fitted) == 1 or sum(map(words, fitted)) <= budget
    assert len(fitted) == 1 or fitted[0].role == "user" or len(fitted) == len(said)
    for old, kept in zip(reversed(said), reversed(fitted), strict=False):
        assert kept.role == old.role
        assert old.content.startswith(kept.content)
        assert kept is old or words(kept) <= budget / 4
    if len(fitted) < len(said):
        past, left = sum(map(words, fitted[:-1])), budget - lengths[-1]
        assert past <= max(left, 0) / 2, "half at once: the prefix cache then stays valid for long"


@given(LENGTHS, st.integers(20, 600))
def test_no_more_is_measured_than_fits(lengths: list[int], budget: int) -> None:
    measured: list[Message] = []

    def size(message: Message) -> int:
        measured.append(message)
        return words(message)

    newest(conversation([60] * 300 + lengths), size, budget)
    assert sum(min(words(m), budget / 4) for m in measured[1:-1]) <= budget


def test_the_beginning_of_a_message_ends_with_a_word_and_has_no_picture() -> None:
    assert beginning(Message("user", "one two three four"), 0.5).content == "one two"
    assert beginning(Message("user", "1" * 100), 0.25).content == "1" * 25
    assert beginning(Message("user", "中文" * 50), 0.1).content == "中文" * 5


@given(st.text(max_size=200))
def test_a_guess_at_tokens_is_never_nothing_and_never_more_than_letters(text: str) -> None:
    assert 0 < estimate(Message("user", text)) <= len(text) + estimate(Message("user", ""))


def answered(window: ContextWindow, history: History, question: str) -> str:
    """One turn, as the session has it."""
    prompt = window.prompt(history.system, history.said(question))
    reply = "".join(prompt.stream())
    history.user(question)
    history.keep(prompt.said, prompt.fitted)
    history.agent(reply, "")
    ahead = window.prompt(history.system, history.said())
    list(ahead.prefill())
    history.keep(ahead.said, ahead.fitted)
    return reply


@pytest.mark.parametrize("kind", [CountingLLM, LimitedLLM], ids=["counted", "guessed"])
@pytest.mark.parametrize("tells", [True, False])
def test_a_thousand_turns_are_answered_and_the_reading_does_not_grow(
    kind: type[LimitedLLM], tells: bool
) -> None:
    llm = kind(["This is the reply that I have for you today."], limit=300, tells=tells)
    window, history = ContextWindow(llm, 300, 40), History(SYSTEM)
    assert isinstance(llm, CountsTokens) == (kind is CountingLLM)
    for turn in range(1000):
        assert answered(window, history, f"This is question {turn} of many.") == llm.replies[0]
    assert len(history.said()) < 60
    assert sum(llm.read[1000:]) / 500 < 60, "about what is new in a turn"
    assert max(llm.read) < 300
    assert max(llm.read[100::2]) < 20, "a question; the past is cut and read again while nobody waits"
    if kind is CountingLLM:
        assert llm.refusals == 0
        assert llm.counted < 2.1 * 1000 * 2, "each message once, not the whole conversation each time"


@pytest.mark.parametrize("kind", [CountingLLM, LimitedLLM], ids=["counted", "guessed"])
@pytest.mark.parametrize("tells", [True, False])
@given(lengths=st.lists(st.integers(1, 400), min_size=5, max_size=25))
def test_any_message_is_answered_or_refused_in_words_and_the_next_one_too(
    kind: type[LimitedLLM], tells: bool, lengths: list[int]
) -> None:
    llm = kind(["Here is my reply."], limit=200, tells=tells)
    window, history = ContextWindow(llm, 200, 50), History(SYSTEM)
    for number, length in enumerate(lengths):
        reply = answered(window, history, " ".join([f"w{number}"] * length))
        room = 200 - 1 - len(SYSTEM.split()) - 1
        assert reply == (TOO_LONG if length > room - 1 else llm.replies[0]) or room - 15 < length < room + 1
    assert answered(window, history, "Are you there?") == llm.replies[0]


def test_a_server_with_less_context_than_configured_is_learned_from() -> None:
    llm = LimitedLLM(["Yes, of course."], limit=200, tells=False)
    window, history = ContextWindow(llm, 4096, 40), History(SYSTEM)
    for turn in range(500):
        assert answered(window, history, f"This is question {turn} of many.") == llm.replies[0]
    assert llm.refusals < 15


def test_it_is_learned_also_where_the_answer_is_interrupted() -> None:
    llm = LimitedLLM(["Yes, of course."], limit=200, tells=False)
    window = ContextWindow(llm, 4096, 40)
    long = [Message(role, "some words of no weight") for _ in range(50) for role in ("user", "assistant")]
    for _ in range(5):
        stream = window.prompt(SYSTEM, [*long, Message("user", "Well?")]).stream()
        assert next(stream) == "Yes,"
        stream.close()
    assert llm.refusals < 5


def test_many_words_without_a_reply_are_not_one_message_that_is_too_long() -> None:
    """Replies that nobody hears leave the user's messages next to each other, and they are read as one."""
    llm = CountingLLM(["Hello."], limit=200)
    window, history = ContextWindow(llm, 200, 40), History(SYSTEM)
    for _ in range(100):
        history.user("Hello, is there anybody who can hear me?")
    assert answered(window, history, "Hello?") == "Hello."
    assert len(history.said()) < 30
    assert [m.role for m in llm.asked[-1]] == ["system", "user"]


def test_what_was_too_long_is_kept_as_its_beginning_and_the_past_is_not_lost_for_it() -> None:
    llm = CountingLLM(["Yes."], limit=200)
    window, history = ContextWindow(llm, 200, 40), History(SYSTEM)
    answered(window, history, "My name is Ada.")
    assert answered(window, history, "7 " * 300) == TOO_LONG
    assert answered(window, history, "And now?") == "Yes."
    asked = [m.content for m in llm.asked[-1]]
    assert asked[1] == "My name is Ada."
    assert 10 < len(asked[3].split()) <= 50
    assert asked[3:] == [asked[3], TOO_LONG, "And now?"]


def test_reading_ahead_what_is_too_long_is_no_fault() -> None:
    llm = CountingLLM(["Yes."], limit=100)
    prompt = ContextWindow(llm, 100, 40).prompt(SYSTEM, [Message("user", "much " * 200)])
    list(prompt.prefill())
    assert (llm.read, llm.refusals, prompt.refused) == ([], 0, None)


def test_a_refusal_has_its_figures() -> None:
    llm = CountingLLM(["Yes."], limit=100)
    prompt = ContextWindow(llm, 100, 40).prompt(SYSTEM, [Message("user", "much " * 200)])
    assert "".join(prompt.stream()) == TOO_LONG
    assert prompt.refused is not None
    assert (prompt.refused.tokens, prompt.refused.context) == (209, 100)
    assert "\n" not in str(prompt.refused)


def test_instructions_that_leave_no_room_are_refused_where_tokens_are_counted() -> None:
    window = ContextWindow(CountingLLM(["Yes."], limit=100), 100, 40)
    window.check("word " * 80)
    with pytest.raises(ContextExceeded, match=r"^the instructions are 9\d tokens long.*context of 100.*200$"):
        window.check("word " * 95)
    ContextWindow(ScriptedLLM(["Yes."]), 100, 40).check("word " * 95)


def test_a_model_that_fails_otherwise_is_not_asked_again() -> None:
    llm = ScriptedLLM(["One two three."], fail_at={0: 1})
    prompt = ContextWindow(llm, 100, 40).prompt(SYSTEM, [Message("user", "Hello.")])
    with pytest.raises(RuntimeError, match="out of paper"):
        list(prompt.stream())
    assert len(llm.asked) == 1


def test_closing_an_answer_closes_the_model() -> None:
    llm = CountingLLM(["One two three."])
    stream = ContextWindow(llm, 100, 40).prompt(SYSTEM, [Message("user", "Hello.")]).stream()
    next(stream)
    assert llm.open == 1
    stream.close()
    assert llm.open == 0


@pytest.mark.parametrize("kind", [CountingLLM, LimitedLLM], ids=["counted", "guessed"])
def test_a_session_says_so_and_goes_on(kind: type[LimitedLLM], tmp_path: Path) -> None:
    heard = scripted.ScriptedSTT(["Hello.", "much " * 500, "Are you there?"])
    llm = kind(["I am here."], limit=300)
    engines = scripted.with_loudness(heard, llm, scripted.ScriptedTTS())
    settings = ["costs.mode=declared", "stt.interim=0", "turns.meaning=off", "session.system=Be brief."]
    events: list[ev.Event] = []
    lines = [Line(scripted.loud(1.0)) for _ in range(3)]
    converse(engines, load(None, settings), lines, tmp_path / "out.wav", watchers=[events.append])
    ended = [e for e in events if isinstance(e, ev.TurnEnded)]
    assert [(e.reason, e.heard) for e in ended] == [
        ("finished", "I am here."),
        ("finished", TOO_LONG),
        ("finished", "I am here."),
    ]
    (error,) = [e for e in events if isinstance(e, ev.Error)]
    assert (error.where, error.turn) == ("llm", ended[1].turn)
    assert error.time <= ended[1].time


def test_a_pasted_line_of_a_typed_chat_is_refused_in_print_and_the_next_one_answered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["Hello.", "7 " * 400, *(f"This is question {turn} of many." for turn in range(50))]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
    llm = CountingLLM(["I am here."], limit=200)
    config = load(None, ["session.system=Be brief."])
    chat_in_print(config, registry.load(config, given=for_print(llm)))
    out, err = capsys.readouterr()
    assert out.splitlines() == ["I am here.", TOO_LONG, *["I am here."] * 50]
    assert err.splitlines() == [
        "backchat: the conversation is 404 tokens long, more than the model's context of 200; "
        "raise it with --set llm.context=400"
    ]
    assert llm.refusals == 0


def test_single_messages_are_counted_without_the_tools() -> None:
    """With them each count would read all schemas; the tools themselves are counted, once."""
    told, bare = CountingLLM(["Yes."], limit=400), CountingLLM(["Yes."], limit=400)
    count = told.count
    told.count = lambda messages: 300 + count(messages)  # type: ignore[method-assign]
    window, said = ContextWindow(told, 400, 40, bare), [Message("user", "Hello there.")]
    for number in range(5):
        assert list(window.prompt(SYSTEM, said).stream()) == ["Yes."]
        said += [Message("assistant", "Yes."), Message("user", f"Number {number}.")]
    assert told.counted == 1
    assert bare.counted > 5
    with pytest.raises(ContextExceeded):
        window.check("word " * 100)
