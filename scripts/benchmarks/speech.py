"""Speech for benchmarks: recorded people, every voice there is, rooms of some metres, a television."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from agent.engines.registry import load_one, weights_of
from agent.engines.voices import Voice, chosen
from agent.settings import Config, TTSConfig
from agent.weights import catalogue
from audio.echo.room import Room
from audio.files import read_audio
from audio.frame import HEARING_RATE, Frame, Samples, level_dbfs

PROMPTS = Path("/usr/share/asterisk/sounds")
"""Where Debian's asterisk-core-sounds-* put people that read 2,831 short texts in five languages."""
SPEAKING = -26.0
"""dBFS of a voice at one metre."""


def prompts(folder: Path, seconds: float = float("inf")) -> Iterator[tuple[str, Frame]]:
    """Each recording below a folder, with the folder that it lies in, which is its speaker; at 16 kHz."""
    for file in sorted(folder.rglob("*")):
        if file.suffix not in (".g722", ".wav", ".flac") or not file.is_file() or seconds <= 0:
            continue
        said = g722(file) if file.suffix == ".g722" else read_audio(file).at_rate(HEARING_RATE)
        seconds -= said.duration
        if len(said.samples):
            yield file.relative_to(folder).parts[0], said


def g722(file: Path) -> Frame:
    """A raw G.722 file: it has no header, by which anything could tell what it is."""
    import av

    with av.open(str(file), format="g722") as container:
        parts = [each.to_ndarray().ravel() for each in container.decode(audio=0)]
    samples = np.concatenate([np.zeros(0, np.int16), *parts])  # some files are empty
    return Frame((samples / 32768).astype(np.float32), HEARING_RATE)


def voices(language: str = "en") -> list[Voice]:
    """Every voice of that language whose weights are here."""
    return [voice for voice in chosen((), language)[0] if _here(voice)]


def _here(voice: Voice) -> bool:
    config = Config(tts=TTSConfig(engine=voice.engine, voice=voice.name))
    name = weights_of("tts", config)
    return not name or catalogue.locate(name) is not None


def said(voice: Voice, texts: list[str]) -> list[Frame]:
    """The texts as that voice says them, at 16 kHz and `SPEAKING`."""
    config = Config(
        tts=TTSConfig(engine=voice.engine, voice=voice.name, language=voice.language.partition("-")[0])
    )
    engine = load_one("tts", config)
    return [
        at_level(np.concatenate([part.samples for part in engine.stream(text)]), engine.rate, SPEAKING)
        for text in texts
    ]


def at_level(samples: Samples, rate: int, dbfs: float) -> Frame:
    """The same sound at 16 kHz, its louder parts at that level."""
    heard = Frame(samples, rate).at_rate(HEARING_RATE).samples
    blocks = heard[: len(heard) // 320 * 320].reshape(-1, 320)
    loud = np.sort(np.square(blocks).mean(axis=1))[-max(1, len(blocks) // 2) :].mean()
    return Frame((heard * 10 ** (dbfs / 20) / np.sqrt(loud + 1e-12)).astype(np.float32), HEARING_RATE)


def from_afar(frame: Frame, metres: float, seed: int, reverb: float = 0.4) -> Frame:
    """A voice at that distance in a living room: its direct sound falls by 6 dB for each doubling, its
    reverberation, as loud as the direct sound at one metre, hardly at all (RT60 `reverb`, s).
    """
    chance = np.random.default_rng(seed)
    after = np.arange(round(reverb * HEARING_RATE)) / HEARING_RATE
    tail = chance.standard_normal(len(after)) * 10 ** (-3 * after / reverb) * (after > 0.004)
    path = tail / np.sqrt(np.square(tail).sum())
    path[0] += 1.0 / metres
    heard = np.convolve(frame.samples, path)
    return Frame(heard.astype(np.float32), HEARING_RATE)


def noisy(frame: Frame, kind: str, dbfs: float | None, seed: int) -> Frame:
    """The sound with that noise behind it, a second of it before and after."""
    quiet = np.zeros(HEARING_RATE, np.float32)
    whole = Frame(np.concatenate([quiet, frame.samples, quiet]), HEARING_RATE)
    return Room(noise_db=dbfs, noise=kind, seed=seed).microphone(whole)


def television(speech: list[Frame], other: list[Frame], seed: int) -> Iterator[Frame]:
    """Speech as television has it: over music, over a crowd, over somebody else who speaks."""
    chance = np.random.default_rng(seed)
    for number, frame in enumerate(speech):
        kind = number % 3
        if kind == 0:
            beside = music(len(frame.samples), chance)
        elif kind == 1:
            beside = (
                Room(noise_db=SPEAKING, noise="babble", seed=number)
                .microphone(Frame(np.zeros_like(frame.samples), HEARING_RATE))
                .samples
            )
        else:
            beside = np.resize(other[number % len(other)].samples, len(frame.samples))
        level = 10 ** ((level_dbfs(frame.samples) - level_dbfs(beside) - chance.uniform(0, 10)) / 20)
        yield Frame((frame.samples + beside * level).astype(np.float32), HEARING_RATE)


def music(count: int, chance: np.random.Generator) -> Samples:
    """Chords of plucked strings, one each third of a second, with a drum: no tune."""
    out = np.zeros(count + HEARING_RATE, np.float32)
    time = np.arange(HEARING_RATE) / HEARING_RATE
    for begin in range(0, count, HEARING_RATE // 3):
        root = 110 * 2 ** (chance.integers(0, 24) / 12)
        for step in (0, 4, 7):
            note = sum(np.sin(2 * np.pi * root * 2 ** (step / 12) * k * time) / k for k in (1, 2, 3))
            out[begin : begin + HEARING_RATE] += (np.asarray(note) * np.exp(-3 * time)).astype(np.float32)
        drum = chance.standard_normal(HEARING_RATE // 20) * np.exp(-np.arange(HEARING_RATE // 20) / 100)
        out[begin : begin + len(drum)] += drum.astype(np.float32)
    return out[:count]
