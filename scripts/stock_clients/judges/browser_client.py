"""OpenAI's Agents SDK for browsers, in Chromium over WebRTC. Runs in our environment, which has a browser."""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.request
import wave
from pathlib import Path

from playwright.async_api import async_playwright
from trial import BASE, KEY, tone, trial

BUNDLE = Path(__file__).parents[3] / (
    "out/clients/browser/node_modules/@openai/agents-realtime/dist/bundle/openai-realtime-agents.umd.js"
)
TALK = """async ([calls, key]) => {
    const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebRTC } = OpenAIAgentsRealtime;
    const audioElement = new Audio();
    const transport = new OpenAIRealtimeWebRTC({ baseUrl: calls, audioElement });
    const agent = new RealtimeAgent({ name: "A", instructions: "Be brief." });
    const session = new RealtimeSession(agent, { transport });
    const found = new Promise((resolve, reject) => {
        session.on("agent_end", (_, __, said) => resolve(said));
        session.on("error", ({ error }) => reject(new Error(JSON.stringify(error))));
        setTimeout(() => reject(new Error("no answer came")), 20000);
    });
    await session.connect({ apiKey: key });
    const said = await found;
    await new Promise((resolve) => setTimeout(resolve, 500));
    const live = audioElement.srcObject.getAudioTracks().some((track) => track.readyState === "live");
    session.close();
    return { said, live };
}"""


def secret() -> str:
    """What a page is handed instead of the token."""
    head = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    asked = urllib.request.Request(f"{BASE}/realtime/client_secrets", b"{}", head)
    return json.loads(urllib.request.urlopen(asked, timeout=10).read())["value"]


def microphone(folder: str) -> Path:
    """Two seconds of silence, one of speech, and silence."""
    path = Path(folder) / "microphone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(tone(2.0, 48_000, 0.0) + tone(1.0, 48_000) + tone(30.0, 48_000, 0.0))
    return path


async def spoken() -> bool:
    """A spoken question, answered by voice."""
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        flags.append(f"--use-file-for-fake-audio-capture={microphone(folder)}%noloop")
        where = shutil.which("chromium") or shutil.which("google-chrome")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=where, args=flags)
            page = await browser.new_page(bypass_csp=True)
            await page.goto(BASE.removesuffix("/v1"))
            await page.add_script_tag(content=BUNDLE.read_text(encoding="utf-8"))
            found = await page.evaluate(TALK, [f"{BASE}/realtime/calls", secret()])
            await browser.close()
    return bool(found["said"]) and found["live"]


trial("@openai/agents-realtime", "RealtimeSession over WebRTC, in Chromium", spoken)
