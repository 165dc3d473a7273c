"""One thing that a client is asked to do, told as a line of JSON. Runs in the client's own environment."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import math
import struct
import sys
import wave
from collections.abc import Callable
from typing import Any

BASE = sys.argv[1] if len(sys.argv) > 1 else ""
"""The server's address, `http://127.0.0.1:PORT/v1`."""
REALTIME = f"ws{BASE.removeprefix('http')}/realtime"
KEY = "none"
SECONDS = 40


def tone(seconds: float, rate: int = 24_000, level: float = 0.4) -> bytes:
    """What the server takes for speech, or with level 0 for silence: 16 bit."""
    count = range(round(seconds * rate))
    return b"".join(
        struct.pack("<h", round(level * 32767 * math.sin(2 * math.pi * 500 * n / rate))) for n in count
    )


def wav(seconds: float = 0.5) -> bytes:
    """The same as a file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(tone(seconds))
    return out.getvalue()


def trial(client: str, what: str, run: Callable[[], Any]) -> None:
    """Run it. What it raises, or what it says is wrong, is why it fails."""
    why = None
    try:
        result = run()
        if inspect.isawaitable(result):
            result = asyncio.run(asyncio.wait_for(result, SECONDS))
        if not result:
            why = f"gave {result!r}"
    except BaseException as error:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        why = f"{type(error).__name__}: {error}"[:300]
    print(json.dumps({"client": client, "what": what, "why": why}), flush=True)
