"""What is said of numbers, signs and formulas: a table, and what holds for any text."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.text.chunker import Chunker
from agent.text.normalization import normalized
from agent.text.normalization.english import numbers
from agent.text.spoken_form import TextNormalizer

TABLE = Path(__file__).parents[2] / "data" / "spoken_values.tsv"
ROWS = [
    (part, kind, text.replace("⏎", "\n"), answers.split(" | "))
    for part, kind, text, answers in (
        line.split("\t")
        for line in TABLE.read_text(encoding="utf-8").splitlines()
        if line[:1] not in ("#", "")
    )
]


def words(text: str) -> str:
    """The bare words of a text: without case and punctuation."""
    return " ".join(re.sub(r"[^\w' ]|_", " ", text.lower().replace("’", "'")).split())


def say(text: str) -> str:
    return TextNormalizer().say(text).text


@pytest.mark.parametrize(("text", "answers"), [(text, answers) for _, _, text, answers in ROWS])
def test_values_are_said_right(text: str, answers: list[str]) -> None:
    assert words(say(text)) in [words(answer) for answer in answers]


def test_the_table_is_as_large_as_it_should_be() -> None:
    assert len(ROWS) >= 250
    assert sum(part == "held" for part, *_ in ROWS) >= 80
    assert len({text for _, _, text, _ in ROWS}) == len(ROWS)


def streamed(text: str, tokens: list[str], ahead: float) -> str:
    """What is said of a text that comes token by token, with that much speech ahead (s)."""
    chunker, speakable = Chunker(), TextNormalizer()
    pieces = [piece for token in tokens for piece in chunker.feed(token, ahead)] + chunker.flush()
    assert "".join(piece.text for piece in pieces) == text
    return " ".join(speakable.say(piece.text).text for piece in pieces)


def tokens_of(text: str) -> list[str]:
    """As a language model's tokens: words with the space or mark before them, digits and marks one by one."""
    return re.findall(r"[^\w\n]?[A-Za-z]+|.", text, re.S)


@pytest.mark.parametrize("ahead", [0.0, 0.5, 60.0])
def test_no_value_changes_when_it_is_streamed(ahead: float) -> None:
    """However little speech is ahead, no cut falls inside a value, and the words before tell what it is."""
    wrong = []
    openings = ("", "Well, ", "Now that you ask me it is, I think, ")
    for n, (_, _, text, answers) in enumerate(ROWS):
        whole = f"{openings[n % 3]}{text} and so on."
        said = words(streamed(whole, tokens_of(whole), ahead))
        if said != words(say(whole)):
            wrong.append((text, said, answers))
    assert not wrong


def hibari_reads() -> Callable[[str], str]:
    """How hibari reads a text: its phonemes."""
    from hibari.g2p.normalize import normalize

    from audio.tts.hibari import Hibari

    reader = Hibari()._engine.g2p
    return lambda text: "".join(
        token.phonemes or "" for token in reader.phonemize_tokens(reader.tokenize(normalize(text)))
    )


def piper_reads() -> Callable[[str], str]:
    """How Piper, Kokoro and, without a cleaner, Coqui read a text."""
    from audio.tts.vits.espeak import Phonemizer

    said = Phonemizer.of("en-us").said
    return lambda text: "".join(said(text))


def coqui_reads() -> Callable[[str], str]:
    """How Coqui's English voices read a text: their cleaner comes first."""
    from TTS.tts.utils.text.cleaners import phoneme_cleaners

    said = piper_reads()
    return lambda text: said(phoneme_cleaners(text))


def sounds(phonemes: str) -> str:
    """Phonemes without stress, length, pauses and glides."""
    return re.sub(r"\W|[ˈˌːʲ_]", "", phonemes)


@pytest.mark.parametrize("reader", [hibari_reads, piper_reads, coqui_reads])
def test_every_voice_says_the_same(reader: Callable[[], Callable[[str], str]]) -> None:
    """What a voice makes of a text sounds as what it makes of the words that must be said."""
    read = reader()
    wrong = []
    for _, _, text, answers in ROWS:
        said = sounds(read(say(text)))
        if said not in [sounds(read(answer)) for answer in answers]:
            wrong.append((text, answers[0]))
    assert len(wrong) <= 0.01 * len(ROWS), wrong


def without_digits(text: str) -> bool:
    return not any(unicodedata.category(char) in ("Nd", "No", "Nl") for char in text)


SIGNS = st.sampled_from(
    [*"0123456789", *" .,:;/-+*^=<>%$€£#°'\"()[]{}\\_xXkKmMVIeE½²−–≤√", "\n", "USD ", " am", "st"]
)


