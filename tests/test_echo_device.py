"""A live conversation whose microphone hears the speaker: no self-interruption, and a user is heard."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from agent.weights.catalogue import resolve
from live_talk import DEMO, PATIENCE, events, named, talking

pytestmark = [pytest.mark.device, pytest.mark.model]

ALONE = 20.0
"""Seconds for which the agent is left alone with its own voice."""

ANSWERED = 5.0
"""Seconds after which the answer to the user sounds, also on a busy machine."""


@contextmanager
def looped(card) -> Iterator[None]:
    """The speaker's monitor is mixed into the microphone, as loud as it is played, 40 ms later."""
    words = ["load-module", "module-loopback", f"source={card.speaker}.monitor", f"sink={card.fake_mouth}"]
    loaded = subprocess.run(
        ["pactl", *words, "latency_msec=40"], env=card.env, check=True, capture_output=True, text=True
    )
    try:
        yield
    finally:
        subprocess.run(["pactl", "unload-module", loaded.stdout.strip()], env=card.env, check=True)


def test_its_own_voice_does_not_interrupt_it_and_a_person_does(sound_card, tmp_path: Path):
    resolve("smollm2"), resolve("whisper-tiny.en")
    folder = tmp_path / "kept"
    settings = ("--set", "llm.max_tokens=400", "--set", 'session.system="You tell very long stories."')
    with looped(sound_card), talking(sound_card, "--record", folder, *settings) as talk:
        talk.wait_for("listening")
        time.sleep(2.0)
        sound_card.play(DEMO / "story.wav").wait()
        talk.wait_for("user")
        time.sleep(ALONE)
        sound_card.play(DEMO / "interrupt.wav").wait()
        talk.wait_for("user")
        time.sleep(ANSWERED)
        talk.process.send_signal(signal.SIGINT)
        assert talk.process.wait(timeout=PATIENCE) == 130
    found = events(folder)
    begun = min(event["time"] for event in named(found, "audio_started"))
    cuts = [event["time"] for event in named(found, "interrupted")]
    kept, rate = soundfile.read(folder / "conversation.wav", dtype="float32")
    # The user's channel holds the echo as well, so it is the agent's that tells: held, then given up.
    assert cuts, "the user was not heard"
    assert [at for at in cuts if begun + 1 < at < begun + ALONE - 5] == []
    held = max(event["time"] for event in named(found, "audio_paused") if event["time"] < cuts[-1])
    answered = max(event["time"] for event in named(found, "audio_started"))
    silent = kept[round((held + 0.2) * rate) : round((answered - 0.3) * rate), 1]
    assert np.abs(silent).max() < 10 ** (-50 / 20)
