"""From a name to an engine: built-in, by entry point, unknown, and what its constructor is given."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.config import load
from agent.engines import registry as engines
from agent.errors import ConfigError, EngineFault, ModelError

PLUGIN = """
class Parrot:
    rate = 16000
    language = ""

    def __init__(self, *, speed, voice="none"):
        self.speed, self.voice, self.warmed = speed, voice, False

    def warm(self):
        self.warmed = True

    def stream(self, text):
        return iter(())


class Old:
    rate = 16000

    def stream(self, text):
        return iter(())


class Broken:
    def __init__(self):
        raise RuntimeError("no card\\nand more")


class Cold:
    rate = 16000
    language = ""

    def stream(self, text):
        return iter(())

    def warm(self):
        raise KeyError("heat")


class Weighty:
    def __init__(self, *, weights, threads):
        self.weights, self.threads = weights, threads

    def stream(self, messages):
        return iter(())

    def prefill(self, messages):
        pass
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package, installed as far as importlib.metadata can see, that offers two engines."""
    (tmp_path / "parrot_engine.py").write_text(PLUGIN)
    info = tmp_path / "parrot_engine-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parrot-engine\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[backchat.tts]\nparrot = parrot_engine:Parrot\nold = parrot_engine:Old\n"
        "broken = parrot_engine:Broken\ncold = parrot_engine:Cold\nlost = parrot_engine:Lost\n"
        "gone = parrot_gone:Gone\n"
        "[backchat.llm]\nweighty = parrot_engine:Weighty\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "parrot_engine", raising=False)


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, names in engines.BUILT_IN.items() for n in names])
def test_every_built_in_engine_is_where_it_is_said_to_be(kind: engines.Kind, name: str):
    found = engines.find(kind, name)
    assert f"{found.__module__}:{found.__qualname__}" == engines.BUILT_IN[kind][name]


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("broken", "RuntimeError: no card"),
        ("cold", "KeyError: 'heat'"),
        ("lost", "AttributeError: "),
        ("gone", "ModuleNotFoundError: "),
    ],
)
def test_an_engine_of_another_package_that_fails_while_it_is_loaded_is_one_line(name: str, said: str):
    with pytest.raises(EngineFault) as caught:
        engines.load_one("tts", load(None, [f"tts.engine={name}"]))
    assert str(caught.value).startswith(f"tts.engine: {name} cannot be loaded: {said}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("stt.language=de", "stt.language: no turn-taking words for the language 'de'; known: en"),
        ("turns.policy=lader", "turns.policy: no policy is called 'lader'; known: semantic, vad"),
        ("tts.engine=nobody", "tts.engine: no engine is called 'nobody'"),
        ("tts.voice=nobody", "tts.voice: no voice 'nobody'"),
        ("vision.engine=nobody", "vision.engine: no engine is called 'nobody'"),
    ],
)
def test_what_no_session_could_begin_with_is_refused_before_anything_is_loaded(monkeypatch, setting, said):
    monkeypatch.setattr(engines, "load_one", lambda *_: pytest.fail("loaded"))
    with pytest.raises(ConfigError) as caught:
        engines.load(load(None, [setting]))
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("kind", ["stt", "llm", "tts"])
def test_an_unknown_engine_names_the_known(kind: engines.Kind):
    (first, *_) = sorted(engines.BUILT_IN[kind])
    with pytest.raises(ConfigError, match=rf"{kind}\.engine: no engine is called 'nope'; known: .*{first}"):
        engines.load_one(kind, load(None, [f"{kind}.engine=nope"]))


@pytest.mark.usefixtures("plugin")
def test_another_package_offers_an_engine_and_gets_the_settings_that_it_uses():
    parrot = engines.load_one("tts", load(None, ["tts.engine=parrot", "tts.voice=polly", "tts.speed=1.5"]))
    assert (parrot.speed, parrot.voice, parrot.warmed) == (1.5, "polly", True)
    with pytest.raises(ConfigError, match=r"known: .*hibari, .*parrot"):
        engines.find("tts", "nope")


@pytest.mark.usefixtures("plugin")
def test_weights_are_resolved_for_an_engine_that_wants_them(tmp_path: Path):
    file = tmp_path / "own.gguf"
    file.touch()
    chosen = load(None, ["llm.engine=weighty", f"llm.model={file}", "llm.threads=3"])
    weighty = engines.load_one("llm", chosen)
    assert (weighty.weights, weighty.threads) == (file, 3)
    with pytest.raises(ModelError, match="neither a model nor a file"):
        engines.load_one("llm", load(None, ["llm.engine=weighty", "llm.model=nowhere"]))


@pytest.mark.usefixtures("plugin")
def test_an_engine_that_is_older_than_what_is_asked_of_it_is_refused_in_one_line():
    with pytest.raises(ConfigError, match=r"^tts\.engine: old has no language; docs/engines\.md says"):
        engines.load_one("tts", load(None, ["tts.engine=old"]))
