"""Evidence of speech in, utterances out. Pure: knows no detector, no clock and no words."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from audio.frame import Frame
from audio.vad import Evidence

REFUTE = 0.2
"""Seconds after an onset from which silence in both detectors says that it was no speech."""

PATIENCE = 0.5
"""Seconds after an onset from which the sure detector alone says that: a fan or music never falls silent."""
DECAY = 32.0
"""Decibels below the loudest stretch of an utterance at which its sound has died away. Silero goes on saying
"speech" for about 80 ms after the last sound; the level says when that was."""

HANG = 0.2
"""Seconds by which the level may move the end of speech back at most: a slammed door would drown the rest."""


LATENCY = 0.2
"""Seconds after which an onset is known: the pre-roll is counted from the onset, not from then."""


@dataclass(frozen=True, slots=True)
class Onset:
    """Something that may be speech, or more of it after a pause, began at `at` (s)."""

    at: float


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """The onset was no speech."""


@dataclass(frozen=True, slots=True)
class Started:
    """It is speech; it began at `at` (s)."""

    at: float


@dataclass(frozen=True, slots=True, eq=False)
class Paused:
    """Silence for the pause length since `at` (s). `audio`: the utterance so far, with its pre-roll."""

    at: float
    audio: Frame


@dataclass(frozen=True, slots=True)
class Resumed:
    """Speech again, before the utterance was cut."""


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """The utterance reached its greatest length at `at` (s) and is given as it stands."""

    at: float
    audio: Frame


Segment: TypeAlias = Onset | Unconfirmed | Started | Paused | Resumed | Ended


@dataclass(slots=True)
class Segmenter:
    """Turns evidence into utterances, with hysteresis; every length is in seconds.

    onset_frames: consecutive fast 10 ms decisions that make an onset.
    start, stop: the sure detector's probability from which it is, and below which it is no longer, speech.
    confirm: sure speech that confirms an onset, or ends a pause.
    pause: silence that makes a pause. pre_roll: audio kept from before the onset.
    longest: length at which an utterance is ended as it stands.
    late: after which an onset is known at most.
    """

    onset_frames: int = 3
    start: float = 0.5
    stop: float = 0.35
    confirm: float = 0.064
    pause: float = 0.15
    pre_roll: float = 0.5
    longest: float = 28.0
    late: float = LATENCY

    _state: Literal["idle", "onset", "speaking", "paused"] = "idle"
    _doubt: bool = False
    _frames: deque[Frame] = field(default_factory=deque[Frame])
    _fast_run: int = 0
    _fooled: bool = False
    _sure_run: float = 0.0
    _voiced: float = 0.0
    _onset: float = 0.0
    _began: float = 0.0
    _last_speech: float = 0.0
    _last_loud: float = 0.0
    _loudest: float = -120.0
    _silent: bool = False

    @property
    def speaking(self) -> bool:
        """Whether the user is speaking just now."""
        return self._state == "speaking"

    @property
    def begun(self) -> bool:
        """Whether there is an utterance that was not cut: the user speaks, or has paused."""
        return self._state in ("speaking", "paused")

    @property
    def hearing(self) -> bool:
        """Whether the user speaks or may be speaking: more is to be told of it."""
        return self._state in ("onset", "speaking") or (self._state == "paused" and self._doubt)

    @property
    def last_speech(self) -> float:
        """When speech was last heard (s)."""
        return self._last_speech

    @property
    def last_sound(self) -> float:
        """When sound was last heard that had not died away (s): known 0.1 s before `last_speech` is sure."""
        return self._last_loud

    @property
    def voiced(self) -> float:
        """Seconds of sure speech in the utterance, or in the last one."""
        return self._voiced

    def audio(self) -> Frame:
        """The utterance so far, with its pre-roll, up to the newest frame."""
        return Frame.join(self._frames)

    def cut(self) -> None:
        """The utterance was taken: what comes now begins a new one."""
        self._state = "idle"
        self._doubt = False
        self._fast_run = 0
        self._sure_run = 0.0
        self._trim(self._last_speech + self.pre_roll)

    def feed(self, frame: Frame, evidence: Sequence[Evidence]) -> list[Segment]:
        """Take in one frame and the evidence that it completed; say what follows from it."""
        self._frames.append(frame)
        found: list[Segment] = []
        for item in evidence:
            found += self._sure(item) if item.confirmed else self._fast(item)
        if self._state == "idle":
            self._trim(frame.end - self.late)
        elif self._state == "paused" and frame.end - self._last_speech > self.longest + 1e-6:
            found += [Unconfirmed()] if self._doubt else []
            self.cut()  # given with `Paused`, and nobody took it
        elif self._state == "speaking" and frame.end - self._began > self.longest:
            found.append(Ended(frame.end, self.audio()))
            self._last_speech = frame.end
            self.cut()
        return found

    def _fast(self, item: Evidence) -> list[Segment]:
        self._loudest = max(self._loudest, item.level)
        if item.level > self._loudest - DECAY:
            self._last_loud = item.time
        heard = item.probability > 0.5
        self._fooled = self._fooled and heard
        self._fast_run = self._fast_run + 1 if heard and not self._fooled else 0
        if self._state == "idle" and self._fast_run >= self.onset_frames:
            return self._begin(item.time - self._fast_run * item.length)
        if self._state == "paused" and self._fast_run >= self.onset_frames and not self._doubt:
            return self._doubt_since(max(self._last_speech, item.time - self._fast_run * item.length))
        return self._pause(item.time)

    def _sure(self, item: Evidence) -> list[Segment]:
        threshold = self.stop if self._state == "speaking" else self.start
        speech = item.probability >= threshold
        self._sure_run = self._sure_run + item.length if speech else 0.0
        self._voiced += item.length if speech else 0.0
        confirmed = self._sure_run >= self.confirm - 1e-6
        found: list[Segment] = []
        if self._state == "idle" and confirmed:
            found += self._begin(item.time - self._sure_run)
        if self._state == "onset":
            if confirmed:
                self._state = "speaking"
                found.append(Started(self._began))
            elif self._refuted(item.time, speech):
                self._state = "idle"
                self._fooled = True  # what it hears now does not count until it has once fallen silent
                found.append(Unconfirmed())
        elif self._state == "paused" and confirmed:
            self._state = "speaking"
            self._silent = False
            found.append(Resumed())
        elif self._state == "paused" and self._doubt and self._refuted(item.time, speech):
            self._doubt = False
            self._fooled = True
            found.append(Unconfirmed())
        if self._state == "speaking":
            self._silent = not speech
            if speech:
                died_away = max(self._last_loud, item.time - HANG)
                self._last_speech = max(self._last_speech, min(item.time, died_away))
        return found + self._pause(item.time)

    def _pause(self, now: float) -> list[Segment]:
        if self._state != "speaking" or not self._silent or now - self._last_speech < self.pause - 1e-6:
            return []
        self._state = "paused"
        self._doubt = False
        return [Paused(self._last_speech, self.audio())]

    def _begin(self, at: float) -> list[Segment]:
        self._state = "onset"
        self._began = self._last_speech = at
        self._voiced = self._sure_run
        self._loudest = -120.0
        self._silent = False
        self._trim(at)
        return self._doubt_since(at)

    def _doubt_since(self, at: float) -> list[Segment]:
        self._doubt = True
        self._onset = at
        return [Onset(at)]

    def _refuted(self, now: float, speech: bool) -> bool:
        since = now - self._onset
        return not speech and since > (REFUTE if self._fast_run == 0 else PATIENCE)

    def _trim(self, now: float) -> None:
        while self._frames and self._frames[0].end < now - self.pre_roll:
            self._frames.popleft()
