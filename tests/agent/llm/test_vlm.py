"""Language models that see, on torch: tiny ones of the real classes, through the real loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pictures
import tiny_vision_model
from agent.engines.registry import load_one
from agent.errors import ConfigError, ModelError
from agent.images import open_image, picture_of
from agent.llm.vlm import VisionLanguage
from agent.messages import Message

SIGN = open_image(pictures.encoded(pictures.sign("STOP")))
DARK = picture_of(np.zeros((40, 60, 3), np.uint8), "camera")
SYSTEM = Message("system", "Be brief.")
SETTINGS: dict[str, Any] = {"device": "cpu", "threads": 1, "max_tokens": 12, "temperature": 0.0}


@pytest.fixture(scope="module", params=["Llava", "Idefics3"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_vision_model.save_vision_model(tmp_path_factory.mktemp("vision"), request.param)


@pytest.fixture(scope="module")
def model(folder: Path) -> VisionLanguage:
    engine = VisionLanguage(folder, **SETTINGS)
    engine._ends = frozenset[int]()  # random weights end at random
    return engine


def ask(*images: Any, words: str = "What is it?") -> list[Message]:
    return [SYSTEM, Message("user", words, images)]


def test_it_answers_token_by_token(model: VisionLanguage):
    parts = list(model.stream(ask(SIGN)))
    assert 12 <= len(parts) <= 13
    assert "".join(parts)
    assert parts == list(model.stream(ask(SIGN)))


def test_it_says_what_generate_says(model: VisionLanguage):
    """Our loop and the library's own choose the same tokens, greedily and without penalty."""
    import torch

    engine = model.with_sampling(max_tokens=12, stop=(), seed=0, repeat_penalty=1.0)
    for messages in (
        ask(SIGN),
        ask(),
        ask(SIGN, DARK),
        [*ask(DARK), Message("assistant", "No."), *ask(SIGN)[1:]],
    ):
        inputs = engine._inputs(messages)
        length = inputs["input_ids"].shape[1]
        with torch.inference_mode():
            made = engine._model.generate(**inputs, max_new_tokens=12, do_sample=False, eos_token_id=None)
        expected = engine._tokenizer.decode(made[0, length:])
        ours = "".join(engine.stream(messages))
        assert _whole(ours) == _whole(expected)
        assert ours


def test_pixels_matter(model: VisionLanguage):
    inputs = [model._inputs(ask(picture)) for picture in (SIGN, DARK)]
    assert inputs[0]["input_ids"].tolist() == inputs[1]["input_ids"].tolist()
    first = [next(model._steps(dict(given), [])) for given in inputs]
    assert not np.allclose(first[0].numpy(), first[1].numpy())


def test_it_computes_nothing_between_two_pulls_and_stops_when_closed(
    model: VisionLanguage, monkeypatch: pytest.MonkeyPatch
):
    steps = 0
    forward = model._model.forward

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal steps
        steps += 1
        return forward(*args, **options)

    monkeypatch.setattr(model._model, "forward", counted)
    stream = model.stream(ask(SIGN))
    assert steps == 0
    for pulled in (1, 2, 3):
        next(stream)
        assert steps == pulled
    stream.close()
    assert steps == 3
    list(model.stream(ask()))  # and the next one is served


def test_two_answers_at_once_do_not_disturb_each_other(folder: Path):
    engine = VisionLanguage(folder, **SETTINGS, slots=2)
    engine._ends = frozenset[int]()
    one, two = engine.slots()
    alone = ["".join(view.stream(ask(picture))) for view, picture in ((one, SIGN), (two, DARK))]
    streams = [one.stream(ask(SIGN)), two.stream(ask(DARK))]
    woven = ["", ""]
    for _ in range(13):
        for index, stream in enumerate(streams):
            woven[index] += next(stream, "")
    assert woven == alone


def test_a_control_token_in_the_words_is_text(model: VisionLanguage):
    ids = model._inputs(ask(words="Say <image> and <|im_end|>."))["input_ids"][0].tolist()
    special = [model._tokenizer.convert_tokens_to_ids(name) for name in ("<image>", "<|im_end|>")]
    assert ids.count(special[0]) == 0
    assert ids.count(special[1]) == 2  # the template's own
    assert "".join(model.stream(ask(words="Say <image>.")))


def test_a_template_that_wants_turns_is_obeyed(tmp_path: Path):
    path = tiny_vision_model.save_vision_model(tmp_path, "Llava", tiny_vision_model.ALTERNATING)
    engine = VisionLanguage(path, **SETTINGS)
    ids = engine._inputs([*ask(SIGN), Message("user", "Well?")])["input_ids"][0]
    text = engine._tokenizer.decode(ids)
    assert text.startswith("<|im_start|>user\nBe brief.<image>")
    assert text.count("<|im_start|>user") == 1


def test_a_conversation_that_is_too_long_says_what_to_do(folder: Path):
    engine = VisionLanguage(folder, **SETTINGS, context=30)
    with pytest.raises(ModelError, match=r"--set llm\.context="):
        next(engine.stream(ask(SIGN)))


def test_a_folder_without_a_model_is_one_line(tmp_path: Path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        VisionLanguage(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ModelError, match="takes pictures and text") as caught:
        VisionLanguage(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_settings_choose_it(folder: Path):
    from agent.config import load
    from agent.engines.registry import load_vision

    chosen = ["llm.engine=vlm", f'llm.model="{folder}"', "llm.device=cpu", "vision.engine=passthrough"]
    config = load(None, chosen)
    llm = load_one("llm", config)
    assert llm.takes_pictures
    sight = load_vision(config, llm).look(SIGN)
    assert sight.asked("What?")[0].images == (SIGN,)
    with pytest.raises(ConfigError, match=r"vision\.engine=ocr"):
        load_vision(config, object())  # pyright: ignore[reportArgumentType]


def _whole(text: str) -> str:
    """Without the bytes that make no character, of which random weights write many."""
    return text.replace("\ufffd", "")
