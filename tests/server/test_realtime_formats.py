"""The forms of sound on the Realtime wire: PCM, and the telephone's two, in and out."""

from __future__ import annotations

import base64

import anyio
import numpy as np
import pytest
import serving
from realtime_client import Client, talked

from agent.errors import RequestError
from agent.server.realtime.formats import PCM, PCMA, PCMU, Encoder, Format, sound
from audio.frame import Samples
from audio.g711 import A_LAW, MU_LAW

FORMS: dict[str, Format] = {
    "audio/pcm": PCM(),
    "audio/pcmu": PCMU(type="audio/pcmu"),
    "audio/pcma": PCMA(type="audio/pcma"),
}


def tone(seconds: float, rate: int, pitch: float = 500.0, level: float = 0.4) -> Samples:
    return (level * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def encoded(samples: Samples, form: Format) -> str:
    return base64.b64encode(form.encode(samples)).decode()


@pytest.mark.parametrize("name", FORMS)
def test_what_is_sent_is_what_was_said_a_moment_later(name: str) -> None:
    """Each form, in pieces of 10 ms as the session gives them, against the same tone at its own rate."""
    form, said = FORMS[name], tone(1.0, 24_000)
    encoder = Encoder(form)
    pieces = [encoder.feed(said[start : start + 240]) for start in range(0, len(said), 240)]
    got = np.concatenate([sound(piece, form) for piece in pieces])
    assert len(said) * form.RATE / 24_000 - len(got) <= 0.0015 * form.RATE, "it is 1.5 ms late at most"
    wanted = tone(1.0, form.RATE)[: len(got)]
    middle = slice(form.RATE // 10, -form.RATE // 10)
    assert np.abs(got - wanted)[middle].max() < (0.001 if name == "audio/pcm" else 0.02)


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
def test_what_a_telephone_cannot_carry_is_not_heard_as_something_else(name: str) -> None:
    form = FORMS[name]
    encoder, said = Encoder(form), tone(1.0, 24_000, 6000.0)
    got = sound(encoder.feed(said), form)[80:]
    assert np.abs(got).max() < 0.004


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (PCM(), "AA=="),
        (PCM(), "?"),
        (PCM(), "AA\u00e4="),
        (PCMU(type="audio/pcmu"), "\u0663"),
        (PCMU(type="audio/pcmu"), 3),
    ],
)
def test_what_is_no_sound_is_refused(form: Format, text: object) -> None:
    with pytest.raises(RequestError, match="audio") as wrong:
        sound(text, form)
    assert wrong.value.param == "audio"


def test_each_law_is_its_own() -> None:
    assert (PCMU.LAW, PCMA.LAW, PCMU.RATE) == (MU_LAW, A_LAW, 8000)


@pytest.mark.net
@pytest.mark.parametrize("name", FORMS)
def test_a_conversation_in_each_form(name: str) -> None:
    """In by voice activity, out as sound, and the user's item in the form that they send."""
    form = FORMS[name]
    kept = {"type": name} if name != "audio/pcm" else {"type": name, "rate": 24000}

    async def main(client: Client) -> None:
        shapes = {
            "input": {"format": {"type": name}, "turn_detection": {"type": "server_vad"}},
            "output": {"format": {"type": name}},
        }
        told = (await client.update(audio=shapes))["audio"]
        assert (told["input"]["format"], told["output"]["format"]) == (kept, kept)
        for samples in (tone(0.6, form.RATE), tone(0.8, form.RATE, level=0.0)):
            await client.send("input_audio_buffer.append", audio=encoded(samples, form))
        done = (await client.until("response.done"))["response"]
        assert done["audio"]["output"]["format"] == kept
        said = b"".join(base64.b64decode(e["delta"]) for e in client.of("response.output_audio.delta"))
        seconds = len(form.decode(said)) / form.RATE
        assert seconds == pytest.approx(serving.scripted.SECONDS_PER_CHARACTER * len("Ten o'clock."), abs=0.3)
        (stopped,) = client.of("input_audio_buffer.speech_stopped")
        assert stopped["audio_end_ms"] == pytest.approx(600, abs=60)
        item = client.of("input_audio_buffer.committed")[0]["item_id"]
        await client.send("conversation.item.retrieve", item_id=item)
        heard = (await client.until("conversation.item.retrieved"))["item"]["content"][0]["audio"]
        assert 0.5 < len(sound(heard, form)) / form.RATE < 1.5
        assert np.abs(sound(heard, form)).max() == pytest.approx(0.4, abs=0.03)

    talked(serving.pool(["What is the time?"], ["Ten o'clock."]), main)


@pytest.mark.net
def test_the_buffer_and_items_are_read_in_the_form_in_force() -> None:
    """What lies in the buffer when the form changes keeps its length; a response may have its own form."""
    pcm, law = FORMS["audio/pcm"], FORMS["audio/pcmu"]

    async def main(client: Client) -> None:
        await client.update(audio={"input": {"turn_detection": None}})
        await client.send("input_audio_buffer.append", audio=encoded(tone(0.5, 24_000), pcm))
        await client.update(audio={"input": {"format": {"type": "audio/pcmu"}}})
        await client.send("input_audio_buffer.append", audio=encoded(tone(0.5, 8000), law))
        await client.send("input_audio_buffer.commit")
        kind = "conversation.item.input_audio_transcription.completed"
        assert (await client.until(kind))["usage"]["seconds"] == 1.0
        part = {"type": "input_audio", "audio": encoded(tone(0.25, 8000), law)}
        item = {"type": "message", "role": "user", "content": [part]}
        await client.send("conversation.item.create", item=item)
        assert (await client.until(kind))["usage"]["seconds"] == 0.25
        client.told.clear()
        done = await client.respond(audio={"output": {"format": {"type": "audio/pcma"}}})
        assert done["audio"]["output"]["format"] == {"type": "audio/pcma"}
        sizes = [len(base64.b64decode(e["delta"])) for e in client.of("response.output_audio.delta")]
        assert max(sizes) <= 8000 * 0.2, "eight bits a sample, 8000 a second"
        aside = await client.respond(
            conversation="none", audio={"output": {"format": {"type": "audio/pcmu"}}}, input=[]
        )
        assert aside["audio"]["output"]["format"] == {"type": "audio/pcmu"}
        await anyio.sleep(0)

    talked(serving.pool(["What?"], ["Ten."]), main)
