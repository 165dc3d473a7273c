"""Kokoro on a generated graph with its inputs and outputs: a tone of 50 ms for each phoneme."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

from audio.errors import ConfigError, ModelError
from audio.tts.kokoro import Kokoro

_spec = importlib.util.spec_from_file_location("tiny_voices", Path(__file__).with_name("tiny_voices.py"))
assert _spec is not None
assert _spec.loader is not None
tiny_voices = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny_voices)

TEXT = "Hello there, my friend. It is 1,250!"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_voices.kokoro(tmp_path_factory.mktemp("kokoro"))


def test_sentences_words_and_their_durations(weights: Path) -> None:
    parts = list(Kokoro(weights=weights).stream(TEXT))
    assert [TEXT[p.start : p.end].strip() for p in parts] == ["Hello there, my friend.", "It is 1,250!"]
    assert all(a.end == b.start for a, b in itertools.pairwise(parts))
    assert [TEXT[w.start : w.end] for part in parts for w in part.words] == TEXT.split()
    (hello, there, my, _), rate = parts[0].words, parts[0].rate
    assert rate == 24_000
    assert hello.finish - hello.begin == pytest.approx(0.05 * len("həlˈoʊ"), abs=0.01)
    assert there.begin == pytest.approx(hello.finish + 0.05, abs=0.01)  # the space between them
    assert my.begin == pytest.approx(there.finish + 0.10, abs=0.01)  # a comma and a space


def test_without_durations_the_words_share_the_time(tmp_path: Path) -> None:
    parts = list(Kokoro(weights=tiny_voices.kokoro(tmp_path, durations=False)).stream("One two three."))
    times = [t for part in parts for w in part.words for t in (w.begin, w.finish)]
    assert len(times) == 6
    assert times == sorted(times)
    assert times[-1] > 0.5


def test_voice_speed_and_silence(weights: Path) -> None:
    def said(**settings: object) -> np.ndarray:
        return np.concatenate([p.samples for p in Kokoro(weights=weights, **settings).stream("Hello there.")])

    assert np.abs(said(voice="bf_emma")).max() == pytest.approx(np.abs(said()).max() / 2, rel=0.01)
    assert len(said(speed=0.5)) > 1.8 * len(said())
    assert list(Kokoro(weights=weights).stream(" … ")) == []


def test_errors_say_what_is_wrong(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tts\.voice: no voice 'bob'; this Kokoro has af_heart, bf_emma"):
        Kokoro(weights=weights, voice="bob")
    with pytest.raises(ConfigError, match=r"tts\.language: espeak cannot read 'xx'"):
        Kokoro(weights=weights, language="xx")
    with pytest.raises(ModelError, match="is no Kokoro: name a folder"):
        Kokoro(weights=tmp_path)
    (tmp_path / "a.onnx").write_bytes(b"no model")
    (tmp_path / "a.bin").write_bytes(b"no voices")
    with pytest.raises(ModelError, match="cannot be loaded as Kokoro"):
        Kokoro(weights=tmp_path)
