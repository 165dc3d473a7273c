"""Microphone and speaker: what can go wrong on a scripted PortAudio, what is heard on a virtual card."""

from __future__ import annotations

import ctypes
import json
import logging
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import anyio
import numpy as np
import pytest
import soundfile

from audio.devices import live as devices
from audio.devices import portaudio
from audio.devices.live import Device, Microphone, Speaker, check_devices, list_devices
from audio.errors import DeviceError

BOTH = pytest.mark.parametrize("backend", ["trio", "asyncio"])


class PortAudioError(Exception):
    pass


class CallbackAbort(Exception):
    pass


def c_library_says(words: bytes) -> None:
    """As ALSA and JACK do it: to file descriptor 2, whatever Python takes for standard error."""
    ctypes.CDLL(None).write(2, words, len(words))


class FakeStream:
    """Does what sounddevice's streams do, but calls back when it is told to."""

    def __init__(self, sound: FakeSound, kind: str, options: dict):
        self.__dict__.update(options)
        c_library_says(b"ALSA lib: no such thing\nALSA lib: unable to open slave\n")
        if sound.busy or options["samplerate"] not in sound.rates or options["channels"] not in sound.widths:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]\nmore")
        self.kind, self.sound = kind, sound
        self.closed = False
        self.time = 7.0
        sound.streams.append(self)

    def start(self):
        if self.sound.dead:
            c_library_says(b"ALSA lib: the card is gone\n")
            raise PortAudioError("Unanticipated host error [PaErrorCode -9999]")
        if self.kind == "output" and self.sound.pulls:
            in_thread(self.pull, 20)

    def close(self):
        c_library_says(b"jack server is not running\n")
        self.closed = True
        self.finished_callback()

    def feed(self, samples: np.ndarray, age: float = 0.0, now: float = 0.0, lost: bool = False):
        """One block from the device, `age` seconds after its first sample."""
        data = np.repeat(samples.astype(np.float32)[:, np.newaxis], self.channels, axis=1)
        times = SimpleNamespace(currentTime=now, inputBufferAdcTime=now - age)
        self.callback(data, len(data), times, SimpleNamespace(input_overflow=lost))

    def pull(self, blocks: int, lead: float = 0.05, underflow: bool = False):
        """That many blocks for the device, one after the other; what was played, or None if it ended."""
        out = np.ones((blocks * self.blocksize, self.channels), np.float32)
        for block in range(blocks):
            part = out[block * self.blocksize : (block + 1) * self.blocksize]
            times = SimpleNamespace(currentTime=self.time, outputBufferDacTime=self.time + lead)
            self.time += self.blocksize / self.samplerate
            try:
                self.callback(part, len(part), times, SimpleNamespace(output_underflow=underflow))
            except CallbackAbort:
                self.finished_callback()
                return None
        return out


class FakeSound:
    """As much of the module sounddevice as is used."""

    PortAudioError, CallbackAbort = PortAudioError, CallbackAbort

    def __init__(self):
        self.rates, self.widths = {16000, 24000, 44100, 48000}, {1, 2}
        self.busy = self.dead = False
        self.pulls = True
        self.streams: list[FakeStream] = []
        self.default = SimpleNamespace(device=[1, 2])
        self.devices = [
            self.device("HDMI 1", 0, 2),
            self.device("USB Microphone", 1, 0),
            self.device("Built-in Speakers", 0, 2),
            self.device("USB Headset", 2, 2),
        ]

    @staticmethod
    def device(name: str, inputs: int, outputs: int) -> dict:
        return {
            "name": name,
            "hostapi": 0,
            "max_input_channels": inputs,
            "max_output_channels": outputs,
            "default_samplerate": 44100.0,
        }

    def query_devices(self):
        return self.devices

    def query_hostapis(self):
        return ({"name": "ALSA"},)

    def InputStream(self, **options):
        return FakeStream(self, "input", options)

    def OutputStream(self, **options):
        return FakeStream(self, "output", options)


