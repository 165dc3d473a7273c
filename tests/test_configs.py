"""That the files in configs/ are what they say: their engines exist, and each holds a conversation here."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from agent import engines, models
from agent import events as ev
from agent.config import load
from agent.enginelist import listing
from agent.errors import BackchatError
from agent.settings import Config
from agent.simulate import Line, converse
from audio.files import read_audio
from helpers_server import llama_server

CONFIGS = Path(__file__).parents[1] / "configs"
FILES = sorted(CONFIGS.glob("*.toml"))
SMALL = ["llm.model=smollm2", "llm.max_tokens=16", "llm.context=1024"]


def cuda() -> bool:
    return bool(importlib.import_module("torch").cuda.is_available())


def answered(config: Config, out: Path) -> list[ev.Event]:
    """Ask the demo's question of the engines that the settings name; every event there was."""
    events: list[ev.Event] = []
    question = Line(read_audio(CONFIGS / "demo" / "question.wav"))
    converse(engines.load(config), config, [question], out, watchers=[events.append])
    (ended,) = [event for event in events if isinstance(event, ev.TurnEnded)]
    assert (ended.reason, ended.unheard) == ("finished", "")
    assert ended.heard
    assert not [event for event in events if isinstance(event, ev.Error)]
    return events


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_its_engines_are_there_and_its_models_have_names(file: Path):
    config = load(file)
    chosen = {entry.kind: entry for entry in listing(config) if entry.chosen}
    assert chosen.keys() == {"stt", "llm", "tts", "turns", "vision"}
    assert all(entry.source == "backchat" for entry in chosen.values())
    assert config.stt.model in models.catalogue()
    assert config.llm.engine == "openai" or config.llm.model in models.catalogue()


def test_every_file_says_how_to_use_it():
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert f"--config configs/{file.name}" in text


def test_the_stack_on_torch_is_what_it_is_called():
    config = load(CONFIGS / "torch.toml")
    assert (config.llm.engine, config.tts.engine) == ("transformers", "coqui")


@pytest.mark.model
@pytest.mark.parametrize("name", ["local", "quick", "torch"])
def test_it_answers_a_question(name: str, tmp_path: Path):
    answered(load(CONFIGS / f"{name}.toml", SMALL), tmp_path / "out.wav")


@pytest.mark.model
@pytest.mark.net
def test_the_server_of_ones_own_answers_a_question(tmp_path: Path):
    with llama_server(models.resolve("smollm2")) as server:
        config = load(CONFIGS / "openai.toml", ["llm.max_tokens=16", f"llm.base_url={server.url}"])
        answered(config, tmp_path / "out.wav")


@pytest.mark.model
def test_the_card_answers_a_question_or_its_absence_is_said(tmp_path: Path):
    """Without a card: what each engine says of it, and the same settings on the processor."""
    config = load(CONFIGS / "gpu.toml", SMALL)
    if cuda():
        answered(config, tmp_path / "out.wav")
        return
    for kind in ("llm", "stt", "tts"):
        with pytest.raises(BackchatError, match=r"(?i)cuda") as caught:
            engines.load_one(kind, config)
        assert "\n" not in str(caught.value)
    on_cpu = [f"{kind}.device=cpu" for kind in ("llm", "stt", "tts")]
    answered(load(CONFIGS / "gpu.toml", [*SMALL, *on_cpu, "llm.dtype=float32"]), tmp_path / "out.wav")
