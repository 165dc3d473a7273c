"""The camera of the page, in a real browser with a film before it: scripted, and with the real models."""

from __future__ import annotations

import re
from pathlib import Path

import anyio
import numpy as np
import pytest
import serving
import soundfile
from browser import chromium
from playwright.async_api import expect

import pictures
import scripted
from agent.config import load
from agent.conversation.speak import render
from agent.engines.registry import load as load_engines
from agent.images import Picture
from agent.protocols import Description, Engines
from agent.server.pool import Pool
from audio.frame import Frame, silence

pytestmark = pytest.mark.browser

LOOKS = 5.0
"""Seconds of quiet before the question, in which the camera starts."""
SOON = 20_000
"""Milliseconds for what should take one, on a machine with more to do."""


class ColourVision:
    """Tells the colour of the corner."""

    def look(self, picture: Picture) -> Description:
        name = ["red", "green", "blue"][int(picture.pixels[5, 5].argmax())]
        return Description("Look.", f"It is {name}, {picture.kind}.", f"I showed you {name}.")


def film(folder: Path, text: str, back: str) -> Path:
    """What a camera before this sign sees."""
    path = folder / "film.mjpeg"
    path.write_bytes(pictures.encoded(pictures.sign(text, back=back), "JPEG", quality=95) * 20)
    return path


def test_the_camera_is_off_until_it_is_pressed_and_what_it_sees_goes_with_the_words(tmp_path: Path):
    config = load(None, [*serving.SETTINGS, "server.port=0"])
    llm = serving.SharedLLM(["A sign."], config.server.sessions)
    engines = Engines(scripted.ScriptedSTT(["What?"]), llm, scripted.ScriptedTTS(), vision=ColourVision())
    sign = film(tmp_path, "GO", "#20a020")

    async def main() -> None:
        async with serving.running(made) as address, chromium(None, sign) as browser:
            page = await browser.new_page()
            wrong: list[str] = []
            page.on("pageerror", lambda error: wrong.append(str(error)))
            await page.goto(address)
            button, preview = page.locator("#camera"), page.locator("#preview")
            await expect(button).to_have_attribute("aria-pressed", "false")
            await expect(preview).to_be_hidden()
            await button.click()
            await expect(button).to_have_attribute("aria-pressed", "true", timeout=SOON)
            await expect(preview).to_be_visible()
            await anyio.sleep(1.0)  # the first picture is on its way
            await page.fill("#text", "What do you see?")
            await page.press("#text", "Enter")
            await expect(page.locator("#log")).to_contain_text("A sign.", timeout=SOON)
            await button.click()
            await expect(preview).to_be_hidden()
            assert await page.evaluate("document.getElementById('preview').srcObject") is None
            assert wrong == []

    made = serving.Scripted(config, [engines])
    made.model = llm
    anyio.run(main, backend="asyncio")
    last = [message.content for message in llm.asked[-1]][1:]
    assert last == ["Look.", "It is green, JPEG.", "What do you see?"]


@pytest.mark.model
def test_a_sign_held_before_the_camera_is_read_out(tmp_path: Path):
    """The real models: the question is spoken into the page's microphone, the sign is in the film."""
    config = load(None, ["server.port=0", "server.sessions=1", "llm.max_tokens=40"])
    pool = Pool(config, [load_engines(config)])
    with pool.shared_slot() as slot:
        asked = Frame(render("What does this sign say?", slot.engines.tts), slot.engines.tts.rate)
    spoken = tmp_path / "spoken.wav"
    around = [silence(LOOKS, asked.rate), asked.samples, silence(60.0, asked.rate)]
    soundfile.write(spoken, np.concatenate(around), asked.rate)
    sign = film(tmp_path, "NO PARKING", "white")

    async def main() -> None:
        async with serving.running(pool) as address, chromium(spoken, sign) as browser:
            page = await browser.new_page()
            await page.goto(address)
            await page.locator("#camera").click()  # which begins to listen as well
            await expect(page.locator("#camera")).to_have_attribute("aria-pressed", "true", timeout=SOON)
            answer = page.locator("article.agent").first
            await expect(answer).to_contain_text(re.compile("no parking", re.IGNORECASE), timeout=60_000)
            await page.screenshot(path=tmp_path / "sign.png")

    anyio.run(main, backend="asyncio")