@pytest.fixture
def sound(monkeypatch) -> FakeSound:
    fake = FakeSound()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def in_thread(work, *arguments, **options):
    """As PortAudio does it: from a thread that is not the loop's."""
    thread = threading.Thread(target=work, args=arguments, kwargs=options)
    thread.start()
    thread.join()


def silent(count: int, at: float) -> np.ndarray:
    return np.zeros(count, np.float32)


def test_devices_are_listed(sound: FakeSound):
    found = list_devices()
    assert found[1] == Device(1, "USB Microphone", "ALSA", 1, 0, 44100, True, False)
    assert [d.default_output for d in found] == [False, False, True, False]


def test_portaudio_missing_says_what_to_type(monkeypatch, tmp_path: Path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DeviceError, match="sudo apt install libportaudio2"):
        check_devices(None, None)


@pytest.mark.parametrize(
    ("microphone", "speaker", "words"),
    [
        ("Mikrofon", None, "no microphone 'Mikrofon'"),
        ("USB Micropone", None, "did you mean 'USB Microphone'?"),
        ("usb", None, "'usb' fits several: 1 USB Microphone, 3 USB Headset; give the number"),
        (9, None, "no microphone '9'"),
        (0, None, "no microphone '0'"),
        (None, "USB Microphone", "no speaker 'USB Microphone'"),
        (None, "1", "no speaker '1'"),
    ],
)
def test_wrong_device_is_one_clear_line(sound: FakeSound, microphone, speaker, words: str):
    with pytest.raises(DeviceError) as caught:
        check_devices(microphone, speaker)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_device_is_found_by_number_name_and_part_of_a_name(sound: FakeSound):
    for microphone in (None, 3, "3", "headset", "USB HEADSET", "micro"):
        check_devices(microphone, "built")
    check_devices("nonsense", None, listening=False)


def test_no_device_is_one_clear_line(sound: FakeSound):
    sound.default.device = [-1, -1]
    with pytest.raises(DeviceError, match="no default microphone; choose one"):
        check_devices(None, None)
    sound.devices = sound.devices[:1]
    with pytest.raises(DeviceError, match="no microphone found; connect one"):
        check_devices(None, None)
    sound.devices = []
    with pytest.raises(DeviceError, match="no speaker found; connect one"):
        check_devices(None, None, listening=False)


@BOTH
@pytest.mark.parametrize("way", ["busy", "dead"])
def test_device_that_does_not_open_is_one_clear_line(sound: FakeSound, capfd, backend: str, way: str):
    setattr(sound, way, True)

    async def main(make, words: str):
        with pytest.raises(DeviceError) as caught:
            async with make():
                pytest.fail("it opened")
        assert words in str(caught.value)
        assert "PaErrorCode" in str(caught.value)
        assert ("unable to open slave" if way == "busy" else "the card is gone") in str(caught.value)
        assert "\n" not in str(caught.value)

    words = "be opened" if way == "busy" else "be started"
    anyio.run(main, lambda: Microphone(None, time.monotonic), words, backend=backend)
    anyio.run(main, lambda: Speaker(None, silent, 24000, time.monotonic), words, backend=backend)
    assert all(stream.closed for stream in sound.streams)
    assert capfd.readouterr().err == ""


@BOTH
def test_what_c_libraries_say_is_in_no_view_but_in_the_log(sound: FakeSound, capfd, caplog, backend: str):
    caplog.set_level(logging.DEBUG, "audio.devices.portaudio")

    async def main():
        async with Microphone(None, time.monotonic), Speaker(None, silent, 24000, time.monotonic):
            print("ours", file=sys.stderr)

    anyio.run(main, backend=backend)
    assert capfd.readouterr().err == "ours\n"
    assert caplog.messages.count("ALSA lib: unable to open slave") == 2
    assert caplog.messages.count("jack server is not running") == 2


