"""The page in a real browser, with scripted engines: talk, barge-in, typing, captions, keys, and looks."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
import serving
from browser import chromium, microphone
from playwright.async_api import Page, TimeoutError, expect

from agent import tool
from agent.config import load
from agent.errors import ToolError
from agent.reports.waits import PARTS
from agent.server.page import FILES
from agent.server.pool import Pool, load_pool
from agent.testing import SECONDS_PER_CHARACTER, call
from audio.files import read_audio, write_wav
from audio.g711 import MU_LAW

browser_test = pytest.mark.browser

ROOT = Path(__file__).parents[2]
STORY = (
    "Once upon a time there was a lighthouse keeper. He lived alone on a rock in the sea. "
    "Every night he lit the lamp. One night the lamp went out. Then a ship came close."
)
DENIED = """() => {
    navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("", "NotAllowedError"); };
}"""
DEAF = "RTCPeerConnection.prototype.setRemoteDescription = async () => {}"
SOUND = "input_audio_buffer.append"
SLOW = """() => {
    sessionStorage.setItem("wire", "WebSocket");
    Object.defineProperty(WebSocket.prototype, "bufferedAmount", { get: () => 20000 });
}"""
LAW = """async () => {
    const { compressed, expanded } = await import("/law.js");
    const samples = Int16Array.from({ length: 65536 }, (_, n) => n - 32768);
    const levels = expanded(Uint8Array.from({ length: 256 }, (_, n) => n));
    return [[...levels], [...expanded(compressed(samples))]];
}"""
RESAMPLED = """async ([rate, frequency]) => {
    const context = new OfflineAudioContext(1, rate, rate);
    await context.audioWorklet.addModule("/worklet.js");
    const node = new AudioWorkletNode(context, "capture");
    const samples = [];
    node.port.onmessage = ({ data }) => samples.push(...data.samples);
    const tone = new OscillatorNode(context, { frequency });
    const half = new GainNode(context, { gain: 0.5 });
    tone.connect(half).connect(node).connect(context.destination);
    tone.start();
    await context.startRendering();
    await new Promise((resolve) => setTimeout(resolve, 200));
    return samples;
}"""
"""One second of a tone at half volume, through the worklet."""
STATES = """
window.states = [];
window.reached = 0;
const note = () => {
    const now = document.body?.dataset.state;
    if (now && now !== states.at(-1)) states.push(now);
};
new MutationObserver(note).observe(document, { subtree: true, attributeFilter: ["data-state"] });
"""
REACHED = """name => {
    const at = states.indexOf(name, reached);
    if (at >= 0) reached = at;
    return at >= 0;
}"""
SOON = 20_000
"""Milliseconds for what should take one, on a machine with more to do."""


class Visitor:
    """A page that is open; whatever it complains of fails the test at its end."""

    def __init__(self, page: Page, pictures: Path) -> None:
        self.page, self._pictures = page, pictures
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        page.on("console", lambda told: self.complaints.append(told.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def state(self, name: str, timeout: float = SOON) -> None:
        """In that state, or was since the last one that was waited for: some last milliseconds."""
        try:
            await self.page.wait_for_function(REACHED, arg=name, timeout=timeout)
        except TimeoutError as error:
            passed = await self.page.evaluate("states.slice(reached)")
            raise AssertionError(f"not {name} in {timeout:g} ms, but {passed}") from error

    async def settled(self, name: str) -> None:
        """The page is in that state now."""
        await expect(self.page.locator("body")).to_have_attribute("data-state", name, timeout=SOON)

    async def picture(self, name: str) -> None:
        """As it looks now, light and dark."""
        for scheme in ("light", "dark"):
            await self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await self.page.screenshot(path=self._pictures / f"{name}-{scheme}.png")

    async def type(self, text: str) -> None:
        await self.page.get_by_label("Type instead of talking").fill(text)
        await self.page.keyboard.press("Enter")

    async def heard(self, number: int = -1) -> str:
        """The words of an answer that are lit."""
        answer = self.page.locator("article.agent").nth(number)
        return "".join(await answer.locator("span.heard").all_inner_texts()).strip()


def visited(
    pool: Pool,
    main: Callable,
    pictures: Path,
    microphone: Path | None = None,
    token: str | None = None,
) -> None:
    """Run `main(visitor)` on the open page."""

    async def inside() -> None:
        with anyio.fail_after(120):
            async with serving.running(pool, token) as address, chromium(microphone) as browser:
                page = await browser.new_page(viewport={"width": 900, "height": 700})
                await page.add_init_script(STATES)
                visitor = Visitor(page, pictures)
                page.on(
                    "request", lambda r: visitor.foreign.append(r.url) if not ours(r.url, address) else None
                )
                await page.goto(f"{address}/{f'#token={token}' if token else ''}")
                await main(visitor)
                assert visitor.complaints == []
                assert visitor.foreign == []

    anyio.run(inside, backend="asyncio")


def ours(url: str, address: str) -> bool:
    return url.split("//")[1].startswith(address.split("//")[1])


@browser_test
@pytest.mark.parametrize("wire", ["WebRTC", "WebSocket"])
def test_a_spoken_conversation_with_an_interruption(
    wire: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By WebRTC where the server has it, and by the WebSocket where it has not; the page says which."""
    if wire == "WebSocket":
        monkeypatch.setitem(sys.modules, "aiortc", None)
    pool = serving.pool(["Tell me a story.", "What time is it now?"], [STORY, "It is noon.", "Fine."])
    spoken = microphone(tmp_path / "user.wav", (1.5, 2.5), (7.0, 8.2))

    async def main(visitor: Visitor) -> None:
        page = visitor.page
        await visitor.picture("off")
        await page.get_by_role("button", name="Start talking").click()
        await visitor.state("listening")
        await expect(page.locator("#wire")).to_have_text(wire)
        await expect(page.get_by_role("status")).to_have_text(f"Connected over {wire}. Talk.")
        await visitor.state("hearing")
        await visitor.picture("hearing")
        await visitor.state("thinking")
        await visitor.state("speaking")
        await visitor.picture("speaking")
        await visitor.state("hearing")
        await visitor.state("interrupted")
        await visitor.state("speaking")
        await visitor.state("listening")
        await visitor.picture("interrupted")
        said = page.locator("article.you p")
        await expect(said).to_have_text(["Tell me a story.", "What time is it now?"])
        await expect(page.locator("article.agent").first).to_have_class("agent cut")
        held = await visitor.heard(0)
        assert STORY.startswith(held)
        assert len("Once upon a time") <= len(held) < len(STORY) / 2
        await expect(page.locator("article.agent span.heard").last).to_have_text("noon.")
        await visitor.type("Thanks.")
        await expect(page.locator("article.agent span.heard").last).to_have_text("Fine.", timeout=SOON)
        (used,) = [one for one in pool.model.each if one.asked]
        told = [m.content for m in used.asked[-1] if m.role == "assistant"]
        assert told == [held, "It is noon."], "the history holds what the page shows as heard"
        await page.get_by_role("button", name="Stop talking").click()
        await visitor.state("off")
        if wire == "WebSocket":  # the browser's own line on the refusal
            assert [c for c in visitor.complaints if "501" not in c] == []
            visitor.complaints.clear()

    visited(pool, main, tmp_path, spoken)


