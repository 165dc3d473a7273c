"""What doctor says of extras: none forgotten, none called usable that is not."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from agent.cli.parts import installation

ROOT = Path(__file__).parents[4]
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

    monkeypatch.setattr(installation, "version", version)
    monkeypatch.setattr(installation, "packages_distributions", lambda: modules)


def test_every_extra_of_the_project_is_listed():
    assert len(PARTS) >= 9
    assert {extra.name for extra in installation.extras()} == PARTS


def test_what_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    installed(monkeypatch, {}, {})
    for extra in installation.extras():
        assert extra.packages == {}
        assert len(extra.lacking) == len(OPTIONAL[extra.name])


def test_an_old_version_and_a_package_without_its_module_are_not_usable(monkeypatch: pytest.MonkeyPatch):
    installed(
        monkeypatch,
        {"matplotlib": "3.1", "kokoro-onnx": "0.6.1", "onnx": "1.17", "piper-tts": "1.4"},
        {"kokoro_gone": ["Kokoro_ONNX"], "json": ["piper-tts"]},
    )
    found = {extra.name: extra for extra in installation.extras()}
    assert found["plot"].lacking == ("matplotlib 3.1 is not >=3.9",)
    assert found["kokoro"].lacking == ("kokoro-onnx (its module kokoro_gone is gone)",)
    assert found["piper"].lacking == ()
    assert found["piper"].packages == {"onnx": "1.17", "piper-tts": "1.4"}


def test_a_source_that_was_not_installed_has_no_extras_to_tell(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(installation, "NAME", "no-such-package-at-all")
    assert installation.extras() == []
