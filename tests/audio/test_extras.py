"""How an extra is installed: in a clone, beside a wheel, from an index."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from audio import extras
from audio.errors import MissingExtra


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """backchat as an installer has left it: away from its clone, with this note of where it came from."""

    def put(note: str | None) -> None:
        info = tmp_path / "backchat-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: backchat\nVersion: 1\n")
        if note is not None:
            (info / "direct_url.json").write_text(note)
        monkeypatch.setattr(extras, "ROOT", tmp_path)
        monkeypatch.setattr(extras, "distribution", lambda name: metadata.Distribution.at(info))

    return put


def test_in_a_clone_its_own_script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(extras.ROOT)
    assert extras.how_to_install("torch") == "scripts/setup torch"
    monkeypatch.chdir(tmp_path)
    assert extras.how_to_install("torch") == f"{extras.ROOT}/scripts/setup torch"


def test_beside_a_wheel_that_wheel(installed):
    installed('{"archive_info": {}, "url": "file:///home/anna/my%20wheels/backchat-1-py3-none-any.whl"}')
    assert (
        extras.how_to_install("plot")
        == "pip install '/home/anna/my wheels/backchat-1-py3-none-any.whl[plot]'"
    )


@pytest.mark.parametrize("note", [None, '{"url": "https://example.org/backchat-1-py3-none-any.whl"}'])
def test_else_its_name(installed, note: str | None):
    installed(note)
    assert extras.how_to_install("plot") == "pip install 'backchat[plot]'"


def test_not_installed_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(extras, "ROOT", tmp_path)
    monkeypatch.setattr(extras, "distribution", missing)
    assert extras.how_to_install("plot") == "pip install 'backchat[plot]'"


def test_the_error_says_it():
    assert str(MissingExtra("Kokoro needs kokoro-onnx", "kokoro")).startswith(
        "Kokoro needs kokoro-onnx; type: "
    )
