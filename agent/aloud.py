"""A text said aloud, without a conversation: the speaking half of the data path. Knows no turns."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import numpy as np

from agent.bridge import Bridge, run_real
from agent.chunker import Chunker
from agent.settings import Config
from agent.speakable import Speakable
from audio.frame import Samples, silence
from audio.playback import Playback
from audio.tts import Speech, Synthesizer


def speak(text: str, voice: Synthesizer) -> Iterator[Speech]:
    """`text` as speech, piece by piece, as a reply would be said. Raises EngineFault."""
    chunker, speakable = Chunker(), Speakable()
    for piece in [*chunker.feed(text), *chunker.flush()]:
        yield from voice.stream(speakable.say(piece.text).text)


def render(text: str, voice: Synthesizer) -> Samples:
    """All of `text` as samples at the voice's rate, float32, shape (n,)."""
    parts = [speech.samples for speech in speak(text, voice)]
    return np.concatenate(parts) if parts else silence(0, voice.rate)


def play(text: str, voice: Synthesizer, config: Config, device: str | None) -> None:
    """Say `text` through a speaker, beginning with its first piece. Raises DeviceError, EngineFault."""
    run_real(_play, text, voice, config, device)


async def _play(text: str, voice: Synthesizer, config: Config, device: str | None) -> None:
    from audio.devices import Speaker

    bridge, playback, limit = Bridge(), Playback(), config.limits.speech
    track = playback.open()
    async with Speaker(device, playback.read, playback.rate, bridge.now):
        async with bridge.stream("tts", lambda: speak(text, voice), limit, limit) as parts:
            async for speech in parts:
                playback.play(track, speech.samples, speech.rate)
                while track.queued > config.reply.ahead:
                    await anyio.sleep(0.05)
        playback.finish(track)
        while track.finished is None or bridge.now() < track.finished:
            await anyio.sleep(0.02)
