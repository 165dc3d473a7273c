"""What the scripts say of themselves, and that asking them installs nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A clone in which nothing has been set up yet."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", *words], cwd=folder, capture_output=True, text=True, timeout=10)


@pytest.mark.parametrize("script", ["setup", "demo", "test", "check", "bench", "docs", "clip", "clients"])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_told_and_nothing_is_installed(bare: Path, script: str, flag: str):
    done = run(bare, f"scripts/{script}", flag)
    assert (done.returncode, done.stderr) == (0, "")
    first = (bare / "scripts" / script).read_text(encoding="utf-8").splitlines()[1]
    assert done.stdout.startswith(first.removeprefix("# "))
    assert not (bare / ".venv").exists()


def test_bench_names_every_benchmark(bare: Path):
    done = run(bare, "scripts/bench")
    assert done.returncode == 2, "no benchmark was named"
    for file in (ROOT / "scripts" / "benchmarks").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        if "\ndef run(" in text:
            assert f"  {file.stem} " in done.stdout
            assert text.splitlines()[0].strip('"') in done.stdout
    assert not (bare / ".venv").exists()


def test_an_unknown_option_is_refused_before_anything_is_installed(bare: Path):
    done = run(bare, "scripts/setup", "--sond")
    assert done.returncode == 1
    assert "unknown option --sond" in done.stderr
    assert not (bare / ".venv").exists()
