"""Sound files whose headers lie, and those that phones and browsers make: read whole or refused."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import tempfile
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import hypothesis.strategies as some
import numpy as np
import pytest
import soundfile
from hypothesis import assume, given, settings

from audio import decode, headers, media
from audio.errors import AudioFileError, AudioFileWarning, MissingExtra
from audio.files import duration, read_audio, read_bytes, read_channels
from audio.headers import read_header

RATE = 16_000
SECONDS = 2.0


def sweep(rate: int = RATE, seconds: float = SECONDS) -> np.ndarray:
    """A tone that rises from 200 to 3000 Hz: at no other place is it like itself."""
    t = np.arange(round(rate * seconds)) / rate
    return (0.4 * np.sin(2 * np.pi * (200 * t + 1400 / seconds * t**2))).astype(np.float32)


def file(
    kind: str = "WAV", subtype: str | None = None, samples: np.ndarray | None = None, **more: Any
) -> bytes:
    """A sound file's bytes, by libsndfile."""
    data = io.BytesIO()
    given = sweep() if samples is None else samples
    soundfile.write(data, given, more.pop("rate", RATE), subtype, format=kind, **more)
    return data.getvalue()


def put(data: bytes, at: int, what: bytes) -> bytes:
    return data[:at] + what + data[at + len(what) :]


def sized(data: bytes, size: int, count: str = "<I", name: bytes = b"data", after: int = 0) -> bytes:
    """`data` with another length of the chunk of that name."""
    return put(data, data.index(name) + len(name) + after, struct.pack(count, size))


def w64(size: int) -> bytes:
    data = file("W64")
    return put(data, data.index(b"data\xf3\xac") + 16, struct.pack("<Q", size))


def aiff(frames: int, size: int) -> bytes:
    data = file("AIFF")
    return put(sized(data, size, ">I", b"SSND"), data.index(b"COMM") + 10, struct.pack(">I", frames))


def flac(frames: int, data: bytes | None = None) -> bytes:
    data = file("FLAC") if data is None else data
    return put(data, 21, bytes([data[21] & 0xF0 | frames >> 32]) + (frames & 0xFFFF_FFFF).to_bytes(4, "big"))


