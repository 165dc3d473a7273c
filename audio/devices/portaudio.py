"""Sound devices and streams to them. The only file that imports sounddevice; knows nothing of frames."""

from __future__ import annotations

import difflib
import logging
import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Literal

from audio.errors import DeviceError, first_line

Kind = Literal["input", "output"]

_NAMES = {"input": "microphone", "output": "speaker"}

_log = logging.getLogger(__name__)

_LONGEST, _SHOWN = 100_000, 120
"""Bytes that are read of the end of what C libraries said, and characters of a line that are shown."""

_LIST = "`backchat devices` lists what there is"


@dataclass(frozen=True, slots=True)
class Device:
    """A sound device as PortAudio sees it. inputs, outputs: channels; rate: its own, in Hz."""

    index: int
    name: str
    api: str
    inputs: int
    outputs: int
    rate: int
    default_input: bool
    default_output: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """How a stream should be: rate in Hz, channels in order of preference, block and latency in seconds."""

    rate: int
    channels: tuple[int, ...]
    block: float
    latency: float


def list_devices() -> list[Device]:
    """Every sound device, in PortAudio's order. Raises DeviceError when PortAudio is not installed."""
    sd = library()
    apis = [api["name"] for api in sd.query_hostapis()]
    first_in, first_out = sd.default.device
    return [
        Device(
            index=index,
            name=found["name"],
            api=apis[found["hostapi"]],
            inputs=found["max_input_channels"],
            outputs=found["max_output_channels"],
            rate=round(found["default_samplerate"]),
            default_input=index == first_in,
            default_output=index == first_out,
        )
        for index, found in enumerate(sd.query_devices())
    ]


def check_devices(microphone: int | str | None, speaker: int | str | None, listening: bool = True) -> None:
    """Raise DeviceError unless there is such a speaker and, if `listening`, such a microphone."""
    if listening:
        find_device(microphone, "input")
    find_device(speaker, "output")


def find_device(wanted: int | str | None, kind: Kind) -> Device:
    """The device of that number or name (any case; a part that only one name has is enough), or the default.

    Raises DeviceError: no such device of that kind, or a name that fits several.
    """
    what = _NAMES[kind]
    able = [d for d in list_devices() if (d.inputs if kind == "input" else d.outputs) > 0]
    if not able:
        raise DeviceError(f"no {what} found; connect one and start again ({_LIST})")
    if wanted is None:
        chosen = [d for d in able if (d.default_input if kind == "input" else d.default_output)]
        if not chosen:
            raise DeviceError(f"no default {what}; choose one by name or number ({_LIST})")
    elif isinstance(wanted, int) or wanted.isdecimal():
        chosen = [d for d in able if d.index == int(wanted)]
    else:
        name = wanted.casefold()
        chosen = [d for d in able if d.name.casefold() == name]
        chosen = chosen or [d for d in able if name in d.name.casefold()]
    if not chosen:
        raise DeviceError(f"no {what} {str(wanted)!r}{_nearest(str(wanted), able)}; {_LIST}")
    if len(chosen) > 1:
        names = ", ".join(f"{d.index} {d.name}" for d in chosen)
        raise DeviceError(f"{wanted!r} fits several: {names}; give the number")
    return chosen[0]


def open_stream(
    device: Device,
    kind: Kind,
    wish: Wish,
    callback: Callable[[Any, int, Any, Any], None],
    finished: Callable[[], None],
) -> Any:
    """A float32 stream, not started, at the wished rate if the device takes it, else at one that it does.

    `finished` is called from PortAudio's thread when the stream ends, for whatever reason. Raises
    DeviceError when the device takes none of the usual rates, or is in use.
    """
    sd = library()
    make = sd.InputStream if kind == "input" else sd.OutputStream
    refusal = ""
    said: list[str] = []
    for rate in dict.fromkeys((wish.rate, device.rate, 48_000, 44_100)):
        for channels in dict.fromkeys(wish.channels):
            try:
                with quiet() as said:
                    return make(
                        samplerate=rate,
                        blocksize=round(wish.block * rate),
                        device=device.index,
                        channels=channels,
                        dtype="float32",
                        latency=wish.latency,
                        callback=callback,
                        finished_callback=finished,
                    )
            except sd.PortAudioError as error:
                refusal = refusal or _reason(error, said)
    raise DeviceError(
        f"{_NAMES[kind]} {device.name!r} cannot be opened ({refusal}); close what uses it or choose another"
    )


def start(stream: Any, device: Device) -> None:
    """Let a stream run; DeviceError, and the stream closed, if it does not."""
    said: list[str] = []
    try:
        with quiet() as said:
            stream.start()
    except library().PortAudioError as error:
        close(stream)
        raise DeviceError(
            f"{device.name!r} cannot be started ({_reason(error, said)}); choose another ({_LIST})"
        ) from error


def close(stream: Any) -> None:
    """End a stream."""
    with quiet():
        stream.close()


def library() -> Any:
    """The module sounddevice, loaded. Raises DeviceError when PortAudio is not installed."""
    try:
        import sounddevice
    except OSError as error:
        raise DeviceError(
            "PortAudio is not installed; type: sudo apt install libportaudio2 (macOS: brew install portaudio)"
        ) from error
    return sounddevice


@contextmanager
def quiet() -> Generator[list[str]]:
    """Keeps apart what C libraries (ALSA, JACK, PortAudio) write to stderr; the list holds it afterwards.

    Each line is also logged, as debug. All that goes to file 2 is kept apart meanwhile. So a stream is quiet
    only while it is opened, started and closed; a program that tells people things by another file, as
    `backchat` does, puts this around all of it. May be nested: the innermost gets the lines.
    """
    said: list[str] = []
    with _page() as page:
        kept = os.dup(2)
        os.dup2(page.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            page.seek(max(0, page.seek(0, os.SEEK_END) - _LONGEST))
            lines = page.read().decode(errors="replace").splitlines()
            said += [line.strip() for line in lines if line.strip()]
            for line in said:
                _log.debug("%s", line)


def _page() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile()
    except OSError:  # no place for it: a microphone is worth more than these lines
        return open(os.devnull, "w+b")


def _reason(error: Exception, said: list[str]) -> str:
    """What PortAudio says in one line, with the last thing that the libraries below it said."""
    first = first_line(error)
    return f"{first}: {said[-1][:_SHOWN]}" if said else first


def _nearest(wanted: str, devices: list[Device]) -> str:
    names = {d.name.casefold(): d.name for d in devices}
    close = difflib.get_close_matches(wanted.casefold(), list(names), 1, 0.5)
    return f"; did you mean {names[close[0]]!r}?" if close else ""
