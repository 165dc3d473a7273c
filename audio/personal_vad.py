"""Evidence of speech, less that of strangers: whose voice sounds decides whether it is heard. Pure.

The idea is that of Ding et al. 2020, "Personal VAD: Speaker-Conditioned Voice Activity Detection". Here
whoever can compare voices is asked about the newest stretch of speech, and again while it goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from audio.frame import Frame
from audio.vad import Evidence

WINDOW = 1.0
"""Seconds of the newest sound by which a voice is told."""

EVERY = 0.5
"""Seconds of speech from one look at whose it is to the next."""

FORGET = 2.0
"""Seconds without any speech after which it may be anybody who speaks: a television pauses for less."""

Whose: TypeAlias = Literal["known", "stranger", "doubt"]
"""Whose voice it is: of somebody who is listened to, of another, or it cannot be told."""


class PersonalVAD:
    """Speech is heard until it is known to be a stranger's, and again once it is known not to be any more.

    start: the sure detector's probability from which it is speech.
    """

    def __init__(self, start: float = 0.5) -> None:
        self._start = start
        self.whose: Whose = "doubt"
        self.strange: Sequence[Evidence] = ()
        """The evidence that the newest frame has completed, of strangers alone."""
        self._recent: deque[Frame] = deque()
        self._began = 0.0
        self._last = float("-inf")
        self._fresh = 0.0
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
        nothing = [replace(e, probability=0.0) for e in evidence]
        begun, self._regained = self._regained, None
        if begun is not None:  # theirs began some time ago
            evidence = [Evidence(frame.end, frame.end - begun, confirmed=True, probability=1.0), *evidence]
        ours, theirs = (nothing, evidence) if self.whose == "stranger" else (evidence, nothing)
        self.strange = theirs
        return ours

    def unsure(self) -> Frame | None:
        """The newest stretch of speech, when it is time to ask whose it is."""
        if self._fresh < EVERY:
            return None
        self._fresh = 0.0
        return Frame.join(each for each in self._recent if each.end > self._began)

    def told(self, asked: Frame, whose: Whose) -> None:
        """Whose the speech in `asked` is. A doubt changes nothing.

        Where it was another who spoke, this one has begun within what was asked about.
        """
        if whose == "doubt" or whose == self.whose:
            return
        if "stranger" in (self.whose, whose):
            self._regained = asked.time
        self.whose = whose