@browser_test
def test_where_the_network_does_not_keep_up_both_sides_take_the_telephones_sound(tmp_path: Path) -> None:
    """What is said is understood all the same, and what is answered sounds, and is followed."""
    pool = serving.pool(["Tell me of it."], ["It is noon, and all is well."])
    spoken = microphone(tmp_path / "user.wav", (2.0, 3.0))
    sent: list[dict] = []
    told: list[dict] = []

    async def main(visitor: Visitor) -> None:
        page = visitor.page

        def watch(socket: Any) -> None:
            socket.on("framesent", lambda text: sent.append(json.loads(text)))
            socket.on("framereceived", lambda text: told.append(json.loads(text)))

        page.on("websocket", watch)
        await page.evaluate(SLOW)
        await page.get_by_role("button", name="Start talking").click()
        await visitor.state("speaking")
        await visitor.state("listening")
        await expect(page.locator("article.you p")).to_have_text(["Tell me of it."])
        assert await visitor.heard() == "It is noon, and all is well."

    visited(pool, main, tmp_path, spoken)
    form = {"format": {"type": "audio/pcmu"}}
    updates = [event["session"]["audio"] for event in sent if event["type"] == "session.update"]
    assert updates == [{"input": form, "output": form}]
    kinds = [event["type"] for event in sent]
    behind = [event for event in sent[kinds.index("session.update") :] if event["type"] == SOUND]
    assert {len(base64.b64decode(event["audio"])) for event in behind} == {800}, "0.1 s of 8 bits at 8 kHz"
    answer = b"".join(
        base64.b64decode(e["delta"]) for e in told if e["type"] == "response.output_audio.delta"
    )
    length = len("It is noon, and all is well.") * SECONDS_PER_CHARACTER
    assert len(answer) / 8000 == pytest.approx(length, abs=0.1)


