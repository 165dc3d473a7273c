"""XTTS on a small model with random weights, built, saved and loaded by Coqui's own classes and code."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from audio.errors import AudioFileError, ConfigError, ModelError
from audio.tts.vits.chunks import Plan
from audio.tts.xtts import XTTS

_spec = importlib.util.spec_from_file_location("tiny_voices", Path(__file__).with_name("tiny_voices.py"))
assert _spec is not None
assert _spec.loader is not None
tiny_voices = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny_voices)

REFERENCE = Path(__file__).parents[3] / "configs" / "demo" / "story.wav"
TEXT = "Hello there, this is a test."


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_voices.xtts(tmp_path_factory.mktemp("xtts"))


@pytest.fixture(scope="module")
def voice(weights: Path) -> XTTS:
    return XTTS(weights=weights, reference=str(REFERENCE))


def chunks(voice: XTTS, said: str) -> list[np.ndarray]:
    return [samples for samples, _ in voice._chunks(said, torch.Generator().manual_seed(0))]


@pytest.mark.parametrize("speed", [1.0, 0.7, 1.3])
def test_chunks_are_what_decoding_all_latents_at_once_gives(
    voice: XTTS, speed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice, "_speed", speed)
    monkeypatch.setattr(voice, "_plan", Plan(16, 2.0, 64))
    parts = chunks(voice, "hello there")
    with torch.inference_mode():
        latents = torch.stack(list(voice._latents("hello there", torch.Generator().manual_seed(0))), dim=2)
        if speed != 1.0:
            latents = torch.nn.functional.interpolate(latents, scale_factor=1 / speed, mode="linear")
        whole = voice._model.hifigan_decoder(latents.transpose(1, 2), g=voice._speaker).reshape(-1).numpy()
    assert len(parts) > 4
    joined = np.concatenate(parts)
    assert len(joined) == len(whole)
    assert np.abs(joined - whole).max() <= 1e-4


def test_the_latents_are_those_of_coquis_own_stream(voice: XTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without chance, both take the likeliest code each time."""
    monkeypatch.setattr(voice._config, "top_k", 1)
    monkeypatch.setattr(voice._config, "repetition_penalty", 1.0)
    with torch.inference_mode():
        ids = voice._model.tokenizer.encode("hello there", lang="en")
        given = voice._model.gpt.compute_embeddings(voice._condition, torch.tensor([ids]))
        theirs = voice._model.gpt.get_generator(
            given, do_sample=True, top_k=1, repetition_penalty=1.0, output_hidden_states=True,
            return_dict_in_generate=True,
        )  # fmt: skip
        expected = [latent for _, latent in theirs]
    ours = list(voice._latents("hello there", torch.Generator()))
    assert len(ours) == len(expected)
    assert max(float((a - b).abs().max()) for a, b in zip(ours, expected, strict=True)) < 1e-4


def test_each_frame_is_decoded_once(voice: XTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = voice._model.hifigan_decoder.waveform_decoder
    forward, frames = decoder.forward, 0

    def counted(x, g=None):
        nonlocal frames
        frames += x.shape[2]
        return forward(x, g=g)

    monkeypatch.setattr(decoder, "forward", counted)
    monkeypatch.setattr(voice, "_plan", Plan(32, 1.0, 32))
    parts = chunks(voice, "hello there")
    total = sum(map(len, parts)) // 256
    assert frames <= total + 2 * voice._halo * len(parts)


def test_the_first_part_comes_before_the_sentence_is_written(
    voice: XTTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    latents = voice._latents

    def counted(*args):
        nonlocal written
        for latent in latents(*args):
            written += 1
            yield latent

    monkeypatch.setattr(voice, "_latents", counted)
    stream = voice.stream(TEXT)
    next(stream)
    early = written
    stream.close()
    assert early == written <= 15
    list(voice.stream(TEXT))
    assert written > early + 40


def test_parts_cover_the_text_and_hold_its_words(voice: XTTS) -> None:
    text = f"{TEXT} And another one!"
    parts = list(voice.stream(text))
    assert parts[0].start == 0
    assert parts[-1].end == len(text)
    assert all(a.end == b.start for a, b in itertools.pairwise(parts))
    assert [text[w.start : w.end] for part in parts for w in part.words] == text.split()
    assert all(0 <= w.begin <= w.finish for part in parts for w in part.words)
    assert {part.rate for part in parts} == {voice.rate} == {24_000}
    assert list(voice.stream(" … ")) == []


def test_a_seed_repeats(weights: Path, voice: XTTS) -> None:
    again = XTTS(weights=weights, reference=str(REFERENCE))
    first, second = (np.concatenate([p.samples for p in v.stream("Hello.")]) for v in (voice, again))
    np.testing.assert_array_equal(first, second)
    other = XTTS(weights=weights, reference=str(REFERENCE), seed=None)
    unlike = np.concatenate([p.samples for p in other.stream("Hello.")])
    assert len(unlike) != len(first) or not np.array_equal(unlike, first)


def test_the_reference_decides_the_voice(weights: Path, voice: XTTS) -> None:
    other = XTTS(weights=weights, reference=str(REFERENCE.with_name("interrupt.wav")))
    assert not torch.equal(other._speaker, voice._speaker)
    assert not torch.equal(other._condition, voice._condition)


def test_a_speaker_that_came_with_the_model(tmp_path: Path, voice: XTTS) -> None:
    folder = tiny_voices.xtts(tmp_path)
    known = {"gpt_cond_latent": voice._condition, "speaker_embedding": voice._speaker}
    torch.save({"Ana": known, "Ben": {k: v * 0.5 for k, v in known.items()}}, folder / "speakers_xtts.pth")
    assert torch.equal(XTTS(weights=folder)._speaker, voice._speaker)
    assert not torch.equal(XTTS(weights=folder, voice="Ben")._speaker, voice._speaker)
    with pytest.raises(ConfigError, match=r"tts\.voice: XTTS has Ana, Ben; not 'Cy'"):
        XTTS(weights=folder, voice="Cy")


def test_errors_say_what_is_wrong(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tts\.reference: name a WAV file"):
        XTTS(weights=weights)
    with pytest.raises(ConfigError, match=r"tts\.language: XTTS knows en, de; not 'xx'"):
        XTTS(weights=weights, language="xx")
    with pytest.raises(AudioFileError):
        XTTS(weights=weights, reference=str(tmp_path / "no.wav"))
    with pytest.raises(ModelError, match="is no Coqui model"):
        XTTS(weights=tmp_path)
    (tmp_path / "config.json").write_bytes((weights / "config.json").read_bytes())
    with pytest.raises(ModelError, match="cannot be loaded as XTTS"):
        XTTS(weights=tmp_path)


def test_a_licence_to_agree_to_is_said_and_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nobody would see Coqui's own question on standard input; without the agreement nothing is fetched."""

    def asked(prompt: str = "") -> str:
        raise AssertionError(prompt)

    monkeypatch.setattr("builtins.input", asked)
    monkeypatch.setenv("TTS_HOME", str(tmp_path))
    monkeypatch.delenv("COQUI_TOS_AGREED", raising=False)
    monkeypatch.delenv("BACKCHAT_OFFLINE", raising=False)
    with pytest.raises(ModelError, match=r"xtts_v2: .*set COQUI_TOS_AGREED=1 if you agree"):
        XTTS(weights=Path(XTTS.default_model))
    assert not list((tmp_path / "tts").glob("*xtts*"))
