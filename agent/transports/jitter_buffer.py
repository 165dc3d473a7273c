"""Audio that arrives as it likes, as an even microphone. Knows no wire and nothing of what is heard."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import numpy as np

from agent.runner import Runner
from audio.frame import HEARING_RATE, Frame, Samples, silence
from audio.resampler import PromptResampler

BLOCK = 0.02
"""Seconds of one frame."""
PART = 0.1
"""Seconds that are converted at a time."""
GAP = 0.3
"""Seconds without audio after which a client is taken to have fallen silent: the rest is filled in."""
QUIET = 10 ** (-50 / 20)
"""Amplitude below which sound may be left out, to make up for silence that was filled in too soon."""
JITTER = 0.05
"""Seconds by which filled-in silence keeps behind the clock, for audio that may yet arrive."""


class JitterBuffer:
    """A client's sound as contiguous 16 kHz frames at the pace of the clock.

    Sound that comes late is caught up with, sound that comes early waits, and where none comes there is
    silence; if it then comes after all, as much is left out of its own silences, so that a hiccup of the
    network delays nothing for good. backlog: seconds that may wait; then `put` holds the client back.
    """

    def __init__(self, runner: Runner, max_buffer: float) -> None:
        self._runner = runner
        self._backlog = max_buffer
        self._resampler: PromptResampler | None = None
        self._waiting: deque[Samples] = deque()
        self._count = 0
        self._filled = 0.0
        self._closed = self._finished = False
        self._latest = 0.0
        self._arrived = anyio.Event()
        self._taken = anyio.Event()

    @property
    def waiting(self) -> float:
        """Seconds of sound that wait to be heard."""
        return self._count / HEARING_RATE

    async def put(self, samples: Samples, rate: int) -> None:
        """Take in sound, float32 (n,) at `rate` Hz; waits while more than the backlog is waiting.

        However much comes at once, little of it is converted at a time: that takes ten times its memory, and
        others wait for it.
        """
        if self._resampler is None or self._resampler.source != rate:
            self._resampler = PromptResampler(rate, HEARING_RATE)
        size, ready = round(PART * rate), list[Samples]()
        for start in range(0, len(samples), size):
            ready.append(self._resampler.feed(samples[start : start + size]))
            await anyio.lowlevel.checkpoint()
            if sum(map(len, ready)) >= self._backlog * HEARING_RATE:
                await self._add(ready)
                ready = []
        await self._add(ready)

    async def _add(self, ready: list[Samples]) -> None:
        """Let this be heard, all of it from the same moment on; wait while it is too much."""
        self._waiting.extend(ready)
        self._count += sum(map(len, ready))
        self._latest = self._runner.now()
        self._arrived.set()
        while self.waiting > self._backlog and not self._closed:
            self._taken = anyio.Event()
            await self._taken.wait()

    async def heard(self) -> None:
        """Wait until what has come so far is heard."""
        while self._count >= round(BLOCK * HEARING_RATE) and not self._closed:
            self._taken = anyio.Event()
            await self._taken.wait()

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._count = 0
        self._taken.set()

    def close(self) -> None:
        """No more sound: `frames` ends, and what waits is not heard."""
        self._closed = True
        self._arrived.set()
        self._taken.set()

    def finish(self) -> None:
        """No more sound comes: `frames` ends when what waits has been heard."""
        self._finished = True
        self._arrived.set()

    async def frames(self) -> AsyncIterator[Frame]:
        """The sound, from the first that arrives; ends with `close`, or with the sound after `finish`."""
        cursor: float | None = None
        size = round(BLOCK * HEARING_RATE)
        while not self._closed:
            now = self._runner.now()
            if self._count >= size:
                block = self._take(size)
                self._filled = min(self._filled, self.waiting)  # without a backlog nothing came late
                if self._filled > 0 and np.abs(block).max() < QUIET:
                    self._filled -= BLOCK
                    continue
                cursor = now - BLOCK if cursor is None else cursor
                if cursor + BLOCK > now:
                    await self._runner.sleep_until(cursor + BLOCK)
                yield Frame(block, HEARING_RATE, cursor)
                cursor += BLOCK
            elif self._finished:
                return
            elif cursor is not None and now - self._latest > GAP and now - cursor > JITTER + BLOCK:
                yield Frame(silence(BLOCK, HEARING_RATE), HEARING_RATE, cursor)
                cursor += BLOCK
                self._filled += BLOCK
            else:
                self._arrived = anyio.Event()
                with anyio.move_on_after(BLOCK if cursor is not None else None):
                    await self._arrived.wait()

    def _take(self, size: int) -> Samples:
        parts: list[Samples] = []
        self._count -= size
        while size > 0:
            part = self._waiting.popleft()
            parts.append(part[:size])
            if len(part) > size:
                self._waiting.appendleft(part[size:])
            size -= len(parts[-1])
        self._taken.set()
        return np.concatenate(parts)
