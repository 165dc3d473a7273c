"""What a sound file's header says of its length, and what to read instead where it lies. Decodes nothing.

Decoders believe the header: libsndfile stops at the number of frames that it gives or that it guesses from
it. Whoever writes into a pipe, or is killed while recording, has never filled that number in.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from audio.errors import AudioFileError

_STREAMED = 0x7FFF_0000
"""From here on a WAV's data size is what programs write that do not know it yet, not a length."""

_STREAMED_64 = 1 << 60
"""The same where sizes have 64 bits."""

_MOST = 10_000
"""Chunks or tags that are looked at: files have a dozen."""

_FOR_EVER = 0x7FFF_FFFF
"""A number of MP3 frames that none has; the decoder then reads to the end."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a file that a decoder is shown as a file of its own.

    start, end: its bytes. prefix: what stands before them. patches: what is read at a place of the file
    instead of what is there. endless: its end is not told, so that one that is cut short is no error.
    """

    start: int
    end: int
    prefix: bytes = b""
    patches: tuple[tuple[int, bytes], ...] = ()
    endless: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """What is to be decoded, one part after the other, and what the header said of its length.

    share: the length that it gives, as a part of what is there; 1 when it is right. frames: the length in
    sample frames, where it is given so. Both are None when the header says nothing. slack: sample frames
    by which it may differ and still be right.
    """

    parts: tuple[Part, ...]
    share: float | None = None
    frames: int | None = None
    slack: int = 0


def read_header(file: IO[bytes]) -> Header:
    """What is in a seekable file, by its first bytes; of an unknown kind all of it, as it is.

    Raises AudioFileError for one that is only there to cost time.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    magic = file.read(16)
    if layout := _layout(magic):
        return _in_chunks(file, size, layout)
    if magic[:4] in (b".snd", b"dns."):
        return _au(magic, size)
    if magic[:4] == b"OggS":
        return Header(tuple(_links(file, size)))
    if magic[:4] == b"fLaC":
        return _flac(file, size)
    if (start := _first_mpeg_frame(file)) is not None:
        return _mp3(file, start, size)
    return Header((Part(0, size),))


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a kind of file counts its chunks.

    begin: where the first one is. name: bytes of a chunk's name. count: its size, as `struct` has it.
    align: chunks begin at its multiples. data: the chunk of samples. inclusive: the size counts its own
    header. skipped: bytes before the first sample in the data chunk.
    """

    begin: int
    name: int
    count: str
    align: int
    data: bytes
    inclusive: bool = False
    skipped: int = 0

    @property
    def header(self) -> int:
        """Bytes before a chunk's content."""
        return self.name + struct.calcsize(self.count)


_W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_RIFF = _Layout(12, 4, "<I", 2, b"data")
_LAYOUTS = {
    b"RIFF": _RIFF,
    b"RF64": _RIFF,
    b"BW64": _RIFF,
    b"RIFX": _Layout(12, 4, ">I", 2, b"data"),
    b"riff": _Layout(40, 16, "<Q", 8, _W64_DATA, inclusive=True),
    b"caff": _Layout(8, 4, ">q", 1, b"data", skipped=4),
}
_FORMS = {
    b"AIFF": _Layout(12, 4, ">I", 2, b"SSND", skipped=8),
    b"AIFC": _Layout(12, 4, ">I", 2, b"SSND", skipped=8),
    b"8SVX": _Layout(12, 4, ">I", 2, b"BODY"),
    b"16SV": _Layout(12, 4, ">I", 2, b"BODY"),
}


