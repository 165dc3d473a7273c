"""Microphone and speaker: frames from one, samples to the other. Knows nothing of what is said.

PortAudio calls back from a thread of its own. Nothing here waits in it: the microphone leaves frames in
a bounded queue, the speaker asks its source.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np

from audio.devices.portaudio import (
    Device,
    Wish,
    check_devices,
    close,
    find_device,
    library,
    list_devices,
    open_stream,
    start,
)
from audio.devices.timestamps import Steady
from audio.errors import DeviceError
from audio.frame import HEARING_RATE, Frame, Samples, silence
from audio.resampler import Resampler

__all__ = ["Device", "Microphone", "Speaker", "check_devices", "list_devices"]

_STARTING = 8.0
"""Seconds that a device may take to begin: a sound server was seen to need 2."""

_DEAF, _MUTE = 2.0, 5.0
"""Seconds without a call from PortAudio after which a microphone, a speaker, is held to be gone."""

_KEPT = 5.0
"""Seconds of sound that wait for a late reader before the oldest is dropped."""

_CALM = 5
"""Frames that a reader in no hurry is woken for: to be woken costs more than what is done with a frame."""

_RESERVE = 0.04
"""Seconds of sound that the device should hold, so that a busy interpreter may be late."""

_PULL = 0.02
"""Seconds of sound that the speaker asks for at a time; with 0.01 a busy machine tore gaps."""

_WARM_UP, _WARM_UP_LIMIT = 0.25, 2.0
"""Seconds of silence without a gap that come first, and how long it may take until there are so many.

A sound server fills its buffer with them, many blocks at once, and only then keeps time: for up to half a
second, a starting PulseAudio was seen to tear gap after gap.
"""


class Microphone:
    """Mono frames of `block` seconds at 16 kHz, as an async iterator within `async with`.

    device: number, name or None for the default. clock: the session's, in seconds; it runs in real time
    and any thread may ask it. A frame's time is when its first sample sounded, as far as the device
    tells. `dropped` counts the frames that a late reader lost: the newest 5 s are kept; `overflows` the
    blocks before which the device had lost some. calm: tells, in PortAudio's thread, whether nothing hangs on
    the next frame; then frames come five at a time.

    Runs on trio and asyncio. Raises DeviceError on entry (none, unknown, busy), and from the iterator
    when the device stops giving sound.
    """

    def __init__(
        self,
        device: int | str | None,
        clock: Callable[[], float],
        block: float = 0.02,
        calm: Callable[[], bool] = lambda: False,
    ) -> None:
        self._wanted, self._clock, self._calm = device, clock, calm
        self._block, self._count = block, round(block * HEARING_RATE)
        self._queue: deque[tuple[int, Frame]] = deque(maxlen=round(_KEPT / block))
        self._held = silence(0, HEARING_RATE)
        self._fed = 0.0
        self._sent = self._taken = 0
        self._waking = self._ended = False
        self._patience = _STARTING
        self.dropped = self.overflows = 0

    async def __aenter__(self) -> Microphone:
        self._device = find_device(self._wanted, "input")
        self._event = anyio.Event()
        self._in_loop = _loop_caller()
        wish = Wish(HEARING_RATE, (1, min(2, self._device.inputs)), self._block, _RESERVE)
        self._stream = open_stream(self._device, "input", wish, self._heard, self._finished)
        rate = round(self._stream.samplerate)
        self._steady, self._resampler = Steady(rate), Resampler(rate, HEARING_RATE)
        start(self._stream, self._device)
        return self

    async def __aexit__(self, *_: object) -> None:
        close(self._stream)

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self

    async def __anext__(self) -> Frame:
        await anyio.lowlevel.checkpoint()
        while not self._queue:
            await self._wait()
        self._patience = _DEAF
        number, frame = self._queue.popleft()
        self.dropped += number - self._taken
        self._taken = number + 1
        return frame

    async def _wait(self) -> None:
        """Wait for a frame, or raise DeviceError when none will come."""
        self._event = anyio.Event()
        # Looked at again once the event is there to be set: a frame may have come between the two.
        if not self._queue and not self._ended:
            with anyio.move_on_after(self._patience):
                await self._event.wait()
                return
        if not self._queue:
            raise DeviceError(
                f"microphone {self._device.name!r} gives no sound; plug it in again or choose another"
            )

    def _heard(self, data: Any, count: int, times: Any, status: Any) -> None:
        """PortAudio's callback, from its own thread: `count` samples, shape (count, channels)."""
        self.overflows += bool(status.input_overflow)
        seconds = count / self._steady.rate
        age = min(max(times.currentTime - times.inputBufferAdcTime, seconds), 1.0)
        begin = self._steady.place(count, self._clock() - age)
        before, self._fed = self._fed, self._fed + seconds
        self._held = np.concatenate([self._held, self._resampler.feed(data.mean(axis=1))])
        while len(self._held) >= self._count:
            at = begin + self._sent * self._count / HEARING_RATE - before
            self._queue.append((self._sent, Frame(self._held[: self._count], HEARING_RATE, at)))
            self._held = self._held[self._count :]
            self._sent += 1
            if len(self._queue) >= _CALM or not self._calm():
                self._wake()

    def _finished(self) -> None:
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if not self._waking:  # at most one call waits in the loop, however late it is
            self._waking = True
            self._in_loop(self._notice)

    def _notice(self) -> None:
        self._waking = False
        self._event.set()


