"""Opens and decodes sound files, to the end of what is in them. Knows not what the samples are for."""

from __future__ import annotations

import io
import math
import os
import stat
import tempfile
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from audio import media
from audio.errors import AudioFileError, AudioFileWarning, AudioTooLong, MissingExtra
from audio.extras import how_to_install
from audio.headers import Part, read_header
from audio.resampler import Resampler

LOWEST_RATE, HIGHEST_RATE = 4_000, 384_000
"""Sample rates, in Hz, between which a file is accepted."""

DENSEST = 384_000
"""Samples in a second, over all channels, up to which the limit of a file's length holds as it is.

What is denser may be as much shorter: decoding takes its time by the sample, and eight silent channels at
384 kHz fit into few bytes.
"""

BLOCK = 1 << 16
"""Sample frames read or written at a time: the memory that a long file costs."""

LARGEST_PIPE = 1 << 32
"""Bytes that are taken from a pipe, whose end nobody knows: 18 hours at 16 bit and 32 kHz."""

_UNKNOWN_LENGTH = 1 << 36
"""From here on libsndfile's number of frames means that the header gives none."""

Block = npt.NDArray[np.float32]
"""Samples, shape (n, channels)."""


class Decoder(Protocol):
    """What makes samples of a file's bytes.

    frames: how many, where that is known. said: seconds that the file claims, where the decoder asks it.
    """

    rate: int
    channels: int
    frames: int | None
    said: float | None

    def blocks(self) -> Iterator[Block]:
        """All samples from the first one on, each time. Raises AudioFileError where it cannot go on."""
        ...


class Sound:
    """A sound file that is open: its rate (Hz), its channels, its samples.

    warns: whether it is told where the header gives another length, and what follows is damaged.
    Raises AudioFileError for what is empty, no sound, without samples or at an odd rate, MissingExtra for
    what another library reads.
    """

    def __init__(self, file: IO[bytes], name: str, *, warns: bool = True) -> None:
        self._name = name
        if file.seek(0, os.SEEK_END) == 0:
            raise AudioFileError(f"{name}: empty, 0 bytes; record it again")
        try:
            self._header = read_header(file)
        except AudioFileError as error:
            raise AudioFileError(f"{name}: {error}") from error
        self._decoder = self._opened(file)
        self.rate, self.channels = self._decoder.rate, self._decoder.channels
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            raise AudioFileError(
                f"{name}: {self.rate} Hz; resample it to between {LOWEST_RATE} and {HIGHEST_RATE} Hz"
            )
        if self._decoder.frames == 0:
            raise self._no_samples()
        self._told = not warns

    def _opened(self, file: IO[bytes]) -> Decoder:
        try:
            return _Sndfile(file, self._header.parts, self._name)
        except AudioFileError as error:
            if (kind := media.recognized(file)) is None:
                raise
            try:
                return media.Media(file, kind, self._name)
            except (AudioFileError, MissingExtra) as other:
                if not kind.both:
                    raise
                hint = f", or type: {how_to_install('media')}" if isinstance(other, MissingExtra) else ""
                raise AudioFileError(f"{error}{hint}") from other

    def blocks(self, longest: float | None = None) -> Iterator[Block]:
        """The samples, shape (up to BLOCK, channels), to the end of what is there, checked as they come.

        Warns (AudioFileWarning, once) when the header gives another length, and when what follows is
        damaged. longest: seconds above which the file is refused, before anything is decoded where its header
        says so, else as soon as they are counted (see DENSEST). Raises AudioTooLong for that, AudioFileError
        for NaN or infinity, and when there are no samples at all.
        """
        most = math.inf if longest is None else longest * min(1.0, DENSEST / (self.rate * self.channels))
        if self._claimed() > most:
            raise self._too_long(most)
        count, damage = 0, ""
        given = self._decoder.blocks()
        while True:
            try:
                block = next(given, None)
            except AudioFileError as error:
                if count == 0:
                    raise
                block, damage = None, str(error)
            if block is None:
                break
            if count + len(block) > most * self.rate:
                raise self._too_long(most)
            if not np.isfinite(block).all():
                first = (count + int(np.argmin(np.isfinite(block).all(axis=1)))) / self.rate
                raise AudioFileError(
                    f"{self._name}: holds samples that are no numbers (NaN or infinity) "
                    f"from {first:.2f} s on; export it again as 16-bit WAV"
                )
            count += len(block)
            yield block
        if count == 0:
            raise self._no_samples()
        self._tell(count, damage)

    def duration(self) -> float:
        """Seconds of sound, from the header where it can be believed, else counted."""
        frames = self._decoder.frames
        return (sum(map(len, self.blocks())) if frames is None else frames) / self.rate

    def _claimed(self) -> float:
        """Seconds that there are at least, if the header is right; 0 where it does not say."""
        header, decoder = self._header, self._decoder
        frames = header.frames - header.slack if header.frames is not None else decoder.frames
        return (decoder.said or 0.0) - media.SLACK if frames is None else frames / self.rate

    def _too_long(self, most: float) -> AudioTooLong:
        dense = f" at {self.rate} Hz in {self.channels} channels"
        shape = dense if self.rate * self.channels > DENSEST else ""
        return AudioTooLong(f"{self._name}: longer than {most:g} s{shape}; cut it into shorter files")

    def _tell(self, count: int, damage: str) -> None:
        """Say once where the header lied."""
        if self._told:
            return
        self._told = True
        header, read = self._header, count / self.rate
        said, slack = self._decoder.said, media.SLACK
        if header.share is not None:
            said, slack = header.share * read, 0.01
        elif header.frames is not None:
            said, slack = header.frames / self.rate, max(0.01, header.slack / self.rate)
        if said is not None and abs(said - read) > slack:
            cut = "cut short: " if said > read else ""
            text = f"{cut}its header says {said:.2f} s, {read:.2f} s were there and were read"
        elif damage:
            text, said = f"damaged after {read:.2f} s, the rest is left out ({damage})", None
        else:
            return
        warnings.warn(AudioFileWarning(f"{self._name}: {text}", said, read), stacklevel=2)

    def _no_samples(self) -> AudioFileError:
        return AudioFileError(f"{self._name}: holds no samples; record it again")