def killed(subtype: str, kind: str = "WAV") -> bytes:
    """A recorder that was killed: the header is that of its first block, of 0.02 s."""
    rate = 8000 if subtype == "GSM610" else RATE
    part = file(kind, subtype, sweep(rate)[: rate // 50], rate=rate)
    whole = file(kind, subtype, sweep(rate), rate=rate)
    begin = whole.index(b"data") + 8
    return part[:begin] + whole[begin:]


def mp3(tag: bool = True, mode: str = "VARIABLE", samples: np.ndarray | None = None) -> bytes:
    """An MP3; without a tag as whoever writes into a pipe makes it."""
    data = file("MP3", samples=samples, bitrate_mode=mode, compression_level=0.5)
    return data if tag else data[data.index(data[:2], 4) :]


def half_silent() -> np.ndarray:
    """Loud first: a guess by the first frames of a VBR file makes it too short. Silence first: too long."""
    return np.concatenate([sweep(), np.zeros(4 * RATE, np.float32)])


class Pipe(io.RawIOBase):
    """A file that cannot be sought, as a browser's or a pipe is."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(bytes(data))


def muxed(
    kind: str, codec: str, *, rate: int = RATE, pipe: bool = False, video: bool = False, **options: str
) -> bytes:
    """What FFmpeg makes of the sweep, in that container."""
    with tempfile.TemporaryDirectory() as folder:
        # An index that comes first is moved there by reading the file again, by its name.
        sink: Any = Pipe() if pipe else Path(folder) / "it"
        _mux(sink, kind, codec, rate, video, options)
        return bytes(sink.data) if pipe else sink.read_bytes()


def _mux(sink: Any, kind: str, codec: str, rate: int, video: bool, options: dict[str, str]) -> None:
    with av.open(sink, "w", format=kind, options=options) as container:
        picture: Any = None
        if video:
            picture = container.add_stream("mpeg4", rate=25)
            picture.width = picture.height = 32
            picture.pix_fmt = "yuv420p"
        stream: Any = container.add_stream(codec, rate=rate, layout="mono")
        resampler = av.AudioResampler(stream.codec_context.format, "mono", rate)
        if picture is not None:
            for number in range(50):
                frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), number, np.uint8))
                container.mux(picture.encode(frame))
            container.mux(picture.encode(None))
        samples = sweep()
        sound = av.AudioFrame.from_ndarray(samples[np.newaxis], "fltp", "mono")
        sound.sample_rate, sound.pts = RATE, 0
        if codec == "wmav2":
            stream.bit_rate = 64_000
        size = stream.codec_context.frame_size or 1024
        fifo = av.AudioFifo()
        for each in [*resampler.resample(sound), *resampler.resample(None)]:
            fifo.write(each)
        while (frame := fifo.read(size, partial=False)) is not None:
            container.mux(stream.encode(frame))
        if (frame := fifo.read(0, partial=True)) is not None:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def broadcast(layout: str) -> bytes:
    """A second of AAC as it is sent by radio: the same tone of 0.5 in each channel."""
    sink = io.BytesIO()
    with av.open(sink, "w", format="adts") as container:
        stream: Any = container.add_stream("aac", rate=48_000, layout=layout)
        channels = len(stream.codec_context.layout.channels)
        stream.bit_rate = 96_000 * channels
        tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(48 * 1024) / 48_000)).astype(np.float32)
        for start in range(0, len(tone), 1024):
            samples = np.stack([tone[start : start + 1024]] * channels)
            frame = av.AudioFrame.from_ndarray(samples, "fltp", layout)
            frame.sample_rate, frame.pts = 48_000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return sink.getvalue()


def without_sound() -> bytes:
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as container:
        picture: Any = container.add_stream("mpeg4", rate=25)
        picture.width = picture.height = 32
        picture.pix_fmt = "yuv420p"
        container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        container.mux(picture.encode(None))
    return sink.getvalue()


@dataclass(frozen=True)
class Read:
    """Read: that many seconds, to within so many; what the warning says of the header, if there is one."""

    seconds: float = SECONDS
    within: float = 0.0
    warned: str = ""


@dataclass(frozen=True)
class Refused:
    said: str


LATE = 0.15
"""Seconds by which a codec with a delay may be longer or shorter."""

ZERO = Read(warned="its header says 0.00 s, 2.00 s were there and were read")
FIRST = Read(warned="its header says 0.02 s, 2.00 s were there and were read")
CHUNK = b"LIST" + struct.pack("<I", 20) + b"INFOISFT" + struct.pack("<I", 8) + b"recorder"
APE = b"APETAGEX" + struct.pack("<IIII8x", 2000, 32, 0, 0x8000_0000)
EIGHT = np.stack([sweep()] * 8, axis=1)
LOUD = 3.0 * sweep()

ODD: dict[str, tuple[Callable[[], bytes], Read | Refused]] = {
    # Lengths that were never filled in, by what writes into a pipe.
    "wav of size 0": (lambda: sized(file(), 0), ZERO),
    "wav of size 2^32-1": (lambda: sized(file(), 0xFFFF_FFFF), Read()),
    "wav of sox into a pipe": (lambda: sized(file(), 0x7FFF_F000), Read()),
    "wav of size 2^31": (lambda: sized(file(), 0x8000_0000), Read()),
    "wav with a list before its samples, size 0": (
        lambda: file()[:36] + CHUNK + sized(file(), 0)[36:],
        ZERO,
    ),
    "wavex of size 0": (lambda: sized(file("WAVEX", "PCM_24"), 0), ZERO),
    "rf64 of size 0": (lambda: sized(file("RF64"), 0, "<Q", b"ds64", 12), ZERO),
    "rf64 of size 2^64-1": (lambda: sized(file("RF64"), 2**64 - 1, "<Q", b"ds64", 12), Read()),
    "w64 of size 24": (lambda: w64(24), Read(warned=ZERO.warned)),
    "w64 of a pipe": (lambda: w64(2**63 - 1), Read()),
    "aiff of a pipe": (lambda: aiff(0, 0), ZERO),
    "au of a pipe": (lambda: put(file("AU"), 8, b"\xff\xff\xff\xff"), Read()),
    "au of size 0": (lambda: put(file("AU"), 8, bytes(4)), ZERO),
    "caf of a pipe": (lambda: sized(file("CAF"), -1, ">q"), Read()),
    "caf of size 4": (lambda: sized(file("CAF"), 4, ">q"), ZERO),
    "svx of size 0": (lambda: sized(file("SVX"), 0, ">I", b"BODY"), ZERO),
    "flac of a pipe": (lambda: flac(0), Read()),
    "mp3, vbr, of a pipe, loud first": (lambda: mp3(tag=False, samples=half_silent()), Read(6.0, LATE)),
    "mp3, vbr, of a pipe, silent first": (
        lambda: mp3(tag=False, samples=half_silent()[::-1].copy()),
        Read(6.0, LATE),
    ),
    "mp3, cbr, of a pipe": (lambda: mp3(tag=False, mode="CONSTANT"), Read(within=LATE)),
    # Recorders that were killed.
    "wav, killed": (lambda: killed("PCM_16"), FIRST),
    "wav, 8 bit, killed": (lambda: killed("PCM_U8"), FIRST),
    "wav, 24 bit, killed": (lambda: killed("PCM_24"), FIRST),
    "wav, float, killed": (lambda: killed("FLOAT"), FIRST),
    "wav, mu-law, killed": (lambda: killed("ULAW"), FIRST),
    "wav, GSM 6.10, killed": (lambda: killed("GSM610"), Read(within=0.05, warned="its header says 0.0")),
    "wav, G.721, killed": (lambda: killed("G721_32"), Read(within=0.05, warned="its header says 0.0")),
    "wav, IMA ADPCM, killed": (lambda: killed("IMA_ADPCM"), Read(within=0.05, warned="its header says 0.0")),
    "wav, MS ADPCM, killed": (lambda: killed("MS_ADPCM"), Read(within=0.1, warned="its header says 0.0")),
    "wav, killed after most of it": (
        lambda: sized(file(), 48_000),
        Read(warned="its header says 1.50 s, 2.00 s were there and were read"),
    ),
    "aiff, killed": (lambda: aiff(320, 648), FIRST),
    "flac that says 0.02 s": (lambda: flac(320), FIRST),
    "two mp3 in one": (lambda: mp3() + mp3(), Read(4.0, 2 * LATE, "its header says 2.")),
    # Headers that promise more than there is.
    "wav, cut short": (
        lambda: file()[: 44 + RATE],
        Read(0.5, warned="cut short: its header says 2.00 s, 0.50 s were there and were read"),
    ),
    "aiff, cut short": (
        lambda: file("AIFF")[: file("AIFF").index(b"SSND") + 16 + RATE],
        Read(0.5, warned="cut short: its header says 2.00 s, 0.50 s were"),
    ),
    "flac, cut short": (
        lambda: file("FLAC")[: len(file("FLAC")) // 2],
        Read(1.0, 0.3, "cut short: its header says 2.00 s"),
    ),
    "flac that says an hour": (
        lambda: flac(3600 * RATE),
        Read(warned="cut short: its header says 3600.00 s"),
    ),
    "mp3, cut short": (lambda: mp3()[: len(mp3()) // 2], Read(1.0, 0.3, "cut short: its header says 2.")),
    "opus, cut short": (
        lambda: (whole := muxed("ogg", "libopus", rate=48_000))[: len(whole) * 6 // 10],
        Read(1.2, 1.0),
    ),
    # What stands behind the samples is no sound.
    "wav with a list behind": (lambda: file() + CHUNK, Read()),
    "wav of odd bytes with a list behind, padded": (
        lambda: file("WAV", "PCM_U8", sweep()[:-1]) + CHUNK,
        Read(SECONDS - 1 / RATE),
    ),
    "wav of odd bytes with a list behind, not padded": (
        lambda: file("WAV", "PCM_U8", sweep()[:-1])[:-1] + CHUNK,
        Read(SECONDS - 1 / RATE),
    ),
    "mp3 with APE and ID3v1 tags": (lambda: mp3() + APE + b"TAG" + bytes(125), Read(within=LATE)),
    "mp3 with a picture in ID3v2": (
        lambda: b"ID3\x03\x00\x00" + bytes([0, 1, 0, 0]) + bytes(16_384) + mp3(),
        Read(within=LATE),
    ),
    # Other shapes.
    "rifx": (lambda: file(endian="BIG"), Read()),
    "wav, 64 bit": (lambda: file("WAV", "DOUBLE"), Read()),
    "wav, 8 channels": (lambda: file("WAV", "PCM_16", EIGHT), Read()),
    "wav in antiphase": (lambda: file(samples=np.stack([sweep(), -sweep()], axis=1)), Read()),
    "wav with a dead channel": (lambda: file(samples=np.stack([0 * sweep(), sweep()], axis=1)), Read()),
    "wav, louder than full scale": (lambda: file("WAV", "FLOAT", LOUD), Read()),
    "wav, 1 sample": (lambda: file(samples=sweep()[:1]), Read(1 / RATE)),
    "wav, 384 kHz": (lambda: file(samples=sweep(384_000), rate=384_000), Read()),
    "wav, 4 kHz": (lambda: file(samples=sweep()[:4000], rate=4000), Read(1.0)),
    "ogg vorbis": (lambda: file("OGG", "VORBIS"), Read()),
    "ogg opus": (lambda: file("OGG", "OPUS"), Read(within=LATE)),
    "ogg opus, two streams": (lambda: file("OGG", "OPUS") * 2, Read(4.0, LATE)),
    "ogg vorbis, two streams": (lambda: file("OGG", "VORBIS") * 2, Read(4.0)),
    "ogg vorbis, two streams of other rates": (
        lambda: file("OGG", "VORBIS") + file("OGG", "VORBIS", sweep(44_100), rate=44_100),
        Read(4.0, 0.001),
    ),
    # What phones and browsers record.
    "m4a, index behind": (lambda: muxed("ipod", "aac"), Read(within=LATE)),
    "m4a, index first": (lambda: muxed("ipod", "aac", movflags="+faststart"), Read(within=LATE)),
    "m4a, in fragments": (
        lambda: muxed("mp4", "aac", pipe=True, movflags="frag_keyframe+empty_moov"),
        Read(within=LATE),
    ),
    "m4a, lossless": (lambda: muxed("ipod", "alac"), Read()),
    "m4a, index first, cut short": (
        lambda: (whole := muxed("ipod", "aac", movflags="+faststart"))[: len(whole) // 2],
        Read(1.0, 0.5, "cut short: its header says 2.0"),
    ),
    "mp4 with pictures": (lambda: muxed("mp4", "aac", video=True), Read(within=LATE)),
    "aac": (lambda: muxed("adts", "aac"), Read(within=LATE)),
    "webm of a browser": (
        lambda: muxed("webm", "libopus", rate=48_000, pipe=True, live="1"),
        Read(within=LATE),
    ),
    "webm": (lambda: muxed("webm", "libopus", rate=48_000), Read(within=LATE)),
    "amr": (lambda: muxed("amr", "libopencore_amrnb", rate=8000), Read(within=LATE)),
    "3gp": (lambda: muxed("3gp", "libopencore_amrnb", rate=8000), Read(within=LATE)),
    "wma": (lambda: muxed("asf", "wmav2", rate=22_050), Read(within=0.2)),
    "mpeg-ts": (lambda: muxed("mpegts", "aac"), Read(within=LATE)),
    "wavpack": (lambda: muxed("wv", "wavpack"), Read()),
    "ogg flac": (lambda: muxed("ogg", "flac"), Read()),
    "g.726 in wav": (lambda: muxed("wav", "adpcm_g726", rate=8000), Read(within=LATE)),
    # No sound: one line, with what to do.
    "empty": (lambda: b"", Refused("empty, 0 bytes; record it again")),
    "wav of no samples": (lambda: file(samples=sweep()[:0]), Refused("holds no samples; record it again")),
    "wav of no samples with a list behind": (
        lambda: file(samples=sweep()[:0]) + CHUNK,
        Refused("holds no samples; record it again"),
    ),
    "wav, header only half there": (lambda: file()[:30], Refused("not sound that can be read")),
    "text": (lambda: b"Dear diary, this is no sound.\n" * 20, Refused("save it as WAV")),
    "wav, 1 Hz": (lambda: file(samples=sweep()[:9], rate=1), Refused("1 Hz; resample it to between 4000")),
    "wav, NaN": (
        lambda: file("WAV", "FLOAT", np.where(np.arange(2 * RATE) == 8000, np.nan, sweep())),
        Refused("no numbers (NaN or infinity) from 0.50 s on; export it again as 16-bit WAV"),
    ),
    "wav, infinity": (
        lambda: file("WAV", "DOUBLE", np.where(np.arange(2 * RATE) == 80, np.inf, sweep())),
        Refused("no numbers"),
    ),
    "m4a without its index": (
        lambda: muxed("ipod", "aac")[:3000],
        Refused("MP4 or M4A that cannot be read"),
    ),
    "mp4 without sound": (without_sound, Refused("MP4 or M4A without sound; record it again")),
}


def likeness(heard: np.ndarray, said: np.ndarray) -> float:
    """The highest correlation at any shift, 1 for the same sound."""
    size = 1 << (len(heard) + len(said)).bit_length()
    cross = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)), size)
    return float(
        np.abs(cross).max() / np.sqrt((heard.astype(float) ** 2).sum() * (said.astype(float) ** 2).sum())
    )


@pytest.mark.parametrize("name", ODD)
def test_odd_file_is_read_whole_or_refused_in_one_line(name: str, tmp_path: Path):
    make, expected = ODD[name]
    path = tmp_path / "said.wav"  # the name says nothing: the content decides
    path.write_bytes(make())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        if isinstance(expected, Refused):
            with pytest.raises(AudioFileError) as caught:
                read_audio(path)
            assert str(caught.value).startswith(f"{path}: ")
            assert expected.said in str(caught.value)
            assert "\n" not in str(caught.value)
            return
        frame = read_audio(path)
    lines = [str(warning.message) for warning in told]
    assert len(lines) == bool(expected.warned), lines
    assert not lines or (lines[0].startswith(f"{path}: ") and expected.warned in lines[0])
    assert frame.duration == pytest.approx(expected.seconds, abs=expected.within + 0.5 / frame.rate)
    if name in ("wav in antiphase", "wav with a dead channel"):
        assert np.abs(frame.samples).max() == pytest.approx(0.4, abs=0.001)
    if expected.seconds == SECONDS:
        assert likeness(frame.at_rate(RATE).samples, sweep()) > (0.99 if expected.within == 0 else 0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(read_bytes(path.read_bytes(), "it").samples) == len(frame.samples)
        assert duration(path) == pytest.approx(frame.duration)
        assert {len(channel.samples) for channel in read_channels(path)} == {len(frame.samples)}


@pytest.mark.parametrize("kind", [k for k in soundfile.available_formats() if k not in ("RAW", "SD2")])
def test_everything_that_libsndfile_writes_is_read_whole(kind: str):
    """Sample by sample but for codecs; SD2 keeps its header in another file, RAW has none."""
    for subtype in soundfile.available_subtypes(kind):
        rate = 8000 if subtype == "GSM610" or kind == "WVE" else RATE
        try:
            data = file(kind, subtype, sweep(rate), rate=rate)
        except soundfile.LibsndfileError:
            continue  # listed, but not to be written
        frame = read_bytes(data, subtype)
        # XI keeps no rate, VOC a rounded one.
        assert frame.rate == pytest.approx(rate, rel=0.01) or kind == "XI"
        # The block codecs fill up their last block.
        assert 0 <= len(frame.samples) - SECONDS * rate <= 1100, subtype
        assert likeness(frame.samples, sweep(rate)) > 0.95, subtype


def test_a_warning_says_what_was_said_and_what_was_read():
    with pytest.warns(AudioFileWarning) as told:
        read_bytes(killed("PCM_16"), "it")
    (warning,) = (each.message for each in told)
    assert isinstance(warning, AudioFileWarning)
    assert (warning.said, warning.read) == (pytest.approx(0.02), 2.0)


@settings(max_examples=200, deadline=None)
@given(some.integers(0, 2**32 - 1), some.integers(0, 3000), some.booleans())
def test_whatever_a_wav_says_of_its_length_what_is_there_is_read(said: int, count: int, listed: bool):
    assume(said != 2 * count - 1)  # half a sample and a byte that would be its padding
    samples = sweep()[:count]
    data = file(samples=samples)
    chunk = b"LIST\x04\x00\x00\x00INFO" if listed else b""
    data = data[:36] + chunk + data[36:]
    data = sized(data, said)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if count == 0:
            with pytest.raises(AudioFileError, match="no samples"):
                read_bytes(data, "it")
        else:
            assert np.abs(read_bytes(data, "it").samples - samples).max() < 1e-4


KINDS = ["WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF", "AU", "SVX", "FLAC", "MP3", "OGG"]
WRITTEN = {kind: file(kind, samples=sweep()[:2000]) for kind in KINDS}


@settings(max_examples=300, deadline=None)
@given(some.sampled_from(KINDS), some.data())
def test_a_header_of_any_bytes_is_understood_or_left_alone(kind: str, given: Any):
    """By our own reading of it alone: parts lie within the file and follow each other."""
    data = bytearray(WRITTEN[kind][: given.draw(some.integers(0, 400))])
    for _ in range(given.draw(some.integers(0, 6))):
        if data:
            data[given.draw(some.integers(0, len(data) - 1))] = given.draw(some.integers(0, 255))
    header = read_header(io.BytesIO(data))
    assert header.parts
    for part in header.parts:
        assert 0 <= part.start <= part.end <= len(data)


def test_a_pipe_is_read_to_its_end(tmp_path: Path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    feeder = threading.Thread(target=lambda: path.write_bytes(sized(file(), 0xFFFF_FFFF)))
    feeder.start()
    assert len(read_audio(path).samples) == 2 * RATE
    feeder.join()


def test_a_device_is_refused():
    with pytest.raises(
        AudioFileError, match="/dev/zero: a device, not a file; give the path of a sound file"
    ):
        read_audio(Path("/dev/zero"))


def test_longer_than_the_limit_is_refused_before_it_is_read_whole():
    data = sized(file(), 0xFFFF_FFFF)
    assert len(read_bytes(data, "it", longest=2.0).samples) == 2 * RATE
    with pytest.raises(AudioFileError, match=r"it: longer than 1.9 s; cut it into shorter files"):
        read_bytes(data, "it", longest=1.9)


@pytest.mark.parametrize("kind", [("ipod", "aac", "MP4 or M4A"), ("webm", "libopus", "WebM or Matroska")])
def test_without_pyav_its_extra_is_named(kind: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch):
    rate = 48_000 if kind[1] == "libopus" else RATE
    data = muxed(kind[0], kind[1], rate=rate)
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingExtra, match=rf"it: {kind[2]} needs a library more; type: .*media"):
        read_bytes(data, "it")


def test_ffmpeg_is_never_left_to_guess():
    """A list of other files, or of addresses, is text to us: no demuxer that opens others is ever named."""
    for text in ("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", "ffconcat version 1.0\nfile a.wav\n"):
        assert media.recognized(io.BytesIO(text.encode() * 9)) is None
        with pytest.raises(AudioFileError, match="not sound that can be read"):
            read_bytes(text.encode() * 9, "it")


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF\xff\xff\xff\x7fWAVE" + b"junk\0\0\0\0" * 50_000,
        b"FORM\x7f\xff\xff\xffAIFF" + b"junk\0\0\0\0" * 50_000,
        b"ID3\4\0\0\0\0\0\0" * 50_000,
    ],
    ids=["wav", "aiff", "mp3"],
)
def test_a_header_of_many_parts_is_not_read_for_ever(data: bytes):
    reads = 0

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal reads
            reads += 1
            return super().read(size)

    with contextlib.suppress(AudioFileError):
        read_header(Counted(data))
    assert reads < 11_000


@pytest.mark.parametrize("kind", ["WAV", "AIFF"])
@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
def test_a_file_of_nothing_but_chunks_is_refused_before_it_is_decoded(
    kind: str, behind: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a bound on what is walked through; below it they are no harm."""
    out = io.BytesIO()
    soundfile.write(out, np.full(8000, 1000, np.int16), 8000, format=kind)
    whole = out.getvalue()

    def stuffed(count: int) -> bytes:
        empty = b"junk" + bytes(4)
        return whole + empty * count if behind else whole[:12] + empty * count + whole[12:]

    assert len(read_bytes(stuffed(100), "a").samples) == 8000
    monkeypatch.setattr(decode, "_Forward", None)
    monkeypatch.setattr(headers, "_MOST", 200)
    with pytest.raises(AudioFileError, match="a: more than 200 chunks"):
        read_bytes(stuffed(300), "a")


@pytest.mark.parametrize(
    "layouts", [("mono", "stereo"), ("stereo", "mono"), ("mono", "5.0"), ("stereo", "5.0")]
)
def test_a_voice_is_as_loud_where_the_channels_change(layouts: tuple[str, str], tmp_path: Path):
    path = tmp_path / "radio.aac"
    path.write_bytes(b"".join(map(broadcast, layouts)))
    samples = read_channels(path)[0].samples
    for second in (0, 1):
        middle = samples[second * 49_152 + 12_000 : second * 49_152 + 36_000]
        assert np.abs(middle).max() == pytest.approx(0.5, abs=0.08)
