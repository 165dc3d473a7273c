"""Responses and items of the Realtime protocol as its specification has them, over a real socket."""

from __future__ import annotations

import base64

import anyio
import pytest
import serving
from realtime_client import Client, talked

import scripted

pytestmark = pytest.mark.net

TEXT = {"output_modalities": ["text"]}
STORY = "Once upon a time there was a lighthouse keeper. He lived alone on a rock in the sea."


def asked(pool: serving.Scripted, number: int = -1, beside: bool = False) -> list[tuple[str, str]]:
    """One prompt of the conversation, or of responses beside it."""
    used = [one for one in pool.model.each if one.asked][beside]
    return [(m.role, m.content) for m in used.asked[number]]


def text(response: dict) -> str:
    part = response["output"][0]["content"][0]
    return part.get("text", part.get("transcript"))


def test_instructions_of_a_response_are_the_last_that_the_model_reads() -> None:
    pool = serving.pool([""], ["Ten.", "A joke.", "Eleven."])

    async def main(client: Client) -> None:
        await client.update(instructions="Be brief.", **TEXT)
        await client.put("Count.")
        await client.respond()
        done = await client.respond(instructions="Tell the user a joke.")
        assert (done["status"], text(done)) == ("completed", "A joke.")
        await client.put("Go on.")
        await client.respond()

    talked(pool, main)
    before = [("system", "Be brief."), ("user", "Count."), ("assistant", "Ten.")]
    assert asked(pool, 1) == [*before, ("system", "Tell the user a joke.")]
    assert asked(pool, 2) == [*before[:2], ("assistant", "Ten. A joke."), ("user", "Go on.")]


def test_a_response_beside_the_conversation_leaves_no_trace_in_it() -> None:
    pool = serving.pool([""], ["Ten.", "Eleven."])

    async def main(client: Client) -> None:
        await client.update(instructions="Be brief.", **TEXT)
        item = await client.put("Count.")
        await client.respond()
        given = [
            {"type": "item_reference", "id": item["id"]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What is it?"}]},
        ]
        wanted = {"conversation": "none", "input": given, "metadata": {"topic": "x"}}
        done = await client.respond(instructions="Classify.", **wanted)
        assert (done["status"], done["conversation_id"], done["metadata"]) == (
            "completed",
            None,
            {"topic": "x"},
        )
        assert text(done) == "Ten."
        deltas = [
            e["delta"] for e in client.of("response.output_text.delta") if e["response_id"] == done["id"]
        ]
        assert "".join(deltas) == "Ten."
        names = {e["item"]["id"] for e in client.of("conversation.item.added")}
        assert done["output"][0]["id"] not in names
        await client.put("Go on.")
        done = await client.respond()
        assert done["conversation_id"] is not None

    talked(pool, main)
    assert asked(pool, 0, beside=True) == [
        ("system", "Be brief."),
        ("user", "Count. What is it?"),
        ("system", "Classify."),
    ]
    assert asked(pool, 1)[1:] == [("user", "Count."), ("assistant", "Ten."), ("user", "Go on.")]


def test_it_may_speak_and_run_while_the_conversation_goes_on() -> None:
    pool = serving.pool([""], [STORY])

    async def main(client: Client) -> None:
        await client.put("Tell me a story.")
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.send(
            "response.create", response={"conversation": "none", "metadata": {"which": "aside"}}
        )
        done = [(await client.until("response.done"))["response"] for _ in range(2)]
        aside, story = sorted(done, key=lambda one: one["metadata"] is None)
        assert (text(aside), text(story)) == (STORY, STORY)
        sound = [e for e in client.of("response.output_audio.delta") if e["response_id"] == aside["id"]]
        seconds = sum(len(base64.b64decode(e["delta"])) for e in sound) / 48_000
        assert seconds == pytest.approx(len(STORY) * scripted.SECONDS_PER_CHARACTER, abs=0.2)

    talked(pool, main)


def test_the_input_of_a_response_takes_the_place_of_the_conversation_for_once() -> None:
    pool = serving.pool([""], ["Ten.", "Alone.", "Eleven."])

    async def main(client: Client) -> None:
        await client.update(**TEXT)
        await client.put("Count.")
        await client.respond()
        assert text(await client.respond(input=[], instructions="Say alone.")) == "Alone."
        await client.put("Go on.")
        await client.respond()

    talked(pool, main)
    assert asked(pool, 1)[1:] == [] or asked(pool, 1)[-1][1].endswith("Say alone.")
    assert ("user", "Count.") not in asked(pool, 1)
    assert asked(pool, 2)[1:] == [("user", "Count."), ("assistant", "Ten. Alone."), ("user", "Go on.")]


@pytest.mark.parametrize("conversation", ["auto", "none"])
def test_max_output_tokens_cuts_and_says_so(conversation: str) -> None:
    async def main(client: Client) -> None:
        await client.update(**TEXT)
        await client.put("Tell me a story.")
        done = await client.respond(max_output_tokens=4, conversation=conversation)
        assert (done["status"], text(done)) == ("incomplete", "Once upon a time")
        assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
        assert done["max_output_tokens"] == 4
        done = await client.respond(conversation=conversation)
        assert (done["status"], done["max_output_tokens"]) == ("completed", "inf")

    talked(serving.pool([""], [STORY]), main)


@pytest.mark.parametrize("conversation", ["auto", "none"])
def test_a_cancel_right_behind_its_response_ends_it(conversation: str) -> None:
    async def main(client: Client) -> None:
        await client.put("Tell me a story.")
        await client.send("response.create", response={"conversation": conversation})
        if conversation == "none":
            response = (await client.until("response.created"))["response"]
            await client.send("response.cancel", response_id=response["id"])
        else:
            await client.send("response.cancel")
        done = (await client.until("response.done"))["response"]
        assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")
        assert client.errors == []
        await client.send("response.cancel")
        error = (await client.until("error"))["error"]
        assert error["code"] == "response_cancel_not_active"
        assert error["message"] == "Cancellation failed: no active response found"

    talked(serving.pool([""], [" ".join([STORY] * 5)], token=0.02), main)


def test_errors_have_the_codes_that_clients_look_for() -> None:
    async def main(client: Client) -> None:
        await client.put("Hi.", id="item_1")
        item = {
            "id": "item_1",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "x"}],
        }
        nowhere = {**item, "id": "item_2"}
        for kind, fields, code in [
            ("conversation.item.create", {"item": item}, "item_create_duplicate_item_id"),
            (
                "conversation.item.create",
                {"item": nowhere, "previous_item_id": "item_9"},
                "item_create_invalid_previous_item_id",
            ),
            ("conversation.item.retrieve", {"item_id": "item_9"}, "item_retrieve_invalid_item_id"),
            ("conversation.item.delete", {"item_id": "item_9"}, "item_delete_invalid_item_id"),
            (
                "conversation.item.truncate",
                {"item_id": "item_9", "content_index": 0, "audio_end_ms": 0},
                "item_truncate_invalid_item_id",
            ),
            ("input_audio_buffer.commit", {}, "input_audio_buffer_commit_empty"),
        ]:
            await client.send(kind, **fields)
            assert (await client.until("error"))["error"]["code"] == code
        await client.send("response.create")
        await client.send("response.create")
        error = (await client.until("error"))["error"]
        assert error["code"] == "conversation_already_has_active_response"
        assert "already has an active response" in error["message"]
        await client.until("response.done")

    talked(serving.pool([""], [STORY]), main)


