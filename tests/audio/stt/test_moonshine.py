"""Moonshine: its tokenizer file, what it writes for noise, loops, any length, and what its cost follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.weights.catalogue import resolve
from audio.errors import EngineFault
from audio.files import read_audio
from audio.frame import HEARING_RATE, Frame
from audio.stt.moonshine import Moonshine, read_tokens, text
from audio.stt.shortwindow import ROOM, Decoded
from audio.tts.hibari import RATE, Hibari

QUESTIONS = sorted((Path(__file__).parents[2] / "data" / "questions").glob("*.flac"))


def written(tokens: list[bytes]) -> bytes:
    """A tokenizer.bin with these tokens."""
    file = b""
    for token in tokens:
        size = len(token)
        file += bytes([size]) if size < 128 else bytes([128 + size % 128, size // 128])
        file += token
    return file


@given(st.lists(st.binary(max_size=400), min_size=3, max_size=20))
def test_the_vocabulary_is_read_as_it_was_written(tokens: list[bytes]) -> None:
    assert read_tokens(written(tokens)) == tokens


@given(st.lists(st.binary(min_size=1, max_size=400), min_size=3, max_size=8), st.data())
def test_a_file_that_is_cut_short_is_refused(tokens: list[bytes], data: st.DataObject) -> None:
    file = written(tokens)
    last = len(file) - len(written(tokens[-1:]))
    cut = data.draw(st.integers(last + 1, len(file) - 1))
    with pytest.raises(ValueError, match="the tokenizer ends inside"):
        read_tokens(file[:cut])


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        read_tokens(b"")


def test_tokens_become_text() -> None:
    words = [b"<unk>", b"<s>", b"</s>", "▁Two".encode(), b" caf", b"\xc3", b"\xa9", "▁<3".encode()]
    assert text(words, [1, 3, 4, 5, 6, 2]) == "Two café"
    assert text(words, [3, 4, 5]) == "Two caf", "half a character is no text"
    assert text(words, [3, 7, 99]) == "Two <3", "nor is a token that the file has not"


@pytest.fixture(scope="module")
def ear() -> Moonshine:
    return Moonshine(resolve("moonshine"))


@pytest.mark.model
def test_sound_of_any_length_is_no_error(ear: Moonshine) -> None:
    """Of 1 to 30,000 samples, a word's onset, and of more than one decode takes."""
    spoken = read_audio(QUESTIONS[0]).at_rate(HEARING_RATE).samples
    for count in (1, 126, 127, 399, 400, 895, 1000, 5000, 9601, 16_383, 16_384, 24_001, len(spoken)):
        ear.transcribe(Frame(spoken[:count], HEARING_RATE))
    long = np.concatenate([spoken] * 20)
    assert ear.transcribe(Frame(long, HEARING_RATE)).text.casefold().count("spain") >= 18


@pytest.mark.model
def test_a_crowd_makes_it_repeat_itself_no_longer_than_people_could_have_spoken(ear: Moonshine) -> None:
    """Eight voices at once: it loops, and is stopped by the length of the sound."""
    voices = [read_audio(path).at_rate(HEARING_RATE).samples for path in QUESTIONS]
    for first in range(4):
        crowd = np.zeros(12 * HEARING_RATE, np.float32)
        for number in range(8):
            said = np.concatenate([voices[(first * 5 + number * 3 + n) % len(voices)] for n in range(6)])
            crowd += 0.12 * np.roll(np.resize(said, len(crowd)), number * 9000)
        found = ear.transcribe(Frame(crowd, HEARING_RATE))
        assert len(found.text.split()) <= 12 + 8 * 12
        assert found.confidence < 0.0


@pytest.mark.model
def test_a_doubtful_decode_is_made_again_and_an_interim_one_is_not(
    ear: Moonshine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def decode(samples: np.ndarray, seconds: float, *_: object) -> Decoded:
        asked.append(len(samples) / HEARING_RATE)
        again = len(asked) > 1
        return Decoded("No." if again else "no no no no no no", -0.2, 0.0, capped=not again)

    monkeypatch.setattr(ear, "_decode", decode)
    sound = Frame(np.full(HEARING_RATE, 0.1, np.float32), HEARING_RATE)
    quick = ear.transcribe(sound, final=False)
    assert (quick.doubtful, len(asked)) == (True, 1)
    asked.clear()
    assert ear.transcribe(sound).text == "No."
    assert asked == [1.0, 1.5]


@pytest.mark.model
def test_what_the_runtime_raises_is_an_engine_fault(ear: Moonshine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ear, "_past", {})  # its decoder then lacks inputs
    with pytest.raises(EngineFault, match=r"^moonshine: ") as caught:
        ear.transcribe(read_audio(QUESTIONS[0]))
    assert "\n" not in str(caught.value)


@pytest.mark.model
def test_it_is_given_no_more_than_was_said(ear: Moonshine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cost follows the length of the sound: nothing is padded to a window."""
    lengths: list[float] = []
    write = ear._write
    monkeypatch.setattr(ear, "_write", lambda sound, most: lengths.append(sound.size) or write(sound, most))
    for seconds in (0.3, 2.0):
        ear.transcribe(Frame(noise(seconds), HEARING_RATE))
    assert lengths == [round((seconds + ROOM) * HEARING_RATE) for seconds in (0.3, 2.0)]


@pytest.mark.model
def test_noise_is_no_word_and_a_word_is_one(ear: Moonshine) -> None:
    assert (ear.transcribe(Frame(noise(2.0), HEARING_RATE)).text) == ""
    assert ear.transcribe(Frame(noise(2.0), HEARING_RATE)).no_speech == 1.0
    spoken = np.concatenate([speech.samples for speech in Hibari().stream("You do.")])
    assert ear.transcribe(Frame(spoken, RATE)).text == "You do."


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * HEARING_RATE)).astype(np.float32)
