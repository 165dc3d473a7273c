"""How fast a Realtime client wants to be spoken to, and what words it expects: by what is heard and said."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

import anyio
import pytest
import serving
from realtime_client import Client, talked

import scripted
from agent.config import load
from audio.frame import Frame
from audio.stt import Token, Transcript
from audio.tts import Speech

pytestmark = pytest.mark.net


class OneSpeed:
    """A voice that has one."""

    rate, language = 24_000, ""

    def stream(self, text: str) -> Iterator[Speech]:
        return scripted.ScriptedTTS().stream(text)


@dataclass
class Expecting(scripted.ScriptedSTT):
    """Understands what it was told to expect."""

    texts: list[str] = field(default_factory=lambda: ["nothing"])
    languages = ("en",)

    def expecting(self, language: str = "", context: str = "") -> Expecting:
        return replace(self, texts=[f"By {context}"])

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        return Transcript(self.texts[0])


def served(*, stt: Any = None, tts: Any = None, settings: tuple[str, ...] = ()) -> serving.Scripted:
    config = load(None, [*serving.SETTINGS, "server.port=0", *settings])
    model = serving.SharedLLM(["One two three."], config.server.sessions)
    stt, tts = stt or scripted.ScriptedSTT(["What?"]), tts or scripted.ScriptedTTS()
    made = serving.Scripted(config, [scripted.with_loudness(stt, model, tts)])
    made.model = model
    return made


def sounded(client: Client) -> float:
    """Seconds of sound that came, since this was asked last."""
    found = b"".join(base64.b64decode(event["delta"]) for event in client.of("response.output_audio.delta"))
    client.told.clear()
    return len(found) / 2 / 24_000


USUAL = len("One two three.") * scripted.SECONDS_PER_CHARACTER


def test_a_session_and_a_response_are_spoken_at_the_speed_that_is_wished_for() -> None:
    async def main(client: Client) -> None:
        assert (await client.until("session.created"))["session"]["audio"]["output"]["speed"] == 1.0
        told = await client.update(audio={"output": {"speed": 1.5}})
        assert told["audio"]["output"]["speed"] == 1.5
        await client.put("Go on.")
        client.told.clear()
        for wish, speed in (
            ({}, 1.5),
            ({"audio": {"output": {"speed": 0.5}}}, 0.5),
            ({"conversation": "none", "audio": {"output": {"speed": 2}}}, 2.0),
            ({"conversation": "none"}, 1.5),
        ):
            await client.respond(**wish)
            assert sounded(client) == pytest.approx(USUAL / speed, abs=0.05)
        for wrong in (0.49, 2.01, "fast", 0):
            told = await client.update(audio={"output": {"speed": wrong}})
            assert told["audio"]["output"]["speed"] == 1.5
            assert [error["param"] for error in client.errors] == ["session.audio.output.speed"]

    talked(served(), main)


def test_a_voice_with_one_speed_refuses_another_one_by_name_and_speaks() -> None:
    async def main(client: Client) -> None:
        told = await client.update(instructions="Rhyme.", audio={"output": {"speed": 1.5}})
        assert (told["instructions"], told["audio"]["output"]["speed"]) == ("Rhyme.", 1.0)
        assert [error["param"] for error in client.errors] == ["session.audio.output.speed"]
        await client.update(audio={"output": {"speed": 1.0}})
        done = await client.respond(audio={"output": {"speed": 2.0}})
        assert done["status"] == "completed"
        assert [error["param"] for error in client.errors] == ["response.audio.output.speed"]
        assert sounded(client) == pytest.approx(USUAL, abs=0.05)

    talked(served(tts=OneSpeed()), main)


async def say(client: Client) -> str:
    """A turn, and what was understood."""
    for sound in (serving.tone(0.6), serving.tone(0.8, 0.0)):
        await client.send("input_audio_buffer.append", audio=base64.b64encode(sound).decode())
        await anyio.sleep(0.1)
    return (await client.until("conversation.item.input_audio_transcription.completed"))["transcript"]


VAD = {"type": "server_vad", "silence_duration_ms": 200}
DETECTIONS = {"realtime": {**VAD, "create_response": False}, "transcription": VAD}


@pytest.mark.parametrize("kind", ["realtime", "transcription"])
def test_the_transcriber_is_told_what_words_to_expect_from_the_next_turn_on(kind: str) -> None:
    async def expect(client: Client, detection: Any = DETECTIONS[kind], **wish: Any) -> dict[str, Any]:
        audio = {"input": {"transcription": wish, "turn_detection": detection}}
        await client.send("session.update", session={"type": kind, "audio": audio})
        told = (await client.until("session.updated"))["session"]["audio"]["input"]["transcription"]
        assert client.errors == []
        return told

    async def main(client: Client) -> None:
        told = await expect(client, prompt="Ely, Wisbech.", keywords=["March", "Soham"])
        assert (told["prompt"], told["keywords"]) == ("Ely, Wisbech.", ["March", "Soham"])
        assert await say(client) == "By Ely, Wisbech. March, Soham"
        assert "prompt" not in await expect(client, keywords=["Ely"])
        assert await say(client) == "By Ely"
        await expect(client)
        assert await say(client) == "By Our own."
        await expect(client, None, prompt="Committed.")
        await client.send("input_audio_buffer.append", audio=base64.b64encode(serving.tone(0.4)).decode())
        await client.send("input_audio_buffer.commit")
        done = await client.until("conversation.item.input_audio_transcription.completed")
        assert done["transcript"] == "By Committed."

    talked(served(stt=Expecting(), settings=("stt.prompt=Our own.",)), main, seconds=20)


class Scoring(scripted.ScriptedSTT):
    """Tells how probable its words were, where that is asked for."""

    scores = False

    def scoring(self) -> Self:
        made = type(self)(self.texts)
        made.scores = True
        return made

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        tokens = (Token(b"Wh", -0.25), Token(b"at?", -1.5)) if self.scores else ()
        return Transcript("What?", tokens=tokens)


TOKENS = [
    {"token": "Wh", "logprob": -0.25, "bytes": [87, 104]},
    {"token": "at?", "logprob": -1.5, "bytes": [97, 116, 63]},
]
PROBABLE = ["item.input_audio_transcription.logprobs"]


@pytest.mark.parametrize("kind", ["realtime", "transcription"])
def test_it_is_told_how_probable_the_words_were_once_that_is_asked_for(kind: str) -> None:
    async def ask(client: Client, detection: Any, *include: str) -> None:
        audio = {"input": {"turn_detection": detection}}
        await client.send("session.update", session={"type": kind, "include": include, "audio": audio})
        told = (await client.until("session.updated"))["session"]["include"]
        assert (told, client.errors) == ([*include] or None, [])

    async def told(client: Client) -> list[Any]:
        await client.until("conversation.item.input_audio_transcription.completed")
        found = [
            client.of(f"conversation.item.input_audio_transcription.{n}") for n in ("delta", "completed")
        ]
        client.told.clear()
        return [event.get("logprobs") for (event,) in found]

    async def main(client: Client) -> None:
        await ask(client, DETECTIONS[kind], *PROBABLE)
        for sound in (serving.tone(0.6), serving.tone(0.8, 0.0)):
            await client.send("input_audio_buffer.append", audio=base64.b64encode(sound).decode())
        assert await told(client) == [TOKENS, TOKENS]
        for include, probable in (((), None), (PROBABLE, TOKENS)):
            await ask(client, None, *include)
            await client.send("input_audio_buffer.append", audio=base64.b64encode(serving.tone(0.4)).decode())
            await client.send("input_audio_buffer.commit")
            assert await told(client) == [probable, probable]

    talked(served(stt=Scoring(["What?"])), main, seconds=20)


def test_a_transcriber_that_does_not_know_how_probable_they_were_refuses_that_alone() -> None:
    async def main(client: Client) -> None:
        told = await client.update(instructions="Rhyme.", include=PROBABLE)
        assert (told["instructions"], told["include"]) == ("Rhyme.", None)
        assert [error["param"] for error in client.errors] == ["session.include"]

    talked(served(), main)


@pytest.mark.parametrize(("field", "value"), [("prompt", "Ely."), ("keywords", ["Ely"])])
def test_a_transcriber_that_takes_no_words_refuses_them_alone(field: str, value: Any) -> None:
    async def main(client: Client) -> None:
        told = await client.update(audio={"input": {"transcription": {"language": "en", field: value}}})
        assert told["audio"]["input"]["transcription"] == {"model": "whisper-tiny.en", "language": "en"}
        where = f"session.audio.input.transcription.{field}"
        assert [error["param"] for error in client.errors] == [where]
        empty = {field: type(value)()}
        await client.update(audio={"input": {"transcription": empty}})
        assert client.errors == []

    talked(served(), main)