def test_an_item_that_was_said_can_be_had_with_its_sound() -> None:
    async def main(client: Client) -> None:
        await client.update(audio={"input": {"turn_detection": None}})
        said = serving.tone(0.5)
        await client.send("input_audio_buffer.append", audio=base64.b64encode(said).decode())
        await client.send("input_audio_buffer.commit")
        done = await client.until("conversation.item.input_audio_transcription.completed")
        assert done["usage"] == {"type": "duration", "seconds": 0.5}
        await client.send("conversation.item.retrieve", item_id=done["item_id"])
        part = (await client.until("conversation.item.retrieved"))["item"]["content"][0]
        assert (part["type"], part["transcript"]) == ("input_audio", "Hello.")
        assert base64.b64decode(part["audio"]) == said
        await client.send("conversation.item.retrieve", item_id=done["item_id"])
        await client.until("conversation.item.retrieved")

    talked(serving.pool(["Hello."], ["Ten."]), main)


def test_when_nobody_says_anything_for_long_enough_the_agent_speaks() -> None:
    pool = serving.pool([""], ["Ten.", "Are you there?"])

    async def main(client: Client) -> None:
        await client.update(
            audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 300}}}
        )
        await client.put("Count.")
        await client.respond()
        event = await client.until("input_audio_buffer.timeout_triggered")
        assert event["audio_end_ms"] - event["audio_start_ms"] == pytest.approx(300, abs=200)
        committed = await client.until("input_audio_buffer.committed")
        assert committed["item_id"] == event["item_id"]
        done = (await client.until("response.done"))["response"]
        assert text(done) == "Are you there?"
        await client.update(audio={"input": {"turn_detection": {"type": "server_vad"}}})
        client.told.clear()
        with anyio.move_on_after(0.6):
            await client.until("input_audio_buffer.timeout_triggered")
        assert not client.of("input_audio_buffer.timeout_triggered")

    talked(pool, main)


def test_a_commit_while_turns_are_found_is_answered_when_asked() -> None:
    pool = serving.pool(["What time is it?"], ["Noon."])

    async def main(client: Client) -> None:
        said = base64.b64encode(serving.tone(0.6)).decode()
        await client.send("input_audio_buffer.append", audio=said)
        await client.until("input_audio_buffer.speech_started")
        await anyio.sleep(0.4)
        await client.send("input_audio_buffer.commit")
        done = await client.respond()
        assert text(done) == "Noon."
        (committed,) = client.of("input_audio_buffer.committed")
        (started,) = client.of("input_audio_buffer.speech_started")
        assert committed["item_id"] == started["item_id"]

    talked(pool, main)
    assert asked(pool)[1:] == [("user", "What time is it?")]