class Speaker:
    """Plays what `source` gives, within `async with`; mono at `rate` Hz, on two channels where there are two.

    source: `source(count, at)` gives exactly `count` samples, shape (count,), of which the first sounds
    at `at` on the session's clock. It is called from PortAudio's thread every 20 ms and must not wait.
    clock: as for `Microphone`. `underflows` counts the gaps that late answers have torn. A sound server may
    take seconds until it keeps time: `open`, before, has that pass while something else goes on.

    Runs on trio and asyncio. Raises DeviceError on entry (none, unknown, busy). When the source raises
    or the device goes, the block is cancelled and DeviceError comes out of it.
    """

    def __init__(
        self,
        device: int | str | None,
        source: Callable[[int, float], Samples],
        rate: int,
        clock: Callable[[], float],
    ) -> None:
        self._wanted, self._source, self._rate, self._clock = device, source, rate, clock
        self._held = silence(0, rate)
        self._asked = self._played = self._renewed = 0.0
        self._stream: Any = None
        self._warm = self._ended = self._closing = self._entered = False
        self._began: float | None = None
        self._even = self._before = -math.inf
        self._failure: Exception | None = None
        self.latency = 0.0
        """Seconds from the source being asked for a sample to its sounding, as last measured."""
        self.underflows = 0

    def open(self) -> None:
        """Have the device begin, with silence, once; entered, it goes on from there. Raises DeviceError.

        Who opens it and does not enter it calls `close`.
        """
        if self._stream is not None:
            return
        self._device = find_device(self._wanted, "output")
        wish = Wish(self._rate, (min(2, self._device.outputs), 1), _PULL, _RESERVE)
        stream = open_stream(self._device, "output", wish, self._pull, self._finished)
        rate = round(stream.samplerate)
        self._steady, self._resampler = Steady(rate), Resampler(self._rate, rate)
        start(stream, self._device)
        self._stream = stream

    def close(self) -> None:
        """Let go of the device, however often this is called."""
        self._closing = True
        stream, self._stream = self._stream, None
        if stream is not None:
            close(stream)

    async def __aenter__(self) -> Speaker:
        self.open()
        self._scope = anyio.CancelScope()
        self._loop_ahead = anyio.current_time() - self._clock()
        self._in_loop = _loop_caller()
        self._began = None  # however long it has been open: it is waited for from now on
        self._entered = True
        try:
            with anyio.move_on_after(_STARTING):
                while not self._warm and not self._ended:
                    await anyio.sleep(0.01)
            if not self._warm:
                raise DeviceError(f"speaker {self._device.name!r} does not start; choose another")
        except BaseException:
            self.close()
            raise
        self._renew()
        self._scope.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self.close()
        swallowed = self._scope.__exit__(kind, error, trace)
        if self._ended if kind is None else swallowed:
            if self._failure is not None:
                raise DeviceError(f"playing stopped: {self._failure!r}") from self._failure
            raise DeviceError(f"speaker {self._device.name!r} has gone; plug it in again or choose another")
        return swallowed

    def _renew(self) -> None:
        """The device is alive: give it more time before the block around it is cancelled."""
        self._scope.deadline = self._clock() + self._loop_ahead + _MUTE

    def _finished(self) -> None:
        if not self._closing:
            self._ended = True
            if self._entered:
                self._in_loop(self._scope.cancel)

    def _pull(self, out: Any, count: int, times: Any, status: Any) -> None:
        """PortAudio's callback, from its own thread: fill `out`, shape (count, channels)."""
        now = self._clock()
        lead = min(max(times.outputBufferDacTime - times.currentTime, 0.0), 1.0)
        at = self._steady.place(count, now + lead)
        if not (self._warm and self._entered):
            out[:] = 0.0
            self._warm_up(times.currentTime, bool(status.output_underflow))
            return
        if now - self._renewed > _MUTE / 8:
            self._renewed = now
            self._in_loop(self._renew)
        self.underflows += bool(status.output_underflow)
        try:
            out[:] = self._next(count, at)[:, np.newaxis]
        except Exception as error:  # whatever the source raises: in this thread nobody would see it
            self._failure = error
            out[:] = 0.0
            raise library().CallbackAbort from error

    def _warm_up(self, now: float, torn: bool) -> None:
        """One more block of silence at `now` on the device's clock (s), after a gap or not."""
        if self._began is None:
            self._began = now
        if torn or now - self._before > _WARM_UP:  # this program itself was late
            self._even = now
        self._before = now
        even = now - self._even >= _WARM_UP
        self._warm = even or (self._entered and now - self._began >= _WARM_UP_LIMIT)

    def _next(self, count: int, at: float) -> Samples:
        """The next `count` samples at the device's rate, of which the first sounds at `at`."""
        while len(self._held) < count:
            wanted = count if self._resampler.target == self._rate else round(_PULL * self._rate)
            first = at + self._asked - self._played
            self.latency = max(0.0, first - self._clock())
            samples = self._source(wanted, first)
            if samples.shape != (wanted,):
                raise ValueError(f"{wanted} samples were asked for, shape {samples.shape} came")
            self._asked += wanted / self._rate
            self._held = np.concatenate([self._held, self._resampler.feed(samples)])
        out, self._held = self._held[:count], self._held[count:]
        self._played += count / self._steady.rate
        return out


def _loop_caller() -> Callable[[Callable[[], object]], object]:
    """Calls a function in this event loop, trio's or asyncio's, on behalf of any thread."""
    import trio  # not at the top: whoever only lists devices needs no event loop

    try:
        return trio.lowlevel.current_trio_token().run_sync_soon
    except RuntimeError:
        return asyncio.get_running_loop().call_soon_threadsafe
