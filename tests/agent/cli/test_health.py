"""What doctor says of extras and threads: none forgotten, none called usable that is not."""

from __future__ import annotations

import os
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from agent.cli import health
from agent.config import load

ROOT = Path(__file__).parents[3]
OPTIONAL: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
PARTS = {name for name, needs in OPTIONAL.items() if not any(need.startswith("backchat[") for need in needs)}


def installed(
    monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], modules: dict[str, list[str]]
) -> None:
    """As if these packages were all there is, with these modules."""

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(health, "version", version)
    monkeypatch.setattr(health, "packages_distributions", lambda: modules)


def test_every_extra_of_the_project_is_listed():
    assert len(PARTS) >= 9
    assert {extra.name for extra in health.extras()} == PARTS


def test_what_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    installed(monkeypatch, {}, {})
    for extra in health.extras():
        assert extra.packages == {}
        assert len(extra.lacking) == len(OPTIONAL[extra.name])


def test_an_old_version_and_a_package_without_its_module_are_not_usable(monkeypatch: pytest.MonkeyPatch):
    installed(
        monkeypatch,
        {"matplotlib": "3.1", "kokoro-onnx": "0.6.1", "onnx": "1.17", "piper-tts": "1.4"},
        {"kokoro_gone": ["Kokoro_ONNX"], "json": ["piper-tts"]},
    )
    found = {extra.name: extra for extra in health.extras()}
    assert found["plot"].lacking == ("matplotlib 3.1 is not >=3.9",)
    assert found["kokoro"].lacking == ("kokoro-onnx (its module kokoro_gone is gone)",)
    assert found["piper"].lacking == ()
    assert found["piper"].packages == {"onnx": "1.17", "piper-tts": "1.4"}


def test_a_source_that_was_not_installed_has_no_extras_to_tell(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(health, "NAME", "no-such-package-at-all")
    assert health.extras() == []


@pytest.mark.parametrize(
    ("setting", "load_average", "cure"),
    [
        ("llm.threads=0", 0.1, ""),
        ("llm.threads=0", 1.0, "--set llm.threads=1"),
        ("llm.threads=1", 1.0, ""),
        ("llm.threads=0", 9.0, "--set llm.threads=1"),
        ("llm.engine=openai", 9.0, ""),
    ],
)
def test_on_a_busy_machine_it_says_what_to_type(monkeypatch, setting: str, load_average: float, cure: str):
    monkeypatch.setattr(health, "cores", lambda: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    config = load(None, [setting])
    assert health.crowded(config, load_average).endswith(cure)
    assert bool(health.crowded(config, load_average)) == bool(cure)


def test_threads_are_those_that_the_settings_ask_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(health, "physical_cores", lambda: 4)
    usual = {"language model": 8, "speech-to-text": 2, "voice": 8}
    assert health.threads(load(None, [])) == usual
    given = load(None, ["llm.threads=3", "stt.threads=1", "tts.threads=2"])
    assert health.threads(given) == {"language model": 3, "speech-to-text": 1, "voice": 2}
    assert health.threads(load(None, ["llm.engine=openai"])).keys() == {"speech-to-text", "voice"}
