"""Sessions that only tell what was said: their kind, their events, what of a conversation they refuse."""

from __future__ import annotations

import base64
import json

import anyio
import pytest
import serving
from openai.types.realtime import (
    ConversationItemInputAudioTranscriptionSegment,
    RealtimeTranscriptionSessionCreateResponse,
)
from realtime_client import Client, talked
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from agent import events as ev
from agent.causes import Cause
from agent.server.realtime.server_events import ServerEvents

VAD = {"type": "server_vad", "silence_duration_ms": 300}
SPOKEN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
]


async def say(client: Client, *stretches: bytes, pace: float = 0.05) -> None:
    for stretch in stretches:
        for start in range(0, len(stretch), 9600):
            part = base64.b64encode(stretch[start : start + 9600]).decode()
            await client.send("input_audio_buffer.append", audio=part)
            await anyio.sleep(pace)


@pytest.mark.net
@pytest.mark.parametrize("intent", [True, False], ids=["by its address", "by its first update"])
def test_what_is_said_is_told_and_nothing_is_answered(intent: bool) -> None:
    async def main(client: Client) -> None:
        created = (await client.until("session.created"))["session"]
        assert created["type"] == ("transcription" if intent else "realtime")
        await client.send(
            "session.update",
            session={
                "type": "transcription",
                "audio": {
                    "input": {
                        "format": {"type": "audio/pcm", "rate": 24000},
                        "transcription": {"model": "gpt-4o-transcribe", "language": "en"},
                        "turn_detection": VAD,
                    }
                },
            },
        )
        session = (await client.until("session.updated"))["session"]
        assert session["object"] == "realtime.transcription_session"
        RealtimeTranscriptionSessionCreateResponse.model_validate(session)
        assert (
            session["audio"]["input"]["turn_detection"] == {**VAD, "prefix_padding_ms": None}
            or session["audio"]["input"]["turn_detection"] == VAD
        )
        assert set(session["audio"]) == {"input"}
        client.told.clear()
        for words in ("What is the time?", "And now?"):
            await say(client, serving.tone(0.6), serving.tone(0.8, 0.0))
            completed = await client.until(SPOKEN[-1])
            assert completed["transcript"] == words
        await say(client, serving.tone(0.4, 0.0))
        assert [event["type"] for event in client.told] == [*SPOKEN, *SPOKEN]
        items = [event["item_id"] for event in client.told if event["type"] == SPOKEN[-1]]
        assert len(set(items)) == 2

    served = serving.pool(["What is the time?", "And now?"], ["Never said."])
    talked(served, main, "?intent=transcription&model=gpt-4o-transcribe" if intent else "")
    assert served.model.asked == [], "the language model was not asked, not even ahead of time"


@pytest.mark.net
def test_without_turn_detection_the_client_commits() -> None:
    async def main(client: Client) -> None:
        await client.until("session.created")
        await client.send("session.update", session={"audio": {"input": {"turn_detection": None}}})
        session = (await client.until("session.updated"))["session"]
        assert (session["type"], session["audio"]["input"]["turn_detection"]) == ("transcription", None)
        client.told.clear()
        await say(client, serving.tone(0.5), pace=0.0)
        await client.send("input_audio_buffer.commit")
        completed = await client.until(SPOKEN[-1])
        assert [event["type"] for event in client.told] == SPOKEN[2:]
        assert (completed["transcript"], completed["usage"]["seconds"]) == ("What?", 0.5)
        await client.send("conversation.item.retrieve", item_id=completed["item_id"])
        item = (await client.until("conversation.item.retrieved"))["item"]
        assert item["content"][0]["audio"] == base64.b64encode(serving.tone(0.5)).decode()

    talked(serving.pool(["What?"], []), main, "?intent=transcription")


