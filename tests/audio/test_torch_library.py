"""torch is loaded with threads that soon sleep when they wait, whoever needs it first."""

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


@pytest.mark.parametrize("engine", CONSTRUCTORS)
def test_openmp_s_threads_spin_for_microseconds_only(engine: str) -> None:
    """OpenMP says itself, as it is loaded, what it was told."""
    program = (
        f"from pathlib import Path\n{CONSTRUCTORS[engine]}\n"
        "try: Engine(weights=Path('nowhere/at/all'), device='cpu')\n"
        "except Exception as error: print(type(error).__name__)\n"
    )
    surroundings = {
        name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=surroundings | {"OMP_DISPLAY_ENV": "verbose", "BACKCHAT_OFFLINE": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "ModelError"
    told = [line for line in done.stderr.splitlines() if "GOMP_SPINCOUNT" in line]
    assert told, done.stderr
    assert all("'20000'" in line for line in told)
