"""A whole text said aloud: cut as a reply is, at a cost that its length does not square."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agent.text.chunker
from agent.conversation.speak import PART, chunks
from agent.text.chunker import Chunker

WORDS = ["the", "a.", "Mr.", "3.5", "word,", "and;", "so:", "(see)", '"Yes."', "e.g.", "Hello!", "What?", "-"]
WORDS += ["then", "10:30", "*", "U.S.", "etc.", "é", "..."]


@given(st.lists(st.sampled_from(WORDS), max_size=400).map(" ".join))
def test_it_is_cut_where_a_reply_that_comes_at_once_is(text: str) -> None:
    chunker = Chunker()
    assert [*chunks(text)] == [*chunker.feed(text), *chunker.flush()]


@pytest.mark.parametrize("text", ["a.", "1.", "@a.", "-", "word ", "\n", "(", "$1,"])
def test_little_of_it_is_looked_at_together(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """4000 characters of "a." took 4 s in one go, and more by their square."""
    real, seen = agent.text.chunker.cuts, list[int]()

    def cuts(pending: str, *given, **named):
        seen.append(len(pending))
        return real(pending, *given, **named)

    monkeypatch.setattr(agent.text.chunker, "cuts", cuts)
    long = text * (5000 // len(text))
    assert "".join(piece.text for piece in chunks(long)) == long
    assert max(seen) <= 3 * PART
