"""From chunks of samples to speech: trimming, fades, words, spans."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from audio.frame import Samples
from audio.tts import Speech, Word
from audio.tts.assembly import AUDIBLE, Spoken, assembled, pause, timed

RATE = 16_000


def tone(seconds: float) -> Samples:
    return (0.3 * np.sin(np.arange(round(seconds * RATE)) * 0.3)).astype(np.float32)


def quiet(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


def cut(samples: Samples, size: int) -> list[tuple[Samples, bool]]:
    starts = range(0, len(samples), size)
    return [(samples[a : a + size], a + size >= len(samples)) for a in starts]


TEXT = "one two three"
SOUND = np.concatenate([quiet(0.2), tone(0.2), quiet(0.1), tone(0.2), quiet(0.1), tone(0.3), quiet(0.4)])
WORDS = [Word(0, 3, 0.15, 0.45), Word(4, 7, 0.5, 0.75), Word(8, 13, 0.8, 1.3)]


def parts(size: int, *, known_end: bool = True) -> list[Speech]:
    chunks = [(samples, last and known_end) for samples, last in cut(SOUND, size)]
    return list(assembled(chunks, RATE, Spoken(0, 13, WORDS, 0.16)))


@given(some.integers(200, 30_000), some.booleans())
def test_joined_parts_do_not_depend_on_the_chunks(size: int, known_end: bool) -> None:
    found = parts(size, known_end=known_end)
    joined = np.concatenate([part.samples for part in found])
    (whole,) = parts(len(SOUND))
    np.testing.assert_array_equal(joined, whole.samples)
    assert found[0].start == 0
    assert found[-1].end == len(TEXT)
    assert all(a.end == b.start for a, b in itertools.pairwise(found))
    assert [TEXT[w.start : w.end] for part in found for w in part.words] == TEXT.split()


def test_silence_at_both_ends_is_trimmed_and_the_pause_added() -> None:
    (whole,) = parts(len(SOUND))
    audible = np.flatnonzero(np.abs(whole.samples) > AUDIBLE) / RATE
    assert audible[0] == pytest.approx(0.010, abs=0.005)
    assert whole.duration - audible[-1] == pytest.approx(0.030 + 0.16, abs=0.005)
    assert whole.samples[0] == 0.0


@pytest.mark.parametrize("size", [1_600, 4_000, len(SOUND)])
def test_words_are_where_their_sound_is(size: int) -> None:
    at, found = 0.0, []
    for part in parts(size):
        found += [(at + w.begin, at + w.finish) for w in part.words]
        at += part.duration
    # 10 ms stay before the first audible sample; the sounds begin at 0.2, 0.5 and 0.8 of what was given
    assert [b for b, _ in found] == pytest.approx([0.01, 0.31, 0.61], abs=0.02)
    assert found[2][1] == pytest.approx(0.91, abs=0.02) or size < len(SOUND)


def test_nothing_audible_is_no_speech() -> None:
    assert list(assembled(cut(quiet(1.0), 3_000), RATE, Spoken(0, 3, [], 0.1))) == []
    assert list(assembled([], RATE, Spoken(0, 3, [], 0.1))) == []


def test_a_part_comes_as_soon_as_it_sounds() -> None:
    drawn = []

    def chunks():
        for n, chunk in enumerate(cut(SOUND, 4_000)):
            drawn.append(n)
            yield chunk

    stream = assembled(chunks(), RATE, Spoken(0, 13, WORDS, 0.16))
    first = next(stream)
    assert drawn == [0]
    assert first.duration < 0.25
    stream.close()
    assert drawn == [0]


def test_guessed_words_that_are_left_share_the_rest() -> None:
    far = [Word(0, 3, 0.1, 0.3), Word(4, 7, 5.0, 6.0), Word(8, 13, 6.0, 9.0)]
    found = list(assembled(cut(SOUND, 6_000), RATE, Spoken(0, 13, far, 0.0, guessed=True)))
    words = [w for part in found for w in part.words]
    assert len(words) == 3
    last = found[-1]
    assert [w.start for w in last.words] == [4, 8]
    assert all(0 <= w.begin < w.finish <= last.duration for w in last.words)


def test_punctuation_belongs_to_no_word() -> None:
    sounds = [("a", 0.0, 0.1), (",", 0.1, 0.4), (" ", 0.4, 0.5), ("b", 0.5, 0.6), (".", 0.6, 0.9)]
    found = timed([(0, 2), (3, 5)], [0, 0, 0, 1, 1], sounds)
    assert found == [Word(0, 2, 0.0, 0.1), Word(3, 5, 0.5, 0.6)]


@pytest.mark.parametrize(
    ("text", "longer"), [("Yes.", "yes,"), ('"Yes!" ', "yes;"), ("Yes\n", "yes"), ("好。", "好，")]
)
def test_a_sentence_asks_for_a_longer_pause_than_a_clause(text: str, longer: str) -> None:
    assert pause(text) > pause(longer)
