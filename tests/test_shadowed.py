"""That a file or package of the user's own name, in the place of ours, is found and named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.parts import installation

ROOT = Path(__file__).parents[1]


def ran(folder: Path, program: str) -> str:
    """What the program says last, where `folder` comes before us."""
    program = f"import sys\nsys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]\n{program}"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", ["audio.py", "audio/__init__.py"])
@pytest.mark.parametrize(
    "program", ["from agent import Session", "import agent\nagent.load", "from agent.cli import main; main()"]
)
def test_an_audio_of_ones_own_is_named_and_what_to_do(tmp_path: Path, name: str, program: str):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("")
    said = ran(tmp_path, program)
    assert f"{file} hides backchat's package `audio`; rename it" in said


@pytest.mark.parametrize("name", ["agent.py", "audio.py", "agent/__init__.py"])
def test_doctor_finds_a_file_here_that_would_hide_us(tmp_path: Path, monkeypatch, name: str):
    monkeypatch.chdir(tmp_path)
    assert not installation.shadows()
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("")
    (why,) = installation.shadows()
    assert why.startswith(f"{file} hides backchat's package `{name[:5]}`")
    assert "rename it" in why


def test_doctor_finds_another_distribution_with_our_package(tmp_path: Path, monkeypatch):
    owners = {"agent": ["backchat", "Other_Agent"], "audio": ["backchat"]}
    monkeypatch.setattr(installation, "packages_distributions", lambda: owners)
    monkeypatch.chdir(tmp_path)
    (why,) = installation.shadows()
    assert why.startswith("other-agent has a package `agent` too")


def test_nothing_hides_us_in_our_own_folder(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert not installation.shadows()