@browser_test
def test_the_pages_mu_law_is_the_servers(tmp_path: Path) -> None:
    """Of a sample that two levels meet at the page takes the larger one, whatever its sign."""
    values = np.arange(-32768, 32768)
    found: list[Any] = []

    async def main(visitor: Visitor) -> None:
        found.extend(await visitor.page.evaluate(LAW))

    visited(serving.pool(["x"], ["-"]), main, tmp_path)
    levels, there = (np.array(each) for each in found)
    assert levels.tolist() == np.rint(MU_LAW.decode(bytes(range(256))) * 32768).tolist()
    sizes = (np.abs(values) / 32767).astype(np.float32)
    here = np.rint(MU_LAW.decode(MU_LAW.encode(sizes)) * 32768)
    assert np.array_equal(there, np.where(values < 0, -here, here))


@browser_test
def test_where_no_packet_gets_through_the_page_takes_the_websocket(tmp_path: Path) -> None:
    """The call that did not come about is hung up: the only place is free for the other way."""
    pool = serving.pool(["never"], ["It is noon."], "server.sessions=1")

    async def main(visitor: Visitor) -> None:
        await visitor.page.evaluate(DEAF)
        for _ in range(2):  # the second time it is known
            await visitor.type("What time is it?")
            await expect(visitor.page.locator("article.agent span.heard").last).to_have_text(
                "noon.", timeout=SOON
            )
            await expect(visitor.page.locator("#wire")).to_have_text("WebSocket")
            await visitor.settled("listening")

    visited(pool, main, tmp_path)


@browser_test
def test_a_back_channel_does_not_end_the_reply(tmp_path: Path) -> None:
    pool = serving.pool(["Tell me a story.", "Mhm.", "Mhm."], [STORY])
    spoken = microphone(tmp_path / "user.wav", (1.5, 2.5), (6.0, 6.4))

    async def main(visitor: Visitor) -> None:
        await visitor.page.get_by_role("button", name="Start talking").click()
        await visitor.state("speaking")
        await visitor.state("hearing")
        await visitor.state("speaking")
        await visitor.state("listening", 30_000)
        assert await visitor.heard() == STORY
        await expect(visitor.page.locator("article.cut")).to_have_count(0)

    visited(pool, main, tmp_path, spoken)


@browser_test
def test_after_stop_the_page_listens(tmp_path: Path) -> None:
    pool = serving.pool(["Tell me a story.", "Stop.", "Stop."], [STORY])
    spoken = microphone(tmp_path / "user.wav", (1.5, 2.5), (6.0, 6.4))

    async def main(visitor: Visitor) -> None:
        await visitor.page.get_by_role("button", name="Start talking").click()
        await visitor.state("speaking")
        await visitor.state("interrupted")
        await visitor.state("listening")

    visited(pool, main, tmp_path, spoken)


@browser_test
def test_an_answer_that_fails_is_told_until_the_next_one(tmp_path: Path) -> None:
    pool = serving.pool(["My name is Ada."], ["Hello.", "You are Ada."])
    spoken = microphone(tmp_path / "user.wav", (1.5, 2.5))

    async def main(visitor: Visitor) -> None:
        page = visitor.page
        for model in pool.model.each:
            model.fail_at = {0: 0}
        await page.get_by_role("button", name="Start talking").click()
        await expect(page.get_by_text("the language model failed")).to_be_visible(timeout=SOON)
        await expect(page.locator("article.you p")).to_have_text(["My name is Ada."])
        await expect(page.get_by_text("ended by an error")).to_be_visible()
        await visitor.type("Who am I?")
        await expect(page.locator("article.agent span.heard").last).to_have_text("Ada.", timeout=SOON)
        await expect(page.get_by_text("the language model failed")).to_have_count(0)

    visited(pool, main, tmp_path, spoken)


