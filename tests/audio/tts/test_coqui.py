"""Coqui's VITS: the converted Piper voice on real weights, small random models, errors."""

from __future__ import annotations

import importlib.util
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from agent.weights import catalogue as models
from audio.errors import ConfigError, ModelError
from audio.frame import Samples
from audio.tts import Speech
from audio.tts.coqui import Coqui, convert
from audio.tts.vits.chunks import Plan

_spec = importlib.util.spec_from_file_location("tiny_voices", Path(__file__).with_name("tiny_voices.py"))
assert _spec is not None
assert _spec.loader is not None
tiny_voices = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny_voices)

STORY = "The quick brown fox, which is red, jumps over the lazy dog. Did it?"
WHOLE = Plan(first=10**6, largest=10**6)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_voices.coqui(tmp_path_factory.mktemp("vits"))


def joined(parts: list[Speech]) -> Samples:
    return np.concatenate([part.samples for part in parts])


def whole(voice: Coqui, text: str, monkeypatch: pytest.MonkeyPatch) -> list[Speech]:
    with monkeypatch.context() as patch:
        patch.setattr(voice, "plan", WHOLE)
        return list(voice.stream(text))


@pytest.mark.model
def test_a_converted_voice_says_what_pipers_own_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed gives both the same noise, so the samples can be compared, not only the words."""
    from audio.tts.piper import Piper

    piper = models.resolve("piper-joe")
    convert(piper, tmp_path / "joe")
    expected = joined(list(Piper(weights=piper).stream(STORY)))
    for weights in (piper, tmp_path / "joe", tmp_path / "joe" / "model_file.pth"):
        voice = Coqui(weights=weights)
        parts = list(voice.stream(STORY))
        assert np.abs(joined(parts) - expected).max() <= 1e-3
        assert np.abs(joined(parts) - joined(whole(voice, STORY, monkeypatch))).max() <= 1e-4
        assert [STORY[w.start : w.end] for part in parts for w in part.words] == STORY.split()
        assert voice.rate == 22_050


@pytest.mark.model
def test_a_converted_voice_is_one_that_coqui_itself_speaks_with(tmp_path: Path) -> None:
    """Loaded by Coqui's own code, given our tokens, without noise: the same samples."""
    import torch
    from TTS.config import load_config
    from TTS.tts.models.vits import Vits

    piper = models.resolve("piper-joe")
    convert(piper, tmp_path)
    voice = Coqui(weights=tmp_path, noise=0.0)
    config = load_config(str(tmp_path / "config.json"))
    assert (config.use_phonemes, config.phonemizer, config.phoneme_language) == (True, "espeak", "en-us")
    config.use_phonemes = False  # its phonemizer is a program that need not be installed here
    theirs = Vits(config)
    theirs.load_checkpoint(config, str(tmp_path / "model_file.pth"), eval=True)
    theirs.inference_noise_scale = theirs.inference_noise_scale_dp = 0.0
    text = "The lighthouse keeper climbed the stairs."
    ids, _ = voice.alphabet.encoded(voice.alphabet.reader._said(text))
    with torch.inference_mode():
        said = theirs.inference(torch.tensor([ids]))["model_outputs"].reshape(-1).numpy()
    ours = joined(list(voice.stream(text)))
    first = int(np.flatnonzero(np.abs(said) > 10 ** (-50 / 20))[0]) - round(0.010 * 22_050)
    inner = slice(200, min(len(ours), len(said) - first) - 5_000)
    assert np.abs(ours[inner] - said[first:][inner]).max() <= 1e-4


