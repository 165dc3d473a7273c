"""Voices whose library is not installed: one line that says what to type."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from audio.errors import MissingExtra
from audio.tts.coqui import Coqui
from audio.tts.kokoro import Kokoro
from audio.tts.mms import MMS
from audio.tts.piper import Piper
from audio.tts.xtts import XTTS


@pytest.fixture
def piper_files(tmp_path: Path) -> Path:
    (tmp_path / "voice.onnx").write_bytes(b"")
    (tmp_path / "voice.onnx.json").write_text(
        '{"audio": {"sample_rate": 22050}, "espeak": {"voice": "en-us"}, "phoneme_id_map": {}, '
        '"num_symbols": 1, "num_speakers": 1}'
    )
    return tmp_path


@pytest.mark.parametrize(
    ("engine", "library", "told"),
    [
        (Piper, "piper.voice", r"scripts/setup piper"),
        (Kokoro, "kokoro_onnx", r"scripts/setup kokoro"),
        (Kokoro, "onnx", r"scripts/setup kokoro"),
        (MMS, "torch", r"scripts/setup torch"),
        (Coqui, "torch", r"scripts/setup coqui"),
        (XTTS, "torch", r"scripts/setup coqui"),
        (Coqui, "onnx", r"scripts/setup coqui"),
    ],
)
def test_it_says_what_to_type(
    engine: type, library: str, told: str, piper_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    if library == "piper.voice":
        monkeypatch.setitem(sys.modules, "piper.config", None)
    with pytest.raises(MissingExtra, match=told):
        engine(weights=piper_files)