@browser_test
def test_typing_escape_and_the_waits(tmp_path: Path) -> None:
    pool = serving.pool(["never"], [STORY, STORY, "It is noon."])

    async def main(visitor: Visitor) -> None:
        page = visitor.page
        await visitor.type("A story, please.")
        await visitor.state("speaking")
        assert await page.locator("body").get_attribute("data-microphone") == "off"
        await expect(page.locator("span.heard").nth(2)).to_be_visible(timeout=SOON)
        await page.keyboard.press("Escape")
        await visitor.state("interrupted")
        await expect(page.get_by_text("interrupted here")).to_be_visible()
        first = await visitor.heard()
        assert STORY.startswith(first)
        assert 0 < len(first) < len(STORY) / 2
        await visitor.type("Another.")
        await expect(page.locator("article.agent").nth(1).locator("span.heard").nth(2)).to_be_visible(
            timeout=SOON
        )
        await visitor.type("What time is it?")
        await expect(page.locator("article.agent").nth(2).locator("span.heard")).to_have_count(
            3, timeout=SOON
        )
        await visitor.settled("listening")
        await expect(page.locator("article.cut")).to_have_count(2)
        asked = pool.model.asked[-1]
        assert [m.content for m in asked if m.role == "user"] == [
            "A story, please.",
            "Another.",
            "What time is it?",
        ]
        told = [m.content for m in asked if m.role == "assistant"]
        assert told == [await visitor.heard(0), await visitor.heard(1)]
        assert abs(len(told[0].split()) - len(first.split())) <= 1, (
            "of the word that was cut the server decides"
        )
        waits = page.locator("article.agent details").last
        await waits.locator("summary").click()
        rows = waits.get_by_role("row")
        shown = [await row.get_by_role("rowheader").inner_text() for row in await rows.all()]
        assert shown == list(PARTS), "the page and the timeline say it in the same words"
        total = float((await waits.locator("summary").inner_text()).split()[-2])
        parts = re.findall(r"(\d+) ms", await waits.inner_text())
        assert sum(map(int, parts)) == pytest.approx(total * 1000, abs=12)
        await expect(rows.last).to_be_in_viewport()
        boxes = [await bar.bounding_box() for bar in await waits.locator(".bar div").all()]
        widths = [box["width"] for box in boxes]
        assert np.argmax(widths) == np.argmax([int(part) for part in parts])
        assert max(widths) > 100
        await visitor.picture("waits")

    visited(pool, main, tmp_path)


@browser_test
@pytest.mark.parametrize("rate", [48_000, 44_100, 16_000])
def test_the_microphones_sound_is_resampled_cleanly(tmp_path: Path, rate: int) -> None:
    """A tone that 24 kHz can hold keeps its pitch and level; one that it cannot is gone, not folded down."""
    pool = serving.pool(["x"], ["-"])

    async def main(visitor: Visitor) -> None:
        for frequency in (1000, 5000, 15_000 if rate > 30_000 else 6000):
            sound = np.array(await visitor.page.evaluate(RESAMPLED, [rate, frequency]), np.float64) / 32_768
            assert len(sound) == pytest.approx(24_000, abs=600)
            sound = sound[2400:-2400]
            spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) / len(sound) * 4
            if frequency < 12_000:
                assert np.argmax(spectrum) * 24_000 / len(sound) == pytest.approx(frequency, abs=2)
                assert spectrum.max() == pytest.approx(0.5, rel=0.05)
                around = np.abs(np.arange(len(spectrum)) * 24_000 / len(sound) - frequency) > 50
                assert spectrum[around].max() < 0.001
            else:
                assert spectrum.max() < 0.001

    visited(pool, main, tmp_path)


@browser_test
def test_keys_start_and_stop(tmp_path: Path) -> None:
    pool = serving.pool(["never"], ["-"])

    async def main(visitor: Visitor) -> None:
        for key in ("Space", "Enter"):
            await visitor.page.locator("body").press(key)
            await visitor.state("listening")
            await visitor.page.locator("body").press(key)
            await visitor.state("off")
        await visitor.page.keyboard.press("Tab")
        assert await visitor.page.evaluate("document.activeElement.id") == "talk"
        await visitor.page.get_by_label("Type instead").press("Space")
        await visitor.state("off")

    visited(pool, main, tmp_path)


