"""Which voice says a reply, and how fast, how loud, or without a sound. Knows no reply."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agent.errors import RequestError, ToolError
from agent.languages import code
from agent.settings import TTSConfig
from audio.frame import silence
from audio.playback import Playback
from audio.tts import ChangesVoice, Gender, Speech, Synthesizer, TellsGender, VariesSpeed, Word

SPEEDS = (0.5, 2.0)
"""The slowest and the fastest that an engine is asked to speak, as `tts.speed` has it."""
VOLUMES = (0.25, 4.0)
"""The quietest and the loudest, as factors: 12 dB either way."""


class Voices:
    """The voices that one engine can speak with at any time; of most that is the one that was loaded."""

    def __init__(self, tts: Synthesizer) -> None:
        self._tts = tts
        self.loaded: Mapping[str, str] = tts.loaded_voices if isinstance(tts, ChangesVoice) else {}
        """Each that may be asked for by name, and its language."""
        self._spoken = {code(language) for language in (tts.language, *self.loaded.values())}

    def able(self, language: str) -> str:
        """That language, where a voice reads it; else the one that the loaded voice reads. "" stays that."""
        own = code(self._tts.language)
        return language if not (language and own) or code(language) in self._spoken else own

    def of(self, language: str = "", name: str = "", speed: float = 1.0) -> Synthesizer:
        """What says a reply in that language, an ISO code. name: the voice that is wished for. speed: see
        `at_speed`.

        Where that one speaks another language, it is the voice that is most like it. Without a language a
        voice says what is written in its own. Raises RequestError for a speed that it does not have.
        """
        return at_speed(self._named(language, name), speed)

    def _named(self, language: str, name: str) -> Synthesizer:
        tts = self._tts
        if not isinstance(tts, ChangesVoice) or not self.loaded:
            return tts
        name = "" if name == tts.voice else name
        if not name and (not language or code(language) == code(tts.language)):
            return tts
        return tts.with_voice(name, language)


def at_speed(voice: Synthesizer, speed: float, param: str = "speed") -> Synthesizer:
    """The voice so many times as fast as it speaks by itself, `SPEEDS`.

    Raises RequestError, naming the field `param`, for another speed than 1 of a voice that has one only.
    """
    if speed == 1.0:
        return voice
    if not isinstance(voice, VariesSpeed):
        raise RequestError(f"{param}: the voice that is loaded has one speed; leave it out", param=param)
    return voice.faster(speed)


@dataclass
class _Manner:
    """What all voices of one conversation have in common. muted: see `SessionVoice`. name: of the voice that
    the user has asked for; "" is the one that a reply has by itself.
    """

    speed: float = 1.0
    muted: bool = False
    name: str = ""


class SessionVoice:
    """The engine's voice as one conversation has it; see `agent.tools.tool.Voice`.

    muted: it says every word at once and without a sound, so that a reply in text alone goes the same way as
    a spoken one. manner: that of another voice of the same conversation.
    factor: how much faster than that this one speaks.
    """

    def __init__(
        self,
        tts: Synthesizer,
        config: TTSConfig,
        playback: Playback,
        manner: _Manner | None = None,
        factor: float = 1.0,
    ) -> None:
        self._tts, self._config, self._playback = tts, config, playback
        self._manner, self._factor = manner or _Manner(), factor

    @property
    def muted(self) -> bool:
        """Whether it makes no sound; with one voice of a conversation all are muted."""
        return self._manner.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._manner.muted = muted

    @property
    def rate(self) -> int:
        """That of the engine (Hz)."""
        return self._tts.rate

    @property
    def language(self) -> str:
        """That of the engine."""
        return self._tts.language

    @property
    def loaded_voices(self) -> Mapping[str, str]:
        """As `ChangesVoice.loaded_voices`."""
        return self._tts.loaded_voices if isinstance(self._tts, ChangesVoice) else {}

    @property
    def voice(self) -> str:
        """As `ChangesVoice.voice`."""
        return self._tts.voice if isinstance(self._tts, ChangesVoice) else ""

    def with_voice(self, voice: str = "", language: str = "") -> SessionVoice:
        """As `ChangesVoice.with_voice`, in the manner of this one."""
        if not isinstance(self._tts, ChangesVoice):
            return self
        return self._changed(self._tts.with_voice(voice, language), self._factor)

    def faster(self, factor: float) -> SessionVoice:
        """As `VariesSpeed.faster`, besides what the conversation has chosen; of an engine that has one speed
        the same.
        """
        return self._changed(self._tts, self._factor * factor)

    def _changed(self, tts: Synthesizer, factor: float) -> SessionVoice:
        return SessionVoice(tts, self._config, self._playback, self._manner, factor)

    @property
    def speed(self) -> float:
        """See `agent.tools.tool.Voice`."""
        return self._manner.speed

    @property
    def volume(self) -> float:
        """See `agent.tools.tool.Voice`."""
        return self._playback.volume

    @property
    def name(self) -> str:
        """See `agent.tools.tool.Voice`."""
        return self._manner.name or self.voice

    @property
    def choice(self) -> Mapping[str, Gender]:
        """See `agent.tools.tool.Voice`."""
        told, own = self._tts if isinstance(self._tts, TellsGender) else None, code(self.language)
        names = [name for name, language in self.loaded_voices.items() if code(language) == own]
        return {name: told.gender(name) if told is not None else "" for name in names}

    def stream(self, text: str) -> Iterator[Speech]:
        """As `Synthesizer.stream`."""
        if self.muted:
            return iter([_silent(text, self.rate)])
        tts, name, speed = self._tts, self._manner.name, self._within_speeds(self.speed * self._factor)
        if name and isinstance(tts, ChangesVoice):
            tts = tts.with_voice(name, code(self.language))
        return (tts.faster(speed) if speed != 1.0 and isinstance(tts, VariesSpeed) else tts).stream(text)

    def change(
        self, *, speed: float | None = None, volume: float | None = None, name: str | None = None
    ) -> None:
        """See `agent.tools.tool.Voice`."""
        wanted = self.speed if speed is None else self._within_speeds(speed)
        if wanted != self.speed and not isinstance(self._tts, VariesSpeed):
            raise ToolError("This voice has one speed. It can be made louder and quieter.")
        self._manner.speed = wanted
        self._manner.name = self._manner.name if name is None else name
        if volume is not None:
            self._playback.volume = _within(volume, VOLUMES)

    def _within_speeds(self, factor: float) -> float:
        """That many times as fast as by the settings, or as near as the engine is asked to speak."""
        usual = self._config.speed
        return _within(factor * usual, SPEEDS) / usual


def _within(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return min(max(value, low), high)


def _silent(text: str, rate: int) -> Speech:
    words = tuple(Word(m.start(), m.end(), 0.0, 0.0) for m in re.finditer(r"\S+", text))
    return Speech(silence(0.0, rate), rate, 0, len(text), words)
