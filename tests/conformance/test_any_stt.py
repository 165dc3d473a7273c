"""What must hold for every transcriber, with real weights and real speech. Knows no engine by name."""

from __future__ import annotations

import csv
from pathlib import Path

import anyio
import numpy as np
import pytest

import helpers_wer
from agent.errors import BackchatError, ModelError
from agent.runner import Runner
from audio.files import read_audio
from audio.frame import Frame
from audio.stt import Transcriber

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "configs" / "demo"
QUESTIONS = ROOT / "tests" / "data" / "questions"
RATE = 16_000


@pytest.fixture(scope="module")
def ear(stt) -> Transcriber:
    return stt.make("stt.threads=1")


@pytest.fixture(scope="module")
def question() -> Frame:
    return read_audio(DEMO / "question.wav")


def words(ear: Transcriber, audio: Frame) -> list[str]:
    return helpers_wer.normalise(ear.transcribe(audio).text).split()


CAPITAL = ["what", "is", "the", "capital", "of", "france"]


@pytest.fixture(scope="module")
def questions() -> list[tuple[Frame, list[str]]]:
    """Spoken questions, and their words."""
    with (QUESTIONS / "questions.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    return [(read_audio(QUESTIONS / name), helpers_wer.normalise(text).split()) for name, text, *_ in rows]


def test_it_understands_speech(ear, questions) -> None:
    wrong = sum(helpers_wer.edits(said, words(ear, audio)) for audio, said in questions)
    assert wrong / sum(len(said) for _, said in questions) <= 0.1


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_any_sample_rate(ear, question: Frame, rate: int) -> None:
    assert words(ear, question.at_rate(rate)) == CAPITAL


@pytest.mark.parametrize("gain", [0.05, 1.0])
def test_soft_and_loud(ear, question: Frame, gain: float) -> None:
    loudest = np.abs(question.samples).max()
    assert words(ear, Frame(question.samples * np.float32(gain / loudest), question.rate)) == CAPITAL


def test_the_result_is_plain_text_with_a_sensible_confidence(ear, question: Frame) -> None:
    found = ear.transcribe(question)
    assert found.text == found.text.strip()
    assert "<|" not in found.text
    assert -1.0 < found.confidence <= 0.0
    assert 0.0 <= found.no_speech < 0.5


def test_the_same_sound_gives_the_same_words(ear, question: Frame) -> None:
    assert ear.transcribe(question) == ear.transcribe(question)


def test_a_partial_of_a_whole_question_is_the_question(ear, question: Frame) -> None:
    quick = ear.transcribe(question, final=False).text
    assert helpers_wer.normalise(quick).split() == CAPITAL


def test_interim_transcripts_grow_word_by_word(ear, question: Frame) -> None:
    """What was understood of the beginning stays, but for its last word or two, which may be cut."""
    whole = words(ear, question)
    for share in (0.6, 0.75, 0.9):
        part = Frame(question.samples[: round(share * len(question.samples))], question.rate)
        heard = helpers_wer.normalise(ear.transcribe(part, final=False).text).split()
        kept = heard[:-2]
        assert kept == whole[: len(kept)]
        assert len(heard) <= len(whole) + 1


def noise(seconds: float, level: float) -> Frame:
    samples = np.random.default_rng(0).normal(0, level, round(seconds * RATE)).astype(np.float32)
    return Frame(samples, RATE)


@pytest.mark.parametrize(
    "audio",
    [
        Frame(np.zeros(0, np.float32), RATE),
        Frame(np.zeros(1, np.float32), RATE),
        Frame(np.zeros(RATE * 2, np.float32), RATE),
        Frame(np.full(RATE, 0.5, np.float32), RATE),
        noise(0.02, 0.1),
        noise(2.0, 0.001),
        noise(2.0, 0.1),
    ],
    ids=["nothing", "one sample", "silence", "a constant", "a click", "faint noise", "noise"],
)
def test_no_speech_is_no_words(ear, audio: Frame) -> None:
    assert ear.transcribe(audio).text == ""


def test_speech_longer_than_the_model_can_take_at_once(ear, questions) -> None:
    said = [word for _, asked in questions for word in asked]
    long = Frame(np.concatenate([audio.at_rate(RATE).samples for audio, _ in questions]), RATE)
    assert long.duration > 40
    assert helpers_wer.edits(said, words(ear, long)) / len(said) <= 0.15


def test_two_sessions_at_once_get_each_its_own_words(ear, question: Frame) -> None:
    other = read_audio(DEMO / "story.wav")
    alone = [ear.transcribe(question), ear.transcribe(other)]
    together = [None, None]

    async def ask(runner: Runner, who: int, audio: Frame) -> None:
        together[who] = await runner.call("stt", lambda: ear.transcribe(audio), 60)

    async def both() -> None:
        runner = Runner()
        async with anyio.create_task_group() as group:
            group.start_soon(ask, runner, 0, question)
            group.start_soon(ask, runner, 1, other)

    anyio.run(both)
    assert together == alone


def test_engines_that_are_gone_hold_nothing(stt, question: Frame, holdings) -> None:
    stt.make("stt.threads=1").transcribe(question)
    before = holdings()
    for _ in range(2):
        stt.make("stt.threads=1").transcribe(question)
    assert holdings().threads <= before.threads
    assert holdings().files <= before.files


def test_missing_or_wrong_weights_are_said_in_one_line(stt, text_file) -> None:
    for path in ("nowhere/at/all", str(text_file), str(text_file.parent)):
        with pytest.raises(ModelError) as caught:
            stt.make(f"stt.model={path}")
        assert "\n" not in str(caught.value)


def test_an_unknown_language_is_said_in_one_line(stt) -> None:
    with pytest.raises(BackchatError, match=r"stt\.language") as caught:
        stt.make("stt.language=klingon")
    assert "\n" not in str(caught.value)


def test_the_language_may_be_left_to_the_model(stt, question: Frame) -> None:
    assert words(stt.make("stt.language=auto", "stt.threads=1"), question) == CAPITAL
