"""The camera of the page, in a real browser with a film for its camera, with scripted engines and eye."""

from __future__ import annotations

import shutil
from pathlib import Path

import anyio
import pytest
import serving
from playwright.async_api import async_playwright, expect

import pictures
import scripted
from agent.config import load
from agent.engines import Engines
from agent.eye import Sight
from agent.eye.image import Picture

pytestmark = pytest.mark.browser

SOON = 20_000
"""Milliseconds for what should take one, on a machine with more to do."""


class ColourEye:
    """Tells the colour of the corner."""

    def look(self, picture: Picture) -> Sight:
        name = ["red", "green", "blue"][int(picture.pixels[5, 5].argmax())]
        return Sight("Look.", f"It is {name}, {picture.kind}.", f"I showed you {name}.")


def test_the_camera_is_off_until_it_is_pressed_and_what_it_sees_goes_with_the_words(tmp_path: Path):
    where = shutil.which("chromium") or shutil.which("google-chrome")
    if where is None:
        pytest.skip("no chromium: sudo apt-get install chromium")
    film = tmp_path / "film.mjpeg"
    film.write_bytes(pictures.encoded(pictures.sign("GO", back="#20a020"), "JPEG") * 20)
    config = load(None, [*serving.SETTINGS, "server.port=0"])
    llm = serving.SharedLLM(["A sign."], config.server.sessions)
    engines = Engines(scripted.ScriptedSTT(["What?"]), llm, scripted.ScriptedTTS(), eye=ColourEye())
    flags = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]

    async def main() -> None:
        async with async_playwright() as playwright, serving.running(made) as address:
            browser = await playwright.chromium.launch(executable_path=where, args=flags)
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
            await browser.close()

    made = serving.Scripted(config, [engines])
    made.model = llm
    anyio.run(main, backend="asyncio")
    last = [message.content for message in llm.asked[-1]][1:]
    assert last == ["Look.", "It is green, JPEG.", "What do you see?"]
