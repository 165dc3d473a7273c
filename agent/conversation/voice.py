"""How the agent speaks in one conversation: how fast, how loud, as whom, or mute. Knows no reply."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agent.errors import ToolError
from agent.settings import TTSConfig
from audio.frame import silence
from audio.playback import Playback
from audio.tts import ChangesVoice, Speech, Synthesizer, Word

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
        self.names: Sequence[str] = tts.speakers if isinstance(tts, ChangesVoice) else ()
        self.name = config.voice or next(iter(self.names), "")
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

    def change(
        self, *, speed: float | None = None, volume: float | None = None, name: str | None = None
    ) -> None:
        """See `agent.tools.tool.Voice`."""
        wanted = self.speed if speed is None else _within(speed * self._usual, SPEEDS) / self._usual
        speaker = self.name if name is None else name
        if (wanted, speaker) != (self.speed, self.name):
            if not isinstance(self._engine, ChangesVoice):
                raise ToolError("This voice can be made louder and quieter, and not changed otherwise.")
            if speaker not in (self.name, *self.names):
                there = f"There are: {', '.join(self.names)}." if self.names else "There is no other."
                raise ToolError(f"There is no voice {speaker!r}. {there}")
            known = speaker if speaker in self.names else ""
            self._speaking = self._engine.with_voice(speed=wanted * self._usual, speaker=known)
        self.speed, self.name = wanted, speaker
        if volume is not None:
            self._playback.volume = _within(volume, VOLUMES)


def _within(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return min(max(value, low), high)


def _silent(text: str, rate: int) -> Speech:
    words = tuple(Word(m.start(), m.end(), 0.0, 0.0) for m in re.finditer(r"\S+", text))
    return Speech(silence(0.0, rate), rate, 0, len(text), words)
