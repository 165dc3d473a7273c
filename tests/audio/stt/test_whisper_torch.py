"""Whisper on torch: the same words as CTranslate2's from the same weights, and errors in one line."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.weights import catalogue as models
from audio.errors import ConfigError, MissingExtra, ModelError
from audio.files import read_audio
from audio.frame import Frame
from audio.stt import Transcriber
from audio.stt.mel import log_mel
from audio.stt.transformers import WhisperTorch
from audio.stt.whisper import Whisper
from ct2_to_torch import convert
from helpers_wer import edits, normalise

ROOT = Path(__file__).parents[3]
QUESTIONS = ROOT / "tests" / "data" / "questions"
QUESTION = ROOT / "configs" / "demo" / "question.wav"


# --- any weights ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A multilingual Whisper with random weights, as `save_pretrained` leaves it."""
    import torch
    import transformers

    torch.manual_seed(0)
    controls = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|transcribe|>"]
    controls += ["<|nospeech|>", "<|notimestamps|>"]
    folder = tmp_path_factory.mktemp("tiny-whisper")
    alphabet = {chr(0x100 + n): n for n in range(100)} | {"a": 100, "b": 101}
    (folder / "vocab.json").write_text(json.dumps(alphabet), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.WhisperTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.add_special_tokens({"additional_special_tokens": controls})
    tokenizer.save_pretrained(folder)
    config = transformers.WhisperConfig(
        vocab_size=51_865,
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        suppress_tokens=[100],
        begin_suppress_tokens=[101],
    )
    transformers.WhisperForConditionalGeneration(config).save_pretrained(folder)
    return folder


def noise(seconds: float) -> Any:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * 16_000)).astype(np.float32)


def test_our_encoder_is_the_library_s_on_its_full_window(tiny: Path):
    import torch

    engine = WhisperTorch(tiny)
    features = torch.from_numpy(log_mel(noise(3.0), 80, 3000)[np.newaxis])
    with torch.inference_mode():
        theirs = engine._model.model.encoder(features).last_hidden_state
        assert torch.allclose(engine._encode(features), theirs, atol=1e-6)
        assert engine._encode(features[:, :, :1000]).shape == (1, 500, 16)


def test_the_token_limit_ends_it_and_says_so(tiny: Path):
    engine = WhisperTorch(tiny, language="auto")
    made = engine._decode(noise(0.5), 10.0)
    assert made.capped
    assert made.confidence < -5  # nothing is likely to a model with random weights
    assert made == engine._decode(noise(0.5), 10.0)


def test_control_tokens_and_the_model_s_own_list_are_never_written(tiny: Path):
    engine = WhisperTorch(tiny)
    banned = {int(n) for n in engine._banned.isinf().nonzero().flatten()}
    first = {int(n) for n in engine._banned_first.isinf().nonzero().flatten()}
    names = {engine._names[n] for n in banned}
    assert {"a", "<|startoftranscript|>", "<|de|>", "<|transcribe|>", "<|notimestamps|>"} <= names
    assert "<|endoftext|>" not in names
    assert {engine._names[n] for n in first - banned} == {"b"}


def test_old_and_new_files_of_weights_load(tiny: Path, tmp_path: Path):
    import torch
    from safetensors.torch import load_file

    for file in tiny.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save(load_file(tiny / "model.safetensors"), tmp_path / "pytorch_model.bin")
    sound = noise(0.5)
    assert WhisperTorch(tmp_path)._decode(sound, 10.0) == WhisperTorch(tiny)._decode(sound, 10.0)


def damaged(tiny: Path, folder: Path, change: str) -> Path:
    for file in tiny.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    weights, config = folder / "model.safetensors", folder / "config.json"
    told = json.loads(config.read_text())
    match change:
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "gone":
            weights.unlink()
        case "larger":
            config.write_text(json.dumps(told | {"d_model": 32}))
        case "deeper":
            config.write_text(json.dumps(told | {"encoder_layers": 3}))
        case "kind":
            config.write_text(json.dumps(told | {"model_type": "bert"}))
        case "tokenizer":
            for name in ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"):
                (folder / name).unlink(missing_ok=True)
        case _:
            config.write_text("[1, 2")
    return folder


