"""Sound files in and out, and the stereo recorder. Knows files, not what is said in them."""

from __future__ import annotations

import functools
import io
import os
import wave
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import numpy.typing as npt

from audio.decode import Sound, opened
from audio.encode import ENDINGS, wav_header, whole
from audio.errors import AudioFileError
from audio.frame import Frame, Samples
from audio.mix import Mixing
from audio.pcm import to_int16
from audio.private import create, replacing, write_whole
from audio.resampler import Resampler

_SAME_RUN = 0.002
"""Seconds that a frame may miss the end of the last one by and still be its continuation."""

_STEP = 1 << 20
"""Samples, over all channels, that are decoded for one block of a stream: some 10 ms of work."""

_LARGEST_WAV = 0xFFFF_FFFF - 64
"""Bytes of samples that fit a WAV: its header counts in 32 bits."""


def read_audio(path: Path, longest: float | None = None) -> Frame:
    """The whole file as one mono frame at its own rate; channels are mixed as `mix.Mixing` says.

    Anything that libsndfile reads (WAV, FLAC, Ogg, MP3, AIFF, CAF) and, with PyAV, what phones and browsers
    record, at 4 to 384 kHz, to the end of what is there; AudioFileWarning where the header says otherwise.
    longest: seconds after which it is refused. Memory: 4 bytes for each sample of one channel, twice that
    for a moment. Raises AudioFileError: missing, a folder, unreadable, no audio, without samples, with NaN
    or infinity, too long, or at an odd rate; MissingExtra for what needs PyAV.
    """
    with opened(path) as sound:
        return _mono(sound, longest)


def read_bytes(data: bytes, name: str, longest: float | None = None) -> Frame:
    """As `read_audio`, of a file's bytes; `name`: what errors and warnings call it."""
    return _mono(Sound(io.BytesIO(data), name), longest)


def stream_bytes(data: bytes, name: str, rate: int, longest: float | None = None) -> Iterator[Samples]:
    """As `read_bytes`, at `rate` Hz and in blocks of which no length makes more memory necessary.

    Without a warning where the header lies: whoever asks here is a server, whose log is no place for that.
    All of it is decoded twice: the first time to judge it, so that nobody works on the beginning of a file
    that is refused further on. Empty blocks are given meanwhile, so that who asks may let others in between.
    """
    sound = Sound(io.BytesIO(data), name, warns=False)
    mixing = Mixing(sound.channels)
    yield from _in_steps(_judged(sound, mixing, longest))
    yield from _in_steps(_resampled(sound, mixing.weights(), rate))


def _judged(sound: Sound, mixing: Mixing, longest: float | None) -> Iterator[tuple[int, Samples]]:
    """How many samples were decoded, and none of them."""
    nothing = np.zeros(0, np.float32)
    for block in sound.blocks(longest):
        mixing.add(block)
        yield block.size, nothing


def _resampled(sound: Sound, mix: Samples, rate: int) -> Iterator[tuple[int, Samples]]:
    """How many samples were decoded, and what became of them."""
    resampler = Resampler(sound.rate, rate)
    for block in sound.blocks():
        yield block.size, resampler.feed(block @ mix)
    yield 0, resampler.finish()


def _in_steps(parts: Iterator[tuple[int, Samples]]) -> Iterator[Samples]:
    """The samples, joined to blocks for each of which `_STEP` were decoded."""
    held, count = list[Samples](), 0
    for decoded, samples in parts:
        held.append(samples)
        count += decoded
        if count >= _STEP:
            yield np.concatenate(held)
            held, count = [], 0
    if held:
        yield np.concatenate(held)


def read_channels(path: Path) -> tuple[Frame, ...]:
    """The whole file, one frame for each of its channels. Raises AudioFileError as `read_audio` does."""
    with opened(path) as sound:
        samples = np.concatenate(list(sound.blocks()))
        return tuple(Frame(np.ascontiguousarray(channel), sound.rate) for channel in samples.T)


def duration(path: Path) -> float:
    """The file's length in seconds. Raises AudioFileError as `read_audio` does."""
    with opened(path) as sound:
        return sound.duration()


def _mono(sound: Sound, longest: float | None = None) -> Frame:
    return Frame(np.concatenate(list(_mixed(sound, longest))), sound.rate)


def _mixed(sound: Sound, longest: float | None = None) -> Iterator[Samples]:
    """The blocks of one channel. Several channels are read twice: their weights need all of them."""
    mixing = Mixing(sound.channels)
    if sound.channels > 1:
        for block in sound.blocks(longest):
            mixing.add(block)
    mix = mixing.weights()
    for block in sound.blocks(longest):
        yield block @ mix


def write_wav(path: Path, samples: Samples, rate: int) -> None:
    """Write mono samples, shape (n,), as a 16-bit WAV; what lies outside [-1, 1] is clipped.

    Missing folders are made. The file is there whole or not at all, and its owner's alone: this is how what
    a microphone heard is kept. Raises AudioFileError when it cannot be written, ValueError for NaN or
    infinity.
    """
    _refuse_nan(samples)
    with _writing(path), replacing(path) as file:
        _write_pcm(file, [to_int16(samples)], channels=1, rate=rate)


