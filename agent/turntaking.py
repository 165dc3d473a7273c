"""When to answer and when to yield: a pure state machine. Knows no audio, no task and no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.config import TurnsConfig


@dataclass(frozen=True, slots=True)
class Prepare:
    """Begin to work on an answer, unheard: the person paused at `speech_end` (s)."""

    speech_end: float
    why: str


@dataclass(frozen=True, slots=True)
class Release:
    """The person's turn is over: the prepared answer may sound."""

    why: str


@dataclass(frozen=True, slots=True)
class Drop:
    """The prepared answer came too early: forget it."""

    why: str


@dataclass(frozen=True, slots=True)
class Yield:
    """Stop speaking: the person has spoken since `onset` (s)."""

    onset: float
    why: str


Action: TypeAlias = Prepare | Release | Drop | Yield


@dataclass(slots=True)
class TurnTaking:
    """Hears what the segmenter found and says what to do.

    States: `listening`; `preparing` an answer behind a closed gate; `replying`, from the release until
    the session says `reply_over`.
    """

    config: TurnsConfig
    _state: Literal["listening", "preparing", "replying"] = "listening"
    _speech_end: float = 0.0
    _doubt: bool = False

    def onset(self) -> list[Action]:
        """The person may be speaking, or going on: no answer sounds before that is known."""
        self._doubt = True
        return []

    def no_speech(self) -> list[Action]:
        """The onset was no speech."""
        self._doubt = False
        return []

    def speech_started(self, at: float) -> list[Action]:
        """Confirmed speech that began at `at` (s)."""
        if self._state == "replying":
            self._state = "listening"
            return [Yield(at, "the person speaks")]
        return []

    def paused(self, at: float) -> list[Action]:
        """Silence for the pause length; the last speech was at `at` (s)."""
        self._doubt = False
        if self._state == "replying":
            return []
        self._state = "preparing"
        self._speech_end = at
        return [Prepare(at, f"silent for {self.config.pause:g} s")]

    def resumed(self) -> list[Action]:
        """The person went on after a pause."""
        if self._state != "preparing":
            return []
        self._state = "listening"
        return [Drop("the person went on")]

    def too_long(self, at: float) -> list[Action]:
        """The utterance reached its greatest length at `at` (s)."""
        actions = self.paused(at)
        return [*actions, *self._release("the utterance is as long as it may be")] if actions else []

    def tick(self, now: float) -> list[Action]:
        """Time has come to `now` (s)."""
        silent = now - self._speech_end
        if self._state == "preparing" and not self._doubt and silent >= self.config.end - 1e-6:
            return self._release(f"silent for {self.config.end:g} s")
        return []

    def reply_over(self) -> None:
        """The reply was spoken to its end, failed, or came to nothing."""
        self._state = "listening"

    def _release(self, why: str) -> list[Action]:
        self._state = "replying"
        return [Release(why)]