def test_a_device_opens_where_no_file_can_be_written(sound: FakeSound, capfd, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(portaudio.tempfile, "TemporaryFile", full)
    with portaudio.quiet() as said:
        c_library_says(b"noise\n")
    assert (said, capfd.readouterr().err) == ([], "")


@BOTH
def test_microphone_gives_timed_frames(sound: FakeSound, backend: str):
    ramp = np.arange(16000, dtype=np.float32) / 16000

    async def main():
        async with Microphone(None, lambda: 100.0, block=0.03) as microphone:
            stream = sound.streams[0]
            assert (stream.samplerate, stream.channels, stream.blocksize) == (16000, 1, 480)
            for start in range(0, 16000, 1000):
                in_thread(stream.feed, ramp[start : start + 1000], age=0.07)
            return [await anext(microphone) for _ in range(33)]

    frames = anyio.run(main, backend=backend)
    assert np.array_equal(np.concatenate([f.samples for f in frames]), ramp[: 33 * 480])
    assert {(f.rate, len(f.samples), f.samples.dtype.name) for f in frames} == {(16000, 480, "float32")}
    assert frames[0].time == pytest.approx(99.93)
    assert frames[1].time == pytest.approx(99.96)
    assert sound.streams[0].closed


@BOTH
@pytest.mark.parametrize("rate", [44100, 48000])
def test_microphone_of_another_rate_is_resampled(sound: FakeSound, backend: str, rate: int):
    sound.rates, sound.widths = {rate}, {2}
    wave = np.sin(2 * np.pi * 500 * np.arange(rate) / rate)
    block = rate // 50
    now = 0.0

    async def main():
        nonlocal now
        async with Microphone("headset", lambda: now) as microphone:
            stream = sound.streams[0]
            assert (stream.samplerate, stream.channels, stream.device) == (rate, 2, 3)
            for start in range(0, rate, block):
                now += 0.02
                in_thread(stream.feed, wave[start : start + block], age=0.02)
            return [await anext(microphone) for _ in range(45)]

    frames = anyio.run(main, backend=backend)
    assert [f.time for f in frames] == pytest.approx([0.02 * i for i in range(45)], abs=1e-6)
    got = np.concatenate([f.samples for f in frames])
    expected = np.sin(2 * np.pi * 500 * np.arange(len(got)) / 16000)
    assert np.abs(got - expected)[200:].max() < 0.01


@BOTH
def test_microphone_wakes_a_waiting_reader(sound: FakeSound, backend: str):
    async def main():
        async with Microphone(None, time.monotonic) as microphone, anyio.create_task_group() as tasks:

            async def speak():
                await anyio.sleep(0.05)
                in_thread(sound.streams[0].feed, np.ones(320))

            tasks.start_soon(speak)
            with anyio.fail_after(1):
                return await anext(microphone)

    assert len(anyio.run(main, backend=backend).samples) == 320


@BOTH
def test_a_reader_in_no_hurry_is_woken_for_three_frames_and_at_once_when_it_is(
    sound: FakeSound, backend: str
):
    calm = True

    async def main():
        nonlocal calm
        got: list[int] = []

        async def read(microphone: Microphone) -> None:
            async for frame in microphone:
                got.append(int(frame.samples[0]))

        async def after(*fed: int) -> list[int]:
            for number in fed:
                in_thread(sound.streams[0].feed, np.full(320, number))
            await anyio.sleep(0.05)
            await anyio.wait_all_tasks_blocked()
            return got

        microphone = Microphone(None, time.monotonic, calm=lambda: calm)
        async with anyio.create_task_group() as tasks, microphone:
            tasks.start_soon(read, microphone)
            await anyio.wait_all_tasks_blocked()
            assert await after(1, 2, 3, 4) == []
            assert await after(5) == [1, 2, 3, 4, 5]
            assert await after(6) == [1, 2, 3, 4, 5]
            calm = False
            assert await after(7) == [1, 2, 3, 4, 5, 6, 7]
            assert await after(8) == [1, 2, 3, 4, 5, 6, 7, 8]
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)


@BOTH
def test_late_reader_loses_the_oldest_frames_and_they_are_counted(sound: FakeSound, backend: str):
    async def main():
        async with Microphone(None, time.monotonic) as microphone:
            for number in range(400):
                in_thread(sound.streams[0].feed, np.full(320, number))
            first = await anext(microphone)
            for _ in range(249):
                last = await anext(microphone)
            return first, last, microphone.dropped

    first, last, dropped = anyio.run(main, backend=backend)
    assert (first.samples[0], last.samples[0], dropped) == (150, 399, 150)