def check_ending(path: Path) -> str:
    """The ending of a sound file's name, in small letters. AudioFileError when it is no format to write."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        named = f"no sound is written as {ending}" if ending else "the name does not say which format"
        raise AudioFileError(f"{path}: {named}; end it in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
    return ending


def write_sound(path: Path, samples: Samples, rate: int) -> None:
    """Write mono samples, shape (n,), in the format that the ending of `path` names (`encode.ENDINGS`).

    Otherwise as `write_wav`, but whoever the umask leaves may read it: a voice that reads a text is nobody's
    words, and is written to be played elsewhere. Raises AudioFileError also for an ending that names no
    format to write.
    """
    ending = check_ending(path)
    _refuse_nan(samples)
    with _writing(path), replacing(path, shared=True) as file:
        file.write(whole(samples, rate, ending))


class Recorder:
    """Records a conversation as a stereo 16-bit WAV: left the user, right the agent.

    Frames carry their time; second 0 of the session is the first sample, gaps are silence, and where
    frames of one channel overlap the later call wins. Frames within 2 ms of each other's end are joined
    without a seam, so a resampled stream stays smooth. It is written as it goes: a process that dies leaves
    all but the last 40 ms, under a header that gives no length, which is read to the end; `close` fills the
    length in. It is its owner's alone, and a file that was there is replaced. What does not fit a WAV's
    4 GB, 12 hours at 24 kHz, is not kept. Not for use from two threads at once.

    Raises AudioFileError when the place cannot be written: on creation, with nothing left there, or once when
    the disk fails; what was recorded until then is a whole file once it is closed, and nothing more is kept.
    """

    def __init__(self, path: Path, rate: int = 24_000) -> None:
        self._path, self._rate = path, rate
        self._full = False
        with _writing(path):
            self._file = create(path)
            try:
                write_whole(self._file, wav_header(rate, 2))
            except OSError:
                self._file.close()
                path.unlink()
                raise
        self._begin = self._file.tell()
        self._left = _Channel(rate, functools.partial(self._put, 0))
        self._right = _Channel(rate, functools.partial(self._put, 1))

    def user(self, frame: Frame) -> None:
        """Record what the user said, at any sample rate. ValueError for NaN or infinity."""
        with _writing(self._path):
            self._left.add(frame)

    def agent(self, frame: Frame) -> None:
        """Record what the agent said, at any sample rate. ValueError for NaN or infinity."""
        with _writing(self._path):
            self._right.add(frame)

    def close(self) -> None:
        """Write the rest and the length, that of the longer channel. A second call does nothing."""
        if self._file.closed:
            return
        with _writing(self._path), self._file:
            try:
                self._left.finish()
                self._right.finish()
            finally:
                self._finish_file()

    def _finish_file(self) -> None:
        length = (self._file.seek(0, os.SEEK_END) - self._begin) & ~3  # a full disk may have cut one in two
        try:
            self._file.truncate(self._begin + length)
            self._file.seek(0)
            write_whole(self._file, wav_header(self._rate, 2, length))
        except OSError:
            if not self._full:  # else it is told, and a header without a length does too
                raise

    def _put(self, channel: int, start: int, samples: Samples) -> None:
        """Write a channel's samples from sample frame `start` on, beside what the other one has there."""
        if self._full:
            return
        before_zero, room = max(0, -start), max(0, _LARGEST_WAV // 4 - start)
        kept = to_int16(samples[before_zero:room])
        place = self._begin + 4 * max(0, start)
        self._file.seek(place)
        there = self._file.read(4 * len(kept))
        both = (
            np.frombuffer(there[: len(there) & ~3].ljust(4 * len(kept), b"\0"), "<i2").reshape(-1, 2).copy()
        )
        both[:, channel] = kept
        self._file.seek(place)
        try:
            write_whole(self._file, both.tobytes())
        except OSError:
            self._full = True
            raise

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Channel:
    """One mono track that begins at second 0: at which sample what comes is to be put."""

    def __init__(self, rate: int, put: Callable[[int, Samples], None]) -> None:
        self._rate, self._put = rate, put
        self._resampler: Resampler | None = None
        self._run_end = 0.0
        self._position = 0

    def add(self, frame: Frame) -> None:
        _refuse_nan(frame.samples)  # before the resampler takes it in and smears it
        resampler = self._resampler
        follows = abs(frame.time - self._run_end) <= _SAME_RUN
        if resampler is None or resampler.source != frame.rate or not follows:
            self.finish()
            resampler = self._resampler = Resampler(frame.rate, self._rate)
            self._position = round(frame.time * self._rate)
            self._run_end = frame.time
        # Summed from the run's start, not taken from the frame: small errors must not pile up unseen.
        self._run_end += frame.duration
        self._write(resampler.feed(frame.samples))

    def finish(self) -> None:
        """Write what the resampler still holds."""
        if self._resampler is not None:
            self._write(self._resampler.finish())
            self._resampler = None

    def _write(self, samples: Samples) -> None:
        self._put(self._position, samples)
        self._position += len(samples)


def _refuse_nan(samples: Samples) -> None:
    if not np.isfinite(samples).all():
        raise ValueError("samples hold NaN or infinity")


def _write_pcm(file: IO[bytes], blocks: Iterable[npt.NDArray[np.int16]], *, channels: int, rate: int) -> None:
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        for block in blocks:
            out.writeframesraw(block.tobytes())


@contextmanager
def _writing(path: Path) -> Generator[None]:
    """Turns what the disk refuses into one line."""
    try:
        yield
    except OSError as error:
        raise AudioFileError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
