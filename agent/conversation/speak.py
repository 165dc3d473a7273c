"""A text said aloud, without a conversation: the speaking half of the data path. Knows no turns."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import numpy as np

from agent.errors import RequestError
from agent.runner import Runner, run_real
from agent.settings import Config
from agent.text.chunker import LETTERS_A_SECOND, Chunker, TextChunk
from agent.text.cleaning import cleaned
from agent.text.spoken_form import TextNormalizer
from audio.frame import Samples
from audio.playback import Playback
from audio.tts import Speech, Synthesizer

PART = 256
"""Characters that are looked at together with a chunk that is not complete yet."""


def speak(text: str, voice: Synthesizer) -> Iterator[Speech]:
    """`text` as speech, chunk by chunk, as a reply would be said. Raises EngineFault.

    Raises RequestError where in all of it there is nothing that the voice can say.
    """
    normalizer, spoken = TextNormalizer(voice.language), False
    for chunk in chunks(cleaned(text), voice.language):
        for speech in voice.stream(normalizer.say(chunk.text).text):
            spoken = True
            yield speech
    if not spoken:
        raise unspeakable(text)


def unspeakable(text: str) -> RequestError:
    """What to raise where in this text there is nothing that the voice can say."""
    shown = " ".join(cleaned(text).split())
    shown = shown if len(shown) <= 40 else f"{shown[:40]}..."
    return RequestError(
        f"nothing in {shown!r} can be said aloud by this voice; give it words or numbers",
        code="unspeakable",
    )


def chunks(text: str, language: str = "en") -> Iterator[TextChunk]:
    """A whole text cut as a reply is that comes at once, little of it at a time: that costs a lot less."""
    chunker, ahead = Chunker(language=language), 0.0
    for start in range(0, len(text), PART):
        for chunk in chunker.feed(text[start : start + PART], ahead):
            ahead = chunk.end / LETTERS_A_SECOND
            yield chunk
    yield from chunker.flush()


def render(text: str, voice: Synthesizer) -> Samples:
    """All of `text` as samples at the voice's rate, float32, shape (n,). Raises as `speak` does."""
    return np.concatenate([speech.samples for speech in speak(text, voice)])


def render_in_time(text: str, voice: Synthesizer, config: Config) -> Samples:
    """As `render`, for a program that does nothing else: whatever the voice raises is EngineFault.

    Raises EngineStalled where it gives nothing for `limits.speech` seconds.
    """
    return run_real(_render, text, voice, config.limits.speech)


async def _render(text: str, voice: Synthesizer, limit: float) -> Samples:
    async with Runner().stream("tts", lambda: speak(text, voice), limit, limit) as parts:
        return np.concatenate([speech.samples async for speech in parts])


def play(text: str, voice: Synthesizer, config: Config, device: str | None) -> int:
    """Say `text` through a speaker, beginning with its first chunk. Raises DeviceError, or as `speak`.

    Returns how many gaps the speaker has torn, because it was not given its sound in time.
    """
    return run_real(_play, text, voice, config, device)


async def _play(text: str, voice: Synthesizer, config: Config, device: str | None) -> int:
    from audio.devices.live import Speaker

    runner, playback, limit = Runner(), Playback(), config.limits.speech
    track = playback.open()
    async with Speaker(device, playback.read, playback.rate, runner.now) as speaker:
        async with runner.stream("tts", lambda: speak(text, voice), limit, limit) as parts:
            async for speech in parts:
                playback.play(track, speech.samples, speech.rate)
                while track.queued > config.reply.ahead:
                    await anyio.sleep(0.05)
        playback.finish(track)
        while track.finished is None or runner.now() < track.finished:
            await anyio.sleep(0.02)
        return speaker.underflows
