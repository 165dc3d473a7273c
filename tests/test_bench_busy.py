"""The parts of scripts/bench busy: the crowd, the other commit's tree, and what is judged."""

from __future__ import annotations

import importlib
import subprocess
from pathlib import Path
from types import ModuleType

import psutil
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("benchmarks.busy")


def test_the_crowd_computes_and_is_gone_afterwards(busy: ModuleType) -> None:
    with busy.crowd(2) as processes:
        seen = [psutil.Process(process.pid) for process in processes]
        for each in seen:
            while each.cpu_times().user < 0.05:
                assert each.is_running()
    assert not any(each.is_running() for each in seen)


def test_another_commits_tree_is_measured_and_taken_away(
    busy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row comes from the packages of that tree; one that fails, or takes too long, is told as such."""
    tree = tmp_path / "repository"
    (tree / "scripts" / "benchmarks").mkdir(parents=True)
    (tree / "agent").mkdir()
    (tree / "agent" / "__init__.py").write_text("")
    (tree / "scripts" / "benchmarks" / "__init__.py").write_text("")
    (tree / "scripts" / "benchmarks" / "results.py").write_text("class Results: pass\n")
    named = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], [*named, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *words], cwd=tree, check=True)
    monkeypatch.chdir(tree)
    with busy.checkout("HEAD") as other:
        assert (other / "agent" / "__init__.py").exists()
        assert other != tree
        assert busy.measured(other, "no-model") == {"failed": "exit status 1"}
        monkeypatch.setattr(busy, "LIMIT", 0.001)
        assert busy.measured(other, "no-model") == {"failed": "not done after 0.001 s"}
    assert not other.exists()
    listed = subprocess.run(["git", "worktree", "list"], cwd=tree, capture_output=True, text=True)
    assert len(listed.stdout.splitlines()) == 1


def test_targets_are_for_this_build_and_a_row_that_failed_meets_none(busy: ModuleType) -> None:
    good = {"voice to voice": 0.5, "gap": 0.0, "tokens/s": 50.0, "CPU ms a token": 24.0}
    rows = [{"build": "this", "busy": count, **good} for count in busy.BUSY]
    other = [{"build": "v1", "busy": count, "failed": "exit status 1"} for count in busy.BUSY]
    assert all(target.met for target in busy.judged([*rows, *other]).targets)
    rows[busy.BUSY.index(2)] = {"build": "this", "busy": 2, "failed": "not done after 150 s"}
    missed = [target.what for target in busy.judged(rows).targets if not target.met]
    assert len(missed) == 4
    assert not any(what.endswith(("beside 0", "beside 4")) for what in missed)