@BOTH
def test_what_the_device_itself_loses_is_counted(sound: FakeSound, backend: str):
    async def main():
        async with Microphone(None, time.monotonic) as microphone:
            for number in range(6):
                in_thread(sound.streams[0].feed, np.zeros(320), 0.0, 0.0, number in (2, 5))
            return microphone.overflows

    assert anyio.run(main, backend=backend) == 2


@BOTH
@pytest.mark.parametrize("way", ["silent", "ended"])
def test_vanished_microphone_is_a_device_error(sound: FakeSound, monkeypatch, backend: str, way: str):
    monkeypatch.setattr(devices, "_DEAF", 0.2)

    async def main():
        async with Microphone(None, time.monotonic) as microphone:
            stream = sound.streams[0]
            in_thread(stream.feed, np.ones(640))
            if way == "ended":
                in_thread(stream.finished_callback)
            await anext(microphone)
            await anext(microphone)
            with anyio.fail_after(2), pytest.raises(DeviceError, match="'USB Microphone' gives no sound"):
                await anext(microphone)

    anyio.run(main, backend=backend)


@BOTH
def test_speaker_pulls_what_sounds_when(sound: FakeSound, backend: str):
    asked = []
    now = 10.0

    def source(count: int, at: float) -> np.ndarray:
        asked.append((count, at))
        return np.full(count, len(asked) / 100, np.float32)

    async def main():
        nonlocal now
        async with Speaker(None, source, 24000, lambda: now) as speaker:
            stream = sound.streams[0]
            assert (stream.samplerate, stream.channels, stream.blocksize) == (24000, 2, 480)
            asked.clear()
            played = []
            for _ in range(3):
                now += 0.02
                played.append(stream.pull(1, underflow=True))
            assert speaker.underflows == 3
            assert speaker.latency == pytest.approx(asked[-1][1] - now)
            return np.concatenate(played)

    played = anyio.run(main, backend=backend)
    assert [count for count, _ in asked] == [480] * 3
    assert np.diff([at for _, at in asked]) == pytest.approx(0.02, abs=0.001)
    assert np.array_equal(played[:, 0], np.repeat(np.float32([0.01, 0.02, 0.03]), 480))
    assert np.array_equal(played[:, 0], played[:, 1])
    assert sound.streams[0].closed


def warming_up(sound: FakeSound, backend: str, device) -> None:
    """A speaker whose device does what `device(stream, asked)` does, until it has begun to ask."""
    sound.pulls = False
    asked: list[float] = []

    async def main():
        async def turned_on():
            await anyio.sleep(0.05)
            device(sound.streams[0], asked)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(turned_on)
            async with Speaker(None, lambda n, at: asked.append(at) or silent(n, at), 24000, time.monotonic):
                assert asked

    anyio.run(main, backend=backend)


@BOTH
def test_speaker_is_silent_and_asks_nothing_while_it_warms_up(sound: FakeSound, backend: str):
    def device(stream: FakeStream, asked: list[float]):
        assert not stream.pull(5).any()
        assert not asked
        stream.pull(10)

    warming_up(sound, backend, device)


@BOTH
def test_speaker_warms_up_until_the_device_tears_no_more_gaps(sound: FakeSound, backend: str):
    def device(stream: FakeStream, asked: list[float]):
        stream.pull(50, underflow=True)
        stream.pull(11)
        assert not asked
        stream.pull(5)

    warming_up(sound, backend, device)


@BOTH
def test_blocks_that_a_device_takes_all_at_once_do_not_count_as_time(sound: FakeSound, backend: str):
    def device(stream: FakeStream, asked: list[float]):
        for _ in range(100):
            stream.pull(1)
            stream.time = 7.0
        assert not asked
        stream.pull(15)

    warming_up(sound, backend, device)