@browser_test
def test_over_plain_http_from_another_device_what_is_typed_is_answered(tmp_path: Path) -> None:
    """Such a page gets neither microphone nor AudioWorklet from its browser; answers are written."""
    token, name = "correct-horse-battery", "agent.test"
    pool = serving.pool(["never"], ["It is noon."])

    async def main(visitor: Visitor) -> None:
        page = visitor.page
        there = page.url.replace("127.0.0.1", name)
        await page.goto(f"{there}#token={token}")
        assert not await page.evaluate("isSecureContext || 'audioWorklet' in AudioContext.prototype")
        await page.get_by_role("button", name="Start talking").click()
        await expect(page.get_by_role("alert")).to_contain_text("You can type")
        for count in (1, 2):
            await visitor.type("What time is it?")
            answers = page.locator("article.agent")
            await expect(answers).to_have_count(count, timeout=SOON)
            await expect(answers.nth(count - 1).locator("span.heard")).to_have_count(3, timeout=SOON)
            assert await visitor.heard() == "It is noon."
            await visitor.settled("listening")
        await visitor.picture("plain-http")
        visitor.foreign.clear()  # all of it, by that name

    visited(pool, main, tmp_path, token=token)


@browser_test
def test_a_token_is_asked_for_and_taken_from_the_address(tmp_path: Path) -> None:
    token = "correct-horse-battery"
    pool = serving.pool(["never"], ["It is noon."])

    async def main(visitor: Visitor) -> None:
        page = visitor.page
        await visitor.type("What time is it?")
        await expect(page.locator("span.heard")).to_have_count(3, timeout=SOON)
        assert token not in page.url
        stranger = await page.context.browser.new_page()
        await stranger.goto(page.url)
        await expect(stranger.get_by_label("asks for a token")).to_be_focused()
        await stranger.get_by_label("asks for a token").fill("wrong-horse-battery")
        await stranger.keyboard.press("Enter")
        await expect(stranger.get_by_role("alert")).to_have_text("That token is not accepted.")
        await stranger.get_by_label("asks for a token").fill(token)
        await stranger.keyboard.press("Enter")
        await expect(stranger.get_by_label("asks for a token")).to_be_hidden()
        await stranger.get_by_role("button", name="Start talking").click()
        await expect(stranger.locator("body")).to_have_attribute("data-state", "listening", timeout=SOON)

    visited(pool, main, tmp_path, token=token)


@browser_test
def test_a_busy_server_and_no_microphone_are_said_clearly(tmp_path: Path) -> None:
    pool = serving.pool(["never"], ["-"], "server.sessions=1")

    async def main(visitor: Visitor) -> None:
        page = visitor.page
        await page.evaluate(DENIED)
        await page.get_by_role("button", name="Start talking").click()
        await expect(page.get_by_role("alert")).to_contain_text("The microphone is not allowed")
        await visitor.settled("off")
        async with pool.slot():
            await visitor.type("Anybody?")
            await expect(page.get_by_role("alert")).to_contain_text("The server is busy")
        assert [
            c for c in visitor.complaints if "503" not in c
        ] == []  # the browser's own line on the refusal
        visitor.complaints.clear()

    visited(pool, main, tmp_path)


@browser_test
@pytest.mark.parametrize(("scheme", "width"), [("light", 900), ("dark", 900), ("light", 360)])
def test_accessibility(tmp_path: Path, scheme: str, width: int) -> None:
    axe = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    pool = serving.pool(["never"], [STORY, "It is noon."])

    async def main(visitor: Visitor) -> None:
        page = visitor.page
        await page.set_viewport_size({"width": width, "height": 700})
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await findings(page, axe)
        await visitor.type("A story, please.")
        await expect(page.locator("span.heard").nth(2)).to_be_visible(timeout=SOON)
        await findings(page, axe)
        await page.keyboard.press("Escape")
        await page.locator("summary").click()
        await findings(page, axe)
        await visitor.picture(f"{scheme}-{width}")
        overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, "it scrolls sideways"

    visited(pool, main, tmp_path)


