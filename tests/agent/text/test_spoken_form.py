"""What is said of a text, and that every spoken character knows where it came from."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.text.spoken_form import Spoken, TextNormalizer


def say(piece: str) -> str:
    return TextNormalizer().say(piece).text


SPOKEN_VALUES = (
    "It costs three dollars and fifty cents, twenty percent or five euros, at five thirty PM, "
    "twenty degrees Celsius."
)
CASES = [
    ("# Title\n", "Title."),
    ("## Why?\n", "Why?"),
    ("**Bold idea.** And *this*, and ***that***.", "Bold idea. And this, and that."),
    ("And __it__, and _them_, and ~~gone~~.", "And it, and them, and gone."),
    ("- one\n- two!\n* three\n+ [x] four\n", "one. two! three. four."),
    ("\n1. First thing\n2. Second thing\n", "one. First thing. two. Second thing."),
    ("> quote\n> more\n", "quote. more."),
    ("| a | b |\n|---|:-:|\n| 1 | 2 |\n", "a, b. one, two."),
    ("|a|b|\n", "a, b."),
    ("---\n", ""),
    ("Setext\n======\n", "Setext."),
    ("Hard\nwrapped prose.", "Hard wrapped prose."),
    ("One paragraph\n\nand another", "One paragraph. and another"),
    ("See [the docs](https://example.com/a_(b)_c 'title') now.", "See the docs now."),
    ("[![alt](img.png)](http://a.b)", "alt"),
    ("See [this][ref] and that[^1].", "See this and that."),
    ("Go to https://www.example.co.uk/x?y=1_2.", "Go to example dot co dot uk."),
    ("It is at <https://example.com/>, or example.org.", "It is at example dot com, or example dot org."),
    ("Mail Jane.Doe@example.com, please.", "Mail Jane dot Doe at example dot com, please."),
    (
        "Mail a-1.b_c&d+e@my-site.com.",
        "Mail eh dash one dot b underscore c ampersand d plus e at my dash site dot com.",
    ),
    ("_me@example.com_", "me at example dot com"),
    ("See example.com/help/sign-in.html.", "See example dot com slash help slash sign dash in dot html."),
    (
        "See https://x.org/@jane/ and http://localhost:8080.",
        "See x dot org slash at jane and localhost port eight thousand eighty.",
    ),
    ("See youtu.be/dQw4w9WgXcQ or x.org/8f14e45f-ceea-467d.", "See youtu dot be or x dot org."),
    (
        "See x.org/a/b/c/d/e/f or x.org/one-two-three-four-five-six-seven-eight-nine-ten.",
        "See x dot org or x dot org.",
    ),
    ("go<noise/>home, <b>b</b>old", "go home, bold"),
    ("5 m<sup>2</sup>, the 1<sup>st</sup>", "five square meters, the first"),
    ("Call `parse_all(x)` or ``a ` b``.", "Call parse_all(x) or a b."),
    ("```python\nx = 1\n```\nDone.\n", "Done."),
    ("~~~\nx = 1\n~~~", ""),
    ("Great! 😊 Next 👩‍👩‍👧‍👦 one 👍🏽🇫🇷.", "Great! Next one."),
    ("1️⃣ First ❤️", "one First"),
    ("e.g. this, i.e. that. E.g. more", "for example this, that is that. For example more"),
    ("Fish & chips, AT&T, a &amp; b", "Fish and chips, AT and T, a and b"),
    ("&lt;3 and 5&deg;C &copy;", "less than three and five degrees Celsius ©"),
    ("Hmm... let me see", "Hmm, let me see"),
    ("It was . . . odd…so odd...", "It was, odd, so odd,"),
    ("...and then", "and then"),
    ("What...?", "What?"),
    ("Bohr [...] said", "Bohr said"),
    ("Hi<br/>there <b class='x'>you</b><!-- no --> a <b and c> d", "Hi. there you a is less than b and c d"),
    ("2 * 3 = 6, x*y", "two times three equals six, x times y"),
    ("2**3 * 4", "two cubed times four"),
    ("snake_case, __init__, \\*not\\*, snake\\_case", "snake_case, init, not, snake_case"),
    ('" Next', "Next"),
    ("! Long time", "Long time"),
    ("** Next", "Next"),
    ("Paris → Rome", "Paris to Rome"),
    ("It costs $3.50, 20 % or 5 €, at 5:30 p.m., 20°C.", SPOKEN_VALUES),
    ("你好！😊你叫什么？", "你好！ 你叫什么？"),
    (" \n", ""),
    ("!?", ""),
    ("", ""),
]


@pytest.mark.parametrize(("piece", "spoken"), CASES)
def test_said_as_a_person_would(piece, spoken):
    assert say(piece) == spoken


def test_a_fence_may_span_pieces():
    speakable = TextNormalizer()
    pieces = ["Look:\n", "\n```python\n", "# a comment.\n", "print('```')\n", "```\n", "That was it."]
    assert [speakable.say(piece).text for piece in pieces] == ["Look:", "", "", "", "", "That was it."]


def test_marks_of_a_line_count_only_where_a_line_begins():
    speakable = TextNormalizer()
    assert speakable.say("It is five").text == "It is five"
    assert speakable.say(" - so it is").text == "- so it is"


def test_way_back_to_the_piece():
    piece = "**Bold** [docs](http://a.b) e.g. 😊 end."
    spoken = TextNormalizer().say(piece)
    assert spoken.text == "Bold docs for example end."

    def source(words: str) -> str:
        at = spoken.text.index(words)
        return piece[slice(*spoken.source_range(at, at + len(words)))]

    assert source("Bold") == "**Bold**"
    assert source("docs") == "docs](http://a.b)"
    assert source("for example") == "e.g."
    assert source("end.") == "end."
    assert spoken.source_range(0, 4) == (0, 8)


def test_silent_piece_maps_to_itself():
    assert TextNormalizer().say("---\n").source_range(0, 0) == (0, 0)


def ranges_are_sound(piece: str, spoken: Spoken) -> None:
    assert len(spoken.sources) == len(spoken.text)
    assert list(spoken.sources) == sorted(spoken.sources)
    assert all(0 <= source < len(piece) for source in spoken.sources)
    size = len(spoken.text)
    if size:
        assert spoken.source_range(0, size) == (0, len(piece))
    for cut in range(size + 1):
        assert spoken.source_range(0, cut)[1] == spoken.source_range(cut, size)[0]


MARKS = [
    "**",
    "__",
    "```\n",
    "| ",
    "- ",
    "# ",
    "](",
    "![",
    "e.g. ",
    "&amp;",
    "<br>",
    "<b>",
    "...",
    "<!--",
    "-->",
]
LETTERS = ["👍🏽", "❤️", "word", "中", "é", "a@b.com", "http://a.bc/d", "\n\n"]
MARKUP = st.sampled_from([*"*_#>|`[]()!~-+\\&<.…:@/ \n1aZ", *MARKS, *LETTERS])


@given(st.lists(MARKUP, max_size=40).map("".join) | st.text(max_size=60), st.integers(0, 60))
def test_every_spoken_character_has_its_place(text, cut):
    speakable = TextNormalizer()
    for piece in (text[:cut], text[cut:]):
        ranges_are_sound(piece, speakable.say(piece))


WORDS = st.sampled_from(
    ["the", "river", "don't", "Anna's", "café", "well-known", "(so)", "I", "no", "etcetera"]
)
PROSE = st.lists(
    st.tuples(st.lists(WORDS, min_size=1, max_size=8), st.sampled_from([".", ",", "?", "!", ";", ":"])),
    min_size=1,
).map(lambda parts: " ".join(" ".join(words) + mark for words, mark in parts))


@given(PROSE)
def test_prose_is_said_as_it_is(text):
    spoken = TextNormalizer().say(" " + text + " ")
    assert spoken.text == text
    assert spoken.sources == tuple(range(1, len(text) + 1))


WRAPS = st.sampled_from(
    ["{}", "**{}**", "*{}*", "_{}_", "__{}__", "`{}`", "~~{}~~", "[{}](http://a.bc/d_e)", "***{}***"]
)
INLINE = st.lists(st.builds(str.format, WRAPS, WORDS), min_size=1, max_size=6).map(" ".join)
LINE = st.builds(
    str.format,
    st.sampled_from(["{}", "# {}", "### {}", "- {}", "* {}", "> {}", "1. {}", "| {} | {} |"]),
    INLINE,
    INLINE,
)
BLOCK = LINE | st.sampled_from(["---", "***", "|---|---|", "```\ncode *x* `y`\n```"])


@given(st.lists(BLOCK, min_size=1, max_size=6).map("\n".join))
def test_no_markdown_is_said(text):
    spoken = say(text)
    assert not re.search(r"[*_`#|\[\]\n]|~~|code|http|(?:^|[.] )[->] ", spoken)
    assert say(spoken) == spoken


@given(st.lists(MARKUP, max_size=30).map("".join))
def test_nothing_speakable_is_made_of_nothing(text):
    if not any(letter.isalnum() for letter in text):
        assert say(text) == ""