@pytest.mark.parametrize("change", ["cut", "gone", "larger", "deeper", "kind", "tokenizer", "no config"])
def test_broken_weights_are_one_clear_line(tiny: Path, tmp_path: Path, change: str):
    with pytest.raises(ModelError, match=r"--set stt\.model=") as caught:
        WhisperTorch(damaged(tiny, tmp_path, change))
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_language_or_device_that_is_not_there_is_refused(tiny: Path):
    with pytest.raises(ConfigError, match=r"^stt\.language: .*'fr'"):
        WhisperTorch(tiny, language="fr")
    import torch

    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r"^stt\.device: 'cuda' cannot be used here"):
            WhisperTorch(tiny, device="cuda")


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_without_the_extra_it_says_what_to_type(library: str, tiny: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf"needs {library}; type: .*scripts/setup torch"):
        WhisperTorch(tiny)


def test_a_name_on_a_hub_is_told_from_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my" / "whisper").mkdir(parents=True)
    assert WhisperTorch.fetches("openai/whisper-small")
    assert not any(map(WhisperTorch.fetches, ("my/whisper", "/a/b", "whisper-base", "a/b/c")))
    monkeypatch.setenv("BACKCHAT_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # as loading torch would, and for good
    with pytest.raises(
        ModelError, match=r"^nobody/nothing is not on this machine and BACKCHAT_OFFLINE is set"
    ):
        WhisperTorch(Path("nobody/nothing"))


# --- real weights -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whisper-tiny.en")
    convert(models.resolve("whisper-tiny.en"), folder)
    return folder


@pytest.fixture(scope="module")
def engine(converted: Path) -> WhisperTorch:
    return WhisperTorch(converted)


@pytest.fixture(scope="module")
def exact() -> Whisper:
    """CTranslate2's engine without the loss of int8, so that both compute the same."""
    import ctranslate2

    weights = models.resolve("whisper-tiny.en")
    made = Whisper(weights)
    made._model = ctranslate2.models.Whisper(str(weights), compute_type="float32")
    return made


@pytest.fixture(scope="module")
def questions() -> list[tuple[Frame, list[str]]]:
    with (QUESTIONS / "questions.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [(read_audio(QUESTIONS / row["file"]), normalise(row["text"]).split()) for row in rows]


def wrong(ear: Transcriber, questions: list[tuple[Frame, list[str]]]) -> int:
    return sum(edits(said, normalise(ear.transcribe(audio).text).split()) for audio, said in questions)


@pytest.mark.model
def test_it_hears_what_ctranslate2_hears(engine: WhisperTorch, exact: Whisper, questions):
    """Words, how probable each token is, and the doubt whether it is speech: the guards' limits mean the same
    to both.
    """
    for audio, _ in questions:
        ours, theirs = engine.scoring().transcribe(audio), exact.scoring().transcribe(audio)
        assert ours.text == theirs.text == b"".join(token.data for token in theirs.tokens).decode()
        assert [token.data for token in ours.tokens] == [token.data for token in theirs.tokens]
        chances = [[token.logprob for token in said.tokens] for said in (ours, theirs)]
        assert chances[0] == pytest.approx(chances[1], abs=0.02)
        assert ours.confidence == pytest.approx(theirs.confidence, abs=0.01)
        assert ours.no_speech == pytest.approx(theirs.no_speech, abs=0.01)


@pytest.mark.model
def test_interim_transcripts_are_those_of_ctranslate2(engine: WhisperTorch, exact: Whisper, questions):
    for audio, _ in questions[:4]:
        for share in (0.4, 0.6, 0.8):
            part = Frame(audio.samples[: round(share * len(audio.samples))], audio.rate)
            assert engine.transcribe(part, final=False).text == exact.transcribe(part, final=False).text


@pytest.mark.model
def test_bfloat16_loses_few_words(converted: Path, engine: WhisperTorch, questions):
    some = questions[::2]
    lost = wrong(WhisperTorch(converted, dtype="bfloat16"), some) - wrong(engine, some)
    assert lost <= 0.02 * sum(len(said) for _, said in some)


@pytest.mark.model
def test_a_multilingual_model_tells_the_language_and_is_told_it(tmp_path: Path):
    convert(models.resolve("whisper-base"), tmp_path)
    question = read_audio(QUESTION)
    detecting = WhisperTorch(tmp_path, language="auto").transcribe(question)
    assert normalise(detecting.text) == "what is the capital of france"
    english = WhisperTorch(tmp_path).transcribe(question)
    assert english.text == detecting.text
    assert english.confidence == pytest.approx(detecting.confidence, abs=1e-3)
    assert WhisperTorch(tmp_path, language="de").transcribe(question).text.startswith("Was ist")
