"""Proof that the virtual sound card of the device tests carries sound both ways. Knows no code of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.device

TONE = 1000.0

PLAY = """
import numpy as np, sounddevice as sd
names = [d["name"] for d in sd.query_devices()]
assert "default" in names, names
t = np.arange(48000) / 48000
sd.play((0.5 * np.sin(2 * np.pi * 1000.0 * t)).astype("float32"), 48000, blocking=True)
"""

HEAR = """
import sys, numpy as np, sounddevice as sd
with sd.InputStream(samplerate=16000, channels=1, dtype="float32") as stream:
    print("listening", flush=True)
    heard = stream.read(24000)[0][:, 0]
np.save(sys.argv[1], heard)
"""


def tone_share(samples: np.ndarray, rate: int) -> float:
    """How much of the energy lies within 20 Hz of the tone, 0 to 1."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    near = np.abs(np.fft.rfftfreq(len(samples), 1 / rate) - TONE) < 20
    return float(power[near].sum() / max(power.sum(), 1e-9))


def test_speaker_is_recorded(sound_card, tmp_path: Path):
    wav = tmp_path / "speaker.wav"
    with sound_card.record(wav):
        subprocess.run([sys.executable, "-c", PLAY], env=sound_card.env, check=True, timeout=30)
    samples, rate = soundfile.read(wav, dtype="float32")
    loud = samples[np.abs(samples[:, 0]) > 0.01, 0]
    assert len(loud) > 0.8 * rate
    assert np.abs(loud).max() == pytest.approx(0.5, abs=0.05)
    assert tone_share(samples[:, 0], rate) > 0.95


def test_microphone_hears_what_is_played_to_it(sound_card, tmp_path: Path):
    wav, heard = tmp_path / "said.wav", tmp_path / "heard.npy"
    t = np.arange(3 * 16000) / 16000
    soundfile.write(wav, 0.5 * np.sin(2 * np.pi * TONE * t), 16000)
    command = [sys.executable, "-c", HEAR, str(heard)]
    with subprocess.Popen(command, env=sound_card.env, stdout=subprocess.PIPE) as listener:
        assert listener.stdout.readline() == b"listening\n"
        with sound_card.play(wav) as player:
            assert listener.wait(timeout=30) == 0
            player.terminate()
    assert tone_share(np.load(heard)[8000:], 16000) > 0.95
