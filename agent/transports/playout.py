"""Playout to a client: what a client is sent of each reply, and what of that was heard. Knows no session."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

import anyio

from audio.frame import Frame, Samples
from audio.playback import Playback, Track

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


class Playout(Playback):
    """A playback that knows how much speech waits for the client, and when there will be some.

    tap: as Playback has it; it is given silence as well.
    """

    def __init__(self, tap: Callable[[Frame], None] | None = None) -> None:
        super().__init__(RATE, tap=tap)
        self._told = tap is not None
        self._current: Track | None = None
        self._begun = anyio.Event()

    def open(self) -> Track:
        """As Playback.open."""
        self._current = super().open()
        self._begun.set()
        return self._current

    def sign(self, samples: Samples) -> None:
        """As Playback.sign."""
        super().sign(samples)
        self._begun.set()

    @property
    def unread(self) -> bool:
        """Whether nobody misses what it would give now: silence, of which nobody is told."""
        return self.idle and not self._told

    async def begun(self, limit: float) -> None:
        """Wait until there is something to read, `limit` seconds at most."""
        self._begun = anyio.Event()
        with anyio.move_on_after(limit):
            await self._begun.wait()

    @property
    def waiting(self) -> bool:
        """Whether there is speech to send, now."""
        return self._current is not None and not self._current.paused and self._current.queued > 0
