"""That the core works where no extra is installed: a process in which their libraries cannot be imported."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXTRAS = [
    *("TTS", "coqpit", "kokoro_onnx", "onnx", "piper", "torch", "torchaudio", "torchcodec", "trainer"),
    *("av", "huggingface_hub", "safetensors", "tokenizers", "transformers"),
    *("fastapi", "grpc", "openai", "starlette", "uvicorn", "matplotlib", "playwright"),
]
"""What the extras bring, as modules; the core must neither need nor try them."""

BLOCKER = f"""
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        hidden = name.partition(".")[0] in {EXTRAS!r}
        return None if hidden else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Without, sys.meta_path)
"""
"""Hides the extras from every finder, as if they had never been installed."""


def alone(program: str) -> subprocess.CompletedProcess[str]:
    """Run `program` where no extra can be imported."""
    command = [sys.executable, "-c", BLOCKER + program]
    wide = os.environ | {"COLUMNS": "250"}  # so that no table breaks what is looked for
    return subprocess.run(command, cwd=ROOT, env=wide, capture_output=True, text=True, timeout=300)


def test_the_blocker_blocks():
    assert "No module named 'torch'" in alone("import torch").stderr


def test_the_commands_answer_without_extras():
    commands = [["--help"], ["engines"], ["config"], ["models", "list"], ["say", "--help"]]
    program = f"""
from click.testing import CliRunner
from agent.cli.commands import backchat
for words in {commands!r}:
    result = CliRunner().invoke(backchat, words, catch_exceptions=False)
    assert result.exit_code == 0, (words, result.output)
    print(result.output)
"""
    done = alone(program)
    assert done.returncode == 0, done.stderr
    assert "extra missing" in done.stdout
    assert "scripts/setup torch" in done.stdout


def test_every_module_can_be_imported_without_extras():
    """Their files need the extras' libraries only once an engine is made."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in ("agent", "audio")
        for path in sorted((ROOT / package).rglob("*.py"))
    ]
    served = ("agent.server", "agent.cli.serve")
    core = [module for module in modules if not module.startswith(served)]
    done = alone(f"import importlib\nfor name in {core!r}:\n    importlib.import_module(name)\n")
    assert done.returncode == 0, done.stderr


@pytest.mark.model
@pytest.mark.parametrize("kind", ["stt", "llm", "tts"])
def test_an_engine_whose_extra_is_missing_says_what_to_type(kind: str):
    """With its default weights, where it has any: an engine may look at its files first."""
    program = f"""
from agent.engines import registry as engines
from agent.config import load
from agent.engines.built_in import BUILT_IN
from agent.errors import MissingExtra
for name in engines.BUILT_IN[{kind!r}]:
    about = BUILT_IN[{kind!r}][name]
    model = "llm.model=smollm2" if {kind!r} == "llm" else ""
    if name == "ray":  # it asks the engines of a cluster, whose command names the extra
        continue
    if not about.extra or not (model or getattr(engines.find({kind!r}, name), "default_model", "")):
        continue
    try:
        engines.load_one({kind!r}, load(None, [f"{kind}.engine={{name}}", *filter(None, [model])]))
    except MissingExtra as error:
        assert str(error).endswith(f"scripts/setup {{about.extra}}"), (name, str(error))
    else:
        raise AssertionError(name)
"""
    done = alone(program)
    assert done.returncode == 0, done.stderr


@pytest.mark.model
def test_a_whole_conversation_without_extras(tmp_path: Path):
    program = f"""
from pathlib import Path
from agent.engines import registry as engines
from agent.config import load
from agent.simulation.virtual import Line, converse
from audio.files import read_audio
config = load(None, ["llm.model=smollm2", "llm.max_tokens=12"])
said = []
line = Line(read_audio(Path("configs/demo/question.wav")))
converse(engines.load(config), config, [line], Path({str(tmp_path / "out.wav")!r}), watchers=[said.append])
print([type(event).__name__ for event in said])
"""
    done = alone(program)
    assert done.returncode == 0, done.stderr
    assert "AudioStarted" in done.stdout
    assert "Error" not in done.stdout


def test_the_core_names_no_library_of_an_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = {line.partition(">")[0] for line in project["dependencies"]}
    assert not core & {"torch", "transformers", "coqui-tts", "piper-tts", "starlette", "grpcio", "matplotlib"}
