"""microWakeWord: the real word in real frames, what is no model, and what comes of one breath."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from agent.engines.registry import load_one
from agent.settings import Config
from audio.errors import ModelError
from audio.frame import HEARING_RATE, Frame, silence
from audio.wake import MicroWakeWord

pytest.importorskip("pymicro_wakeword")


def said(text: str) -> tuple[Frame, list[float]]:
    """The text as hibari says it, between two silences, at 16 kHz; and when each word ends (s)."""
    (part,) = load_one("tts", Config()).stream(text)
    spoken = Frame(part.samples, part.rate).at_rate(HEARING_RATE).samples
    quiet = silence(1.0, HEARING_RATE)
    return Frame(np.concatenate([quiet, spoken, quiet]), HEARING_RATE), [1.0 + w.finish for w in part.words]


def heard(sound: Frame, size: int, word: str = "hey_jarvis"):
    engine = MicroWakeWord(word)
    starts = range(0, len(sound.samples), size)
    frames = (Frame(sound.samples[at : at + size], HEARING_RATE, at / HEARING_RATE) for at in starts)
    return [found for frame in frames if (found := engine.feed(frame)) is not None]


@pytest.mark.model
@pytest.mark.parametrize("size", [160, 320, 500])
def test_the_word_is_heard_once_and_its_end_is_known(size: int):
    sound, ends = said("Hey Jarvis, what time is it?")
    (found,) = heard(sound, size)
    assert found.name == "Hey Jarvis"
    assert found.end == pytest.approx(ends[1], abs=0.1)
    assert heard(sound, size, "okay_nabu") == []


@pytest.mark.model
def test_the_word_said_again_is_heard_again():
    sound, _ = said("Hey Jarvis.")
    twice = Frame(np.concatenate([sound.samples, sound.samples]), HEARING_RATE)
    assert len(heard(twice, 320)) == 2


@pytest.mark.model
def test_the_words_behind_it_are_all_that_is_transcribed(tmp_path: Path):
    from agent.config import load
    from agent.engines import registry
    from agent.events import TurnCommitted
    from agent.simulation.virtual import Line, converse
    from agent.testing import ScriptedLLM, ScriptedTTS

    sound, _ = said("Hey Jarvis, what time is it?")
    config = load(None, ["wake.model=hey_jarvis", "turns.meaning=words"])
    given = registry.Given(llm=ScriptedLLM(["Noon."]), tts=ScriptedTTS())
    events: list = []
    engines = registry.load(config, given=given)
    converse(engines, config, [Line(sound, "at", 0.5)], tmp_path / "talk.wav", watchers=[events.append])
    (said_,) = [event.text for event in events if isinstance(event, TurnCommitted)]
    assert said_.strip(" .?!").lower() == "what time is it"


@pytest.mark.parametrize(
    ("about", "why"),
    [
        (None, "no wake word is called"),
        ("{", "not a microWakeWord model's JSON file"),
        ("{}", "it has no micro"),
        ('{"micro": {"probability_cutoff": "x", "sliding_window_size": 5}}', "not a microWakeWord"),
        (json.dumps({"micro": {"probability_cutoff": 0.9, "sliding_window_size": 5}}), "it has no model"),
    ],
)
def test_what_is_no_model_is_told_in_one_line(tmp_path: Path, about: str | None, why: str):
    file = tmp_path / "word.json"
    if about is not None:
        file.write_text(about)
    with pytest.raises(ModelError, match=why) as told:
        MicroWakeWord(str(file))
    assert "\n" not in str(told.value)


def test_a_network_that_is_none_is_not_given_to_the_library(tmp_path: Path):
    file = tmp_path / "word.json"
    micro = {"probability_cutoff": 0.9, "sliding_window_size": 5}
    file.write_text(json.dumps({"micro": micro, "model": "word.tflite", "wake_word": "Word"}))
    with pytest.raises(ModelError, match=r"word\.tflite: No such file"):
        MicroWakeWord(str(file))
    (tmp_path / "word.tflite").write_bytes(b"no network at all")
    with pytest.raises(ModelError, match="is no TensorFlow Lite network"):
        MicroWakeWord(str(file))
