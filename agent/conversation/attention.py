"""Whether what is heard is for the agent: the gate in front of turn-taking. Knows no reply and no words.

Asleep, one engine listens for one word, and no sound goes any further; what was heard lies in memory for a
moment, so that what is said in one breath with the word is not lost. Muted, nothing listens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from agent import events as ev
from agent.protocols import Engines
from agent.runner import Runner
from agent.settings import WakeConfig
from audio.frame import Frame
from audio.wake import Detection

KEPT = 1.0
"""Seconds of sound that lie in memory, before the word was said: its end is known a little later."""


class Listener(Protocol):
    """Is told, by a call, when to listen and when not."""

    @property
    def engaged(self) -> bool:
        """Whether the talk goes on by itself: somebody speaks, or is answered."""
        ...

    def called(self) -> None:
        """The wake word was said: all else gives way to what comes now."""
        ...

    def turned_away(self) -> None:
        """What comes now is not for the agent: what the user has begun to say is forgotten."""
        ...


class Attention:
    """Awake, asleep or muted; the frames that are for the agent.

    Without a wake word it is awake unless it is muted.
    """

    def __init__(
        self, engines: Engines, config: WakeConfig, runner: Runner, emit: ev.Watcher, listener: Listener
    ) -> None:
        self._engine = engines.wake(config) if config.model else None
        self._follow_up = config.follow_up
        self.sign = config.sign
        """Whether a sound tells that it has woken."""
        self._runner, self._emit, self._listener = runner, emit, listener
        self._recent: deque[Frame] = deque()
        self._muted = False
        self._since: float | None = None if self._engine else 0.0
        self._engaged = 0.0

    @property
    def since(self) -> float | None:
        """From when what is heard is for the agent (s); None where it is not."""
        return None if self._muted else self._since

    @property
    def state(self) -> ev.AttentionState:
        """What it is."""
        return "muted" if self._muted else "asleep" if self._since is None else "awake"

    def begin(self) -> None:
        """The session begins."""
        if self.state != "awake":
            self._tell()

    def hears(self, frame: Frame) -> Sequence[Frame]:
        """What is for the agent once this frame (16 kHz, contiguous with the last) has come."""
        if self._muted:
            return ()
        if self._engine is None:
            return (frame,)
        self._recent.append(frame)
        while self._recent[0].end < frame.end - KEPT:
            self._recent.popleft()
        if (found := self._engine.feed(frame)) is not None:
            return self._wake(found)
        if self._since is None:
            return ()
        if self._listener.engaged:
            self._engaged = frame.end
        elif frame.end - self._engaged > self._follow_up:
            self._turn_away()
            return ()
        return (frame,)

    def dismiss(self) -> None:
        """The user takes leave: once nobody speaks, only the word is listened for."""
        self._engaged = float("-inf")

    def mute(self, muted: bool) -> None:
        """Hear nothing at all, or hear again; with a wake word, that first."""
        if muted == self._muted:
            return
        self._muted = muted
        if muted and self._since is not None:
            self._listener.turned_away()
        self._since = None if self._engine else 0.0
        self._recent.clear()
        self._tell()

    def _wake(self, found: Detection) -> Sequence[Frame]:
        """The word was said: what came behind it is for the agent, and nothing before."""
        asleep = self._since is None
        self._since = self._engaged = found.end
        self._emit(ev.WakeWordDetected(self._runner.now(), found.name, found.end))
        if asleep:
            self._tell()
        self._listener.called()
        return [_from(each, found.end) for each in self._recent if each.end > found.end]

    def _turn_away(self) -> None:
        self._since = None
        self._recent.clear()
        self._listener.turned_away()
        self._tell()

    def _tell(self) -> None:
        self._emit(ev.AttentionChanged(self._runner.now(), self.state))


def _from(frame: Frame, moment: float) -> Frame:
    """What of a frame sounded after that moment (s)."""
    gone = min(len(frame.samples), max(0, round((moment - frame.time) * frame.rate)))
    return Frame(frame.samples[gone:], frame.rate, frame.time + gone / frame.rate)