@given(st.lists(SIGNS, max_size=40).map("".join) | st.text(max_size=60))
def test_no_digit_is_left_for_a_voice(text: str) -> None:
    assert without_digits(say(text))


@given(
    st.integers(1, 10**18),
    st.sampled_from(["{}", "{:,}", "0{}", "{}.{}", "{}/{}", "{}-{}", "${}", "{} km", "{}th"]),
)
def test_every_number_is_said(value: int, shape: str) -> None:
    said = say(shape.format(value, value))
    assert said
    assert without_digits(said)


@given(st.integers(0, 10**36 - 1))
def test_a_cardinal_says_its_value(value: int) -> None:
    assert understood(numbers.cardinal(f"{value:,}")) == value


def understood(said: str) -> int:
    """The value of a cardinal in words, read the other way round."""
    total = group = 0
    for word in said.split():
        if word == "hundred":
            group *= 100
        elif word in numbers.SCALES:
            total, group = total + group * 1000 ** numbers.SCALES.index(word), 0
        else:
            group += numbers.SMALL.index(word) if word in numbers.SMALL else 10 * numbers.TENS.index(word)
    return total + group


@given(st.from_regex(r"0[0-9]{1,60}|[0-9]{37,80}", fullmatch=True))
def test_digits_that_make_no_quantity_are_said_one_by_one(digits: str) -> None:
    round_number = digits[0] != "0" and not digits.rstrip("0")[3:]
    if not round_number or len(digits) > 36:
        assert words(say(digits)) == numbers.digits(digits)


@given(st.integers(1, 3999))
def test_a_roman_numeral_has_one_spelling(value: int) -> None:
    written = numbers.to_roman(value)
    assert numbers.roman(written) == value
    assert numbers.roman(written + "IIII") == 0


def test_a_number_longer_than_a_piece_goes_on_digit_by_digit() -> None:
    digits = "".join(str(n % 10) for n in range(1, 1001))
    assert words(streamed(digits, [digits], 60.0)) == numbers.digits(digits)


def test_the_tail_of_a_long_address_is_silent() -> None:
    address = "https://example.com/" + "abc/def?g=1&h=2.5;" * 60
    text = f"See {address}. It is all there."
    for tokens in ([text], tokens_of(text)):
        assert words(streamed(text, tokens, 60.0)) == "see example dot com it is all there"


def test_a_part_of_a_number_that_was_heard_is_not_said() -> None:
    """Half a number is another number: only with the last of its words does the history keep it."""
    spoken = TextNormalizer().say("It costs $49.95 now.")
    ends = [spoken.source_range(m.start(), m.end())[1] for m in re.finditer(r"\S+", spoken.text)]
    said = "It costs forty nine dollars and ninety five cents now."
    assert spoken.text == said
    assert ends == [2, 8, 9, 9, 9, 9, 9, 9, 15, 20]


def test_digits_are_heard_one_by_one() -> None:
    spoken = TextNormalizer().say("555-0199")
    assert [spoken.source_range(m.start(), m.end()) for m in re.finditer(r"\w+", spoken.text)] == [
        (0, 1), (1, 2), (2, 3), (3, 5), (5, 6), (6, 7), (7, 8)
    ]  # fmt: skip


@pytest.mark.parametrize("code", ["nl", "sv-se", "cmn", ""])
def test_a_language_without_rules_keeps_its_text(code: str) -> None:
    text = "Es kostet 3,50 € am 24.12. um 18:30 & mehr: 5-3, z.B. ½."
    assert TextNormalizer(code).say(text).text == text
    assert normalized(text, code) == text


def test_english_by_any_of_its_names() -> None:
    assert {TextNormalizer(code).say("5").text for code in ("en", "en-us", "en-gb", "EN_US", "eng")} == {
        "five"
    }


LONG = [
    "1",
    "*",
    "(",
    "1,",
    "1.",
    "1-",
    "1/",
    "1:",
    "1 ",
    "$",
    "$1",
    "\\frac{",
    "{",
    "a1",
    "X",
    "-",
    "+1",
    "^2",
    "#",
    "_",
]
LONG += [
    " ",
    "\n",
    "<",
    "[",
    "|",
    "&",
    "²",
    "5€",
    '5"',
    "$x",
    "\\(",
    ". ",
    "http://",
    "www.",
    "a@",
    "`",
    "5 min ",
    "=",
    "II ",
    "😊",
    "⚠️",
]


@pytest.mark.parametrize("unit", LONG)
def test_no_text_takes_long(unit: str) -> None:
    """Time in proportion to the length, of a hundred thousand characters of the worst kinds."""
    begun = time.process_time()
    say(unit * (20_000 // len(unit)))
    assert time.process_time() - begun < 5.0
