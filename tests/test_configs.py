"""That the files in configs/ are what they say: their engines exist, and each holds a conversation here."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent import events as ev
from agent.config import load
from agent.engines import registry as engines
from agent.engines.built_in import BUILT_IN
from agent.engines.status import listing
from agent.errors import BackchatError
from agent.settings import Config
from agent.simulation.virtual import Line, converse
from agent.weights import catalogue as models
from audio.files import read_audio
from helpers_packages import modules, needed
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
    assert chosen.keys() | {"wake", "speakers"} == set(BUILT_IN), "and those two where the file wants them"
    assert all(entry.source == "backchat" for entry in chosen.values())
    assert engines.weights_of("stt", config) in models.catalogue()
    assert config.llm.engine == "openai" or config.llm.model in models.catalogue()


def test_every_file_says_how_to_use_it():
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert f"--config configs/{file.name}" in text


def named_extras(file: Path) -> set[str]:
    """What its line "# extras: ..." says, among the first lines, where one looks for it."""
    (line,) = [line for line in file.read_text(encoding="utf-8").splitlines()[:5] if "# extras:" in line]
    names = line.removeprefix("# extras:").strip()
    return set() if names == "none" else set(names.split(","))


def with_only(extras: set[str], program: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `program` as if the core and these extras were all that is installed."""
    hidden = modules(needed("backchat", {"all"})) - modules(needed("backchat", extras))
    command = [sys.executable, "-c", f"HIDDEN = {hidden!r}\n" + HIDE + program]
    return subprocess.run(
        command, cwd=CONFIGS.parent, env=os.environ | env, capture_output=True, text=True, timeout=120
    )


HIDE = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Without, sys.meta_path)
"""

ENGINES_THAT_LACK_AN_EXTRA = """
from pathlib import Path
from agent.config import load
from agent.engines.status import listing
from agent.settings import Config

config = load(Path({file!r}))
for entry in listing(config):
    own = entry.kind != "vision" or config.vision != Config().vision  # else only with the first picture
    if entry.chosen and own and entry.state == "extra missing":
        print(entry.kind, entry.name, entry.cure)
"""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_extras_that_it_names_are_enough_for_its_engines(file: Path):
    done = with_only(named_extras(file), ENGINES_THAT_LACK_AN_EXTRA.format(file=str(file)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("file", [file for file in FILES if "piper-" in file.read_text(encoding="utf-8")])
def test_a_voice_of_pipers_needs_pipers_phonemes(file: Path):
    assert "piper" in named_extras(file)


SERVE = "from agent.cli import main\nsys.argv = ['backchat', 'serve', *{words!r}]\nmain()\n"


@pytest.mark.parametrize(
    ("extras", "words", "code", "said"),
    [
        ({"server"}, [], 5, "is not on this machine"),  # it came as far as the models, which are not there
        ({"server"}, ["--grpc-port", "8401"], 4, "server.grpc_port needs grpcio"),
        (set[str](), [], 4, "prometheus-client (its module prometheus_client is gone)"),
    ],
)
def test_serving_takes_the_extra_server_alone_or_says_which_is_missing(
    tmp_path: Path, extras: set[str], words: list[str], code: int, said: str
):
    away = {"BACKCHAT_CACHE": str(tmp_path), "BACKCHAT_OFFLINE": "1", "BACKCHAT_TOKEN": ""}
    words = ["--config", str(CONFIGS / "serve.toml"), *words]
    for option, name in (("--token-file", "token"), ("--certificate", "chain.pem"), ("--key", "key.pem")):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text("t" * 32)
        words += [option, str(tmp_path / name)]
    done = with_only(extras, SERVE.format(words=words), **away)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


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
