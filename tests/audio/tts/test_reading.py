"""How a text is read: sentences, words, and which phoneme belongs to which word."""

from __future__ import annotations

import itertools

import hypothesis.strategies as some
import pytest
from hypothesis import given

from audio.tts.reading import Reader, owners, sentences, sounding


def spoken(text: str, longest: int = 300) -> list[str]:
    return [text[s.start : s.end].strip() for s in sentences(text, longest)]


def words(text: str) -> list[str]:
    return [text[a:b] for s in sentences(text) for a, b in s.words]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith met Mrs. Jones at 3.5 km.", ["Dr. Smith met Mrs. Jones at 3.5 km."]),
        ("J. R. Tolkien wrote it. I read it.", ["J. R. Tolkien wrote it.", "I read it."]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("First line\nsecond line", ["First line", "second line"]),
        ("你好。再见。", ["你好。", "再见。"]),
        ("Well … no.", ["Well …", "no."]),
        ("... 😀 !", []),
        ("", []),
    ],
)
def test_sentences(text: str, parts: list[str]) -> None:
    assert spoken(text) == parts


def test_a_long_sentence_is_cut_after_a_clause_or_a_word_or_anywhere() -> None:
    clauses = "a long clause of several words, " * 20
    assert all(part.endswith(",") for part in spoken(clauses)[:-1])
    assert all(len(part) <= 300 for part in spoken("word " * 200) + spoken("x" * 1000))
    assert "".join(spoken("x" * 1000)) == "x" * 1000


@given(some.text(alphabet=some.sampled_from("ab1 .!?,\n\"'—😀好ไé"), max_size=60), some.integers(1, 20))
def test_sentences_cover_the_text_and_hold_their_words(text: str, longest: int) -> None:
    found = sentences(text, longest)
    if not found:
        return
    assert found[0].start == 0
    assert found[-1].end == len(text)
    assert all(a.end == b.start for a, b in itertools.pairwise(found))
    for sentence in found:
        edges = [sentence.start, *itertools.chain(*sentence.words), sentence.end]
        assert edges == sorted(edges)
        assert sentence.words
        assert all(any(c.isalnum() for c in text[a:b]) for a, b in sentence.words)


def test_words_keep_their_punctuation_and_silent_ones_are_none() -> None:
    assert words('Well — "no" (yes) 😀 it is!') == ["Well", '"no"', "(yes)", "it", "is!"]
    assert words("你好，世界") == ["你", "好，", "世", "界"]


def test_what_has_no_sound_is_not_read() -> None:
    assert sounding("a 😀b\u0007c é ˈ好") == "a  b c é ˈ好"


def test_phonemes_belong_to_the_words_whose_sounds_they_are() -> None:
    spoken = "wˈʌn ʌvðə θˈɪŋz, ɪnðɪʲ ˈɛnd."
    alone = ["wˌʌn", "ʌv", "ðə", "θˈɪŋz", "ˈɪn", "ðə", "ˈɛnd"]
    index = owners(list(spoken), [list(word) for word in alone])
    of = ["".join(c for c, n in zip(spoken, index, strict=True) if n == k and c.isalpha()) for k in range(7)]
    assert of == ["wˈʌn", "ʌv", "ðə", "θˈɪŋz", "ɪn", "ðɪʲ", "ˈɛnd"]


def test_a_word_read_as_several_is_one_and_order_is_kept() -> None:
    alone = [list("jɛs"), list("wʌnθaʊzəndtuːhʌndɹɪd"), list("piːpəl")]
    index = owners(list("jˈɛs: wˈʌn θˈaʊzənd tˈuːhˈʌndɹɪd pˈiːpəl"), alone)
    assert index == sorted(index)
    assert set(index) == {0, 1, 2}


@given(some.text("abcˈ ,", max_size=30), some.lists(some.text("abc", max_size=6), max_size=6))
def test_every_phoneme_has_one_owner_and_they_never_go_back(heard: str, alone: list[str]) -> None:
    index = owners(list(heard), [list(word) for word in alone])
    assert len(index) == len(heard)
    assert index == sorted(index)
    assert all(0 <= n < max(1, len(alone)) for n in index)


def test_a_word_is_read_alone_only_once() -> None:
    asked: list[str] = []
    reader = Reader(lambda text: asked.append(text) or list(text))
    for _ in range(3):
        text = "tea for tea"
        read = reader.read(text, sentences(text)[0])
        assert read.owners[:3] == [0, 0, 0]
        assert read.owners[-3:] == [2, 2, 2]
    assert asked.count("tea") == 1
