"""wyoming-satellite itself: its microphone and speaker are programs, and it is led to our port."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from trial import SECONDS, tone, trial

ADDRESS = os.environ["WYOMING"]
"""Where our server speaks Wyoming, `tcp://127.0.0.1:PORT`."""
MICROPHONE = """
import sys, time
loud, quiet = open({loud!r}, "rb").read(), bytes(640)
began = time.monotonic()
blocks = [quiet] * 25 + [loud[at:at + 640] for at in range(0, len(loud), 640)]
for number in range(10**6):
    sys.stdout.buffer.write(blocks[number] if number < len(blocks) else quiet)
    sys.stdout.buffer.flush()
    time.sleep(max(0.0, began + 0.02 * number - time.monotonic()))
"""
SPEAKER = """
import sys
while block := sys.stdin.buffer.read1(4096):
    open({heard!r}, "ab").write(block)
"""


async def heard(folder: Path) -> float:
    """Seconds that its speaker is given of the answer to a question that its microphone hears."""
    (folder / "loud").write_bytes(tone(1.0, 16_000))
    (folder / "mic.py").write_text(MICROPHONE.format(loud=str(folder / "loud")))
    (folder / "snd.py").write_text(SPEAKER.format(heard=str(folder / "heard")))
    probe = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = probe.sockets[0].getsockname()[1]
    probe.close()
    command = [sys.executable, "-m", "wyoming_satellite", "--name", "x", "--uri", f"tcp://127.0.0.1:{port}"]
    command += ["--mic-command", f"{sys.executable} {folder / 'mic.py'}"]
    command += ["--snd-command", f"{sys.executable} {folder / 'snd.py'}"]
    satellite = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        kinds = await _led(port)
    finally:
        satellite.send_signal(signal.SIGINT)
        satellite.terminate()
        await satellite.wait()
    missing = {"transcript", "audio-start", "audio-stop"} - kinds
    if missing:
        raise AssertionError(f"it was not sent {missing}, only {kinds}")
    return len((folder / "heard").read_bytes()) / 2 / 22_050


async def _led(port: int) -> set[str]:
    """What our server sends to the satellite, up to the end of its answer."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            break
        except OSError:
            await asyncio.sleep(0.1)
    host, _, ours = ADDRESS.removeprefix("tcp://").rpartition(":")
    from_server, to_server = await asyncio.open_connection(host, int(ours))
    writer.write(b'{"type": "run-satellite"}\n')
    kinds: set[str] = set()

    async def events(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> Any:
        while line := await source.readline():
            event = json.loads(line)
            more = event.get("data_length", 0) + (event.get("payload_length") or 0)
            target.write(line + await source.readexactly(more))
            kinds.add(event["type"])
            if event["type"] == "audio-stop":
                return

    async with asyncio.timeout(SECONDS):
        tasks = [
            asyncio.create_task(events(reader, to_server)),
            asyncio.create_task(events(from_server, writer)),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.sleep(1.0)  # it plays what it was sent; this version does not say when it has
        writer.close()
        to_server.close()
    return kinds


with tempfile.TemporaryDirectory() as made:
    trial("wyoming-satellite", "asked by its microphone, answered by its speaker", lambda: heard(Path(made)))
