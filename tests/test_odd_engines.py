"""Engines of other packages that raise, hang or give nonsense, in commands that hold no spoken talk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-c", "from agent.cli import main; main()")
PLUGIN = """
import time


class LLM:
    count = 0

    def prefill(self, messages):
        pass

    def stream(self, messages):
        LLM.count += 1
        yield "One "
        if LLM.count == 1:
            yield from self.odd()
        yield "two."


class Raising(LLM):
    def odd(self):
        raise RuntimeError("no more paper\\\\nin the tray")


class Nonsense(LLM):
    def odd(self):
        yield 5


class Hanging(LLM):
    def odd(self):
        time.sleep(3.0)
        yield "late "


class Deaf(LLM):
    def stream(self, messages):
        raise KeyError("key")


class Voice:
    rate = 16000
    language = ""

    def stream(self, text):
        raise RuntimeError("hoarse")


class Silent(Voice):
    def stream(self, text):
        time.sleep(3.0)
        return iter(())
"""
POINTS = """
[backchat.llm]
raising = odd_engines:Raising
nonsense = odd_engines:Nonsense
hanging = odd_engines:Hanging
deaf = odd_engines:Deaf
[backchat.tts]
hoarse = odd_engines:Voice
silent = odd_engines:Silent
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Another package, installed as far as importlib.metadata can see."""
    (tmp_path / "odd_engines.py").write_text(PLUGIN)
    info = tmp_path / "odd_engines-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-engines\nVersion: 1\n")
    (info / "entry_points.txt").write_text(POINTS)
    return os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"}


def ended(env: dict[str, str], *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], env=env, input=given, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("engine", "first", "said"),
    [
        ("raising", "One ", "the llm engine failed: RuntimeError: no more paper"),
        ("nonsense", "One ", "the llm engine failed: AttributeError"),
        ("deaf", "", "the llm engine failed: KeyError: 'key'"),
        ("hanging", "One ", "the llm engine gave nothing for 0.5 s"),
    ],
)
def test_an_engine_that_fails_costs_its_answer_and_not_the_chat(env, engine: str, first: str, said: str):
    done = ended(
        env, "chat", "--set", f"llm.engine={engine}", "--set", "limits.token=0.5", given="Hi.\nGo on.\n"
    )
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"backchat: {said}")
    assert done.returncode == 0
    answers = done.stdout.split("\n")
    assert answers[0] == first
    if engine == "deaf":
        assert len(lines) == 2
    else:
        assert (answers[1], len(lines)) == ("One two.", 1)


def test_ctrl_c_stops_the_answer_of_an_engine_that_hangs_and_then_the_chat(env):
    command = [*COMMAND, "chat", "--set", "llm.engine=hanging"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            process.stdin.write("Hi.\n")
            process.stdin.flush()
            assert process.stdout.read(4) == "One "
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == " [stopped]\n"
            process.stdin.write("Go on.\n")
            process.stdin.flush()
            assert process.stdout.readline() == "One two.\n"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
            assert (process.returncode, out, err.strip()) == (130, "", "stopped")
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("hoarse", "the tts engine failed: RuntimeError: hoarse"),
        ("silent", "the tts engine gave nothing for 0.5 s"),
    ],
)
def test_a_voice_that_fails_is_one_line_of_say(env, tmp_path: Path, engine: str, said: str):
    out = tmp_path / "out.wav"
    settings = ("--set", f"tts.engine={engine}", "--set", "limits.speech=0.5")
    done = ended(env, "say", "Hello.", "-o", str(out), *settings)
    assert (done.returncode, done.stdout) == (7, "")
    assert done.stderr.startswith(f"backchat: {said}")
    assert done.stderr.count("\n") == 1
    assert not out.exists()
