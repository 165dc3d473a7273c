"""Chromium for tests of pages: a microphone out of a file, a camera out of another, and nobody is asked."""

from __future__ import annotations

import shutil
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Browser, async_playwright

RATE = 48_000


def microphone(path: Path, *spans: tuple[float, float], seconds: float = 60.0) -> Path:
    """A recording that is loud in these spans (s), for the browser to take for its microphone."""
    times = np.arange(round(seconds * RATE)) / RATE
    loud = np.any([(times >= begin) & (times < end) for begin, end in spans], axis=0)
    samples = (16_000 * loud * np.sin(2 * np.pi * 500 * times)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return path


@asynccontextmanager
async def chromium(
    microphone: Path | None = None, camera: Path | None = None, *flags: str
) -> AsyncIterator[Browser]:
    """A browser, closed with the block. Skips the test where there is none."""
    where = shutil.which("chromium") or shutil.which("google-chrome")
    if where is None:
        pytest.skip("no chromium: sudo apt-get install chromium")
    used = [
        "--host-resolver-rules=MAP agent.test 127.0.0.1",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        *flags,
    ]
    if microphone is not None:
        used.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    if camera is not None:
        used.append(f"--use-file-for-fake-video-capture={camera}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=where, args=used)
        try:
            yield browser
        finally:
            await browser.close()
