"""Files in and out, good and broken, and the recorder's timing."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import warnings
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audio import files
from audio.errors import AudioFileError, AudioTooLong
from audio.files import Recorder, duration, read_audio, read_bytes, read_channels, stream_bytes, write_wav
from audio.frame import Frame


def tone(rate: int, seconds: float, hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def sparse_wav(path: Path, rate: int, channels: int, seconds: int) -> Path:
    """A silent 16-bit WAV that takes no room on the disk."""
    size = 2 * rate * channels * seconds
    form = struct.pack("<HHIIHH", 1, channels, rate, 2 * rate * channels, 2 * channels, 16)
    header = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<I", 16) + form
    path.write_bytes(header + b"data" + struct.pack("<I", size))
    os.truncate(path, 44 + size)
    return path


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 96000])
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "PCM_32"), ("wav", "FLOAT"), ("flac", "PCM_24")],
)
def test_reads_every_shape(tmp_path: Path, rate: int, channels: int, kind: str, subtype: str):
    path = tmp_path / f"a.{kind}"
    wave = np.stack([tone(rate, 0.3, 200.0 * (c + 1)) for c in range(channels)], axis=1)
    soundfile.write(path, wave, rate, subtype)
    frame = read_audio(path)
    assert (frame.rate, frame.samples.dtype, frame.samples.ndim) == (rate, np.float32, 1)
    assert np.abs(frame.samples - wave.mean(axis=1)).max() < 1e-4
    apart = read_channels(path)
    assert len(apart) == channels
    assert max(np.abs(f.samples - wave[:, c]).max() for c, f in enumerate(apart)) < 1e-4
    assert duration(path) == pytest.approx(0.3, abs=1 / rate)


def whole(path: Path, kind: str = "WAV") -> bytes:
    soundfile.write(path, tone(16000, 1.0), 16000, format=kind)
    return path.read_bytes()


def cut_header(path: Path) -> None:
    path.write_bytes(whole(path)[:30])


def with_nan(path: Path) -> None:
    samples = tone(16000, 1.0)
    samples[777] = np.nan
    soundfile.write(path, samples, 16000, "FLOAT")


BROKEN = {
    "missing": (lambda path: None, "no such file"),
    "folder": (lambda path: path.mkdir(), "a folder"),
    "empty": (lambda path: path.touch(), "empty, 0 bytes"),
    "text": (lambda path: path.write_text("hello there\n" * 99), "not sound that can be read"),
    "cut header": (cut_header, "not sound that can be read"),
    "no samples": (lambda path: soundfile.write(path, tone(16000, 0), 16000, format="WAV"), "no samples"),
    "nan": (with_nan, "NaN"),
    "slow": (lambda path: soundfile.write(path, tone(3000, 1), 3000, format="WAV"), "3000 Hz"),
    "fast": (lambda path: soundfile.write(path, tone(400_000, 1), 400_000, format="WAV"), "400000 Hz"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("read", [read_audio, read_channels])
def test_broken_file_is_one_clear_line(tmp_path: Path, name: str, read):
    make, words = BROKEN[name]
    path = tmp_path / "said.wav"
    make(path)
    with pytest.raises(AudioFileError) as caught:
        read(path)
    message = str(caught.value)
    assert words in message
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


def test_unreadable_file_says_permissions(tmp_path: Path):
    path = tmp_path / "a.wav"
    whole(path)
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # root may read everything: be nobody for a moment
    try:
        with pytest.raises(AudioFileError, match="permissions"):
            read_audio(path)
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x80000000, 0x7FFFF000])
def test_size_that_was_never_filled_in_is_no_truncation(tmp_path: Path, size: int):
    path = tmp_path / "piped.wav"
    data = whole(path)
    at = data.index(b"data") + 4
    path.write_bytes(data[:at] + struct.pack("<I", size) + data[at + 4 :])
    assert len(read_audio(path).samples) == 16000


def test_name_that_ends_in_raw_is_read_by_its_content(tmp_path: Path):
    path = tmp_path / "a.raw"
    whole(path)
    assert len(read_audio(path).samples) == 16000


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-3, 3, width=32), max_size=50), st.sampled_from([8000, 16000, 24000, 44100]))
def test_wav_comes_back_as_written_but_clipped(tmp_path_factory, values: list[float], rate: int):
    path = tmp_path_factory.mktemp("wav") / "new" / "folder" / "a.wav"
    write_wav(path, np.array(values, dtype=np.float32), rate)
    back, got_rate = soundfile.read(path, dtype="float32")
    assert got_rate == rate
    assert len(back) == len(values)
    assert np.allclose(back, np.clip(values, -1, 1), atol=1e-4)
    assert [p.name for p in path.parent.iterdir()] == ["a.wav"]


def test_unwritable_places_are_one_clear_line_and_leave_nothing(tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "file" / "a.wav", tmp_path / "folder", Path("/proc/a.wav")):
        with pytest.raises(AudioFileError, match="cannot be written"):
            write_wav(place, tone(16000, 0.1), 16000)
        with pytest.raises(AudioFileError, match="cannot be written"):
            Recorder(place)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
    assert not list((tmp_path / "folder").iterdir())


def test_failed_write_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "a.wav"
    write_wav(path, tone(16000, 0.1), 16000)
    old = path.read_bytes()
    with pytest.raises(ValueError, match="NaN"):
        write_wav(path, np.array([np.nan], np.float32), 16000)
    assert path.read_bytes() == old
    assert len(list(tmp_path.iterdir())) == 1


def click(rate: int, at: float, seconds: float) -> np.ndarray:
    samples = np.zeros(round(rate * seconds), np.float32)
    samples[round(rate * at)] = 0.9
    return samples


def in_blocks(samples: np.ndarray, rate: int, time: float, size: int = 320, jitter: float = 0.0):
    random = np.random.default_rng(0)
    for start in range(0, len(samples), size):
        off = random.uniform(-jitter, jitter)
        yield Frame(samples[start : start + size], rate, time + start / rate + off)


@pytest.mark.parametrize(("left", "right"), [(16000, 24000), (16000, 22050), (44100, 48000), (24000, 24000)])
@pytest.mark.parametrize("jitter", [0.0, 0.0009])
def test_recorder_keeps_both_channels_aligned(tmp_path: Path, left: int, right: int, jitter: float):
    path = tmp_path / "talk.wav"
    with Recorder(path) as recorder:
        for frame in in_blocks(click(left, 1.5, 3.0), left, 0.0, jitter=jitter):
            recorder.user(frame)
        for frame in in_blocks(click(right, 0.25, 1.0), right, 1.25, jitter=jitter):
            recorder.agent(frame)
    samples, rate = soundfile.read(path)
    assert rate == 24000
    assert abs(len(samples) - 72000) <= 24000 * jitter
    peaks = np.abs(samples).argmax(axis=0) / 24000
    assert peaks == pytest.approx([1.5, 1.5], abs=0.0001 + jitter)


def test_recorder_resamples_a_tone_without_seams(tmp_path: Path):
    path = tmp_path / "talk.wav"
    with Recorder(path) as recorder:
        for frame in in_blocks(tone(16000, 4.0), 16000, 0.0):
            recorder.user(frame)
    samples, _ = soundfile.read(path)
    middle = samples[2400:-2400, 0]
    assert np.abs(middle - tone(24000, 4.0)[2400:-2400]).max() < 1e-3


def test_recorder_gaps_are_silence_and_a_new_run_begins_on_time(tmp_path: Path):
    path = tmp_path / "talk.wav"
    with Recorder(path) as recorder:
        for begin in (0.1003, 2.7771):
            for frame in in_blocks(np.full(16000, 0.5, np.float32), 16000, begin):
                recorder.user(frame)
        recorder.agent(Frame(np.zeros(24000, np.float32), 24000, 4.0))
    loud = np.abs(soundfile.read(path)[0][:, 0]) > 0.25
    edges = np.flatnonzero(np.diff(loud.astype(int))) / 24000
    assert edges == pytest.approx([0.1003, 1.1003, 2.7771, 3.7771], abs=0.0002)


def test_recorder_takes_one_channel_long_before_the_other(tmp_path: Path):
    path = tmp_path / "talk.wav"
    with Recorder(path) as recorder:
        recorder.agent(Frame(np.full(2400, 0.5, np.float32), 24000, 100.0))
        recorder.user(Frame(np.full(2400, 0.25, np.float32), 24000, 1.0))
        recorder.user(Frame(np.full(24, -0.25, np.float32), 24000, 1.05))
    samples, _ = soundfile.read(path)
    assert len(samples) == 100.1 * 24000
    assert samples[24000:24010, 0] == pytest.approx(0.25, abs=1e-4)
    assert samples[25200:25224, 0] == pytest.approx(-0.25, abs=1e-4)
    assert samples[25224:26400, 0] == pytest.approx(0.25, abs=1e-4)
    assert samples[-2400:, 1] == pytest.approx(0.5, abs=1e-4)
    assert np.count_nonzero(samples) == 4800


def test_recorder_drops_what_sounded_before_the_session(tmp_path: Path):
    path = tmp_path / "talk.wav"
    with Recorder(path) as recorder:
        recorder.agent(Frame(np.arange(100, dtype=np.float32) / 200, 24000, -50 / 24000))
        recorder.user(Frame(np.ones(10, np.float32), 24000, -1.0))
    samples, _ = soundfile.read(path)
    assert samples[:, 1] == pytest.approx(np.arange(50, 100) / 200, abs=1e-4)
    assert not samples[:, 0].any()


def test_recorder_keeps_what_was_recorded_when_the_session_fails(tmp_path: Path):
    path = tmp_path / "talk.wav"

    def session():
        with Recorder(path) as recorder:
            recorder.agent(Frame(tone(24000, 0.5), 24000))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        session()
    assert len(read_audio(path).samples) == 12000
    assert [p.name for p in tmp_path.iterdir()] == ["talk.wav"]


def test_recorder_refuses_nan_and_goes_on(tmp_path: Path):
    path = tmp_path / "talk.wav"
    with Recorder(path) as recorder:
        recorder.user(Frame(tone(16000, 0.5), 16000))
        with pytest.raises(ValueError, match="NaN"):
            recorder.user(Frame(np.full(320, np.nan, np.float32), 16000, 0.5))
    assert duration(path) == pytest.approx(0.5)


def test_recorder_stops_at_the_size_of_a_wav(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(files, "_LARGEST_WAV", 4 * 30_000)
    path = tmp_path / "talk.wav"
    with Recorder(path) as recorder:
        for frame in in_blocks(tone(24000, 2.0), 24000, 0.0):
            recorder.agent(frame)
    assert len(read_audio(path).samples) == 30_000


def test_killed_recorder_leaves_what_was_said_and_it_is_read_whole(tmp_path: Path):
    """Without a warning: the header of a recording that goes on says that it knows no length."""
    script = (
        "import os, sys, numpy as np; from pathlib import Path; from audio.files import Recorder;"
        "from audio.frame import Frame; r = Recorder(Path(sys.argv[1]));"
        "[r.user(Frame(np.full(320, 0.25, np.float32), 16000, i / 50)) for i in range(500)];"
        "[r.agent(Frame(np.full(480, 0.5, np.float32), 24000, 1 + i / 50)) for i in range(100)]; os._exit(9)"
    )
    path = tmp_path / "talk.wav"
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == 9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        user, agent = read_channels(path)
    assert user.duration == pytest.approx(10.0, abs=0.05)
    assert user.samples[2400:-2400] == pytest.approx(0.25, abs=0.01)
    assert agent.samples[24_000:71_000] == pytest.approx(0.5, abs=0.01)
    assert not agent.samples[73_000:].any()


def test_a_recording_that_goes_on_can_be_read_by_others(tmp_path: Path):
    recorder = Recorder(tmp_path / "talk.wav")
    recorder.agent(Frame(tone(24000, 1.0), 24000))
    assert soundfile.info(tmp_path / "talk.wav").frames == 24_000
    recorder.close()
    with wave.open(str(tmp_path / "talk.wav")) as file:
        assert (file.getnframes(), file.getnchannels()) == (24_000, 2)


def test_full_disk_is_one_clear_line(tmp_path: Path):
    script = (
        "import resource, sys, signal, numpy as np; from pathlib import Path\n"
        "from audio.files import Recorder; from audio.frame import Frame\n"
        "from audio.errors import AudioFileError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    with Recorder(Path(sys.argv[1])) as r:\n"
        "        for i in range(40): r.agent(Frame(np.ones(2400, np.float32), 24000, i / 10))\n"
        "except AudioFileError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "talk.wav")], check=True, capture_output=True, text=True
    )
    assert "talk.wav: cannot be written (File too large)" in done.stdout
    assert not done.stderr
    assert 0.5 < duration(tmp_path / "talk.wav") < 1.1  # what was written until then is kept


def sound(samples: np.ndarray, rate: int, kind: str = "FLAC", subtype: str = "PCM_16") -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, subtype, format=kind)
    return out.getvalue()


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([8000, 16_000, 44_100, 48_000]),
    st.integers(1, 3),
    st.integers(1, 20_000),
    st.sampled_from([1, 3000, 1 << 20]),
)
def test_a_stream_is_what_the_whole_is(rate: int, channels: int, frames: int, step: int):
    noise = np.random.default_rng(frames).uniform(-0.5, 0.5, (frames, channels))
    data = sound(noise, rate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_STEP", step)
        streamed = np.concatenate(list(stream_bytes(data, "it", 16_000)))
    expected = read_bytes(data, "it").at_rate(16_000).samples
    assert abs(len(streamed) - len(expected)) <= 1
    shared = min(len(streamed), len(expected))
    assert np.abs(streamed[:shared] - expected[:shared]).max(initial=0.0) < 1e-3


def test_of_a_long_file_little_is_held(monkeypatch: pytest.MonkeyPatch):
    """However long it is, and however much its channels and its rate make of it."""
    monkeypatch.setattr(files, "_STEP", 1 << 16)
    for rate, channels in ((16_000, 1), (48_000, 2), (192_000, 2)):
        blocks = stream_bytes(sound(np.zeros((30 * rate, channels)), rate), "it", 16_000)
        sizes = [len(block) for block in blocks]
        assert sum(sizes) == 30 * 16_000
        assert max(sizes) <= 2 * (1 << 16)


def test_a_file_is_judged_before_any_of_it_is_given():
    ends_in_nan = np.zeros(200_000, np.float32)
    ends_in_nan[-1] = np.nan
    for data, error, longest in (
        (sound(ends_in_nan, 16_000, "WAV", "FLOAT"), AudioFileError, None),
        (sound(np.zeros(200_000), 16_000), AudioTooLong, 12.0),
    ):
        blocks = stream_bytes(data, "it", 16_000, longest)
        with pytest.raises(error):
            next(block for block in blocks if len(block))


@pytest.mark.parametrize("claimed", [0, 1, 16_000 * 3600, (1 << 36) - 1])
@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_a_header_that_says_too_much_or_lies_about_it_is_refused(claimed: int, seconds: float):
    """Two seconds are allowed. A FLAC's header counts sample frames in 36 bits; 0 is not known."""
    data = bytearray(sound(tone(16_000, seconds), 16_000))
    data[21:26] = ((data[21] >> 4 << 36) | claimed).to_bytes(5, "big")
    if seconds < 2.0 and claimed < 2 * 16_000:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert read_bytes(bytes(data), "it", 2.0).duration == 1.0
        return
    with pytest.raises(AudioTooLong, match=r"it: longer than 2 s; cut it into shorter files"):
        read_bytes(bytes(data), "it", 2.0)