@BOTH
def test_speaker_starts_on_a_device_that_never_stops_tearing(sound: FakeSound, backend: str):
    def device(stream: FakeStream, asked: list[float]):
        stream.pull(90, underflow=True)
        assert not asked
        stream.pull(20, underflow=True)

    warming_up(sound, backend, device)


@BOTH
def test_speaker_that_is_opened_before_has_warmed_up_when_it_is_entered(sound: FakeSound, backend: str):
    sound.pulls = False
    asked: list[float] = []
    speaker = Speaker(None, lambda n, at: asked.append(at) or silent(n, at), 24000, time.monotonic)
    speaker.open()
    speaker.open()
    (stream,) = sound.streams
    stream.pull(60, underflow=True)  # the server fills its buffers
    assert not stream.pull(50).any()
    assert not asked, "nobody listens yet"

    async def main():
        async with speaker:
            stream.pull(1)
            assert asked
            assert sound.streams == [stream]

    anyio.run(main, backend=backend)
    assert stream.closed


@BOTH
def test_what_was_not_asked_for_a_while_is_not_held_for_even(sound: FakeSound, backend: str):
    """While engines load, the interpreter may be away for a second: then the device begins anew."""
    sound.pulls = False
    asked: list[float] = []
    speaker = Speaker(None, lambda n, at: asked.append(at) or silent(n, at), 24000, time.monotonic)
    speaker.open()
    (stream,) = sound.streams
    stream.pull(50)
    stream.time += 0.9
    stream.pull(2)

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(goes_on)
            async with speaker:
                assert asked

    async def goes_on():
        await anyio.sleep(0.05)
        stream.pull(10)
        assert not asked
        stream.pull(5)

    anyio.run(main, backend=backend)


def test_speaker_that_is_opened_and_not_entered_is_let_go_once(sound: FakeSound):
    speaker = Speaker(None, silent, 24000, time.monotonic)
    speaker.open()
    speaker.close()
    assert sound.streams[0].closed
    speaker.close()


@BOTH
def test_speaker_that_never_starts_is_a_device_error(sound: FakeSound, monkeypatch, backend: str):
    monkeypatch.setattr(devices, "_STARTING", 0.1)
    sound.pulls = False

    async def main():
        with pytest.raises(DeviceError, match="does not start"):
            async with Speaker(None, silent, 24000, time.monotonic):
                pytest.fail("it started")

    anyio.run(main, backend=backend)
    assert sound.streams[0].closed


@BOTH
@pytest.mark.parametrize("rate", [44100, 48000])
def test_speaker_of_another_rate_is_resampled_in_time(sound: FakeSound, backend: str, rate: int):
    sound.rates, sound.widths = {rate}, {1}
    now = 0.0

    def source(count: int, at: float) -> np.ndarray:
        """A tone that is fixed to the session's clock: what sounds at t is sin(2 pi 500 t)."""
        return np.sin(2 * np.pi * 500 * (at + np.arange(count) / 24000)).astype(np.float32)

    async def main():
        nonlocal now
        async with Speaker(None, source, 24000, lambda: now):
            stream = sound.streams[0]
            assert (stream.samplerate, stream.channels) == (rate, 1)
            played = []
            for _ in range(400):
                now += 0.02
                played.append((now + 0.05, stream.pull(1)[:, 0]))
            return played

    played = anyio.run(main, backend=backend)
    # The clock stood still while it warmed up, so the times need a while to settle.
    for at, block in played[-50:]:
        n = np.arange(len(block))
        fit = np.exp(-2j * np.pi * 500 * n / rate) @ block * 2 / len(block)
        assert abs(fit) == pytest.approx(1.0, abs=0.02)
        late = (np.angle(fit * 1j) / (2 * np.pi * 500) - at + 0.001) % 0.002 - 0.001
        assert abs(late) < 0.0001