@browser_test
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_it_does_is_seen_while_it_does_it(scheme: str, tmp_path: Path) -> None:
    axe = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")

    @tool(effect="reads")
    async def look_up(city: str) -> str:
        """Look up the weather."""
        await anyio.sleep(2.0)
        return "rain"

    @tool(effect="changes", private=True)
    def tell_doctor(symptom: str) -> str:
        """Tell the doctor."""
        raise ToolError("nobody answers")

    replies = [
        ["Let me look.", call("look_up", city="Ely")],
        "It rains.",
        [call("tell_doctor", symptom="hiccups")],
        "I could not reach them.",
    ]
    pool = serving.pool(["never"], replies, tools=[look_up, tell_doctor])

    async def main(visitor: Visitor) -> None:
        page = visitor.page
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await visitor.type("Rain in Ely?")
        line = page.locator("article.agent li")
        await expect(line).to_have_text("look up city: Ely running…", timeout=SOON)
        await findings(page, axe)
        await page.screenshot(path=tmp_path / f"tool-running-{scheme}.png")
        await expect(line).to_have_text(re.compile(r"look up city: Ely done after \d\.\d s"), timeout=SOON)
        await expect(page.locator("article.agent p")).to_have_text(["Let me look. It rains."], timeout=SOON)
        await visitor.settled("listening")
        await visitor.type("Tell the doctor.")
        await expect(line.last).to_have_text(re.compile(r"tell doctor … failed after \d\.\d s"), timeout=SOON)
        await expect(line.last).to_have_attribute("data-outcome", "failed")
        await findings(page, axe)
        await page.screenshot(path=tmp_path / f"tool-failed-{scheme}.png")
        assert "hiccups" not in await page.content()

    visited(pool, main, tmp_path)


async def findings(page: Page, axe: str) -> None:
    """Run axe on the page as it is now; anything that it finds fails."""
    await page.evaluate(axe)
    found = await page.evaluate("axe.run()")
    told = [
        (v["id"], v["impact"], [node["html"][:120] for node in v["nodes"]], v["nodes"][0]["failureSummary"])
        for v in found["violations"]
    ]
    assert not told
    assert len(found["passes"]) > 20


@pytest.mark.net
def test_the_pages_files_load_nothing_from_elsewhere_and_need_no_token() -> None:
    async def inside() -> None:
        pool = serving.pool(["x"], ["-"])
        async with serving.running(pool, "correct-horse-battery") as address, httpx.AsyncClient() as client:
            for path in FILES:
                answer = await client.get(address + path)
                assert answer.status_code == 200
                assert answer.headers["content-security-policy"].startswith("default-src 'self'")
                assert answer.headers["x-content-type-options"] == "nosniff"
                foreign = re.findall(r"https?://[^\s\"')]+", answer.text)
                assert [url for url in foreign if url != "http://www.w3.org/2000/svg"] == []
            assert (await client.get(f"{address}/page.py")).status_code in (401, 404)

    anyio.run(inside, backend="asyncio")
    assert {"/", "/app.js", "/call.js", "/line.js", "/view.js", "/worklet.js", "/style.css"} <= set(FILES)


@browser_test
@pytest.mark.model
def test_the_real_models_are_talked_to_and_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real voice detector
    spoken = recording(tmp_path / "user.wav", (2.0, "story"), (16.0, "interrupt"))
    pool = load_pool(load(None, ["llm.model=smollm2", "server.port=0", "server.sessions=1"]))

    async def main(visitor: Visitor) -> None:
        page = visitor.page
        await page.get_by_role("button", name="Start talking").click()
        for state in ("listening", "hearing", "speaking"):
            await visitor.state(state, 60_000)
            await visitor.picture(f"real-{state}")
        await expect(page.locator("article.agent.cut")).to_have_count(1, timeout=60_000)
        await visitor.picture("real-cut")
        await expect(page.locator("article.agent").nth(1).locator("span.heard").nth(2)).to_be_visible(
            timeout=60_000
        )
        await visitor.picture("real-second")
        first, second = await page.locator("article.you p").all_inner_texts()
        assert "lighthouse" in first
        assert "days" in second
        heard = await visitor.heard(0)
        whole = " ".join(await page.locator("article.agent").first.locator("span").all_inner_texts())
        assert 0 < len(heard.split()) < len(whole.split())

    visited(pool, main, tmp_path, spoken)


def recording(path: Path, *lines: tuple[float, str], seconds: float = 90.0) -> Path:
    """Recorded lines of the demo, each at its moment (s), as the browser's microphone."""
    sound = np.zeros(round(seconds * 48_000), np.float32)
    for at, name in lines:
        said = read_audio(ROOT / "configs" / "demo" / f"{name}.wav").at_rate(48_000).samples
        begin = round(at * 48_000)
        sound[begin : begin + len(said)] = said
    write_wav(path, sound, 48_000)
    return path
