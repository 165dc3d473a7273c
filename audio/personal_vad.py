"""Evidence of speech, less that of strangers: whose voice sounds decides whether it is heard. Pure.

The idea is that of Ding et al. 2020, "Personal VAD: Speaker-Conditioned Voice Activity Detection". Here
whoever can compare voices is asked about the newest stretch of speech, and again while it goes on.

Amid a stranger, as a television, the voice of who is known is never heard alone. By two things it is noticed
that somebody else has begun: it is louder than it was (in less than a quarter of a second, where they are
louder than the stranger), and more like a voice that is known than the stranger ever was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np

from audio.frame import Frame
from audio.speaker import Bounds
from audio.vad import Evidence

WINDOW = 1.0
"""Seconds of the newest sound by which a voice is told."""

EVERY, AMID = 0.5, 0.25
"""Seconds of speech from one look at whose it is to the next, and while it is a stranger's."""

FORGET = 2.0
"""Seconds without any speech after which it may be anybody who speaks: a television pauses for less."""

MEMORY = 20.0
"""Seconds for which it is remembered how alike strangers were."""

LOUDER, LOUDEST, SYLLABLE = 2.5, 3.0, 0.06
"""Decibels by which it must be louder than the loudest of so many seconds before, each in the mean of so many
seconds, for somebody else to have begun."""

HEARD = 0.75
"""Seconds for which they are heard then, before it can be told who it is."""

Whose: TypeAlias = Literal["known", "stranger", "doubt"]
"""Whose voice it is: of somebody who is listened to, of another, or it cannot be told."""


class PersonalVAD:
    """Speech is heard until it is known to be a stranger's, and again once it is not that alone any more.

    bounds: how alike voices are that are one. start: the sure detector's probability from which it is speech.
    """

    def __init__(self, bounds: Bounds, start: float = 0.5) -> None:
        self._bounds, self._start = bounds, start
        self.whose: Whose = "doubt"
        self.strange: Sequence[Evidence] = ()
        """The evidence that the newest frame has completed, of strangers alone."""
        self._recent: deque[Frame] = deque()
        self._loud = _Loudness()
        self._strangers: deque[tuple[float, float]] = deque()
        """When a stranger was looked at (s), and how alike they were."""
        self._began = 0.0
        self._last = float("-inf")
        self._fresh = 0.0
        self._heard_until = 0.0
        self._regained: float | None = None

    def hears(self, frame: Frame, evidence: Sequence[Evidence]) -> Sequence[Evidence]:
        """What of the evidence that a frame has completed is not of a stranger."""
        speech = sum(e.length for e in evidence if e.confirmed and e.probability >= self._start)
        if frame.end - self._last > FORGET:
            self.whose, self._fresh, self._began = "doubt", 0.0, frame.time
        if speech:
            self._last, self._fresh = frame.end, self._fresh + speech
        self._recent.append(frame)
        while self._recent[0].end <= frame.end - WINDOW:
            self._recent.popleft()
        if self._loud.rises(frame) and self.whose == "stranger":
            self.whose, self._fresh = "doubt", 0.0
            self._regained, self._heard_until = frame.end - SYLLABLE, frame.end + HEARD
        nothing = [replace(e, probability=0.0) for e in evidence]
        begun, self._regained = self._regained, None
        if begun is not None:  # theirs began some time ago
            evidence = [Evidence(frame.end, frame.end - begun, confirmed=True, probability=1.0), *evidence]
        ours, theirs = (nothing, evidence) if self.whose == "stranger" else (evidence, nothing)
        self.strange = theirs
        return ours

    def unsure(self) -> Frame | None:
        """The newest stretch of speech, when it is time to ask whose it is."""
        if self._fresh < (AMID if self.whose == "stranger" else EVERY):
            return None
        self._fresh = 0.0
        return Frame.join(each for each in self._recent if each.end > self._began)

    def told(self, asked: Frame, whose: Whose, alike: float = 0.0) -> Whose:
        """Whose the speech in `asked` is, and how alike (cosine) to who is known. A doubt changes nothing.

        Where it was another who spoke, this one has begun within what was asked about. Returns whose it is
        taken for: it is in doubt where somebody who is known may speak beside a stranger.
        """
        while self._strangers and self._strangers[0][0] < asked.end - MEMORY:
            self._strangers.popleft()
        beside = whose != "known" and self._beside(alike)
        if beside:
            whose = "doubt"
        elif whose == "stranger":
            self._strangers.append((asked.end, alike))
        if whose == "stranger" and asked.end < self._heard_until:
            return "doubt"
        if (whose != "doubt" or (beside and self.whose == "stranger")) and whose != self.whose:
            if "stranger" in (self.whose, whose):
                self._regained = asked.time
            self.whose = whose
        return whose

    def _beside(self, alike: float) -> bool:
        """Whether it is more alike than strangers were."""
        before = [score for _, score in self._strangers]
        return len(before) > 1 and alike >= max(self._bounds.least, max(before) + self._bounds.rise)


class _Loudness:
    """Notices when it is louder than it was."""

    def __init__(self) -> None:
        self._power: deque[tuple[float, float, float]] = deque()
        """Of each frame its end (s), its length (s) and its power."""
        self._levels: deque[tuple[float, float]] = deque()
        """When, and how loud it was (dB) in the mean of `SYLLABLE`."""

    def rises(self, frame: Frame) -> bool:
        """Whether it is, with this frame."""
        self._power.append((frame.end, frame.duration, float(np.square(frame.samples).mean())))
        while self._power[0][0] <= frame.end - SYLLABLE + 1e-6:
            self._power.popleft()
        mean = sum(length * power for _, length, power in self._power) / SYLLABLE
        level = 10 * float(np.log10(mean + 1e-12))
        while self._levels and self._levels[0][0] < frame.end - LOUDEST:
            self._levels.popleft()
        # In half a second nobody has shown yet how loud they are; and it gets louder in several steps.
        known = bool(self._levels) and frame.end - self._levels[0][0] >= LOUDEST / 2
        before = [db for at, db in self._levels if at <= frame.end - 2 * SYLLABLE]
        self._levels.append((frame.end, level))
        return known and level > max(before) + LOUDER