@contextmanager
def opened(path: Path) -> Generator[Sound]:
    """The sound file at `path`; a pipe is read to its end first.

    Raises AudioFileError: missing, a folder, unreadable, and as `Sound` does.
    """
    try:
        raw = path.open("rb")
    except FileNotFoundError as error:
        raise AudioFileError(f"{path}: no such file; give the path of a sound file") from error
    except IsADirectoryError as error:
        raise AudioFileError(f"{path}: a folder; give the path of a sound file") from error
    except OSError as error:
        raise AudioFileError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    with raw:
        mode = os.fstat(raw.fileno()).st_mode
        if stat.S_ISREG(mode):
            yield Sound(raw, str(path))
            return
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            raise AudioFileError(f"{path}: a device, not a file; give the path of a sound file")
        with tempfile.TemporaryFile() as whole:
            _copy(raw, whole, path)
            yield Sound(whole, str(path))


def _copy(pipe: IO[bytes], whole: IO[bytes], path: Path) -> None:
    while data := pipe.read(1 << 20):
        if whole.tell() + len(data) > LARGEST_PIPE:
            raise AudioFileError(f"{path}: more than {LARGEST_PIPE >> 30} GiB from a pipe; use a file")
        whole.write(data)


class _Sndfile:
    """libsndfile over the parts of a file; of another shape than the first, a part is made like it."""

    def __init__(self, file: IO[bytes], parts: tuple[Part, ...], name: str) -> None:
        self._file, self._parts, self._name = file, parts, name
        with self._part(parts[0]) as first:
            self.rate: int = first.samplerate
            self.channels: int = first.channels
            known = len(parts) == 1 and first.frames < _UNKNOWN_LENGTH and first.format not in ("MP3", "OGG")
            self.frames: int | None = first.frames if known else None
            self.said: float | None = None

    def blocks(self) -> Iterator[Block]:
        """As `Decoder.blocks`."""
        for part in self._parts:
            with self._part(part) as file:
                blocks = self._read(file)
                if (file.samplerate, file.channels) != (self.rate, self.channels):
                    if file.samplerate * file.channels > max(DENSEST, self.rate * self.channels):
                        raise AudioFileError(
                            f"{file.samplerate} Hz in {file.channels} channels follow; export it again as WAV"
                        )
                    blocks = conformed(blocks, file.samplerate, self.rate, self.channels)
                yield from blocks

    def _read(self, file: soundfile.SoundFile) -> Iterator[Block]:
        size = max(1, BLOCK // file.channels)
        while True:
            try:
                block = file.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise AudioFileError(self._failed(error)) from error
            if len(block) == 0:
                return
            yield np.asarray(block, np.float32)

    @contextmanager
    def _part(self, part: Part) -> Generator[soundfile.SoundFile]:
        view: Any = _View(self._file, part)  # its types want a whole BinaryIO
        try:
            file = _Forward(view)
        except soundfile.LibsndfileError as error:
            raise AudioFileError(self._failed(error)) from error
        with file:
            yield file

    def _failed(self, error: soundfile.LibsndfileError) -> str:
        why = error.error_string.removeprefix("Error : ").strip().rstrip(".")
        return f"{self._name}: not sound that can be read ({why}); save it as WAV"


class _Forward(soundfile.SoundFile):
    """A sound file that is only read on: soundfile would seek after each block, which some codecs cannot."""

    def seekable(self) -> bool:
        """Never."""
        return False


class _View(io.RawIOBase):
    """A part of a file as a file of its own. Not closed with it, and its place in the file is its own."""

    def __init__(self, file: IO[bytes], part: Part) -> None:
        super().__init__()
        self._file, self._part = file, part
        self._shift = part.start - len(part.prefix)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        end = 1 << 62 if self._part.endless else self._part.end - self._shift
        self._at = max(0, (0, self._at, end)[whence] + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer)
        if self._at < len(self._part.prefix):
            data = self._part.prefix[self._at : self._at + wanted]
        else:
            place = self._at + self._shift
            self._file.seek(place)
            data = self._file.read(max(0, min(wanted, self._part.end - place)))
            data = _patched(data, place, self._part.patches)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _patched(data: bytes, place: int, patches: tuple[tuple[int, bytes], ...]) -> bytes:
    """`data`, read at `place`, with what the patches put there."""
    for at, patch in patches:
        low, high = max(at, place), min(at + len(patch), place + len(data))
        if low < high:
            data = data[: low - place] + patch[low - at : high - at] + data[high - place :]
    return data


def conformed(blocks: Iterator[Block], source: int, target: int, channels: int) -> Iterator[Block]:
    """Blocks at `source` Hz as blocks of so many channels at `target` Hz; other channels are averaged."""
    resamplers = [Resampler(source, target) for _ in range(channels)]
    for block in blocks:
        columns = zip(resamplers, media.with_channels(block, channels).T, strict=True)
        yield np.stack([resampler.feed(column) for resampler, column in columns], axis=1)
    yield np.stack([resampler.finish() for resampler in resamplers], axis=1)
