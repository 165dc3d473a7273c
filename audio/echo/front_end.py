"""What the microphone's sound goes through first: echo out, leaks noticed. Knows no device, no listener."""

from __future__ import annotations

from audio.echo.alignment import Alignment
from audio.echo.canceller import EchoCanceller
from audio.echo.leak_detector import LeakDetector
from audio.frame import Frame


class FrontEnd:
    """The echo canceller and, behind it, a detector for what it lets through.

    noise_suppression: takes out steady noise as well. latest: most seconds by which what is played may sound
    later than its time says, as behind a network; 0: it sounds then. `played` may be called from the sound
    device's thread.
    """

    def __init__(self, *, noise_suppression: bool = False, latest: float = 0.0) -> None:
        self._canceller = EchoCanceller(noise_suppression=noise_suppression)
        self._detector = LeakDetector()
        self._alignment = Alignment(latest) if latest else None

    @property
    def leaking(self) -> bool:
        """Whether the speaker can be heard in the microphone, for all that is done about it."""
        return self._detector.leaking

    def played(self, frame: Frame) -> None:
        """What the speaker plays, at any rate; `time` says when it sounds."""
        if self._alignment is not None:
            self._alignment.played(frame)
        else:
            self._sounds(frame)

    def _sounds(self, frame: Frame) -> None:
        self._canceller.played(frame)
        self._detector.played(frame)

    def cleaned(self, frame: Frame) -> Frame:
        """What was heard (16 kHz, contiguous) without the echo, as long as `frame` and a few ms earlier."""
        if self._alignment is not None:
            if self.leaking:
                self._alignment.lost()
            self._sounds(self._alignment.heard(frame))
        clean = self._canceller.cleaned(frame)
        self._detector.heard(clean)
        return clean
