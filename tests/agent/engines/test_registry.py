"""From a name to an engine: built-in, by entry point, unknown, and what its constructor is given."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.config import load
from agent.engines import registry as engines
from agent.errors import ConfigError, EngineFault, ModelError
from agent.protocols import LanguageModel, VisionEngine
from agent.turns.policy import Policy
from agent.weights.catalogue import catalogue
from audio.speaker import SpeakerEmbedding
from audio.stt import EndOfTurn, Transcriber
from audio.tts import Synthesizer
from audio.vad import VAD
from audio.wake import WakeWord

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


class Gate:
    def __init__(self, *, start):
        self.start = start

    def feed(self, frame):
        return []


class Coin:
    default_model = "coin-1"

    def __init__(self, *, weights):
        self.weights = weights

    def complete(self, audio):
        return 0.5


class Hasty:
    def __init__(self, config):
        self.config = config

    def onset(self, at):
        return []


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
        "[backchat.vad]\ngate = parrot_engine:Gate\n"
        "[backchat.endpointing]\ncoin = parrot_engine:Coin\n"
        "[backchat.turns]\nhasty = parrot_engine:Hasty\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "parrot_engine", raising=False)


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, names in engines.BUILT_IN.items() for n in names])
def test_every_built_in_engine_is_where_it_is_said_to_be(kind: engines.Kind, name: str):
    found = engines.find(kind, name)
    assert f"{found.__module__}:{found.__qualname__}" == engines.BUILT_IN[kind][name].place


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [
        ("stt", Transcriber),
        ("llm", LanguageModel),
        ("tts", Synthesizer),
        ("vad", VAD),
        ("wake", WakeWord),
        ("endpointing", EndOfTurn),
        ("speakers", SpeakerEmbedding),
        ("turns", Policy),
        ("vision", VisionEngine),
    ],
)
def test_what_an_engine_is_refused_for_is_what_its_protocol_asks(kind: engines.Kind, protocol: type):
    members = {name for name in (*vars(protocol), *protocol.__annotations__) if not name.startswith("_")}
    assert set(engines.OFFERED[kind]) == members


def test_a_policy_that_lacks_something_is_refused_before_anybody_speaks(plugin: None):
    with pytest.raises(ConfigError, match=r"turns\.policy: hasty has no .*reply_over; docs/engines\.md"):
        engines.policy(load(None, ["turns.policy=hasty"]).turns)


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
        ("stt.language=xx", "stt.language: no turn-taking words for the language 'xx'; known: "),
        ("turns.policy=lader", "turns.policy: no policy is called 'lader'; known: semantic, vad"),
        ("tts.engine=nobody", "tts.engine: no engine is called 'nobody'"),
        ("tts.voice=nobody", "tts.voice: no voice 'nobody'"),
        ("vision.engine=nobody", "vision.engine: no engine is called 'nobody'"),
        ("vad.engine=nobody", "vad.engine: no engine is called 'nobody'; known: webrtc-silero"),
        (
            "turns.endpointing=nobody",
            "turns.endpointing: no engine is called 'nobody'; known: ray, smart-turn",
        ),
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


def test_who_speaks_once_does_not_warm_up(plugin: None):
    config = load(None, ["tts.engine=parrot"])
    assert engines.load_one("tts", config).warmed
    assert not engines.load_one("tts", config, warm=False).warmed


def test_built_in_engines_are_found_without_a_look_at_other_packages(monkeypatch: pytest.MonkeyPatch):
    """A look at each installed package, at each start, twenty times over."""
    monkeypatch.setattr(engines, "entry_points", lambda group: pytest.fail(f"looked for {group}"))
    engines.check(load(None, []))


@pytest.mark.usefixtures("plugin")
def test_another_package_offers_a_vad_of_which_each_stream_has_its_own():
    config = load(None, ["vad.engine=gate", "vad.start=0.7"])
    one, other = engines.vad(config.vad), engines.vad(config.vad)
    assert (type(one).__name__, one.start, one is other) == ("Gate", 0.7, False)
    assert type(engines.vad(load().vad)).__name__ == "VoiceDetector"


@pytest.mark.usefixtures("plugin")
def test_another_package_offers_endpointing_which_is_loaded_where_the_sound_is_asked(tmp_path: Path):
    own = tmp_path / "own.onnx"
    own.touch()
    chosen = ["turns.endpointing=coin", f"turns.model={own}"]
    assert engines.load_endpointing(load(None, chosen)).weights == own
    assert engines.needed(load(None, chosen))[str(own)] == "endpointing"
    assert engines.weights_of("endpointing", load(None, chosen[:1])) == "coin-1"
    for without in ("turns.meaning=words", "turns.meaning=off", "turns.policy=vad"):
        assert engines.load_endpointing(load(None, [*chosen, without])) is None
        assert "endpointing" not in engines.needed(load(None, [*chosen, without])).values()


@pytest.mark.parametrize(
    ("setting", "alike"),
    [
        ("turns.complete=0.5", True),
        ("vad.start=0.6", True),
        ("costs.stt=1.0", True),
        ("turns.meaning=audio", True),
        ("turns.meaning=words", False),
        ("turns.policy=vad", False),
        ("turns.endpointing=other", False),
        ("turns.model=other", False),
        ("vision.engine=passthrough", False),
        ("llm.seed=5", False),
        ("tts.speed=1.5", False),
        ("stt.window=20.0", False),
    ],
)
def test_engines_do_for_other_settings_where_these_load_the_same(setting: str, alike: bool):
    assert engines.alike(load(), load(None, [setting])) == alike


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


class Threshold:
    """An engine that notes how it was set up."""

    def __init__(self, weights: Path, call_threshold: float = 0.0) -> None:
        self.threshold = call_threshold

    def stream(self, messages: object) -> None: ...

    def prefill(self, messages: object) -> None: ...


@pytest.mark.parametrize(
    ("model", "chosen", "used"),
    [
        ("qwen2.5-1.5b", "0", catalogue()["qwen2.5-1.5b"].settings["call_threshold"]),
        ("qwen2.5-1.5b", "0.5", 0.5),
        ("qwen2.5-1.5b", "-1", -1.0),
        ("smollm2", "0", 0.0),
        (__file__, "0", 0.0),
    ],
)
def test_what_is_known_of_a_model_is_set_where_nobody_chose(
    monkeypatch: pytest.MonkeyPatch, model: str, chosen: str, used: float
) -> None:
    monkeypatch.setattr(engines, "find", lambda kind, name: Threshold)
    monkeypatch.setattr(engines, "resolve", lambda name, progress: Path(name))
    config = load(None, [f"llm.model={model}", f"llm.call_threshold={chosen}"])
    assert engines.load_one("llm", config).threshold == used
