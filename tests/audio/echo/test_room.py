"""The simulated room: its echo's level, delay and tail, its noises, and that only time decides."""

from __future__ import annotations

import numpy as np
import pytest

from audio.echo.room import NOISES, Room
from audio.frame import HEARING_RATE, Frame, Samples, level_dbfs, silence
from audio.resampler import PromptResampler

RATE = 24_000


def telephone_noise(seconds: float, rate: int = RATE) -> Samples:
    """Noise from 300 to 3400 Hz at -20 dBFS."""
    count = round(seconds * rate)
    spectrum = np.fft.rfft(np.random.default_rng(5).standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / rate)
    made = np.fft.irfft(spectrum * ((hertz > 300) & (hertz < 3400)), count)
    return (0.1 * made / np.sqrt(np.mean(made**2))).astype(np.float32)


def heard(
    room: Room, played: Samples, seconds: float, *, rate: int = RATE, early: float = 0.0, block: float = 0.02
) -> Samples:
    """What the microphone hears of `played`, of which each 10 ms are told `early` s before they sound."""
    out: list[Samples] = []
    told, step = 0, rate // 100
    for number in range(round(seconds / block)):
        time = number * block
        while told < len(played) and told / rate < time + block + early - 1e-9:
            room.played(Frame(played[told : told + step], rate, told / rate))
            told += step
        out.append(room.microphone(Frame(silence(block, HEARING_RATE), HEARING_RATE, time)).samples)
    return np.concatenate(out)


def burst(rate: int = RATE) -> Samples:
    samples = silence(0.5, rate)
    samples[: rate // 100] = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate // 100) / rate)
    return samples


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
@pytest.mark.parametrize("echo_db", [-10.0, -30.0])
def test_echo_has_its_level(echo_db: float, rate: int):
    mic = heard(Room(echo_db=echo_db), telephone_noise(3, rate), 3, rate=rate)
    assert level_dbfs(mic[HEARING_RATE:]) == pytest.approx(-20 + echo_db, abs=1.5)


@pytest.mark.parametrize("delay", [0.02, 0.06, 0.2])
def test_echo_comes_after_its_delay(delay: float):
    mic = heard(Room(echo_db=-6, echo_delay=delay, reverb=0.0), burst(), 0.5)
    first = np.flatnonzero(np.abs(mic) > 0.02)[0] / HEARING_RATE
    assert first == pytest.approx(delay, abs=0.002)


def test_reverberation_decays_in_its_time():
    short, long = (heard(Room(echo_db=-6, reverb=r), burst(), 0.6) for r in (0.15, 0.4))
    tail = slice(round(0.2 * HEARING_RATE), round(0.25 * HEARING_RATE))
    assert level_dbfs(short[tail]) < level_dbfs(long[tail]) - 20
    early, late = (level_dbfs(long[round(t * 16000) : round((t + 0.05) * 16000)]) for t in (0.1, 0.3))
    assert early - late == pytest.approx(60 * 0.2 / 0.4, abs=5)


def test_frames_may_come_early_late_and_in_any_length():
    voice = telephone_noise(1)
    plain = heard(Room(echo_db=-10), voice, 1.2)
    assert np.allclose(plain, heard(Room(echo_db=-10), voice, 1.2, early=0.1), atol=1e-6)
    assert np.allclose(plain, heard(Room(echo_db=-10), voice, 1.2, early=-0.02), atol=1e-6)
    assert np.allclose(plain, heard(Room(echo_db=-10), voice, 1.2, block=0.01), atol=1e-6)
    assert level_dbfs(plain) > -40


def test_silence_between_played_frames_keeps_its_length():
    room = Room(echo_db=-6, reverb=0.0)
    tone = burst()[:240]
    for time in (0.0, 0.3):
        room.played(Frame(tone, RATE, time))
        room.played(Frame(silence(0.02, RATE), RATE, time + 0.01))
    mic = np.concatenate(
        [room.microphone(Frame(silence(0.02, 16000), 16000, i * 0.02)).samples for i in range(25)]
    )
    loud = np.flatnonzero(np.abs(mic) > 0.02) / HEARING_RATE
    assert loud[0] == pytest.approx(0.06, abs=0.002)
    assert loud[loud > 0.2][0] == pytest.approx(0.36, abs=0.002)


def test_distortion_adds_what_was_not_played():
    tone = (0.9 * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)).astype(np.float32)
    for distortion, low, high in ((0.0, -999, -60), (1.0, -45, -15)):
        mic = heard(Room(echo_db=0, reverb=0.0, distortion=distortion), tone, 1.0)[4800:12800]
        spectrum = np.abs(np.fft.rfft(mic * np.hanning(len(mic))))
        third = 20 * np.log10(spectrum[750] / spectrum[250])
        assert low < third < high


@pytest.mark.parametrize("kind", NOISES)
def test_noise_has_its_level_and_is_the_same_under_a_seed(kind: str):
    def listen(seed: int, block: float) -> Samples:
        return heard(Room(noise_db=-40, noise=kind, seed=seed), silence(0, RATE), 20, block=block)

    first = listen(1, 0.02)
    assert level_dbfs(first) == pytest.approx(-40, abs=0.2)
    assert np.array_equal(first, listen(1, 0.5))
    assert not np.array_equal(first, listen(2, 0.5))


def test_unknown_noise_and_wrong_rate_are_refused():
    with pytest.raises(ValueError, match="no noise 'rain'; there are white"):
        Room(noise_db=-40, noise="rain")
    with pytest.raises(ValueError, match="16000 Hz, not 24000"):
        Room().microphone(Frame(silence(0.02, RATE), RATE))


def test_without_echo_and_noise_the_person_is_heard_as_is():
    room = Room()
    room.played(Frame(telephone_noise(0.1), RATE, 0.0))
    voice = telephone_noise(0.1, HEARING_RATE)
    out = room.microphone(Frame(voice, HEARING_RATE, 0.05))
    assert np.array_equal(out.samples, voice)
    assert out.time == 0.05


@pytest.mark.parametrize("source", [8_000, 22_050, 24_000, 44_100, 48_000])
def test_prompt_resampler_is_aligned_prompt_and_keeps_the_voice(source: int):
    resampler, chance = PromptResampler(source, HEARING_RATE), np.random.default_rng(0)
    tone = np.sin(2 * np.pi * 1000 * np.arange(source) / source).astype(np.float32)
    out, fed, made, late = [], 0, 0, 0.0
    while fed < len(tone):
        piece = tone[fed : fed + int(chance.integers(1, 700))]
        out.append(resampler.feed(piece))
        fed, made = fed + len(piece), made + len(out[-1])
        late = max(late, fed / source - made / HEARING_RATE)
    assert late < (0.0041 if source == 8_000 else 0.002)
    got = np.concatenate(out)
    true = np.sin(2 * np.pi * 1000 * np.arange(len(got)) / HEARING_RATE)
    assert np.abs(got - true)[100:].max() < 0.001


def test_prompt_resampler_lets_no_alias_through():
    tone = np.sin(2 * np.pi * 10_000 * np.arange(RATE) / RATE).astype(np.float32)
    assert level_dbfs(PromptResampler(RATE, HEARING_RATE).feed(tone)[200:]) < -50