@BOTH
@pytest.mark.parametrize("fault", ["raises", "short"])
def test_source_that_fails_ends_the_block_with_a_device_error(sound: FakeSound, backend: str, fault: str):
    broken = False

    def source(count: int, at: float) -> np.ndarray:
        if broken and fault == "raises":
            raise ZeroDivisionError("queue is gone")
        return np.zeros(count - broken, np.float32)

    async def main():
        nonlocal broken
        async with Speaker(None, source, 24000, time.monotonic):
            broken = True
            in_thread(sound.streams[0].pull, 1)
            await anyio.sleep(5)
            pytest.fail("the block went on")

    began = time.monotonic()
    with pytest.raises(DeviceError, match="queue is gone" if fault == "raises" else "480 samples were asked"):
        anyio.run(main, backend=backend)
    assert time.monotonic() - began < 2


@BOTH
@pytest.mark.parametrize("way", ["silent", "ended", "ended at the end"])
def test_vanished_speaker_ends_the_block_with_a_device_error(
    sound: FakeSound, monkeypatch, backend: str, way: str
):
    monkeypatch.setattr(devices, "_MUTE", 0.2)

    async def main():
        async with Speaker(None, silent, 24000, time.monotonic):
            if way != "silent":
                in_thread(sound.streams[0].finished_callback)
            if way != "ended at the end":
                await anyio.sleep(5)
                pytest.fail("the block went on")

    with pytest.raises(DeviceError, match="'Built-in Speakers' has gone"):
        anyio.run(main, backend=backend)


@BOTH
def test_speaker_lets_errors_and_cancellation_pass(sound: FakeSound, backend: str):
    async def fails():
        async with Speaker(None, silent, 24000, time.monotonic):
            raise KeyError("mine")

    async def cancelled():
        with anyio.move_on_after(0.1) as scope:
            async with Speaker(None, silent, 24000, time.monotonic):
                await anyio.sleep(5)
        assert scope.cancelled_caught
        return "over"

    with pytest.raises(KeyError, match="mine"):
        anyio.run(fails, backend=backend)
    assert anyio.run(cancelled, backend=backend) == "over"


@BOTH
def test_speaker_that_lives_is_not_held_for_dead(sound: FakeSound, monkeypatch, backend: str):
    monkeypatch.setattr(devices, "_MUTE", 0.2)

    async def main():
        async with Speaker(None, silent, 24000, time.monotonic):
            for _ in range(50):
                await anyio.sleep(0.01)
                in_thread(sound.streams[0].pull, 1)
        return "alive"

    assert anyio.run(main, backend=backend) == "alive"


# On a virtual sound card. PortAudio reads its surroundings once, hence a fresh process for each.

HEAD = """
import json, sys, time
import anyio, numpy as np
from audio.devices.live import Microphone, Speaker, list_devices
zero = time.perf_counter()
clock = lambda: time.perf_counter() - zero
"""

HEAR = (
    HEAD
    + """
async def main():
    frames = []
    async with Microphone(None, clock) as microphone:
        async for frame in microphone:
            if not frames:
                print("listening", flush=True)
            frames.append(frame)
            if len(frames) == 200:
                break
    np.savez(sys.argv[1], samples=[f.samples for f in frames], times=[f.time for f in frames])
    assert microphone.dropped == 0, microphone.dropped
anyio.run(main, backend=sys.argv[2])
"""
)

PLAY = (
    HEAD
    + """
phase = 0
def source(count, at):
    global phase
    wave = 0.5 * np.sin(2 * np.pi * 1000 * (phase + np.arange(count)) / 24000)
    phase += count
    return wave.astype(np.float32)
async def main():
    async with Speaker(None, source, 24000, clock) as speaker:
        await anyio.sleep(2)
    print(json.dumps([speaker.latency, speaker.underflows]))
anyio.run(main, backend=sys.argv[1])
"""
)

LOOP = (
    HEAD
    + """
clicks = [3.0, 3.7, 4.4]
def source(count, at):
    out = np.zeros(count, np.float32)
    for click in clicks:
        first = round((click - at) * 24000)
        out[max(0, first):max(0, first + 24)] = 0.9
    return out
async def main():
    heard = []
    async with Speaker(None, source, 24000, clock), Microphone(None, clock) as microphone:
        async for frame in microphone:
            loud = np.flatnonzero(np.abs(frame.samples) > 0.2)
            if len(loud) and (not heard or frame.time > heard[-1] + 0.1):
                heard.append(frame.time + loud[0] / frame.rate)
            if frame.time > 5:
                break
    print(json.dumps(heard))
anyio.run(main, backend="trio")
"""
)

