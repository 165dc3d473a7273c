"""What no text may bring in, whoever it comes from and however it is split."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.text.cleaning import Cleaner, cleaned, cleaned_data, json_text

POISON = [
    *(
        "a",
        "é",
        " ",
        "\t",
        "\r",
        "\n",
        "\x1b",
        "[",
        "]",
        "3",
        "1",
        "m",
        ";",
        "\x07",
        "\\",
        "P",
        "\x00",
        "\x7f",
        "\x9b",
    ),
    *(
        "\x9d",
        "\x9c",
        "\ud83d",
        "\ude00",
        "\udb40",
        "\udc67",
        "\ud83c",
        "\udff4",
        "\udcff",
        "\ufeff",
        "\u2028",
        "\u202e",
    ),
    *("\u200b", "\u200d", "\U0001f3f4", "\U000e0067", "\U000e0062", "\U000e007f", "\ufffe", "\U0001f600"),
]
DIRTY = st.lists(st.sampled_from(POISON), max_size=16).map("".join)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("half \ud83d", "half \ufffd"),
        ("\ude00 other half", "\ufffd other half"),
        ("\ud83d\ude00", "😀"),
        ("caf\udce9", "caf\ufffd"),
        ("a\x00b", "ab"),
        ("one\r\ntwo\rthree\x0bfour\u2028five\x85six", "one\ntwo\nthree\nfour\nfive\nsix"),
        ("\ufeffHello", "Hello"),
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://x\x1b\\link", "red link"),
        ("\x9b2Jgone\x1bc", "gone"),
        ("\x1b]never closed", "never closed"),
        ("abc\u202etxt.exe\u202c", "abctxt.exe"),
        ("zero\u200bwidth\u2060", "zerowidth"),
        ("hidden\U000e0041\U000e0042", "hidden"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", None),
        ("👩\u200d🚀 می\u200cخواهم", None),
        ("plain text, with\ttabs\nand lines", None),
        ("naïve Größe 日本語 ½ €", None),
    ],
)
def test_what_is_cleaned_and_what_stays(text: str, right: str | None):
    assert cleaned(text) == (text if right is None else right)


@given(DIRTY)
@example("\ud83d\x00\ude00")
def test_what_has_passed_breaks_nothing_and_passes_again(text: str):
    clean = cleaned(text)
    clean.encode()
    assert cleaned(clean) == clean
    assert not any(c != "\n" and c != "\t" and (ord(c) < 32 or 126 < ord(c) < 160) for c in clean)


@given(DIRTY, st.lists(st.integers(0, 16), max_size=5))
def test_it_is_the_same_however_the_text_is_split(text: str, cuts: list[int]):
    cleaner, parts, last = Cleaner(), [], 0
    for cut in [*sorted(cuts), len(text)]:
        parts.append(cleaner.feed(text[last:cut]))
        last = max(last, cut)
    assert "".join(parts) + cleaner.rest() == cleaned(text)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Cn", "Zl", "Zp"]), max_size=12))
def test_ordinary_text_is_never_delayed(text: str):
    cleaner = Cleaner()
    text = text.replace("\U0001f3f4", "")
    assert cleaner.feed(text) == text


def test_data_is_cleaned_to_its_last_name():
    data = {"a\x00": ["\ud83d", {"b": "x\x1b[2J"}, 1, None, True], "n": 1.5}
    assert cleaned_data(data) == {"a": ["\ufffd", {"b": "x"}, 1, None, True], "n": 1.5}


@given(DIRTY)
def test_any_text_can_be_written_as_json(text: str):
    written = json_text({"text": text})
    written.encode()
    again = json.loads(written)["text"]
    assert again.encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")
