"""A scenario's lines and room as sound: voices for its texts, levels, noise. Knows no session."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agent.engines.registry import load_one
from agent.errors import ScriptError
from agent.settings import Config, TTSConfig
from agent.simulation.scenario import Scenario, SpokenLine, Surroundings, User
from agent.simulation.virtual import Line
from audio.echo.room import NOISES, Room
from audio.files import read_audio
from audio.frame import HEARING_RATE, Frame, Samples, level_dbfs
from audio.tts import Synthesizer


class Voices:
    """Says the text lines of one run; every engine is loaded once and every line made once."""

    def __init__(self) -> None:
        self._engines: dict[tuple[str, str, float], Synthesizer] = {}
        self._said: dict[tuple[str, str, float, float, str], Frame] = {}

    def say(self, text: str, user: User) -> Frame:
        """`text` as that user says it, at 16 kHz. Raises ScriptError when there is nothing to say."""
        key = (user.engine, user.voice, user.speed, user.pitch, text)
        if key not in self._said:
            # Played slower by `pitch`, the voice is lower; it speaks as much faster to keep its pace.
            engine = self._engine(user.engine, user.voice, user.speed / user.pitch)
            parts = [part.samples for part in engine.stream(text)]
            if not parts:
                raise ScriptError(f"{text!r}: the voice {user.voice} finds nothing to say in it")
            played = Frame(np.concatenate(parts), round(engine.rate * user.pitch))
            self._said[key] = played.at_rate(HEARING_RATE)
        return self._said[key]

    def _engine(self, engine: str, voice: str, pace: float) -> Synthesizer:
        key = (engine, voice, pace)
        if key not in self._engines:
            config = Config(tts=TTSConfig(engine=engine, voice=voice, speed=pace))
            self._engines[key] = load_one("tts", config)
        return self._engines[key]


def lines(scenario: Scenario, folder: Path, voices: Voices) -> list[Line]:
    """What the user says, as sound; `folder`: where the scenario lies.

    Raises AudioFileError for a file, ScriptError or EngineFault for a text that cannot be said.
    """
    spoken: list[Line] = []
    for line in scenario.line:
        chosen = line.model_dump(include={"voice", "speed", "pitch"}, exclude_none=True)
        user = scenario.user.model_copy(update=chosen)
        if line.file is not None:
            audio = read_audio(folder / line.file).at_rate(HEARING_RATE)
        else:
            audio = voices.say(line.say or "", user)
        gain = np.float32(10 ** ((user.gain_db + line.gain_db) / 20))
        audio = Frame(np.clip(audio.samples * gain, -1.0, 1.0), HEARING_RATE)
        spoken.append(_timed(line, audio))
    return spoken


def _timed(line: SpokenLine, audio: Frame) -> Line:
    if line.at is not None:
        return Line(audio, "at", line.at)
    if line.pause is not None:
        return Line(audio, "pause", line.pause)
    if line.over is not None:
        return Line(audio, "over", line.over)
    if line.unasked is not None:
        return Line(audio, "unasked", line.unasked)
    return Line(audio) if line.after is None else Line(audio, "after", line.after)


class Heard:
    """The air of a scenario: its room and its noise. Keeps what the microphone heard, as `samples`."""

    def __init__(self, room: Surroundings | None, folder: Path) -> None:
        room = Surroundings() if room is None else room
        self._noise: Samples | None = None
        self._at = 0
        self._kept: list[Samples] = []
        given = room.model_dump()
        if room.noise not in NOISES:
            noise = read_audio(folder / room.noise).at_rate(HEARING_RATE).samples
            gain = 0.0 if room.noise_db is None else room.noise_db - level_dbfs(noise)
            self._noise = noise * np.float32(10 ** (gain / 20))
            given |= {"noise": "white", "noise_db": None}
        self._room = Room(**given)

    def played(self, frame: Frame) -> None:
        """Take in what the speaker plays."""
        self._room.played(frame)

    def microphone(self, frame: Frame) -> Frame:
        """What the microphone hears while the user says `frame`."""
        heard = self._room.microphone(frame)
        if self._noise is not None:
            places = np.arange(self._at, self._at + len(heard.samples)) % len(self._noise)
            self._at += len(heard.samples)
            heard = Frame(heard.samples + self._noise[places], heard.rate, heard.time)
        self._kept.append(heard.samples)
        return heard

    @property
    def samples(self) -> Samples:
        """All that the microphone heard, at 16 kHz."""
        return np.concatenate(self._kept)
