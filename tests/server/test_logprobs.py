"""Which tokens an answer is made of: the text decides, whatever stands around it and is held back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.protocols import Delta, TokenProbability
from agent.server.http.logprobs import Logprobs


def scored(data: bytes) -> TokenProbability:
    return TokenProbability(data, -1.0)


def told(entries: list[dict]) -> list[bytes]:
    return [bytes(each["bytes"]) for each in entries]


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[Delta], list[bytes]]:
    """Steps of an answer behind a thought between marks, and the tokens of its text.

    Each token comes with its step, its text a while later: what was held back comes in one go.
    """
    words = draw(
        st.lists(st.text(st.sampled_from("ab é日😀"), min_size=1, max_size=4), min_size=1, max_size=6)
    )
    tokens = [part for word in words for part in _cut(draw, word.encode())]
    thought = draw(st.lists(st.text(st.sampled_from("ab "), min_size=1, max_size=3), max_size=3))
    steps = []
    if thought:
        steps.append(Delta("", probabilities=(scored(b"<think>"),)))
        steps += [Delta("", piece, probabilities=(scored(piece.encode()),)) for piece in thought]
        steps.append(Delta("", probabilities=(scored(b"</think>"),)))
    held = b""
    for number, token in enumerate(tokens):
        held += token
        text = _whole(held)
        if text is None or (number < len(tokens) - 1 and draw(st.booleans())):
            steps.append(Delta("", probabilities=(scored(token),)))
            continue
        steps.append(Delta(text, probabilities=(scored(token),)))
        held = b""
    return steps, tokens


def _cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    at = draw(st.integers(0, len(data)))
    return [part for part in (data[:at], data[at:]) if part]


def _whole(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


@given(answers())
def test_the_tokens_of_the_text_are_told_and_no_others(drawn: tuple[list[Delta], list[bytes]]) -> None:
    steps, tokens = drawn
    logprobs = Logprobs()
    found = [entry for step in steps for entry in logprobs.feed(step)]
    assert told(found) == tokens
    assert logprobs.told == found


def test_a_token_of_which_a_part_is_none_of_the_text_is_told_once() -> None:
    logprobs = Logprobs()
    assert logprobs.feed(Delta("", probabilities=(scored(b"</think>\n\nHe"),))) == []
    assert told(logprobs.feed(Delta("Hello", probabilities=(scored(b"llo <"),)))) == [
        b"</think>\n\nHe",
        b"llo <",
    ]
    assert logprobs.feed(Delta(" <")) == []
    assert told(logprobs.feed(Delta("b", probabilities=(scored(b"b"),)))) == [b"b"]


def test_text_whose_tokens_have_other_bytes_has_all_that_wait() -> None:
    logprobs = Logprobs()
    assert told(logprobs.feed(Delta("x", probabilities=(scored(b"?"), scored(b"!"))))) == [b"?", b"!"]


def test_what_shows_to_be_a_thought_only_at_its_end_is_no_answer() -> None:
    logprobs = Logprobs()
    logprobs.feed(Delta("Hm.", probabilities=(scored(b"Hm."),)))
    logprobs.feed(Delta("Yes.", anew=True, probabilities=(scored(b"Yes."),)))
    assert told(logprobs.told) == [b"Yes."]


def test_half_a_character_is_told_by_its_bytes() -> None:
    logprobs = Logprobs()
    logprobs.feed(Delta("", probabilities=(scored(b"\xc3"),)))
    (first, second) = logprobs.feed(Delta("é", probabilities=(scored(b"\xa9"),)))
    assert (first["token"], first["bytes"], second["bytes"]) == ("\ufffd", [0xC3], [0xA9])
