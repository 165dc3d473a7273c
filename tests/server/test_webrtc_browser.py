"""A browser calls over WebRTC as OpenAI's guide has it: nothing but the address is ours."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
import serving
from browser import chromium, microphone

import scripted

CALL = """async () => {
    const connection = new RTCPeerConnection();
    const audio = document.createElement("audio");
    audio.autoplay = true;
    const context = new AudioContext();
    const heard = new Promise((resolve) => {
        connection.ontrack = ({ streams, track }) => {
            audio.srcObject = streams[0] ?? new MediaStream([track]);
            const analyser = new AnalyserNode(context);
            context.createMediaStreamSource(audio.srcObject).connect(analyser);
            const samples = new Float32Array(analyser.fftSize);
            const look = () => {
                analyser.getFloatTimeDomainData(samples);
                if (samples.some((sample) => Math.abs(sample) > 0.05)) resolve(true);
                else setTimeout(look, 10);
            };
            look();
        };
    });
    const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
    connection.addTrack(microphone.getTracks()[0], microphone);
    const events = connection.createDataChannel("oai-events");
    const told = [];
    const done = new Promise((resolve) => events.addEventListener("message", ({ data }) => {
        told.push(JSON.parse(data));
        if (told.at(-1).type === "output_audio_buffer.stopped") resolve();
    }));
    const offer = await connection.createOffer();
    await connection.setLocalDescription(offer);
    const answer = await fetch("/v1/realtime/calls?model=gpt-realtime", {
        method: "POST", body: offer.sdp, headers: { "Content-Type": "application/sdp" },
    });
    await connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    await Promise.all([heard, done]);
    connection.close();
    return { status: answer.status, where: answer.headers.get("location"), told };
}"""


@pytest.mark.browser
def test_a_browser_talks_by_webrtc(tmp_path: Path) -> None:
    spoken, unasked = (
        microphone(tmp_path / "said.wav", (2.0, 3.0)),
        "--autoplay-policy=no-user-gesture-required",
    )
    pool = scripted_pool(["What is that?"], ["A bell."])

    async def main() -> None:
        with anyio.fail_after(60):
            async with serving.running(pool) as address, chromium(spoken, None, unasked) as browser:
                page = await browser.new_page()
                await page.goto(address)
                found = await page.evaluate(CALL)
                await page.close()
                while not pool.idle:
                    await anyio.sleep(0.01)
        assert (found["status"], found["where"][:23]) == (201, "/v1/realtime/calls/rtc_")
        words = [e["transcript"] for e in found["told"] if e["type"].endswith("transcription.completed")]
        done = [e["response"] for e in found["told"] if e["type"] == "response.done"]
        assert (words, [one["status"] for one in done]) == (["What is that?"], ["completed"])
        assert done[0]["output"][0]["content"][0]["transcript"] == "A bell."

    anyio.run(main, backend="asyncio")


def scripted_pool(texts: list[str], replies: list[str]) -> serving.Scripted:
    pool = serving.pool(texts, replies)
    config = pool.config
    model = serving.SharedLLM(replies, config.server.sessions)
    heard = scripted.ScriptedSTT(texts)
    return serving.Scripted(config, [scripted.with_loudness(heard, model, scripted.Humming())])
