"""What the microphone's sound goes through first: echo out, leaks noticed. Knows no device, no listener."""

from __future__ import annotations

from audio.echo.canceller import EchoCanceller
from audio.echo.leak_detector import LeakDetector
from audio.frame import Frame


class FrontEnd:
    """The echo canceller and, behind it, a detector for what it lets through.

    noise_suppression: takes out steady noise as well. `played` may be called from the sound device's thread.
    """

    def __init__(self, *, noise_suppression: bool = False) -> None:
        self._canceller = EchoCanceller(noise_suppression=noise_suppression)
        self._detector = LeakDetector()

    @property
    def leaking(self) -> bool:
        """Whether the speaker can be heard in the microphone, for all that is done about it."""
        return self._detector.leaking

    def played(self, frame: Frame) -> None:
        """What the speaker plays, at any rate; `time` says when it sounds."""
        self._canceller.played(frame)
        self._detector.played(frame)

    def cleaned(self, frame: Frame) -> Frame:
        """What was heard (16 kHz, contiguous) without the echo, as long as `frame` and a few ms earlier."""
        clean = self._canceller.cleaned(frame)
        self._detector.heard(clean)
        return clean
