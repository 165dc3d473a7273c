"""What torch and the model hubs' library are told before they are loaded, whoever needs them first."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CONSTRUCTORS = {
    "whisper-torch": "from audio.stt.transformers import WhisperTorch as Engine",
    "mms": "from audio.tts.mms import MMS as Engine",
    "transformers": "from agent.llm.transformers import Transformers as Engine",
    "vlm": "from agent.llm.vlm import VisionLanguage as Engine",
}


@pytest.fixture(scope="module", params=CONSTRUCTORS)
def offline(request: pytest.FixtureRequest) -> subprocess.CompletedProcess[str]:
    """A process that asks an engine for a hub's model, when that is forbidden."""
    program = (
        "import socket\n"
        "socket.getaddrinfo = lambda *given, **_: print('asked for', given[0])\n"
        f"from pathlib import Path\n{CONSTRUCTORS[request.param]}\n"
        "try: Engine(weights=Path('nobody/nothing'), device='cpu')\n"
        "except Exception as error: print(type(error).__name__)\n"
    )
    told = ("OMP_", "GOMP_", "HF_", "TRANSFORMERS_", "DISABLE_TELEMETRY")
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith(told)}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=surroundings | {"OMP_DISPLAY_ENV": "verbose", "BACKCHAT_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )


def test_offline_means_no_network_at_all(offline: subprocess.CompletedProcess[str]) -> None:
    assert offline.stdout.split("\n") == ["ModelError", ""], offline.stderr


def test_openmp_s_threads_spin_for_microseconds_only(offline: subprocess.CompletedProcess[str]) -> None:
    """OpenMP says itself, as it is loaded, what it was told."""
    told = [line for line in offline.stderr.splitlines() if "GOMP_SPINCOUNT" in line]
    assert told, offline.stderr
    assert all("'20000'" in line for line in told)