def test_a_model_of_letters(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voice = Coqui(weights=tiny)
    parts = list(voice.stream(STORY))
    assert np.abs(joined(parts) - joined(whole(voice, STORY, monkeypatch))).max() <= 1e-4
    assert [STORY[w.start : w.end] for part in parts for w in part.words] == STORY.split()
    assert parts[0].start == 0
    assert parts[-1].end == len(STORY)
    assert all(a.end == b.start for a, b in itertools.pairwise(parts))
    assert voice.network.halo == 13


def test_too_small_a_halo_is_heard(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voice = Coqui(weights=tiny)
    expected = joined(whole(voice, STORY, monkeypatch))
    monkeypatch.setattr(voice.network, "halo", 2)
    assert np.abs(joined(list(voice.stream(STORY))) - expected).max() > 1e-4


def test_a_model_of_phonemes_with_speakers(tmp_path: Path) -> None:
    folder = tiny_voices.coqui(tmp_path, phonemes=True, speakers=3)
    said = {
        name: joined(list(Coqui(weights=folder, voice=name).stream("So it is.")))
        for name in ("", "speaker 2")
    }
    assert len(said[""]) != len(said["speaker 2"]) or not np.array_equal(said[""], said["speaker 2"])
    first = joined(list(Coqui(weights=folder, voice="speaker 0").stream("So it is.")))
    np.testing.assert_array_equal(said[""], first)
    with pytest.raises(ConfigError, match=r"tts\.voice: no speaker 'bob'; this model has speaker 0"):
        Coqui(weights=folder, voice="bob")


def test_seed_speed_and_silence(tiny: Path) -> None:
    text = "Hello there, my friend."
    first, again = (joined(list(Coqui(weights=tiny).stream(text))) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    random = [joined(list(Coqui(weights=tiny, seed=None).stream(text))) for _ in range(2)]
    assert len(random[0]) != len(random[1]) or not np.array_equal(*random)
    slow = joined(list(Coqui(weights=tiny, speed=0.5).stream(text)))
    assert len(slow) > 1.5 * len(first)
    assert list(Coqui(weights=tiny).stream(" ... 😀 ")) == []


def test_closing_stops_within_one_chunk(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voice, runs = Coqui(weights=tiny), 0
    sounded = voice.network.sounded

    def counted(latent):
        nonlocal runs
        runs += 1
        return sounded(latent)

    monkeypatch.setattr(voice.network, "sounded", counted)
    stream = voice.stream(STORY * 3)
    next(stream)
    stream.close()
    assert runs == 1


def test_global_random_numbers_are_left_alone(tiny: Path) -> None:
    import torch

    voice = Coqui(weights=tiny)
    torch.manual_seed(7)
    expected = torch.randn(3)
    torch.manual_seed(7)
    list(voice.stream("Hello."))
    assert torch.equal(torch.randn(3), expected)


def test_errors_say_what_is_wrong(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is no Coqui model: name a folder with a config\.json"):
        Coqui(weights=tmp_path)
    with pytest.raises(ConfigError, match=r"tts\.device: 'tpu9' cannot be used here"):
        Coqui(weights=tiny, device="tpu9")
    config = json.loads((tiny / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"should hold one model_file\.pth; it has 0"):
        Coqui(weights=tmp_path)
    (tmp_path / "model_file.pth").write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"model_file\.pth"):
        Coqui(weights=tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config | {"model": "xtts", "model_args": {}}))
    with pytest.raises(ConfigError, match=r"tts\.model: .* of the kind xtts; use tts\.engine=xtts"):
        Coqui(weights=tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="is not a Coqui model's"):
        Coqui(weights=tmp_path)
    assert Coqui.fetches("tts_models/en/ljspeech/vits")
    assert not Coqui.fetches("piper-joe")


def test_offline_means_no_network_at_all(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKCHAT_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # as loading torch would, and for good
    monkeypatch.setenv("TTS_HOME", str(tmp_path))
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("used the network"))
    name = Path("tts_models/en/ljspeech/vits")
    with pytest.raises(ModelError, match=f"^{name} is not on this machine and BACKCHAT_OFFLINE is set"):
        Coqui(weights=name)
    shutil.copytree(tiny, tmp_path / "tts" / "tts_models--en--ljspeech--vits")
    assert Coqui(weights=name).rate == Coqui(weights=tiny).rate
