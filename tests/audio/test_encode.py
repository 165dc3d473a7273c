"""Sound as bytes while it is made: every format decodes to what was fed, and comes before the end."""

from __future__ import annotations

import io
import wave

import hypothesis.strategies as some
import numpy as np
import pytest
import soundfile
from hypothesis import given

from audio.encode import ENDINGS, FORMATS, Encoder, Format, whole
from audio.files import stream_bytes
from audio.frame import Samples, resample
from audio.pcm import from_pcm16, pcm16

RATE = 24_000


def tone(seconds: float) -> Samples:
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.4 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)


def read(data: bytes) -> tuple[Samples, int]:
    """A whole file's samples and their rate: as others read it, where soundfile can.

    It knows no AAC, and of a FLAC that does not say how long it is no more than the beginning.
    """
    if data[:4] == b"fLaC" or (data[0] == 0xFF and data[1] & 0xF6 == 0xF0):
        return np.concatenate(list(stream_bytes(data, "it", RATE, 60.0))), RATE
    return soundfile.read(io.BytesIO(data), dtype="float32")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_decodes_to_what_was_fed(kind: Format):
    encoder, parts = Encoder(kind, RATE), []
    for start in range(0, 3 * RATE, 5000):
        parts.append(encoder.feed(tone(3.0)[start : start + 5000]))
    early = sum(map(len, parts))
    data = b"".join([*parts, encoder.finish()])
    assert early > 0.5 * len(data), "it came at the end, not while it was made"
    if kind == "pcm":
        decoded = from_pcm16(data)
    else:
        decoded, rate = read(data)
        assert rate == RATE if kind != "opus" else rate in (RATE, 48_000)
        decoded = decoded[:: rate // RATE]
    assert len(decoded) == pytest.approx(3 * RATE, abs=0.15 * RATE)
    middle = decoded[RATE : 2 * RATE]
    assert float(np.sqrt(np.mean(middle**2))) == pytest.approx(0.4 / 2**0.5, rel=0.05)


def test_a_wav_without_a_length_is_read_to_its_end():
    encoder = Encoder("wav", RATE)
    data = encoder.feed(tone(0.5)) + encoder.feed(tone(0.5)) + encoder.finish()
    assert data.count(b"RIFF") == 1
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        assert len(file.readframes(10 * RATE)) == 2 * RATE


@given(some.lists(some.floats(-2, 2, width=32), max_size=50))
def test_samples_survive_as_16_bit(values: list[float]):
    samples = np.array(values, np.float32)
    back = from_pcm16(pcm16(samples))
    assert np.allclose(back, np.clip(samples, -1, 1), atol=1e-4)


def test_half_a_sample_is_left_out():
    assert len(from_pcm16(b"\x00\x00\x01")) == 1


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_takes_every_voice_s_rate(kind: Format, rate: int):
    """Opus knows neither 22,050 nor 44,100 Hz, and a Piper voice has the first."""
    samples = (0.4 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.float32)
    encoder = Encoder(kind, rate)
    data = encoder.feed(samples[: rate // 2]) + encoder.feed(samples[rate // 2 :]) + encoder.finish()
    if kind == "pcm":
        seconds = len(data) / 2 / rate
    else:
        decoded, got = read(data)
        seconds = len(decoded) / got
    assert seconds == pytest.approx(1.0, abs=0.1)


CONTENT = {
    ".wav": ("WAV", "PCM_16", 0.001),
    ".flac": ("FLAC", "PCM_16", 0.001),
    ".aiff": ("AIFF", "PCM_16", 0.001),
    ".aif": ("AIFF", "PCM_16", 0.001),
    ".mp3": ("MP3", "MPEG_LAYER_III", 0.02),
    ".ogg": ("OGG", "VORBIS", 0.05),
    ".oga": ("OGG", "VORBIS", 0.05),
    ".opus": ("OGG", "OPUS", 0.05),
}


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_name_s_ending_is_the_format_that_is_written(ending: str, rate: int):
    """In full: as long as what was given, and the same at the same places."""
    kind, subtype, error = CONTENT[ending]
    t = np.arange(2 * rate) / rate
    samples = (0.4 * np.sin(2 * np.pi * 440 * t) * (t > 0.5)).astype(np.float32)
    with soundfile.SoundFile(io.BytesIO(whole(samples, rate, ending))) as file:
        assert (file.format, file.subtype, file.channels) == (kind, subtype, 1)
        back, got = file.read(dtype="float32"), file.samplerate
    assert got == rate or subtype == "OPUS"
    back = resample(back, got, rate)
    assert len(back) == pytest.approx(2 * rate, abs=2)
    count = min(len(back), 2 * rate)
    off = back[:count] - samples[:count]
    assert float(np.sqrt(np.mean(off**2))) < error


def test_what_is_too_loud_is_clipped_and_does_not_wrap():
    back, _ = soundfile.read(io.BytesIO(whole(np.array([3.0, -3.0], np.float32), 16_000, ".wav")))
    assert back == pytest.approx([1.0, -1.0], abs=1e-4)
