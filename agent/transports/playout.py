"""Playout to a client: what a client is sent of each reply, and what of that was heard. Knows no session."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping

from audio.frame import Frame, silence
from audio.playback import Playback, Track
from audio.tts import ChangesVoice, Speech, Synthesizer, Word

RATE = 24_000
"""Hz of what clients are sent."""
BLOCK = 480
"""Samples that are sent at a time: 20 ms."""


class Reply:
    """What was sent of one reply, and when its words were heard."""

    def __init__(self) -> None:
        self.words: list[tuple[float, int]] = []
        self.played: int | None = None
        """Samples of it that the client says it has played; None where it says nothing."""
        self.progress: int | None = None
        """The same so far, of a client that tells it all the time."""
        self.heard: str | None = None
        self._blocks: list[float] = []

    @property
    def sent(self) -> int:
        """Samples of sound."""
        return len(self._blocks) * BLOCK

    def note(self, moment: float) -> None:
        """One more block was sent, to sound at `moment`."""
        self._blocks.append(moment)

    def position(self, moment: float) -> float:
        """Seconds of its sound that had sounded at `moment` of the session's clock."""
        index = bisect_right(self._blocks, moment)
        if not index:
            return 0.0
        return (index - 1) * BLOCK / RATE + min(moment - self._blocks[index - 1], BLOCK / RATE)

    def end_at(self, samples: int) -> int:
        """How many characters of it were heard when that many samples of its sound had been played."""
        if samples >= self.sent:
            return max((end for _, end in self.words), default=0)
        block, within = divmod(samples, BLOCK)
        moment = self._blocks[block] + within / RATE
        # A word is reported up to 20 ms after it has sounded, as Turn.words_heard grants it 20 ms.
        return max((end for at, end in self.words if at <= moment + 2 * BLOCK / RATE), default=0)


class Voice:
    """The slot's voice, which can be muted: a muted one says every word at once and without a sound.

    So a reply in text alone goes the same way as a spoken one.
    """

    def __init__(self, voice: Synthesizer, like: Voice | None = None) -> None:
        self._voice, self._like = voice, like
        self._muted = False

    @property
    def muted(self) -> bool:
        """Whether it makes no sound; with one voice of the slot all are muted."""
        return self._muted if self._like is None else self._like.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._muted = muted

    @property
    def rate(self) -> int:
        """That of the voice (Hz)."""
        return self._voice.rate

    @property
    def language(self) -> str:
        """That of the voice."""
        return self._voice.language

    @property
    def loaded_voices(self) -> Mapping[str, str]:
        """As `ChangesVoice.loaded_voices`."""
        return self._voice.loaded_voices if isinstance(self._voice, ChangesVoice) else {}

    @property
    def voice(self) -> str:
        """As `ChangesVoice.voice`."""
        return self._voice.voice if isinstance(self._voice, ChangesVoice) else ""

    def with_voice(self, voice: str = "", language: str = "") -> Voice:
        """As `ChangesVoice.with_voice`, muted with this one."""
        if not isinstance(self._voice, ChangesVoice):
            return self
        return Voice(self._voice.with_voice(voice, language), self if self._like is None else self._like)

    def stream(self, text: str) -> Iterator[Speech]:
        """As `Synthesizer.stream`."""
        if self.muted:
            return iter([_silent(text, self.rate)])
        return self._voice.stream(text)


def _silent(text: str, rate: int) -> Speech:
    words = tuple(Word(m.start(), m.end(), 0.0, 0.0) for m in re.finditer(r"\S+", text))
    return Speech(silence(0.0, rate), rate, 0, len(text), words)


class Playout(Playback):
    """A playback that knows how much speech waits for the client. tap: as Playback has it."""

    def __init__(self, tap: Callable[[Frame], None] | None = None) -> None:
        super().__init__(RATE, tap=tap)
        self._current: Track | None = None

    def open(self) -> Track:
        """As Playback.open."""
        self._current = super().open()
        return self._current

    @property
    def waiting(self) -> bool:
        """Whether there is speech to send, now."""
        return self._current is not None and not self._current.paused and self._current.queued > 0
