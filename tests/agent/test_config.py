"""Settings: what a file and `--set` may say, and how a mistake is told. Knows no engine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from agent.cli.commands import backchat
from agent.config import load
from agent.engines.registry import weights_of
from agent.errors import ConfigError
from agent.settings import Config
from agent.weights.catalogue import catalogue

CONFIGS = Path(__file__).parents[2] / "configs"

MISTAKES = [
    ("llm.temprature=1", "unknown key 'llm.temprature'; did you mean 'llm.temperature'?"),
    ("session.pause=1", "unknown key 'session.pause'; did you mean 'turns.pause'?"),
    ("trns.pause=1", "unknown key 'trns'; did you mean 'turns'?"),
    ("xyz.bar=1", "unknown key 'xyz'; known here: cluster, costs, echo, limits, llm,"),
    ("llm.temperature=hot", "llm.temperature: Input should be a valid number, not 'hot'"),
    ("llm.temperature=inf", "llm.temperature: Input should be a finite number"),
    ("llm.max_tokens=1.5", "llm.max_tokens: Input should be a valid integer"),
    ("llm.max_tokens=0", "llm.max_tokens: Input should be greater than or equal to 1"),
    ("turns.interrupt=yes", "turns.interrupt: Input should be a valid boolean, not 'yes'"),
    ("costs.mode=declred", "costs.mode: Input should be 'measured' or 'declared'"),
    ("llm.seed=rnd", "llm.seed: Input should be a valid integer, not 'rnd'"),
    ("llm.seed=1\nb=2", "llm.seed: Input should be a valid integer"),
    ("temperature=1", "write it as section.key=value"),
    ("llm.temperature", "write it as section.key=value"),
]


@pytest.mark.parametrize(("setting", "said"), MISTAKES)
def test_a_wrong_setting_names_itself_and_the_nearest(setting: str, said: str):
    with pytest.raises(ConfigError, match=re.escape(said)) as error:
        load(None, [setting])
    assert str(error.value).startswith(f"--set {setting}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[llm]\ntemprature = 1\n", "unknown key 'llm.temprature'; did you mean 'llm.temperature'?"),
        ("[lm]\n", "unknown key 'lm'; did you mean 'llm'?"),
        ('[llm]\ntemperature = "hot"\n', "llm.temperature: Input should be a valid number, not 'hot'"),
        ("[llm]\ntemperature = inf\n", "llm.temperature: Input should be a finite number"),
        ('[llm]\nstop = "x"\n', "llm.stop: Input should be a valid array, not 'x'"),
        ("llm = 3\n", "llm: Input should be an object, not 3"),
        ("[llm\n", "not valid TOML"),
        ("[session]\nsystem = '\udcff'\n", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(tmp_path: Path, text: str, said: str):
    file = tmp_path / "mine.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=re.escape(said)) as error:
        load(file)
    assert str(error.value).startswith(f"{file}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["none.toml", "."])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str):
    with pytest.raises(ConfigError, match=r"cannot be read \(.+\); give the path of a TOML file"):
        load(tmp_path / name)


def test_a_setting_wins_over_the_file(tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text("[llm]\ntop_k = 7\ntop_p = 0.5\n")
    config = load(file, ["llm.top_k=9", "session.system=Be brief.", 'llm.stop=["x", "y"]'])
    assert (config.llm.top_k, config.llm.top_p, config.llm.stop) == (9, 0.5, ("x", "y"))
    assert config.session.system == "Be brief."
    assert config.tts == Config().tts


def test_a_seed_may_be_random():
    assert load(None, ["llm.seed=random"]).llm.seed is None
    assert load(None, ["llm.seed=3"]).llm.seed == 3


def printed(*settings: str) -> str:
    """What `backchat config` prints."""
    words = [word for setting in settings for word in ("--set", setting)]
    result = CliRunner().invoke(backchat, ["config", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_printed_settings_say_all_of_the_defaults():
    assert tomllib.loads(printed()).keys() == Config.model_fields.keys()
    assert Config.model_validate_json(Config().model_dump_json()) == Config()


@example(system='Say "hi" \\ \'\'\' """\r\n\x7f\x00 \U0001f600', stop=["\n"], seed=None, temperature=0.0)
@given(
    system=st.text(st.characters(codec="utf-8")),
    stop=st.lists(st.text(st.characters(codec="utf-8")), max_size=3),
    seed=st.none() | st.integers(0, 2**31),
    temperature=st.floats(0, 1e6),
)
def test_printed_settings_come_back_through_a_file(tmp_path_factory, system, stop, seed, temperature):
    def quoted(text: str) -> str:
        return '"' + "".join(f"\\U{ord(letter):08X}" for letter in text) + '"'

    settings = [
        f"llm.temperature={temperature!r}",
        f"llm.seed={'random' if seed is None else seed}",
        f"session.system={quoted(system)}",
        f"llm.stop=[{', '.join(map(quoted, stop))}]",
    ]
    file = tmp_path_factory.mktemp("config") / "printed.toml"
    file.write_bytes(printed(*settings).encode())
    assert load(file) == load(None, settings)


def test_the_examples_run_as_they_are():
    examples = sorted(CONFIGS.glob("*.toml"))
    assert {"local.toml", "quick.toml"} < {example.name for example in examples}
    for file in examples:
        config = load(file)
        assert config.llm.engine == "openai" or catalogue()[config.llm.model].kind == "llm"
        assert catalogue()[weights_of("stt", config)].kind == "stt"


def test_the_local_example_is_the_default():
    """It spells the defaults out; a default that moves must move there too."""
    assert load(CONFIGS / "local.toml") == Config()
    assert load(CONFIGS / "quick.toml") != Config()
