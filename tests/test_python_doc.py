"""That every block of docs/python.md works as it is written, also with nothing but the wheel."""

from __future__ import annotations

import re
import select
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import IO

import pytest
import soundfile

import agent
from agent.weights.catalogue import resolve

ROOT = Path(__file__).parents[1]
DOC = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)
PATIENCE = 120


def block(words: str) -> str:
    """The only block with these words in it."""
    (found,) = [text for text in BLOCKS if words in text]
    return found


def ran(program: str, folder: Path, python: str = sys.executable, *words: str) -> str:
    """What the program prints, run as a file in `folder`."""
    (folder / "program.py").write_text(program, encoding="utf-8")
    command = [python, *words, "program.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def length(program: str) -> int:
    return len(program.splitlines())


def test_the_first_two_programs_are_short():
    assert length(BLOCKS[0]) <= 15
    assert "soundfile.write" in BLOCKS[0]
    assert length(BLOCKS[1]) <= 20
    assert "run_local" in BLOCKS[1]


def test_no_block_is_forgotten():
    assert len(BLOCKS) == 5, "a new one needs its test"


def test_every_call_of_the_table_is_there():
    calls = re.findall(r"^\| `(?:await )?(\w+)", DOC, re.MULTILINE)
    assert {"push_audio", "close", "history", "run_local"} <= set(calls)
    parts = set(calls) - set(dir(agent.Session))
    assert parts == {"stt", "llm", "tts", "vision", "policy", "vad", "endpointing", "tools"}


def test_the_test_of_an_agent_passes(tmp_path: Path):
    (tmp_path / "test_polite.py").write_text(block("test_it_greets"), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_polite.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.model
def test_events_are_printed_while_they_come(tmp_path: Path):
    assert "Paris" in ran(block("events.Token"), tmp_path)


@pytest.mark.model
def test_an_engine_of_ones_own_speaks(tmp_path: Path):
    assert re.search(r"^\d+\.\d\d s: \d+ samples$", ran(block("Parrot"), tmp_path), re.MULTILINE)


def built(folder: Path) -> Path:
    """The wheel, built from the project."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    (wheel,) = folder.glob("backchat-*.whl")
    return wheel


def environment(folder: Path, wheel: Path) -> str:
    """The Python of a new environment that holds the wheel; what it needs is found where it is installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=PATIENCE)
    python = folder / "bin" / "python"
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    others = [path for path in sys.path if path.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join(others), encoding="utf-8")
    return str(python)


@pytest.mark.model
def test_a_conversation_from_a_wav_to_a_wav_with_nothing_but_the_wheel(tmp_path: Path):
    """The wheel in an environment of its own, and its dependencies."""
    for name in ("qwen2.5-0.5b", "whisper-tiny.en", "smart-turn-v3.2"):
        resolve(name)
    python = environment(tmp_path / "env", built(tmp_path))
    where = ran("import agent, audio\nprint(agent.__file__)\nprint(audio.__file__)", tmp_path, python)
    assert all(Path(line).is_relative_to(tmp_path) for line in where.splitlines()), where
    shutil.copy(ROOT / "configs" / "demo" / "question.wav", tmp_path)
    ran(BLOCKS[0], tmp_path, python)
    answer, rate = soundfile.read(tmp_path / "answer.wav")
    assert rate == 24_000
    assert len(answer) > rate / 2
    assert abs(answer).max() > 0.05


@pytest.mark.model
@pytest.mark.device
def test_a_conversation_on_microphone_and_speaker(sound_card, tmp_path: Path):
    (tmp_path / "program.py").write_text(BLOCKS[1], encoding="utf-8")
    command = [sys.executable, "-u", "program.py"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, env=sound_card.env, stdout=pipe, text=True) as program:
        try:
            assert program.stdout is not None
            said = None
            for _ in range(20):  # it loads, then listens: what is said before is not heard
                sound_card.play(ROOT / "configs" / "demo" / "question.wav").wait()
                if ready(program.stdout, 5.0):
                    said = program.stdout.readline()
                    break
            assert said is not None
            assert "capital of France" in said
            assert program.stdout.readline().startswith("agent:")
        finally:
            program.send_signal(signal.SIGINT)
            program.wait(PATIENCE)


def ready(pipe: IO[str], seconds: float) -> bool:
    """Whether something can be read within that time."""
    return bool(select.select([pipe], [], [], seconds)[0])
