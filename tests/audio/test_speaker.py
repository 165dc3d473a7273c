"""Embeddings: alike for one voice whatever it says and however loud, unlike for another; their features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from agent.engines.registry import load_one
from agent.settings import Config, SpeakersConfig
from agent.speakers import Enrolled, SpeakerStore, enrolment
from audio import campplus
from audio.errors import ModelError
from audio.frame import HEARING_RATE, Frame, silence
from audio.speaker import LEVEL, DVector, features, spoken, voiced

ENROLLED = (
    "The owl flew over the quiet valley until the first light came. Nobody had seen it for years. "
    "It settled on the roof of the old mill and waited there for the baker to open his door."
)
ASKED = "Could you please tell me what the weather will be like tomorrow?"


def voice(text: str, higher: float = 1.0) -> Frame:
    """Hibari's, or one that is so much higher."""
    parts = list(load_one("tts", Config()).stream(text))
    samples = np.concatenate([part.samples for part in parts])
    return Frame(samples, round(parts[0].rate * higher)).at_rate(HEARING_RATE)


def knowing_heart(folder: Path, engine: str = "campplus") -> Enrolled:
    """Hibari's voice enrolled, by that embedding."""
    config = SpeakersConfig(engine=engine, only=("*",), folder=str(folder))
    embedding = load_one("speakers", Config(speakers=config))
    SpeakerStore(folder).enroll("heart", enrolment(embedding, [voice(ENROLLED)]), embedding.model)
    return Enrolled(embedding, config)


