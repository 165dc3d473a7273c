"""The command `devices`: the sound devices of this machine. Opens none."""

from __future__ import annotations

import click


@click.command()
def devices() -> None:
    """List microphones and speakers; * marks the defaults."""
    from agent.errors import DeviceError
    from audio.devices.portaudio import list_devices

    found = list_devices()
    if not found:
        raise DeviceError("no sound device found; connect a microphone and a speaker and start again")
    for device in found:
        ways = [way for way, count in (("in", device.inputs), ("out", device.outputs)) if count]
        mark = "*" if device.default_input or device.default_output else " "
        click.echo(f"{mark} {device.index:3}  {'/'.join(ways):6}  {device.rate:>6.0f} Hz  {device.name}")
