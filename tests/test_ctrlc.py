"""Ctrl-C at a terminal, at a few moments of commands that load; `scripts/bench ctrlc` presses more often."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.weights.catalogue import cache_dir, resolve
from pressing import answering, press

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-c", "from agent.cli import main; main()")


def test_nothing_is_imported_before_the_system_acts_on_it():
    """Until then Ctrl-C is a traceback of what is being imported, 8 ms of it before."""
    found = (
        "import sys; before = set(sys.modules); import agent.cli; print(*sorted(set(sys.modules) - before));"
        "import agent.signals as ours, signal;"
        "ours.heeded = lambda files: print(signal.getsignal(2)) or exit();"
        "agent.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", found], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["__future__", "agent", "agent.cli", "0"]


@pytest.mark.model
@pytest.mark.parametrize(
    "words", [("chat",), ("doctor",), ("serve", "--port", "0")], ids=lambda words: words[0]
)
@pytest.mark.parametrize("moment", [0.15, 0.5, 0.9, 1.3])
def test_it_ends_at_once_whatever_is_being_loaded(words: tuple[str, ...], moment: float):
    for model in ("smollm2", "whisper-tiny.en"):
        resolve(model)
    env = os.environ | {"PYTHONPATH": str(ROOT), "BACKCHAT_CACHE": str(cache_dir()), "TERM": "xterm-256color"}
    assert press([*COMMAND, *words, "--llm", "smollm2"], env, moment).fault == ""


SLOW_SERVER = (
    "import sys; sys.path[:0] = {paths!r}\n"
    "import serving, agent.server.pool as pool\n"
    "pool.load_pool = lambda config, *_: serving.pool([''], ['A word ' * 50], config=config, token=4.0)\n"
    "from agent.cli import main; main()"
)


def test_a_second_one_ends_a_server_that_still_answers():
    """At once, though its model computes for 4 s without a pause."""
    program = SLOW_SERVER.format(paths=[str(ROOT), str(ROOT / "tests")])
    command = [sys.executable, "-c", program, "serve", "--port", "0"]
    told = press(command, os.environ | {"TERM": "xterm"}, 0.1, after="http://", then=answering, twice=1.1)
    assert not told.over  # the first one is heeded in order: the answer is to be finished
    assert told.fault == ""


def test_a_server_whose_time_for_answers_is_up_ends_in_order_and_waits_for_no_engine():
    """Its model computes for 9 s without a pause; of that nothing is told but that the server stops."""
    program = SLOW_SERVER.format(paths=[str(ROOT), str(ROOT / "tests")]).replace("token=4.0", "token=9.0")
    words = ["serve", "--port", "0", "--set", "server.drain_timeout=0.2"]
    command = [sys.executable, "-c", program, *words]
    told = press(command, os.environ | {"TERM": "xterm"}, 0.1, after="http://", then=answering)
    assert told.status == 0  # None if it had to be killed, after 6 s
    assert told.restored
    lines = [json.loads(line) for line in told.said.replace("^C", "").splitlines() if line.strip()]
    assert [line["what"] for line in lines] == ["stopping"]
