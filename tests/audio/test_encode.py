"""Sound as bytes while it is made: every format decodes to what was fed, and comes before the end."""

from __future__ import annotations

import io
import wave

import hypothesis.strategies as some
import numpy as np
import pytest
import soundfile
from hypothesis import given

from audio.encode import FORMATS, Encoder, Format, from_pcm16, pcm16
from audio.frame import Samples

RATE = 24_000


def tone(seconds: float) -> Samples:
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.4 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)


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
        decoded, rate = soundfile.read(io.BytesIO(data), dtype="float32")
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
