"""VITS of transformers, on small models with random weights, saved and loaded by the library's own code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from audio.errors import ConfigError, ModelError
from audio.tts.mms import MMS
from audio.tts.vits.chunks import Plan

_spec = importlib.util.spec_from_file_location("tiny_voices", Path(__file__).with_name("tiny_voices.py"))
assert _spec is not None
assert _spec.loader is not None
tiny_voices = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny_voices)

TEXT = "Hello there, this is a test of it."


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_voices.mms(tmp_path_factory.mktemp("mms"))


def samples(voice: MMS, text: str = TEXT) -> np.ndarray:
    return np.concatenate([part.samples for part in voice.stream(text)])


def test_chunks_are_what_the_whole_is(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voice = MMS(weights=weights)
    assert (voice.network.halo, voice.network.hop, voice.rate) == (13, 256, 16_000)
    parts = list(voice.stream(TEXT))
    assert len(parts) > 1
    assert [TEXT[w.start : w.end] for part in parts for w in part.words] == TEXT.split()
    chunked = np.concatenate([part.samples for part in parts])
    monkeypatch.setattr(voice, "plan", Plan(first=10**6, largest=10**6))
    assert np.abs(chunked - samples(voice)).max() <= 1e-4


def test_it_says_what_the_library_says(weights: Path) -> None:
    voice = MMS(weights=weights, noise=0.0)
    model = transformers.VitsModel.from_pretrained(weights).eval()
    tokenizer = transformers.VitsTokenizer.from_pretrained(weights)
    model.noise_scale = model.noise_scale_duration = 0.0
    with torch.inference_mode():
        said = model(**tokenizer(TEXT, return_tensors="pt")).waveform.reshape(-1).numpy()
    ours = samples(voice)
    first = int(np.flatnonzero(np.abs(said) > 10 ** (-50 / 20))[0]) - 160
    begin = max(0, first)
    inner = slice(200, min(len(ours), len(said) - begin) - 4_000)
    assert np.abs(ours[inner] - said[begin:][inner]).max() <= 1e-4


def test_seed_speed_and_speakers(weights: Path, tmp_path: Path) -> None:
    np.testing.assert_array_equal(samples(MMS(weights=weights)), samples(MMS(weights=weights)))
    assert len(samples(MMS(weights=weights, speed=0.5))) > 1.5 * len(samples(MMS(weights=weights)))
    assert list(MMS(weights=weights).stream("… !")) == []
    several = tiny_voices.mms(tmp_path, speakers=3)
    said = [samples(MMS(weights=several, voice=name)) for name in ("", "0", "2")]
    np.testing.assert_array_equal(said[0], said[1])
    assert len(said[0]) != len(said[2]) or not np.array_equal(said[0], said[2])
    with pytest.raises(ConfigError, match=r"tts\.voice: the speakers of this model are 0 to 2, not '3'"):
        MMS(weights=several, voice="3")


def test_errors_say_what_is_wrong(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="this model has only one: leave it empty"):
        MMS(weights=weights, voice="1")
    with pytest.raises(ModelError, match="cannot be loaded as a VITS"):
        MMS(weights=tmp_path)
    transformers.LlamaConfig().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="is a model of the kind llama, no VITS"):
        MMS(weights=tmp_path)
    assert MMS.fetches("facebook/mms-tts-eng")
    assert not MMS.fetches("piper-joe")