def _layout(magic: bytes) -> _Layout | None:
    if magic[:4] == b"FORM":
        return _FORMS.get(magic[8:12])
    return _LAYOUTS.get(magic[:4])


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A chunk: its name, where its content begins, and how long it says that it is."""

    name: bytes
    content: int
    length: int


def _chunks(file: IO[bytes], at: int, layout: _Layout) -> Iterator[_Chunk]:
    """The chunks from `at` on, each where the one before says that it ends. AudioFileError for too many."""
    for _ in range(_MOST):
        file.seek(at)
        header = file.read(layout.header)
        if len(header) < layout.header:
            return
        (length,) = struct.unpack(layout.count, header[layout.name :])
        length -= layout.header if layout.inclusive else 0
        yield _Chunk(header[: layout.name], at + layout.header, length)
        if not 0 <= length < _STREAMED_64:
            return
        at += layout.header + length
        at += -at % layout.align
    raise AudioFileError(f"more than {_MOST} chunks, which no program writes; export it again")


def _in_chunks(file: IO[bytes], size: int, layout: _Layout) -> Header:
    """RIFF and its kin: the data chunk's own length, and that of RF64, AIFF and WAV codecs elsewhere."""
    chunks = dict[bytes, _Chunk]()
    for chunk in _chunks(file, layout.begin, layout):
        chunks.setdefault(chunk.name, chunk)
        if chunk.name == layout.data:
            break
    data = chunks.get(layout.data)
    if data is None:
        return Header((Part(0, size),))
    said = data.length
    large = chunks.get(b"ds64")
    if large is not None and data.length == 0xFFFF_FFFF:
        file.seek(large.content + 8)
        (said,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
    streamed = _STREAMED if struct.calcsize(layout.count) == 4 and large is None else _STREAMED_64
    given = 0 <= said < max(streamed, size)
    there = size - data.content
    if given and (said == there or _followed(file, data.content + said, size, layout)):
        return Header((Part(0, size),), share=1.0)
    patches = [_length_patch(data, there, layout)]
    if large is not None:
        patches.append((large.content + 8, struct.pack("<Q", there)))
    if fact := chunks.get(b"fact"):
        patches.append((fact.content, b"\xff\xff\xff\xff"))
    if layout.data == b"SSND" and (common := chunks.get(b"COMM")):
        patches.append((common.content + 2, b"\x7f\xff\xff\xff"))
    sound = max(1, there - layout.skipped)
    share = max(0, said - layout.skipped) / sound if given else None
    return Header((Part(0, size, patches=tuple(patches)),), share=share)


def _length_patch(data: _Chunk, there: int, layout: _Layout) -> tuple[int, bytes]:
    length = there + (layout.header if layout.inclusive else 0)
    wide = struct.calcsize(layout.count)
    largest = 0xFFFF_FFFF if wide == 4 else (1 << 63) - 1
    return data.content - wide, struct.pack(layout.count, min(length, largest))


def _followed(file: IO[bytes], end: int, size: int, layout: _Layout) -> bool:
    """Whether chunks, and nothing else, follow at `end`: then that is where the samples end.

    The padding that an odd number of bytes needs is forgotten by many.
    """
    aligned = end + -end % layout.align
    if end <= size <= aligned:
        return True
    return any(_chunks_to_the_end(file, at, size, layout) for at in {end, aligned})


def _chunks_to_the_end(file: IO[bytes], at: int, size: int, layout: _Layout) -> bool:
    end = at
    for chunk in _chunks(file, at, layout):
        if layout.name == 4 and not all(0x20 <= byte < 0x7F for byte in chunk.name):
            return False
        end = chunk.content + chunk.length
        if not 0 <= chunk.length <= size - chunk.content:
            return False
    return end > at and size - end < layout.header


def _au(magic: bytes, size: int) -> Header:
    """AU: the length is the third number, all ones when it is not known."""
    order = ">" if magic[:4] == b".snd" else "<"
    begin, said = struct.unpack(f"{order}4xII", magic[:12].ljust(12, b"\0"))
    there = max(1, size - begin)
    if said == size - begin:
        return Header((Part(0, size),), share=1.0)
    share = None if said == 0xFFFF_FFFF else said / there
    return Header((Part(0, size, patches=((8, b"\xff\xff\xff\xff"),)),), share=share)


def _flac(file: IO[bytes], size: int) -> Header:
    """FLAC: 36 bits of STREAMINFO, 0 when the length is not known; the decoder is always told so."""
    file.seek(21)
    field = file.read(5).ljust(5, b"\0")
    frames = int.from_bytes(field, "big") & 0xF_FFFF_FFFF
    unknown = (21, bytes([field[0] & 0xF0, 0, 0, 0, 0]))
    return Header((Part(0, size, patches=(unknown,), endless=True),), frames=frames or None)


def _links(file: IO[bytes], size: int) -> Iterator[Part]:
    """The streams of an Ogg file that follow each other (RFC 3533, section 4): a decoder reads one."""
    start = at = 0
    began = True
    while at < size:
        file.seek(at)
        head = file.read(27)
        if len(head) < 27 or head[:4] != b"OggS":
            break
        first = bool(head[5] & 2)
        if first and not began:
            yield Part(start, at)
            start = at
        began = first
        at += 27 + head[26] + sum(file.read(head[26]))
    yield Part(start, size)


_SIDE = {(3, False): 32, (3, True): 17, (2, False): 17, (2, True): 9, (0, False): 17, (0, True): 9}
"""Bytes of side information in an MP3 frame, by the version's two bits and whether it is mono."""


def _first_mpeg_frame(file: IO[bytes]) -> int | None:
    """Where the first frame of MPEG layer III begins, behind an ID3v2 tag; None when there is none."""
    at, head = 0, b""
    for _ in range(_MOST):
        file.seek(at)
        head = file.read(10)
        if head[:3] != b"ID3" or len(head) < 10:
            break
        at += 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        at += 10 if head[5] & 0x10 else 0
    else:
        return None
    for place in range(len(head) - 3):  # some taggers leave zeros behind the tag
        if head[place] == 0xFF and head[place + 1] & 0xE6 == 0xE2 and head[place + 1] & 0x18 != 0x08:
            return at + place if head[place + 2] & 0x0C != 0x0C else None
    return None


def _mp3(file: IO[bytes], start: int, size: int) -> Header:
    """MP3: a Xing or LAME tag in the first frame gives frames and bytes; without one all is a guess.

    A tag that is right stays, for it also says how much silence the encoder has added.
    """
    file.seek(start)
    frame = file.read(64)
    version, mono = frame[1] >> 3 & 3, frame[3] >> 6 == 3
    tag = 4 + _SIDE[version, mono]
    per_frame = 1152 if version == 3 else 576
    if frame[tag : tag + 4] not in (b"Xing", b"Info") or not frame[tag + 7] & 1:
        # 128 kbit/s (64 for MPEG-2): room for the tag, whatever the first frame's own rate is.
        head = bytes([0xFF, frame[1] | 1, 0x90 | frame[2] & 0x0C, frame[3]])
        hertz = (44_100, 48_000, 32_000)[frame[2] >> 2 & 3] >> {3: 0, 2: 1, 0: 2}[version]
        length = per_frame // 8 * (128_000 if version == 3 else 80_000) // hertz
        made = head + bytes(tag - 4) + b"Xing" + struct.pack(">II", 1, _FOR_EVER)
        return Header((Part(start, size, prefix=made.ljust(length, b"\0")),))
    flags = frame[tag + 7]
    frames, counted = struct.unpack(">II", frame[tag + 8 : tag + 16])
    if frames and flags & 2 and abs(size - start - counted) <= 0.005 * counted:
        return Header((Part(start, size),))
    patches = [(start + tag + 8, struct.pack(">I", _FOR_EVER))]
    if flags & 2:
        patches.append((start + tag + 12, struct.pack(">I", size - start)))
    # What the encoder has put before and behind counts as frames and is not heard.
    part = Part(start, size, patches=tuple(patches))
    return Header((part,), frames=frames * per_frame or None, slack=4 * per_frame)
