"""Pictures on the command line: `run --image` and `chat --image` as a user types them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pictures

ROOT = Path(__file__).parents[1]


def backchat(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from agent.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=ROOT, input=typed, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("command", [("run", "configs/demo/question.wav"), ("chat",)])
def test_a_bad_picture_is_one_line_before_anything_is_loaded(command: tuple[str, ...], tmp_path: Path):
    (tmp_path / "sign.png").write_text("no picture")
    done = backchat(*command, "--image", str(tmp_path / "sign.png"))
    assert done.returncode == 2
    assert done.stderr == f"backchat: {tmp_path}/sign.png: no picture; give a PNG, JPEG or WebP\n"


@pytest.mark.model
def test_what_a_sign_says_is_answered_in_print(tmp_path: Path):
    path = tmp_path / "sign.jpg"
    path.write_bytes(pictures.encoded(pictures.sign("NO PARKING").rotate(5, fillcolor="grey"), "JPEG"))
    done = backchat("chat", "--image", str(path), typed="What does this sign say?\n")
    assert done.returncode == 0, done.stderr
    assert "no parking" in done.stdout.lower()


@pytest.mark.model
def test_what_a_sign_says_is_answered_aloud(tmp_path: Path):
    import numpy as np

    from agent.config import load
    from agent.conversation.speak import render
    from agent.engines.registry import load_one
    from audio.files import write_wav

    voice = load_one("tts", load())
    write_wav(tmp_path / "q.wav", np.asarray(render("What does this sign say?", voice)), voice.rate)
    (tmp_path / "sign.png").write_bytes(pictures.encoded(pictures.sign("WET FLOOR", back="yellow")))
    out = tmp_path / "out"
    done = backchat("run", str(tmp_path / "q.wav"), "--image", str(tmp_path / "sign.png"), "-o", str(out))
    assert done.returncode == 0, done.stderr
    transcript = (out / "transcript.md").read_text()
    assert "wet floor" in transcript.lower()
    assert '"event": "seen"' in (out / "events.jsonl").read_text()