@pytest.mark.net
def test_what_belongs_to_a_conversation_is_refused_by_name_and_alone() -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]}

    async def main(client: Client) -> None:
        await client.until("session.created")
        for kind, fields in (
            ("response.create", {}),
            ("response.cancel", {}),
            ("conversation.item.create", {"item": item}),
            ("conversation.item.truncate", {"item_id": "i", "content_index": 0, "audio_end_ms": 0}),
        ):
            await client.send(kind, **fields)
            error = (await client.until("error"))["error"]
            assert (error["param"], error["message"].startswith(kind)) == ("type", True)
        wishes = {
            "type": "transcription",
            "instructions": "Rhyme.",
            "audio": {
                "input": {
                    "turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000, "create_response": True}
                },
                "output": {"voice": "alloy"},
            },
            "include": ["item.input_audio_transcription.logprobs"],
        }
        client.told.clear()
        await client.send("session.update", session=wishes)
        told = (await client.until("session.updated"))["session"]
        assert {error["param"] for error in client.errors} == {
            "session.instructions",
            "session.include",
            "session.audio.output",
            "session.audio.input.turn_detection.idle_timeout_ms",
            "session.audio.input.turn_detection.create_response",
        }
        assert told["audio"]["input"]["turn_detection"]["type"] == "server_vad"
        await say(client, serving.tone(0.4), pace=0.0)
        await client.send("session.update", session={"type": "realtime"})
        error = (await client.until("error"))["error"]
        assert (error["param"], "stays so" in error["message"]) == ("session.type", True)

    talked(serving.pool(["What?"], []), main, "?intent=transcription")


@pytest.mark.net
def test_a_conversation_stays_one_once_it_has_begun() -> None:
    async def main(client: Client) -> None:
        await client.put("Hi.")
        await client.send("session.update", session={"type": "transcription"})
        assert (await client.until("error"))["error"]["param"] == "session.type"
        assert (await client.respond())["status"] == "completed"

    talked(serving.pool([], ["Ten."]), main)


@pytest.mark.net
@pytest.mark.parametrize(
    ("headers", "protocols"),
    [({"OpenAI-Beta": "realtime=v1"}, None), ({}, ["realtime", "openai-beta.realtime-v1"])],
    ids=["header", "subprotocol"],
)
def test_who_connects_for_the_beta_is_told_with_one_error(headers: dict, protocols: list | None) -> None:
    async def main() -> None:
        with anyio.fail_after(20):
            async with serving.running(served := serving.pool([], [])) as address:
                url = f"ws{address.removeprefix('http')}/v1/realtime?model=gpt-realtime"
                async with connect(url, additional_headers=headers, subprotocols=protocols) as socket:
                    assert json.loads(await socket.recv())["error"]["code"] == "beta_api_shape_disabled"
                    with pytest.raises(ConnectionClosed):
                        await socket.recv()
                assert socket.close_code == 4000
                assert served.idle

    anyio.run(main, backend="asyncio")


@pytest.mark.net
def test_an_update_of_the_beta_is_refused_with_one_error() -> None:
    async def main(client: Client) -> None:
        await client.send("transcription_session.update", session={"input_audio_format": "pcm16"})
        assert (await client.until("error"))["error"]["code"] == "beta_api_shape_disabled"
        await client.update()
        assert len(client.errors) == 1

    talked(serving.pool([], []), main)


def test_who_has_said_an_item_is_told_as_its_segment() -> None:
    told = ServerEvents(1_000_000)
    told.tell(ev.SpeechStarted(1.2, 1.0))
    told.tell(ev.TurnOpened(2.5, 1, 2.25))
    events = told.tell(ev.TurnCommitted(2.8, 1, "What time is it?", Cause("endpointing"), speaker="anna"))
    kinds = [event["type"].rpartition(".")[2] for event in events if "transcription" in event["type"]]
    assert kinds == ["delta", "segment", "completed"]
    (found,) = [event for event in events if event["type"].endswith(".segment")]
    segment = ConversationItemInputAudioTranscriptionSegment.model_validate({"event_id": "event_1", **found})
    assert (segment.speaker, segment.text, segment.start, segment.end) == (
        "anna",
        "What time is it?",
        0.0,
        1.25,
    )
    told.tell(ev.TurnOpened(5.0, 2, 4.0))
    others = told.tell(ev.TurnCommitted(5.5, 2, "And in Rome?", Cause("endpointing")))
    assert not [event for event in others if event["type"].endswith(".segment")]
