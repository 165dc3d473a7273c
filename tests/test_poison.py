"""Half characters, bytes that are no text, control characters: none makes this turn or a later one fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent import events as ev
from agent.config import load
from agent.messages import Message
from agent.protocols import Description
from agent.reports.event_log import read_events, write_events
from agent.simulation.scenario import read

ROOT = Path(__file__).parents[1]
CHAT = (
    f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'tests')]!r}\n"
    "import scripted, agent.engines.registry\n"
    "class Model(scripted.ScriptedLLM):\n"
    "    def stream(self, messages):\n"
    "        ''.join(message.content for message in messages).encode()\n"
    "        yield from super().stream(messages)\n"
    "agent.engines.registry.load_one = lambda *_, **__: Model(['na\\u00efve \\U0001f600 \\x1b[2Jend.'])\n"
    "from agent.cli import main\n"
    "sys.argv = ['backchat', 'chat']\n"
    "main()\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "utf-8:strict"])
def test_chat_goes_on_after_bytes_that_are_no_text(encoding: str, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", CHAT],
        input=b"caf\xe9 \x00\x1b[31m\xff\nAgain.\n",
        capture_output=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C"},
    )
    assert (done.returncode, done.stderr) == (0, b""), done
    assert done.stdout.count(b"end.") == 2
    assert b"\x1b" not in done.stdout


def test_what_models_are_asked_can_be_encoded():
    assert Message("user", "caf\udce9 \ud83d\ude00 \x00\u202e").content == "caf\ufffd 😀 "
    assert Description("a\x00", "\ud83d", "\x1b[2J").asked("x")[1].content == "\ufffd"


def test_settings_and_scenarios_are_clean(tmp_path: Path):
    assert load(None, ["session.system=Be \udcff brief."]).session.system == "Be \ufffd brief."
    file = tmp_path / "a.toml"
    file.write_text('\ufeff[session]\nsystem = "a\\u0000b\\u001b[2Jc"\n', encoding="utf-8")
    assert load(file).session.system == "abc"
    file.write_text('\ufeffabout = "x\\u202e"\n[[line]]\nsay = "Hi\\u0000 there"\n', encoding="utf-8")
    assert (read(file).about, read(file).line[0].say) == ("x", "Hi there")


def test_the_event_log_takes_and_gives_whatever_there_is(tmp_path: Path):
    file = tmp_path / "events.jsonl"
    write_events(file, [ev.Token(1.0, 1, "half \ud83d"), ev.Error(1.0, "vision", "caf\udce9.png: \x1b[2J")])
    assert json.loads(file.read_text().splitlines()[1])["text"] == "half \ud83d"
    token, error = read_events(file)
    assert isinstance(token, ev.Token)
    assert token.text == "half \ufffd"
    assert isinstance(error, ev.Error)
    assert error.message == "caf\ufffd.png: "
