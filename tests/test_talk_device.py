"""A live conversation on a virtual sound card: asked, answered aloud, talked over, ended by Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from agent.reports.event_log import read_events
from agent.weights.catalogue import resolve
from audio.files import read_channels
from live_talk import DEMO, PATIENCE, ROOT, TALK, events, named, talking, until_it_speaks

pytestmark = [pytest.mark.device, pytest.mark.model]


def loudest(samples: np.ndarray, rate: int, start: float, end: float) -> float:
    """The loudest 20 ms between two moments (s), as root mean square in dBFS."""
    part = samples[round(start * rate) : round(end * rate)]
    step = rate // 50
    blocks = part[: len(part) - len(part) % step].reshape(-1, step)
    return float(20 * np.log10(max(np.sqrt((blocks**2).mean(axis=1)).max(), 1e-6)))


def test_a_live_conversation(sound_card, tmp_path: Path):
    resolve("smollm2"), resolve("whisper-tiny.en")
    folder, speaker = tmp_path / "kept", tmp_path / "speaker.wav"
    with sound_card.record(speaker), talking(sound_card, "--record", folder) as talk:
        talk.wait_for("listening")
        time.sleep(2.0)
        sound_card.play(DEMO / "question.wav").wait()
        asked = talk.wait_for("user")
        talk.wait_for("agent")
        sound_card.play(DEMO / "story.wav").wait()
        talk.wait_for("user")
        until_it_speaks(speaker)
        time.sleep(1.5)
        sound_card.play(DEMO / "interrupt.wav").wait()
        talk.wait_for("agent")
        talk.wait_for("user")
        talk.wait_for("agent")
        talk.process.send_signal(signal.SIGINT)
        assert talk.process.wait(timeout=PATIENCE) == 130
        talk.wait_for("stopped")
    assert "capital of France" in asked
    assert not any("Traceback" in line for line in talk.seen), talk.seen
    assert {path.name for path in folder.iterdir()} >= {"conversation.wav", "events.jsonl", "transcript.md"}

    found = events(folder)
    (cut,) = named(found, "interrupted")
    audible = {event["turn"]: event["time"] for event in named(found, "audio_started")}
    kept, rate = soundfile.read(folder / "conversation.wav", dtype="float32")
    user, agent = kept[:, 0], kept[:, 1]
    assert loudest(user, rate, 0, cut["time"]) > -40
    for at in audible.values():
        assert loudest(agent, rate, at, at + 1.5) > -40
    assert loudest(agent, rate, 0, min(audible.values()) - 0.3) < -50
    following = min(at for turn, at in audible.items() if turn > cut["turn"])
    assert loudest(agent, rate, cut["time"] + 0.3, following - 0.3) < -50

    played, played_rate = soundfile.read(speaker, dtype="float32")
    mono = played.mean(axis=1)
    assert loudest(mono, played_rate, 0, len(mono) / played_rate) > -40
    silences = quiet_stretches(mono, played_rate)
    assert max(silences) > 0.8 * (following - cut["time"])
    assert len(named(found, "session_started")) == 1


def quiet_stretches(samples: np.ndarray, rate: int) -> list[float]:
    """Seconds of each stretch below -50 dBFS that lies between two louder ones."""
    step = rate // 50
    blocks = samples[: len(samples) - len(samples) % step].reshape(-1, step)
    loud = np.flatnonzero(np.sqrt((blocks**2).mean(axis=1)) > 10 ** (-50 / 20))
    return [0.02 * (gap - 1) for gap in np.diff(loud) if gap > 1]


@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_conversation_that_is_ended_from_outside_is_kept(sound_card, tmp_path: Path, how: str):
    """A closed terminal, a system that shuts down, a crash: both voices and the events are there."""
    folder = tmp_path / "kept"
    number = getattr(signal, how)
    with talking(sound_card, "--record", folder) as talk:
        talk.wait_for("listening")
        time.sleep(2.0)
        sound_card.play(DEMO / "question.wav").wait()
        talk.process.send_signal(number)
        code = talk.process.wait(timeout=PATIENCE)
    assert code == (-number if how == "SIGKILL" else 128 + number)
    user, agent = read_channels(folder / "conversation.wav")
    assert user.duration > 2.0
    assert len(agent.samples) == len(user.samples)
    assert loudest(user.samples, user.rate, 0, user.duration) > -40
    kinds = {type(event).__name__ for event in read_events(folder / "events.jsonl")}
    assert {"SessionStarted", "SpeechStarted"} <= kinds
    left = {path.name for path in folder.iterdir()} - {"timeline.png"}
    assert left == {"conversation.wav", "events.jsonl"} | (set() if how == "SIGKILL" else {"transcript.md"})


def test_a_folder_that_cannot_be_written_is_one_line(sound_card, tmp_path: Path):
    (tmp_path / "file").touch()
    with talking(sound_card, "--record", tmp_path / "file" / "below") as talk:
        line = talk.wait_for("cannot be written")
        assert talk.process.wait(timeout=PATIENCE) == 2
    assert line.startswith("backchat: ")
    assert [each for each in talk.seen if "Traceback" in each] == []


def test_say_is_heard_from_the_speaker(sound_card, tmp_path: Path):
    speaker = tmp_path / "speaker.wav"
    env = sound_card.env | {"PYTHONPATH": str(ROOT)}
    with sound_card.record(speaker):
        done = subprocess.run(
            [sys.executable, "-c", TALK, "say", "This is how I sound."],
            env=env,
            timeout=PATIENCE,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    played, rate = soundfile.read(speaker, dtype="float32")
    assert loudest(played.mean(axis=1), rate, 0, len(played) / rate) > -40
