"""What C libraries print while a sound device is open reaches nobody; what we print reaches everybody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.commands import COMMANDS, backchat

ROOT = Path(__file__).parents[1]

SOUNDDEVICE = '''
"""PortAudio on a card that works, or does not start, under libraries that never stop talking."""
import os, sys, threading, time
from types import SimpleNamespace
import numpy as np

class PortAudioError(Exception): pass
class CallbackAbort(Exception): pass

default = SimpleNamespace(device=[0, 0])

def query_devices():
    channels = dict(max_input_channels=1, max_output_channels=1)
    return [dict(name="card", hostapi=0, default_samplerate=24000, **channels)]

def query_hostapis():
    return ({"name": "ALSA"},)

class Stream:
    def __init__(self, samplerate, blocksize, callback, finished_callback, **_):
        self.samplerate, self.blocksize, self.callback = samplerate, blocksize, callback
        self.finished, self.open = finished_callback, True
        self.thread = threading.Thread(target=self.run, daemon=True)
        os.write(2, b"ALSA lib: opening\\n")

    def start(self):
        os.write(2, b"ALSA lib: starting\\n")
        if "DEAD" in os.environ:
            os.write(2, b"ALSA lib: the card is gone\\n")
            raise PortAudioError("Unanticipated host error [PaErrorCode -9999]")
        self.thread.start()

    def run(self):
        data, begun = np.zeros((self.blocksize, 1), np.float32), time.monotonic()
        for count in range(1 << 30):
            now = count * self.blocksize / self.samplerate
            time.sleep(max(0.0, begun + now - time.monotonic()))
            os.write(2, b"ALSA lib: underrun occurred\\n")
            if count == 20:
                sys.stderr.write("ours\\n")
            if not self.open:
                return self.finished()
            times = SimpleNamespace(currentTime=now, inputBufferAdcTime=now, outputBufferDacTime=now)
            nothing_lost = SimpleNamespace(output_underflow=False, input_overflow=False)
            self.callback(data, len(data), times, nothing_lost)

    def close(self):
        self.open = False
        if self.thread.ident:
            self.thread.join()
        os.write(2, b"jack server is not running\\n")

InputStream = OutputStream = Stream
'''

PROGRAM = """
import sys; sys.path[:0] = {paths!r}
import scripted, agent.engines.registry
agent.engines.registry.load = lambda *_: scripted.engines(["Why?"], ["Hello there."])
agent.engines.registry.load_one = lambda kind, *_, **__: getattr(agent.engines.registry.load(), kind)
from agent.cli import main; main()
"""

WITH_A_DEVICE = {
    "talk": ["talk", "--plain"],
    "chat": ["chat", "--aloud"],
    "say": ["say", "Hello there, this takes a second."],
}
"""Every command that opens a sound device, and how."""


def start(words: list[str], folder: Path, **env: str) -> subprocess.Popen[str]:
    (folder / "sounddevice.py").write_text(SOUNDDEVICE)
    program = PROGRAM.format(paths=[str(folder), str(ROOT), str(ROOT / "tests")])
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-u", "-c", program, *words],
        env=os.environ | env,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
    )


def test_no_command_with_a_device_is_left_out():
    devices = {"microphone", "speaker", "device"}
    commands = {name: backchat.get_command(None, name) for name in COMMANDS}
    # `mcp` opens one when another program asks it to: test_mcp_device.py.
    found = {name for name, command in commands.items() if devices & {p.name for p in command.params}}
    assert found == {*WITH_A_DEVICE, "mcp"}


@pytest.mark.parametrize("name", WITH_A_DEVICE)
def test_only_what_we_say_reaches_standard_error_while_a_device_is_open(name: str, tmp_path: Path):
    with start(WITH_A_DEVICE[name], tmp_path) as process:
        if name == "talk":
            assert any("listening" in line for line in process.stdout), process.stderr.read()
            assert process.stderr.readline() == "ours\n"  # at once, not when it is over
            assert process.stderr.readline() == "ours\n"  # the microphone's
            process.send_signal(signal.SIGINT)
        _, err = process.communicate("Hello.\n" if name == "chat" else None, timeout=60)
    closing = "\nsound: nothing lost; speaker latency 0 ms\n\nstopped\n"
    assert err == ("ours\n" if name != "talk" else closing)
    assert process.returncode == (130 if name == "talk" else 0)


@pytest.mark.parametrize("name", WITH_A_DEVICE)
def test_why_a_device_does_not_open_is_told_in_the_last_words_of_the_libraries(name: str, tmp_path: Path):
    with start(WITH_A_DEVICE[name], tmp_path, DEAD="1") as process:
        _, err = process.communicate(timeout=60)
    assert err == (
        "backchat: 'card' cannot be started (Unanticipated host error [PaErrorCode -9999]: "
        "ALSA lib: the card is gone); choose another (`backchat devices` lists what there is)\n"
    )
    assert process.returncode == 3
