"""Opens and decodes sound files, and refuses what is not whole. Knows not what the samples are for."""

from __future__ import annotations

import os
import struct
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import soundfile

from audio.errors import AudioFileError

LOWEST_RATE, HIGHEST_RATE = 8_000, 96_000
"""Sample rates, in Hz, between which a file is accepted."""

BLOCK = 1 << 16
"""Sample frames read or written at a time: the memory that a long file costs."""

_UNKNOWN_LENGTH = 1 << 62
"""From here on libsndfile's number of frames means that the header gives none."""

_STREAMED = 0x7FFF_0000
"""From here on a WAV's data size is what programs write that do not know it yet (also 0), not a length."""


@contextmanager
def opened(path: Path) -> Generator[soundfile.SoundFile]:
    """The file, open for reading at its first sample.

    Raises AudioFileError, also where libsndfile gives up within the block: missing, a folder,
    unreadable, empty, no audio, a WAV shorter than it declares, without samples, at an odd rate.
    """
    try:
        raw = path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise AudioFileError(f"{path}: no such file; give the path of a WAV or FLAC file") from error
    except IsADirectoryError as error:
        raise AudioFileError(f"{path}: a folder; give the path of a WAV or FLAC file") from error
    except OSError as error:
        raise AudioFileError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    with raw:
        _check_length(raw, path)
        try:
            # By number, not by name: a name that ends in .raw would be taken for headerless samples.
            with soundfile.SoundFile(raw.fileno(), closefd=False) as file:
                _check_header(file, path)
                yield file
        except soundfile.LibsndfileError as error:
            why = error.error_string.removeprefix("Error : ").strip().rstrip(".")
            raise AudioFileError(f"{path}: not sound that can be read ({why}); save it as WAV") from error


def blocks(file: soundfile.SoundFile, path: Path) -> Iterator[npt.NDArray[np.float32]]:
    """The samples, shape (up to BLOCK, channels), checked as they come."""
    while file.tell() < file.frames:
        block = np.asarray(file.read(BLOCK, dtype="float32", always_2d=True), np.float32)
        if len(block) == 0:
            raise AudioFileError(
                f"{path}: cut short after {file.tell() / file.samplerate:.2f} s; copy it again"
            )
        if not np.isfinite(block).all():
            raise AudioFileError(f"{path}: holds samples that are no numbers (NaN or infinity)")
        yield block


def _check_length(raw: IO[bytes], path: Path) -> None:
    """Refuse an empty file, and a WAV that ends early: libsndfile would just play it short."""
    size = os.fstat(raw.fileno()).st_size
    if size == 0:
        raise AudioFileError(f"{path}: empty, 0 bytes; record it again")
    missing = _missing_bytes(raw, size)
    if missing > 0:
        raise AudioFileError(f"{path}: cut short, its last {missing} bytes are missing; copy it again")
    raw.seek(0)


def _check_header(file: soundfile.SoundFile, path: Path) -> None:
    if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
        raise AudioFileError(f"{path}: {file.samplerate} Hz; resample it to between 8000 and 96000 Hz")
    if file.frames == 0:
        raise AudioFileError(f"{path}: holds no samples; record it again")
    if file.frames >= _UNKNOWN_LENGTH:
        raise AudioFileError(f"{path}: its header gives no length; save it as WAV")


def _missing_bytes(file: IO[bytes], size: int) -> int:
    """How much less sound a RIFF or RF64 file of `size` bytes holds than it declares; 0 for other kinds."""
    magic = file.read(12)
    if magic[:4] not in (b"RIFF", b"RF64") or magic[8:] != b"WAVE":
        return 0
    large: int | None = None
    while len(header := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", header)
        if name == b"ds64":
            sizes = file.read(16).ljust(16, b"\0")
            large = struct.unpack("<8xQ", sizes)[0]
            length -= 16
        elif name == b"data":
            if large is None and (length == 0 or length >= _STREAMED):
                return 0
            return (length if large is None else large) - (size - file.tell())
        file.seek(length + length % 2, os.SEEK_CUR)
    return 0