@pytest.mark.model
@pytest.mark.parametrize("engine", ["campplus", "dvector"])
def test_the_enrolled_voice_is_known_at_any_level_and_others_are_not(engine: str, tmp_path: Path):
    enrolled = knowing_heart(tmp_path, engine)
    asked = voice(ASKED)
    for gain in (0.1, 1.0, 3.0):
        quiet = silence(1.0, HEARING_RATE)
        who = enrolled.who(Frame(np.concatenate([quiet, gain * asked.samples, quiet]), HEARING_RATE))
        assert (who.verdict, who.name) == ("known", "heart")
    for higher in (0.75, 1.35):
        assert enrolled.who(voice(ASKED, higher)).verdict == "stranger"
    assert enrolled.who(Frame(asked.samples[: HEARING_RATE // 4], HEARING_RATE)).verdict == "doubt"
    assert enrolled.who(Frame(silence(2.0, HEARING_RATE), HEARING_RATE)).verdict == "doubt"


@pytest.mark.model
def test_a_voice_is_known_beside_another_that_is_half_as_loud(tmp_path: Path):
    """As beside a television: by the d-vector it is in doubt."""
    enrolled = knowing_heart(tmp_path)
    mine, other = voice(ASKED).samples, voice(ENROLLED, 0.75).samples
    beside = np.resize(other[HEARING_RATE:], len(mine))
    for begin in range(4000, len(mine) - HEARING_RATE, HEARING_RATE // 2):
        newest = (mine + 0.5 * beside)[begin : begin + HEARING_RATE]
        assert enrolled.who(Frame(newest, HEARING_RATE)).verdict == "known"


def vowel(source: np.ndarray, formants: tuple[float, ...]) -> Frame:
    """What a vocal tract makes of that source (16 kHz)."""
    for formant in formants:
        radius, angle = np.exp(-np.pi * 150 / HEARING_RATE), 2 * np.pi * formant / HEARING_RATE
        source = lfilter([1.0], [1.0, -2 * radius * np.cos(angle), radius**2], source)
    return Frame((0.1 * source / np.abs(source).max()).astype(np.float32), HEARING_RATE)


@pytest.mark.parametrize("formants", [(700, 1200, 2600), (300, 2300, 3000), (350, 900, 2500)])
@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_a_voice_is_voiced_at_any_pitch_and_a_whisper_is_not(formants: tuple[float, ...], seconds: float):
    count = round(seconds * HEARING_RATE)
    for period in (50, 70, 100, 160, 200):  # 320 to 80 Hz
        assert voiced(vowel((np.arange(count) % period == 0).astype(float), formants))
    for seed in range(10):
        assert not voiced(vowel(noise(count, seed), formants))


@pytest.mark.model
@pytest.mark.parametrize("engine", ["campplus", "dvector"])
def test_a_whisper_is_a_doubt_and_no_stranger(engine: str, tmp_path: Path):
    """It is as unlike its owner's voice as a stranger's, and whoever whispers is to be heard."""
    enrolled = knowing_heart(tmp_path, engine)
    vowels = [vowel(noise(3000, each), (350 + 40 * each, 2300 - 90 * each)).samples for each in range(10)]
    tract = np.concatenate(vowels)
    assert enrolled.who(Frame(tract, HEARING_RATE)).verdict == "doubt"


def noise(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(count)


@pytest.mark.parametrize("hertz", [250.0, 1000.0, 4000.0])
def test_a_tone_lies_in_the_bins_of_its_pitch(hertz: float):
    time = np.arange(HEARING_RATE) / HEARING_RATE
    rows = features(np.sin(2 * np.pi * hertz * time).astype(np.float32))
    assert rows.shape == (97, 40)  # windows of 512 samples that lie within a second
    mel = hertz * 3 / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)
    top = 15 + 27 * np.log(8) / np.log(6.4)
    assert set(rows.argmax(axis=1)) <= {
        round(mel / top * 41) - 2,
        round(mel / top * 41) - 1,
        round(mel / top * 41),
    }


@pytest.mark.parametrize("hertz", [250.0, 1000.0, 4000.0])
def test_a_tone_lies_in_the_bins_of_its_pitch_on_kaldis_scale(hertz: float):
    time = np.arange(HEARING_RATE) / HEARING_RATE
    rows = campplus.features(np.sin(2 * np.pi * hertz * time).astype(np.float32))
    assert rows.shape == (98, 80)  # windows of 400 samples that lie within a second
    low, high, mel = (np.log1p(each / 700) for each in (20, HEARING_RATE / 2, hertz))
    expected = (mel - low) / (high - low) * 81 - 1
    assert np.abs(rows.argmax(axis=1) - expected).max() <= 1.0


def test_bounds_are_surer_the_more_there_is_to_hear():
    for bounds in (campplus.CAMPlusPlus.bounds, DVector.bounds):
        assert list(bounds.stranger) == sorted(bounds.stranger)
        assert list(bounds.known) == sorted(bounds.known)
        assert bounds.of(bounds.seconds[-1] + 5) == (bounds.stranger[-1], bounds.known[-1])
        for seconds in bounds.seconds:
            stranger, known = bounds.of(seconds)
            assert stranger <= known


@pytest.mark.parametrize("gain", [0.001, 1.0, 30.0])
def test_what_is_spoken_has_one_level_and_no_silence(gain: float):
    noise = np.random.default_rng(0).normal(0, 0.02, HEARING_RATE).astype(np.float32)
    said = spoken(Frame(np.concatenate([silence(1.0, HEARING_RATE), gain * noise]), HEARING_RATE))
    assert said.duration == pytest.approx(1.0, abs=0.03)
    assert 20 * np.log10(np.sqrt(np.square(said.samples).mean())) == pytest.approx(LEVEL, abs=1.0)


def test_another_file_is_no_network(tmp_path: Path):
    file = tmp_path / "voice.onnx"
    file.write_bytes(b"no network")
    with pytest.raises(ModelError, match="this is no d-vector network") as told:
        DVector(file)
    assert "\n" not in str(told.value)
    with pytest.raises(ModelError, match=r"backchat models pull campplus") as told:
        campplus.CAMPlusPlus(file)
    assert "\n" not in str(told.value)
