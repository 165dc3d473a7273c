"""No library that a conversation loads counts its user: onnxruntime writes nothing that it could send."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

QUIET_ANYWAY = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
"""Where one of the first three is set onnxruntime is silent by itself, and a test would show nothing."""


def left_by(code: str, home: Path) -> list[str]:
    """The files that a process leaves in the home of its user, which nobody has set up for a test."""
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in QUIET_ANYWAY}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=kept | {"HOME": str(home)})
    return [path.name for path in home.rglob("*") if path.is_file()]


def test_onnxruntime_keeps_nothing_of_who_uses_it(tmp_path: Path):
    assert left_by("import agent.errors, onnxruntime", tmp_path / "ours") == []
    assert left_by("import audio, onnxruntime", tmp_path / "samples") == []
