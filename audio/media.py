"""What phones and browsers record (M4A, AAC, WebM, 3GP, WMA), read by PyAV where it is installed.

FFmpeg is told the kind of file, never left to find out: some of its kinds are lists of other files.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from audio.errors import AudioFileError, MissingExtra, first_line

Block = npt.NDArray[np.float32]

SLACK = 0.3
"""Seconds by which the sound may miss what its file says: codecs begin late, and pictures may last longer."""

_TRUE = ("mov", "matroska", "asf")
"""Demuxers whose duration is what the file says, not what FFmpeg reckons."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file. `name`: as people say it; `demuxer`: FFmpeg's name; `both`: libsndfile reads it too."""

    name: str
    demuxer: str
    both: bool = False


_MP4, _MOV = Kind("MP4 or M4A", "mov"), Kind("QuickTime", "mov")
_KINDS: tuple[tuple[int, bytes, Kind], ...] = (
    (4, b"ftyp", _MP4),
    (4, b"moov", _MOV),
    (4, b"mdat", _MOV),
    (4, b"wide", _MOV),
    (0, b"\x1a\x45\xdf\xa3", Kind("WebM or Matroska", "matroska")),
    (0, b"#!AMR", Kind("AMR", "amr")),
    (0, bytes.fromhex("3026b2758e66cf11"), Kind("WMA", "asf")),
    (0, b"FLV\x01", Kind("FLV", "flv")),
    (0, b"wvpk", Kind("WavPack", "wv")),
    (0, b"MAC ", Kind("Monkey's Audio", "ape")),
    (0, b"TTA1", Kind("TTA", "tta")),
    (0, b"MPCK", Kind("Musepack", "mpc8")),
    (0, b"MP+", Kind("Musepack", "mpc")),
    (0, b"DSD ", Kind("DSF", "dsf")),
    (0, b".RMF", Kind("RealAudio", "rm")),
    (0, b"\x0b\x77", Kind("AC-3", "ac3")),
    (0, b"\x00\x00\x01\xba", Kind("MPEG", "mpeg")),
    (8, b"AVI ", Kind("AVI", "avi")),
    # With codecs that libsndfile does not know.
    (0, b"OggS", Kind("Ogg", "ogg", both=True)),
    (0, b"RIFF", Kind("WAV", "wav", both=True)),
    (0, b"FORM", Kind("AIFF", "aiff", both=True)),
    (0, b"caff", Kind("CAF", "caf", both=True)),
    (0, b".snd", Kind("AU", "au", both=True)),
    (0, b"fLaC", Kind("FLAC", "flac", both=True)),
)
_AAC, _TS = Kind("AAC", "aac"), Kind("MPEG-TS", "mpegts")


def recognized(file: IO[bytes]) -> Kind | None:
    """The kind of a file by its first bytes, if it is one that PyAV may read."""
    file.seek(0)
    head = file.read(189)
    for place, magic, kind in _KINDS:
        if head[place : place + len(magic)] == magic:
            return kind
    if head[:1] == b"\x47" == head[188:189]:
        return _TS
    if head[:3] == b"ID3":
        sizes = zip(head[6:10], (21, 14, 7, 0), strict=False)
        file.seek(10 + sum((byte & 0x7F) << shift for byte, shift in sizes))
        head = file.read(2)
    if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return _AAC
    return None


def with_channels(block: Block, channels: int) -> Block:
    """The block, shape (n, channels) with so many channels; where it has others, each is the mean of them."""
    if block.shape[1] == channels:
        return block
    return np.repeat(block.mean(axis=1, keepdims=True), channels, axis=1)


class Media:
    """The first sound in a file of that kind, as `decode.Decoder`.

    Raises AudioFileError for one that cannot be read or holds no sound, MissingExtra without PyAV.
    """

    def __init__(self, file: IO[bytes], kind: Kind, name: str) -> None:
        try:
            import av  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise MissingExtra(f"{name}: {kind.name} needs a library more", "media") from error
        self._av: Any = cast(Any, av)
        self._file, self._kind, self._name = file, kind, name
        self.frames: int | None = None
        self.said: float | None = None
        with self._told():
            first = next(self._decoded(), None)
        if first is None:
            raise AudioFileError(f"{name}: {kind.name} without a sound that can be read; save it as WAV")
        self.rate: int = first.sample_rate
        self.channels: int = len(first.layout.channels)

    def blocks(self) -> Iterator[Block]:
        """As `decode.Decoder.blocks`."""
        with self._told():
            resampler: Any = None
            shape: Any = None
            for frame in self._decoded():
                now = frame.format.name, frame.layout.name, frame.sample_rate
                if now != shape:
                    if resampler is not None:
                        yield from self._arrays(resampler.resample(None))
                    # HE-AAC, for one, changes its rate after the first frames. The channels are not FFmpeg's
                    # to mix: as float it adds them, 3 dB louder than their mean and beyond full scale.
                    layout = frame.layout.name
                    resampler = self._av.AudioResampler(format="flt", layout=layout, rate=self.rate)
                    shape = now
                frame.pts = None  # gaps in the times are no silence to be made up
                yield from self._arrays(resampler.resample(frame))
            if resampler is not None:
                yield from self._arrays(resampler.resample(None))

    def _arrays(self, frames: list[Any]) -> Iterator[Block]:
        for frame in frames:
            if frame.samples:
                # Interleaved: of planes PyAV knows eight, and reads beyond them.
                block = np.array(frame.to_ndarray(), np.float32).reshape(-1, len(frame.layout.channels))
                yield with_channels(block, self.channels)

    def _decoded(self) -> Iterator[Any]:
        """The decoded frames of the first sound; a packet that is damaged is left out."""
        self._file.seek(0)
        with self._av.open(self._file, format=self._kind.demuxer, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise AudioFileError(f"{self._name}: {self._kind.name} without sound; record it again")
            stream = container.streams.audio[0]
            self.said = self._claimed(container, stream)
            for packet in container.demux(stream):
                # A damaged packet is silence of a few ms; it must not end what follows.
                with suppress(self._av.InvalidDataError):
                    yield from packet.decode()

    @contextmanager
    def _told(self) -> Generator[None]:
        """What FFmpeg cannot do as one line."""
        try:
            yield
        except self._av.FFmpegError as error:
            why = error.strerror or first_line(error)
            raise AudioFileError(
                f"{self._name}: {self._kind.name} that cannot be read ({why}); record it again"
            ) from error

    def _claimed(self, container: Any, stream: Any) -> float | None:
        if self._kind.demuxer not in _TRUE:
            return None
        if stream.duration:
            return float(stream.duration * stream.time_base)
        return container.duration / self._av.time_base if container.duration else None


class AAC:
    """Mono sound as AAC in ADTS frames, written into `sink` while it comes. Raises MissingExtra without PyAV.

    rate: Hz, one of those that AAC has.
    """

    def __init__(self, sink: Any, rate: int) -> None:
        try:
            import av  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise MissingExtra("AAC needs a library more", "media") from error
        self._av: Any = cast(Any, av)
        self._file: Any = self._av.open(sink, "w", format="adts")
        self._stream: Any = self._file.add_stream("aac", rate=rate, layout="mono")
        self._rate = rate

    def write(self, samples: Block) -> None:
        """Encode float32 (n,)."""
        if not len(samples):
            return
        frame = self._av.AudioFrame.from_ndarray(samples[np.newaxis].astype(np.float32), "fltp", "mono")
        frame.sample_rate = self._rate
        self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Encode what is left."""
        self._file.mux(self._stream.encode(None))
        self._file.close()
