"""What scripts/bench demo reads off a recording."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from audio.files import Recorder
from audio.frame import Frame


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "scripts"))
    return importlib.import_module("benchmarks.demo")


def at(time: float, seconds: float) -> Frame:
    """A voice from `time` (s) on, so long."""
    samples = 0.3 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * 24_000)) / 24_000)
    return Frame(samples.astype(np.float32), 24_000, time)


@pytest.mark.parametrize(
    ("spoken", "silence"),
    [
        ([(2.0, 2.0)], 0.0),
        ([(2.0, 1.0), (3.4, 0.6)], 0.4),  # a full stop
        ([(2.0, 1.0), (4.5, 1.0)], 1.5),  # it ran dry, and went on
    ],
)
def test_a_reply_that_falls_silent_and_goes_on_is_told(
    demo: ModuleType, tmp_path: Path, spoken: list[tuple[float, float]], silence: float
) -> None:
    path = tmp_path / "conversation.wav"
    with Recorder(path) as recorder:
        recorder.user(at(0.0, 1.5))
        for begin, seconds in spoken:
            recorder.agent(at(begin, seconds))
        recorder.user(at(7.0, 1.0))  # what lies before and behind it is no silence of a reply
        recorder.agent(at(8.6, 1.0))
    told = demo.told(path)
    assert told["answered"] == 2
    assert told["longest silence"] == pytest.approx(silence, abs=0.05)
    assert told["worst"] == pytest.approx(0.6, abs=0.05)
