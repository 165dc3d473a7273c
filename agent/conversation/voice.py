"""How the agent speaks in one conversation: how fast, how loud, or mute. Knows no reply."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agent.errors import ToolError
from agent.settings import TTSConfig
from audio.frame import silence
from audio.playback import Playback
from audio.tts import ChangesVoice, Speech, Synthesizer, VariesSpeed, Word

SPEEDS = (0.5, 2.0)
"""The slowest and the fastest that an engine is asked to speak, as `tts.speed` has it."""
VOLUMES = (0.25, 4.0)
"""The quietest and the loudest, as factors: 12 dB either way."""


@dataclass
class _Manner:
    """What all voices of one conversation have in common. muted: see `SessionVoice`."""

    speed: float = 1.0
    muted: bool = False


class SessionVoice:
    """The engine's voice as one conversation has it; see `agent.tools.tool.Voice`.

    muted: it says every word at once and without a sound, so that a reply in text alone goes the same way as
    a spoken one. manner: that of another voice of the same conversation.
    """

    def __init__(
        self, tts: Synthesizer, config: TTSConfig, playback: Playback, manner: _Manner | None = None
    ) -> None:
        self._tts, self._config, self._playback = tts, config, playback
        self._manner = manner or _Manner()

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
        changed = self._tts.with_voice(voice, language)
        return SessionVoice(changed, self._config, self._playback, self._manner)

    @property
    def speed(self) -> float:
        """See `agent.tools.tool.Voice`."""
        return self._manner.speed

    @property
    def volume(self) -> float:
        """See `agent.tools.tool.Voice`."""
        return self._playback.volume

    def stream(self, text: str) -> Iterator[Speech]:
        """As `Synthesizer.stream`."""
        if self.muted:
            return iter([_silent(text, self.rate)])
        tts, speed = self._tts, self.speed
        return (tts.faster(speed) if speed != 1.0 and isinstance(tts, VariesSpeed) else tts).stream(text)

    def change(self, *, speed: float | None = None, volume: float | None = None) -> None:
        """See `agent.tools.tool.Voice`."""
        usual = self._config.speed
        wanted = self.speed if speed is None else _within(speed * usual, SPEEDS) / usual
        if wanted != self.speed and not isinstance(self._tts, VariesSpeed):
            raise ToolError("This voice has one speed. It can be made louder and quieter.")
        self._manner.speed = wanted
        if volume is not None:
            self._playback.volume = _within(volume, VOLUMES)


def _within(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return min(max(value, low), high)


def _silent(text: str, rate: int) -> Speech:
    words = tuple(Word(m.start(), m.end(), 0.0, 0.0) for m in re.finditer(r"\S+", text))
    return Speech(silence(0.0, rate), rate, 0, len(text), words)