GONE = (
    HEAD
    + """
from audio.errors import DeviceError
async def main():
    async with Microphone(None, clock) as microphone:
        await anext(microphone)
        print("listening", flush=True)
        async for frame in microphone:
            pass
try:
    anyio.run(main)
except DeviceError as error:
    print(error)
"""
)


@contextmanager
def running(card, program: str, *arguments: str):
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, env=card.env, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def tone_share(samples: np.ndarray, rate: int) -> float:
    """How many of the pieces of 50 ms are a tone of 1000 Hz and nothing else, 0 to 1."""
    pieces = samples[: len(samples) // (rate // 20) * (rate // 20)].reshape(-1, rate // 20)
    power = np.abs(np.fft.rfft(pieces * np.hanning(rate // 20))) ** 2
    near = np.abs(np.fft.rfftfreq(rate // 20, 1 / rate) - 1000) < 100
    return float(np.mean(power[:, near].sum(axis=1) > 0.98 * power.sum(axis=1)))


@pytest.mark.device
@BOTH
def test_microphone_hears_the_card(sound_card, tmp_path: Path, backend: str):
    wav, heard = tmp_path / "said.wav", tmp_path / "heard.npz"
    soundfile.write(wav, 0.5 * np.sin(2 * np.pi * 1000 * np.arange(6 * 16000) / 16000), 16000)
    with running(sound_card, HEAR, str(heard), backend) as process:
        assert process.stdout.readline() == "listening\n"
        with sound_card.play(wav) as player:
            assert process.wait(30) == 0
            player.terminate()
    data = np.load(heard)
    assert data["samples"].shape == (200, 320)
    assert tone_share(data["samples"][125:].ravel(), 16000) > 0.99
    assert np.diff(data["times"][100:]) == pytest.approx(0.02, abs=0.051)
    assert data["times"][199] - data["times"][100] == pytest.approx(99 * 0.02, abs=0.1)


@pytest.mark.device
@BOTH
def test_speaker_is_heard_from_the_card(sound_card, tmp_path: Path, backend: str):
    wav = tmp_path / "speaker.wav"
    with sound_card.record(wav), running(sound_card, PLAY, backend) as process:
        latency, _ = json.loads(process.stdout.readline())
        assert process.wait(30) == 0
    assert -0.05 < latency < 0.2
    samples, rate = soundfile.read(wav, dtype="float32")
    loud = np.flatnonzero(np.abs(samples[:, 0]) > 0.01)
    played = samples[loud[0] : loud[-1]]
    assert len(played) == pytest.approx(2 * rate, rel=0.15)
    # A busy machine may tear one gap, in the playing or in the recording; a bad start tore eight pieces.
    assert tone_share(played[:, 0], rate) > 0.9
    assert np.array_equal(played[:, 0], played[:, 1])


@pytest.mark.device
def test_both_tell_the_same_time(sound_card):
    """The microphone listens to what the speaker plays: what was to sound at 3.0 s is heard at 3.0 s."""
    card = type(sound_card)(sound_card.env | {"PULSE_SOURCE": f"{sound_card.speaker}.monitor"})
    with running(card, LOOP) as process:
        heard = json.loads(process.communicate(timeout=30)[0])
    assert heard == pytest.approx([3.0, 3.7, 4.4], abs=0.06)


@pytest.mark.device
def test_microphone_that_falls_silent_is_reported(sound_card):
    def suspend(on: str):
        subprocess.run(
            ["pactl", "suspend-source", sound_card.microphone, on], env=sound_card.env, check=True, timeout=10
        )

    with running(sound_card, GONE) as process:
        assert process.stdout.readline() == "listening\n"
        suspend("1")
        try:
            assert "gives no sound; plug it in again" in process.communicate(timeout=30)[0]
        finally:
            suspend("0")
