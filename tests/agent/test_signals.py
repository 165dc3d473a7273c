"""What a signal does to a program that heeds it: at once, in order, twice, in a thread, when ignored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pressing import press

ROOT = Path(__file__).parents[2]
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
HEEDING = (
    "import sys, time, signal, threading\nfrom agent import signals\n"
    "heeded = signals.heeded()\nheeded.__enter__()\n"
)
READY = "print('ready', flush=True)\n"


def ended(program: str, *numbers: int, between: float = 0.0, before: str = "") -> tuple[int, str, str, float]:
    """Run `program`, send the signals once it says "ready": status, output, errors, seconds it took."""
    command = [sys.executable, "-c", before + HEEDING + program]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            began = time.monotonic()
            for count, number in enumerate(numbers):
                time.sleep(between if count else 0.0)
                process.send_signal(number)
            out, err = process.communicate(timeout=20)
            return process.returncode, out, err, time.monotonic() - began
        finally:
            process.kill()


KEEPS_THE_INTERPRETER = READY + "import re\nre.match(r'(a|aa)+$', 'a' * 60 + 'b')\n"
"""A call into C that takes for ever and lets no other Python run, as llama.cpp's load does for a while."""


@pytest.mark.parametrize("name", NAMES)
def test_it_ends_at_once_even_where_python_cannot_run(name: str):
    number = signal.Signals[name]
    status, out, err, took = ended(KEEPS_THE_INTERPRETER, number)
    assert (status, out, err) == (-number, "", "")
    assert took < 1.0


@pytest.mark.parametrize("name", NAMES)
def test_what_is_orderly_is_finished_and_the_status_is_the_signals(name: str):
    program = (
        "try:\n with signals.orderly():\n  " + READY + "  time.sleep(9)\n"
        "finally:\n print('saved', signals.received())\n"
    )
    number = signal.Signals[name]
    status, out, err, _ = ended(program, number)
    assert out == f"saved {128 + number}\n"
    if name == "SIGINT":
        assert err.rstrip().endswith("KeyboardInterrupt")
    else:
        assert (status, err) == (128 + number, "")


def test_a_signal_that_comes_as_all_is_done_is_obeyed():
    """At the end of the input and Ctrl-C at once `chat` ended with 130, and did not say why."""
    program = (
        "import os\nfrom agent.runner import run_real\n"
        "async def main():\n os.kill(os.getpid(), signal.SIGINT)\n"
        + READY
        + "try:\n run_real(main)\nexcept KeyboardInterrupt:\n print('stopped')\n"
    )
    status, out, _, _ = ended(program)
    assert (status, out) == (0, "stopped\n")


def test_a_second_ctrl_c_at_once_does_not_tear_what_the_first_has_begun_to_save():
    program = (
        "try:\n with signals.orderly():\n  " + READY + "  time.sleep(9)\n"
        "except KeyboardInterrupt:\n time.sleep(0.5)\n print('saved')\n"
    )
    status, out, err, _ = ended(program, signal.SIGINT, signal.SIGINT, signal.SIGTERM, between=0.1)
    assert (status, out, err) == (0, "saved\n", "")


def test_a_later_one_ends_what_does_not_end():
    program = (
        "try:\n with signals.orderly():\n  " + READY + "  time.sleep(9)\n"
        "except KeyboardInterrupt:\n time.sleep(9)\n print('never')\n"
    )
    status, out, err, took = ended(program, signal.SIGINT, signal.SIGINT, between=1.2)
    assert (status, out, err) == (130, "", "")
    assert took < 3


def test_an_exception_that_is_swallowed_does_not_keep_the_program():
    """Python prints and forgets what is raised in a finalizer, as a signal's exception may be."""
    program = (
        "class Deaf:\n def __del__(self):\n  " + READY + "  time.sleep(0.5)\n"
        "with signals.orderly():\n Deaf()\n time.sleep(60)\nprint('never')"
    )
    status, out, _, took = ended(program, signal.SIGINT)
    assert status != 0
    assert out == ""
    assert 2 < took < 5


def test_ctrl_c_that_means_a_block_leaves_the_program_alone_and_sigterm_does_not():
    program = (
        "def stop():\n raise KeyboardInterrupt\n"
        "for _ in range(2):\n"
        " try:\n"
        "  with signals.orderly(stop, ends=False):\n   " + READY + "   time.sleep(9)\n"
        " except KeyboardInterrupt:\n  print('stopped', signals.received(), flush=True)\n"
    )
    command = [sys.executable, "-c", HEEDING + program]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert [process.stdout.readline() for _ in range(2)] == ["stopped None\n", "ready\n"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 143


def test_what_is_ignored_stays_ignored():
    """A shell's `nohup` and `&` in a script have asked for that."""
    ignoring = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    program = READY + "time.sleep(0.3)\nwith signals.orderly():\n time.sleep(0.3)\nprint('done')\n"
    assert ended(program, signal.SIGHUP, before=ignoring)[:3] == (0, "done\n", "")


def test_a_program_that_does_not_heed_keeps_pythons_own_signals():
    program = (
        "import signal\nfrom agent import signals\n"
        "with signals.orderly():\n"
        " assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "assert signals.received() is None\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_in_a_thread_nothing_is_changed():
    program = (
        "def work():\n"
        " with signals.orderly():\n  print('ready', flush=True)\n  time.sleep(0.5)\n"
        "thread = threading.Thread(target=work, daemon=True)\nthread.start()\nthread.join()\nprint('never')\n"
    )
    assert ended(program, signal.SIGINT)[:3] == (-signal.SIGINT, "", "")


LETTERS = (
    "import termios\nbefore = termios.tcgetattr(0)\nmodes = termios.tcgetattr(0)\n"
    "modes[3] &= ~(termios.ICANON | termios.ECHO)\ntermios.tcsetattr(0, termios.TCSANOW, modes)\n"
    "print('\\x1b[?25lready', flush=True)\n"
)
STAYS = "with signals.orderly(lambda: None):\n while True: time.sleep(0.1)\n"
BUSY = "with signals.orderly(lambda: re.match(r'(a|aa)+$', 'a' * 60 + 'b')):\n time.sleep(9)\n"


@pytest.mark.parametrize(("how", "twice"), [(STAYS, 1.2), (STAYS, 0.0), ("import re\n" + BUSY, 0.0)])
def test_the_terminal_is_given_back_however_it_ends(how: str, twice: float):
    """By a second press, by the deadline, and by the deadline where Python cannot run."""
    command = [sys.executable, "-c", HEEDING + LETTERS + how]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    told = press(command, env, 0.1, after="ready", twice=twice, meant=lambda _: 130 if twice else 142)
    assert told.restored
    assert told.status == told.meant
