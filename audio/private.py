"""Files that hold what somebody said: their owner's alone from the first byte on. Knows not what is in them.

The mode is given when a file or folder is made, so that there is no moment at which others may open it, and
whatever the umask would have allowed. What was there is replaced, never written over: who had it open, or
may read it, gets nothing of what is new. Folders that were there keep their mode. On Windows a mode means
nothing; there a folder's own rights hold for what is put into it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, cast

FILE, FOLDER = 0o600, 0o700
"""For its owner alone."""
SHARED_FILE, SHARED_FOLDER = 0o666, 0o777
"""For everybody whom the umask leaves."""


def make_folder(folder: Path, mode: int = FOLDER) -> None:
    """Make it and what is missing above it, all with this mode. Raises OSError."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode, exist_ok=True)  # its own `parents` would give the mode to the last one only


def create(path: Path) -> IO[bytes]:
    """A new file in the place of `path`, in a folder that is made; unbuffered, to write and read.

    Unbuffered: what was written is in the system's hands, whatever becomes of this process. Raises OSError.
    """
    make_folder(path.parent)
    path.unlink(missing_ok=True)
    return _new(path, FILE, buffering=0)


def append(path: Path) -> IO[bytes]:
    """A file to write on at its end, made where there is none; unbuffered. Raises OSError."""
    make_folder(path.parent)
    return cast(IO[bytes], open(path, "ab", buffering=0, opener=partial(os.open, mode=FILE)))


def write_whole(file: IO[bytes], data: bytes) -> None:
    """Write all of it to what `create` gave: a disk that is nearly full takes a part, and only then says why.

    Raises OSError; what the disk took is there then.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def replacing(path: Path, *, shared: bool = False) -> Generator[IO[bytes]]:
    """A new file that takes the place of `path` when the block succeeds, and is gone when it does not.

    Missing folders are made. shared: for files that hold nothing of anybody's, such as a voice that reads a
    text; who else may read them, and their new folders, the umask says. Raises OSError.
    """
    make_folder(path.parent, SHARED_FOLDER if shared else FOLDER)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with _new(part, SHARED_FILE if shared else FILE) as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _new(path: Path, mode: int, buffering: int = -1) -> IO[bytes]:
    return cast(IO[bytes], open(path, "x+b", buffering, opener=partial(os.open, mode=mode)))
