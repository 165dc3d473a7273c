"""The line being typed at a terminal: in whatever pieces its keys come, and however it is edited."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.parts.keyboard import Typed, rows

LETTERS = st.text(st.characters(exclude_categories=["Cc", "Cs"]))
ARROWS = st.sampled_from(["\x1b[A", "\x1b[D", "\x1bOC", "\x1b[1;5C", "\x1b[3~", "\x1bb"])


@given(st.lists(LETTERS), st.lists(ARROWS), st.lists(st.integers(0, 40)))
def test_every_letter_is_kept_whatever_pieces_it_comes_in(
    lines: list[str], arrows: list[str], cuts: list[int]
) -> None:
    keys = "".join(line + (arrows[n % len(arrows)] if arrows else "") + "\r" for n, line in enumerate(lines))
    data, typed, found = keys.encode(), Typed(), []
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in itertools.pairwise(places):
        typed.press(data[start:end])
        while (line := typed.entered()) is not None:
            found.append(line)
    assert (found, typed.text) == (lines, "")


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("Helo\x7flo", "Hello"),
        ("x\x7f\x7f\x08Hi", "Hi"),
        ("two words \x17", "two "),
        ("all of it\x15new", "new"),
        ("nai\u0308\x7fïve", "naïve"),
        ("日本\x7f", "日"),
        ("no\x04 end", "no end"),
        ("a\tb\x01\x9b", "a b"),
    ],
)
def test_a_line_is_edited_as_a_terminal_does(keys: str, text: str) -> None:
    typed = Typed()
    typed.press(keys.encode())
    assert typed.entered() is None
    assert typed.text == text


def test_ctrl_d_alone_and_an_empty_line_end() -> None:
    typed = Typed()
    typed.press(b"\x04\rmore\rrest")
    assert [typed.entered() for _ in range(4)] == ["", "", "more", None]
    assert typed.text == "rest"


@pytest.mark.parametrize(
    ("text", "below"), [("", 0), ("a" * 10, 0), ("a" * 11, 1), ("日" * 5, 0), ("a" + "日" * 5, 1)]
)
def test_where_a_line_ends_on_a_screen_of_ten_columns(text: str, below: int) -> None:
    assert rows(text, 10) == below
