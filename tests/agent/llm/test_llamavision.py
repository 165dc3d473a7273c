"""A GGUF model with a projector: a real language model, and a tiny vision tower of random weights."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import pictures
from agent.config import load
from agent.engines.registry import load_one, load_vision
from agent.errors import ConfigError, ModelError
from agent.images import open_image
from agent.llm.llamavision import LlamaVision
from agent.llm.openai_api import OpenAI
from agent.messages import Message
from agent.weights import catalogue as models
from tiny_projector import save_projector

pytestmark = pytest.mark.model

SIGN = open_image(pictures.encoded(pictures.sign("STOP")))
SHOWN = [Message("user", "What is it?", (SIGN,))]
WIDTH = 576
"""Of SmolLM2 135M's embeddings."""


@pytest.fixture(scope="module")
def weights() -> Path:
    return models.resolve("smollm2")


@pytest.fixture(scope="module")
def projector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_projector(tmp_path_factory.mktemp("vision") / "mmproj.gguf", WIDTH)


@pytest.fixture(scope="module")
def model(weights: Path, projector: Path) -> LlamaVision:
    return LlamaVision(weights, projector=str(projector), context=1024, max_tokens=12, temperature=0.0)


def test_it_answers_about_a_picture_token_by_token(model: LlamaVision):
    parts = [part for part in model.stream(SHOWN) if part]
    assert 3 <= len(parts) <= 12
    assert parts == [part for part in model.stream(SHOWN) if part]


def test_pixels_matter(model: LlamaVision):
    plain = "".join(model.stream([Message("user", "What is it?")]))
    dark = open_image(pictures.encoded(pictures.sign("", back="black")))
    seen = ["".join(model.stream([Message("user", "What is it?", (image,))])) for image in (SIGN, dark)]
    assert len({plain, *seen}) == 3


def test_closing_the_stream_stops_llama_cpp(model: LlamaVision):
    long = model._changed(max_tokens=900)
    stream = long.stream([Message("user", "Count to one thousand.", (SIGN,))])
    next(stream)
    stream.close()
    began = time.monotonic()
    "".join(model.stream(SHOWN))  # has the one slot, which the first would keep for a minute
    assert time.monotonic() - began < 30


def test_a_stop_string_ends_it(model: LlamaVision):
    whole = "".join(model.stream(SHOWN))
    stop = whole.split()[2]
    cut = "".join(model.with_sampling(max_tokens=None, stop=(stop,), seed=0, temperature=0.0).stream(SHOWN))
    assert cut == whole[: whole.index(stop)]


def test_reading_ahead_changes_nothing(model: LlamaVision):
    expected = "".join(model.stream(SHOWN))
    model.prefill(SHOWN)
    assert "".join(model.stream(SHOWN)) == expected


def test_too_long_a_conversation_says_what_to_do(model: LlamaVision):
    with pytest.raises(ModelError, match=r"--set llm\.context="):
        "".join(model.stream([Message("user", "word " * 3000, (SIGN,))]))


def test_what_is_wrong_with_the_files_is_one_line(weights: Path, projector: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match=r"llm\.projector"):
        LlamaVision(weights)
    with pytest.raises(ModelError, match=r"none\.gguf: cannot be read"):
        LlamaVision(weights, projector=str(tmp_path / "none.gguf"))
    wrong = save_projector(tmp_path / "wrong.gguf", WIDTH // 2)
    with pytest.raises(ModelError, match=r"llama\.cpp cannot load it") as caught:
        LlamaVision(weights, projector=str(wrong))
    assert "\n" not in str(caught.value)


def test_the_settings_choose_it(projector: Path):
    chosen = ["llm.engine=llamavision", "llm.model=smollm2", f'llm.projector="{projector}"']
    config = load(None, [*chosen, "vision.engine=passthrough", "llm.context=1024", "llm.max_tokens=3"])
    llm = load_one("llm", config)
    sight = load_vision(config, llm).look(SIGN)
    assert "".join(llm.stream(sight.asked("What is it?")))


@pytest.mark.net
def test_an_openai_client_of_ours_is_answered_by_a_real_server(
    model: LlamaVision, monkeypatch: pytest.MonkeyPatch
):
    """The `openai` engine's pictures are understood by llama.cpp's own server."""
    monkeypatch.setenv("THE_KEY", model._key)
    address = f"http://{model._address}/v1"
    engine = OpenAI(base_url=address, model="x", api_key_env="THE_KEY", max_tokens=8, temperature=0.0)
    seen, plain = ("".join(engine.stream(asked)) for asked in (SHOWN, [Message("user", "What is it?")]))
    assert seen
    assert seen != plain
    engine.close()
