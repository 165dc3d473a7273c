"""Sound as the bytes of a format, while it is made or whole. Knows neither files nor who gets the bytes."""

from __future__ import annotations

import io
import struct
from typing import Any, Literal, get_args

import numpy as np

from audio.frame import Samples, resample
from audio.pcm import pcm16
from audio.resampler import Resampler

Format = Literal["wav", "pcm", "mp3", "opus", "flac", "aac"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA: dict[Format, str] = {
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "aac": "audio/aac",
}

_WHOLE = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "VORBIS"),
    ".oga": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".aiff": ("AIFF", "PCM_16"),
    ".aif": ("AIFF", "PCM_16"),
}
ENDINGS = tuple(_WHOLE)
"""What a sound file's name may end in: the ending chooses its format."""

_LIBSNDFILE = {"opus": ("OGG", "OPUS"), "mp3": ("MP3", None), "flac": ("FLAC", "PCM_16")}

_OPUS_RATE = 48_000
"""What Opus (and AAC) is given, in Hz, where a voice has none of its own rates (8, 12, 16, 24 and 48 kHz)."""

_BLOCK = 1 << 16
"""Samples that an encoder is given at a time."""

_UNKNOWN = 0xFFFF_FFFF
"""The length that a WAV header gives when nobody knows it yet; players then read to the end."""


class Encoder:
    """Mono sound at `rate` Hz in one format, piece by piece.

    `pcm` is 16 bit little-endian without a header; `wav` the same behind a header that gives no length; `aac`
    is PyAV's (ADTS), and raises MissingExtra without it; the others are libsndfile's encoders, whose later
    corrections of their own header are left out.
    """

    def __init__(self, kind: Format, rate: int) -> None:
        self._sink = _Sink()
        self._file: Any = None
        self._tagged = kind == "mp3"
        self._header = wav_header(rate) if kind == "wav" else b""
        coded = _coded_rate(rate) if kind in ("opus", "aac") else rate
        self._resampler = Resampler(rate, coded) if coded != rate else None
        if kind == "aac":
            from audio.media import AAC

            self._file = AAC(self._sink, coded)
        elif kind not in ("wav", "pcm"):
            import soundfile

            name, subtype = _LIBSNDFILE[kind]
            # At a constant bit rate a player can tell the length of an MP3 from its size.
            given: dict[str, Any] = {"bitrate_mode": "CONSTANT", "compression_level": 0.5}
            sink: Any = self._sink  # its types want a whole BinaryIO
            self._file = soundfile.SoundFile(
                sink,
                "w",
                samplerate=coded,
                channels=1,
                format=name,
                subtype=subtype,
                **(given if kind == "mp3" else {}),
            )

    def feed(self, samples: Samples) -> bytes:
        """Take float32 (n,); give the bytes that are ready, which may be none."""
        if self._file is not None:
            self._file.write(self._resampler.feed(samples) if self._resampler else samples)
            return self._without_tag(self._sink.fresh())
        header, self._header = self._header, b""
        return header + pcm16(samples)

    def finish(self) -> bytes:
        """The rest. Nothing may be fed after that."""
        if self._file is None:
            return self.feed(np.zeros(0, np.float32))
        if self._resampler:
            self._file.write(self._resampler.finish())
        self._file.close()
        return self._without_tag(self._sink.fresh())

    def _without_tag(self, data: bytes) -> bytes:
        """An MP3's first frame holds no sound, but a length that nobody knows yet: players believe it.

        LAME leaves it empty until the end: behind its header of four bytes there are zeros.
        """
        if data and self._tagged:
            self._tagged = False
            if not any(data[4:64]):
                return data[max(0, data.find(data[:2], 4)) :]
        return data


def whole(samples: Samples, rate: int, ending: str) -> bytes:
    """Mono sound, float32 (n,) at `rate` Hz, as the bytes of a file whose name ends in one of `ENDINGS`.

    What lies outside [-1, 1] is clipped. Opus gets another rate where `rate` is none of its own.
    """
    import soundfile

    kind, subtype = _WHOLE[ending]
    coded = _coded_rate(rate) if subtype == "OPUS" else rate
    clipped = np.clip(resample(samples, rate, coded), -1.0, 1.0)
    data = io.BytesIO()
    with soundfile.SoundFile(data, "w", coded, 1, subtype, format=kind) as file:
        for start in range(0, len(clipped), _BLOCK):  # libvorbis keeps what one call gives it on the stack
            file.write(clipped[start : start + _BLOCK])
    return data.getvalue()


def _coded_rate(rate: int) -> int:
    """The rate at which Opus codes a sound of `rate` Hz."""
    return rate if rate in (8_000, 12_000, 16_000, 24_000, 48_000) else _OPUS_RATE


def wav_header(rate: int, channels: int = 1, length: int | None = None) -> bytes:
    """What stands before the samples of a 16-bit WAV, `length` bytes; without one, that none is known."""
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, 2 * channels * rate, 2 * channels, 16)
    size, whole = (_UNKNOWN, _UNKNOWN) if length is None else (length, length + 36)
    return struct.pack("<4sI4s", b"RIFF", whole, b"WAVE") + layout + struct.pack("<4sI", b"data", size)


class _Sink(io.RawIOBase):
    """Keeps what is appended until it is fetched; a correction of bytes that are gone is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._fresh = bytearray()
        self._gone = 0
        self._at = 0

    def fresh(self) -> bytes:
        """What was appended since the last time."""
        out = bytes(self._fresh)
        self._gone += len(out)
        self._fresh.clear()
        return out

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return 0

    def write(self, data: Any) -> int:
        given = bytes(data)
        begin = self._at - self._gone
        kept = given[max(0, -begin) :]
        begin = max(0, begin)
        self._fresh[begin : begin + len(kept)] = kept
        self._at += len(given)
        return len(given)

    def seek(self, offset: int, whence: int = 0) -> int:
        end = self._gone + len(self._fresh)
        self._at = (0, self._at, end)[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at