def test_a_header_that_says_too_much_is_believed_before_anything_is_decoded():
    data = bytearray(sound(tone(16_000, 1.0), 16_000))
    data[21:26] = ((data[21] >> 4 << 36) | 16_000 * 3600).to_bytes(5, "big")
    with pytest.raises(AudioTooLong):
        read_bytes(bytes(data[:200]), "it", 2.0)  # of the sound itself nothing is there


def test_what_has_many_samples_in_a_second_may_be_as_much_shorter():
    """Eight channels at 192 kHz are four times what the limit of time is for."""
    for seconds, taken in ((0.45, True), (0.55, False)):
        data = sound(np.zeros((round(192_000 * seconds), 8)), 192_000, "WAV")
        if taken:
            assert read_bytes(data, "it", 2.0).duration == seconds
        else:
            with pytest.raises(AudioTooLong, match=r"longer than 0\.5 s at 192000 Hz in 8 channels"):
                read_bytes(data, "it", 2.0)


def test_a_stream_that_becomes_much_denser_is_not_followed():
    """An Ogg file of two streams: the second would make much work of a little time."""
    slow, dense = (
        sound(np.zeros((rate // 2, channels)), rate, "OGG", "VORBIS")
        for rate, channels in ((8000, 1), (192_000, 8))
    )
    with pytest.warns(UserWarning, match="192000 Hz in 8 channels follow"):
        frame = read_bytes(slow + dense, "it")
    assert frame.duration == pytest.approx(0.5, abs=0.1)
