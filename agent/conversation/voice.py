"""How the agent speaks in one conversation: how fast, how loud, or mute. Knows no reply."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.errors import ToolError
from agent.settings import TTSConfig
from audio.frame import silence
from audio.playback import Playback
from audio.tts import Speech, Synthesizer, VariesSpeed, Word

SPEEDS = (0.5, 2.0)
"""The slowest and the fastest that an engine is asked to speak, as `tts.speed` has it."""
VOLUMES = (0.25, 4.0)
"""The quietest and the loudest, as factors: 12 dB either way."""


class SessionVoice:
    """The engine's voice as one conversation has it; see `agent.tools.tool.Voice`.

    muted: it says every word at once and without a sound, so that a reply in text alone goes the same way as
    a spoken one.
    """

    def __init__(self, tts: Synthesizer, config: TTSConfig, playback: Playback) -> None:
        self._engine = self._speaking = tts
        self._usual, self._playback = config.speed, playback
        self.muted = False
        self.speed = 1.0

    @property
    def rate(self) -> int:
        """That of the engine (Hz)."""
        return self._engine.rate

    @property
    def language(self) -> str:
        """That of the engine."""
        return self._engine.language

    @property
    def volume(self) -> float:
        """See `agent.tools.tool.Voice`."""
        return self._playback.volume

    def stream(self, text: str) -> Iterator[Speech]:
        """As `Synthesizer.stream`."""
        return iter([_silent(text, self.rate)]) if self.muted else self._speaking.stream(text)

    def change(self, *, speed: float | None = None, volume: float | None = None) -> None:
        """See `agent.tools.tool.Voice`."""
        wanted = self.speed if speed is None else _within(speed * self._usual, SPEEDS) / self._usual
        if wanted != self.speed:
            if not isinstance(self._engine, VariesSpeed):
                raise ToolError("This voice has one speed. It can be made louder and quieter.")
            self._speaking = self._engine.faster(wanted) if wanted != 1.0 else self._engine
        self.speed = wanted
        if volume is not None:
            self._playback.volume = _within(volume, VOLUMES)


def _within(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return min(max(value, low), high)


def _silent(text: str, rate: int) -> Speech:
    words = tuple(Word(m.start(), m.end(), 0.0, 0.0) for m in re.finditer(r"\S+", text))
    return Speech(silence(0.0, rate), rate, 0, len(text), words)
