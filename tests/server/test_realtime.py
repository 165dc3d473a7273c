"""The Realtime WebSocket, judged by the stock OpenAI client, with scripted engines on a real socket."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Callable

import anyio
import pytest
import serving
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

pytestmark = pytest.mark.net

STORY = (
    "Once upon a time there was a lighthouse keeper. He lived alone on a rock in the sea. "
    "Every night he lit the lamp. One night the lamp went out. Then a ship came close."
)
QUIET = json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA" * 320})
PUSH_TO_TALK = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
TEXT_ONLY = {"type": "realtime", "output_modalities": ["text"]}


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def served(pool: serving.Scripted, main: Callable) -> None:
    """Run `main(address)` against the server; a deadlock fails, and so does a slot that is not given back."""

    async def inside() -> None:
        with anyio.fail_after(90):
            async with serving.running(pool) as address:
                await main(address)
                await freed(pool)
            assert pool.model.open == 0

    anyio.run(inside, backend="asyncio")


def talked(pool: serving.Scripted, main: Callable) -> None:
    """Run `main(talk)` with one session of the stock client."""

    async def connected(address: str) -> None:
        async with (
            serving.stock(address) as client,
            client.realtime.connect(model="qwen2.5-0.5b") as connection,
        ):
            await main(Talk(connection))

    served(pool, connected)


async def freed(pool: serving.Scripted) -> None:
    with anyio.fail_after(10):
        while not pool.idle:
            await anyio.sleep(0.01)


async def closing(socket: ClientConnection, told: list | None = None) -> int:
    """Read on until the server closes; the code that it gives."""
    try:
        while True:
            message = await socket.recv()
            if told is not None:
                told.append(json.loads(message))
    except ConnectionClosed as closed:
        return closed.rcvd.code


class Talk:
    """A client that keeps what it is told."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.it = connection
        self.events: list = []
        self.audio = 0.0
        """Seconds of the agent's voice."""

    async def until(self, kind: str, count: int = 1):
        """Read on until `count` more events of that kind have come; the last one."""
        while True:
            event = await self.it.recv()
            self.events.append(event)
            if event.type == "response.output_audio.delta":
                self.audio += len(base64.b64decode(event.delta)) / 48_000
            count -= event.type == kind
            if count == 0:
                return event

    async def said(self, data: bytes, pace: float = 1.0) -> None:
        """Send sound as it would be spoken."""
        began = anyio.current_time()
        for number, start in enumerate(range(0, len(data), 960)):
            await self.it.input_audio_buffer.append(audio=base64_of(data[start : start + 960]))
            await anyio.sleep_until(began + (number + 1) * 0.02 * pace)

    async def typed(self, text: str, **response: object) -> None:
        content = [{"type": "input_text", "text": text}]
        await self.it.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        await self.it.response.create(**({"response": response} if response else {}))

    def of(self, kind: str) -> list:
        return [event for event in self.events if event.type == kind]

    def kinds(self) -> list[str]:
        return [e.type for e in self.events if not e.type.endswith(".delta")]


def asked(pool: serving.Scripted) -> list[tuple[str, str]]:
    """The last conversation that a model was given, without the system message."""
    (used,) = [one for one in pool.model.each if one.asked]
    return [(m.role, m.content) for m in used.asked[-1] if m.role != "system"]


def test_a_spoken_conversation_with_an_interruption() -> None:
    pool = serving.pool(["Tell me a story.", "What time is it now?"], [STORY, "It is noon."])

    async def main(talk: Talk) -> None:
        async def user() -> None:
            await talk.said(serving.tone(1.0))
            while talk.audio < 3.0:
                await talk.said(serving.tone(0.1, 0.0))
            await talk.said(serving.tone(1.0))
            await talk.said(serving.tone(30.0, 0.0))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(user)
            first = await talk.until("response.done")
            second = await talk.until("response.done")
            tasks.cancel_scope.cancel()
        cut, whole = first.response, second.response
        assert (cut.status, cut.status_details.reason) == ("cancelled", "turn_detected")
        heard = cut.output[0].content[0].transcript
        assert STORY.startswith(heard)
        assert heard.endswith(("rock", "in", "keeper. He", "He lived", "alone", "on", "a", "keeper."))
        assert (whole.status, whole.output[0].content[0].transcript) == ("completed", "It is noon.")
        assert asked(pool) == [
            ("user", "Tell me a story."),
            ("assistant", heard),
            ("user", "What time is it now?"),
        ]
        kinds = talk.kinds()
        order = [
            "session.created",
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "conversation.item.input_audio_transcription.completed",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "input_audio_buffer.speech_started",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
            "input_audio_buffer.speech_stopped",
        ]
        assert kinds[: len(order)] == order
        assert len({event.event_id for event in talk.events}) == len(talk.events)
        assert talk.of("response.output_audio_transcript.delta")[0].delta.startswith("Once")

    talked(pool, main)


def test_sound_is_paced_to_the_clock() -> None:
    """What is sent is what is about to sound: so an interruption finds little on the way."""

    async def main(talk: Talk) -> None:
        await talk.typed("Tell me a story.")
        await talk.until("response.output_audio.delta")
        began = anyio.current_time()
        await talk.until("response.output_audio.delta", 100)
        assert anyio.current_time() - began > 100 * 0.02 - 0.15 - 0.1
        await talk.it.response.cancel()
        await talk.until("response.done")

    talked(serving.pool(["x"], [STORY]), main)


def test_push_to_talk() -> None:
    pool = serving.pool(["What is that?"], ["A bell."])

    async def main(talk: Talk) -> None:
        await talk.it.session.update(session=PUSH_TO_TALK)
        assert (await talk.until("session.updated")).session.audio.input.turn_detection is None
        await talk.it.input_audio_buffer.commit()
        assert (await talk.until("error")).error.code == "input_audio_buffer_commit_empty"
        await talk.said(serving.tone(1.0), pace=0.0)
        await talk.it.input_audio_buffer.commit()
        completed = await talk.until("conversation.item.input_audio_transcription.completed")
        assert completed.transcript == "What is that?"
        assert completed.item_id == talk.of("input_audio_buffer.committed")[0].item_id
        assert not talk.of("response.created")
        await talk.it.response.create()
        done = await talk.until("response.done")
        assert done.response.output[0].content[0].transcript == "A bell."
        assert talk.audio == pytest.approx(len("A bell.") * 0.06, abs=0.05)
        assert asked(pool) == [("user", "What is that?")]

    talked(pool, main)


def test_text_in_and_text_out() -> None:
    pool = serving.pool(["x"], ["A bell. It rings.", "At noon."])

    async def main(talk: Talk) -> None:
        await talk.it.session.update(session=TEXT_ONLY)
        await talk.typed("What is that?")
        done = await talk.until("response.done")
        assert (done.response.status, done.response.output_modalities) == ("completed", ["text"])
        assert done.response.output[0].content[0].text == "A bell. It rings."
        assert "".join(e.delta for e in talk.of("response.output_text.delta")) == "A bell. It rings."
        assert talk.audio == 0.0
        await talk.typed("When?", output_modalities=["audio"])
        await talk.until("response.done")
        assert talk.audio > 0.3
        assert asked(pool) == [
            ("user", "What is that?"),
            ("assistant", "A bell. It rings."),
            ("user", "When?"),
        ]

    talked(pool, main)


def test_cancel_ends_the_response_and_the_model() -> None:
    pool = serving.pool(["x"], [" ".join([STORY] * 20)], token=0.01)

    async def main(talk: Talk) -> None:
        await talk.it.response.cancel()
        assert (await talk.until("error")).error.code == "response_cancel_not_active"
        await talk.typed("Tell me a story.")
        await talk.until("response.output_audio.delta")
        await talk.it.response.cancel()
        done = await talk.until("response.done")
        assert (done.response.status, done.response.status_details.reason) == (
            "cancelled",
            "client_cancelled",
        )
        assert pool.model.open == 0
        assert len(STORY.split()) > sum(pool.model.pulled())

    talked(pool, main)


def test_a_model_that_fails_before_it_has_spoken_loses_no_word() -> None:
    pool = serving.pool(["My name is Ada."], ["Hello.", "You are Ada."])

    async def main(talk: Talk) -> None:
        for model in pool.model.each:
            model.fail_at = {0: 0}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(talk.said, serving.tone(1.0) + serving.tone(10.0, 0.0))
            done = await talk.until("response.done")
            tasks.cancel_scope.cancel()
        assert done.response.status == "failed"
        (heard,) = talk.of("conversation.item.input_audio_transcription.completed")
        assert heard.transcript == "My name is Ada."
        await talk.typed("Who am I?")
        await talk.until("response.done")
        assert asked(pool) == [("user", "My name is Ada. Who am I?")]

    talked(pool, main)


def test_truncate_leaves_only_what_was_played() -> None:
    pool = serving.pool(["x"], [STORY[:47], "Yes."])

    async def main(talk: Talk) -> None:
        await talk.typed("Tell me a story.")
        done = await talk.until("response.done")
        item = done.response.output[0]
        assert item.content[0].transcript == STORY[:47]
        truncate = talk.it.conversation.item.truncate
        await truncate(item_id=item.id, content_index=0, audio_end_ms=60_000)
        assert "is already shorter than 60000ms" in (await talk.until("error")).error.message
        await truncate(item_id=item.id, content_index=0, audio_end_ms=1000)
        truncated = await talk.until("conversation.item.truncated")
        assert truncated.audio_end_ms == 1000
        await talk.it.conversation.item.retrieve(item_id=item.id)
        kept = (await talk.until("conversation.item.retrieved")).item.content[0].transcript
        assert kept in ("Once upon a time", "Once upon a")  # 16 and 11 characters of 0.06 s
        assert truncated.transcript == kept
        await talk.typed("Who was he?")
        await talk.until("response.done")
        assert asked(pool) == [("user", "Tell me a story."), ("assistant", kept), ("user", "Who was he?")]

    talked(pool, main)


def test_truncate_in_the_middle_ends_the_response_there() -> None:
    pool = serving.pool(["x"], [STORY, "Yes."])

    async def main(talk: Talk) -> None:
        await talk.typed("Tell me a story.")
        while talk.audio < 2.0:
            delta = await talk.until("response.output_audio.delta")
        await talk.it.conversation.item.truncate(item_id=delta.item_id, content_index=0, audio_end_ms=1000)
        done = await talk.until("response.done")
        assert done.response.status == "cancelled"
        kept = done.response.output[0].content[0].transcript
        assert kept in ("Once upon a time", "Once upon a")
        await talk.typed("Who was he?")
        await talk.until("response.done")
        assert asked(pool)[1] == ("assistant", kept)

    talked(pool, main)


def test_it_speaks_unasked_and_in_another_manner_for_once() -> None:
    pool = serving.pool(["x"], ["Ahoy!", "Hello."])

    async def main(talk: Talk) -> None:
        await talk.it.response.create(response={"instructions": "Greet the user as a pirate."})
        await talk.until("response.done")
        await talk.typed("Hello.")
        await talk.until("response.done")
        (used,) = [one for one in pool.model.each if one.asked]
        systems = [messages[0].content for messages in used.asked]
        mine = pool.config.session.system
        assert systems == [f"{mine} Greet the user as a pirate.", mine]
        assert [m.content for m in used.asked[1][1:]] == ["Ahoy!", "Hello."]

    talked(pool, main)


def test_a_typed_reply_can_be_interrupted_by_voice() -> None:
    pool = serving.pool(["Stop, what time is it?"], [STORY, "Noon."])

    async def main(talk: Talk) -> None:
        await talk.typed("Tell me a story.")
        while talk.audio < 1.0:
            await talk.until("response.output_audio.delta")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(talk.said, serving.tone(1.0) + serving.tone(30.0, 0.0))
            done = await talk.until("response.done")
            assert done.response.status_details.reason == "turn_detected"
            done = await talk.until("response.done")
            assert done.response.output[0].content[0].transcript == "Noon."
            tasks.cancel_scope.cancel()

    talked(pool, main)


WRONG = [
    "",
    "{",
    "[]",
    "null",
    '"x"',
    "{}",
    "[" * 5000,
    '{"type": 5}',
    '{"type": "no.such"}',
    '{"type": "session.update"}',
    '{"type": "session.update", "session": {"type": "realtime", "model": "../etc"}}',
    '{"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"voice": "/x"}}}}',
    '{"type": "session.update", "session":{"type": "realtime", "audio": {"input": {"format": {"rate": 8}}}}}',
    '{"type": "session.update", "session": {"type": "realtime", "tools": [{"type": "function"}]}}',
    '{"type": "input_audio_buffer.append"}',
    '{"type": "input_audio_buffer.append", "audio": "*"}',
    '{"type": "input_audio_buffer.append", "audio": "AAAA"}',
    '{"type": "input_audio_buffer.commit"}',
    '{"type": "conversation.item.create", "item": {"type": "function_call_output"}}',
    '{"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": 5}',
    '{"type": "conversation.item.truncate", "item_id": {}, "content_index": 0, "audio_end_ms": 5}',
    '{"type": "conversation.item.retrieve"}',
    '{"type": "response.create", "response": {"conversation": "mine"}}',
    '{"type": "response.cancel"}',
]


def test_whatever_is_wrong_is_told_and_the_session_goes_on() -> None:
    async def main(address: str) -> None:
        async with connect(f"ws{address.removeprefix('http')}/v1/realtime") as socket:
            await socket.recv()
            for text in WRONG:
                await socket.send(text)
                while (told := json.loads(await socket.recv()))["type"] == "session.updated":
                    pass  # one wrong wish of several is refused alone
                assert told["type"] == "error", text
                assert told["error"]["message"], text
                assert not re.search(r"Traceback|/work|\n", told["error"]["message"])
            await socket.send(b"\xff\x00")
            assert json.loads(await socket.recv())["type"] == "error"
            await socket.send('{"type": "session.update", "session": {"type": "realtime"}}')
            assert json.loads(await socket.recv())["type"] == "session.updated"

    served(serving.pool(["x"], ["y"]), main)


def test_a_huge_message_closes_only_that_connection() -> None:
    pool = serving.pool(["x"], ["Here."], "server.message=100000")

    async def main(address: str) -> None:
        url = f"ws{address.removeprefix('http')}/v1/realtime"
        async with connect(url) as other, connect(url, max_size=None) as socket:
            await socket.recv()
            with contextlib.suppress(ConnectionClosed):
                await socket.send("x" * 10_000_000)
            assert await closing(socket) == 1009
            await other.recv()
            await other.send('{"type": "response.create"}')
            assert json.loads(await other.recv())["type"] == "response.created"

    served(pool, main)


def test_who_never_reads_is_cut_and_the_others_are_served() -> None:
    pool = serving.pool(["x"], ["Here."], "server.client_timeout=1")
    long = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x" * 50_000}]}
    create = {"type": "conversation.item.create", "item": {"id": "long", **long}}

    async def main(address: str) -> None:
        url = f"ws{address.removeprefix('http')}/v1/realtime"
        async with connect(url) as other:
            socket = await connect(url, max_queue=1, ping_interval=None)
            await socket.recv()
            await socket.send(json.dumps(create))
            socket.transport.pause_reading()
            for _ in range(2000):  # 100 MB, if anybody read them
                await socket.send('{"type": "conversation.item.retrieve", "item_id": "long"}')
            with anyio.fail_after(15):
                while pool.taken > 1:
                    await anyio.sleep(0.05)
            socket.transport.abort()
            await other.recv()
            await other.send('{"type": "response.create"}')
            assert json.loads(await other.recv())["type"] == "response.created"

    served(pool, main)


@pytest.mark.parametrize("setting", ["server.idle=0.3", "server.longest=0.3"])
def test_who_says_nothing_or_stays_too_long_is_closed(setting: str) -> None:
    async def main(address: str) -> None:
        async with connect(f"ws{address.removeprefix('http')}/v1/realtime") as socket:
            await socket.send(QUIET)
            assert await closing(socket) == 1008

    served(serving.pool(["x"], ["y"], setting), main)


def test_a_hundred_clients_that_vanish_leave_nothing() -> None:
    pool = serving.pool(["x"], [" ".join([STORY] * 20)], "server.sessions=2", token=0.002)

    async def main(address: str) -> None:
        for number in range(100):
            socket = await connect(f"ws{address.removeprefix('http')}/v1/realtime")
            await socket.recv()
            await socket.send('{"type": "response.create"}')
            while number % 3 and json.loads(await socket.recv())["type"] != "response.output_audio.delta":
                pass
            socket.transport.abort()
            await freed(pool)
            assert pool.model.open == 0

    served(pool, main)


def test_beyond_the_slots_a_session_is_refused_before_it_begins() -> None:
    pool = serving.pool(["x"], ["y"], "server.sessions=1")

    async def main(address: str) -> None:
        url = f"ws{address.removeprefix('http')}/v1/realtime"
        async with connect(url) as socket:
            await socket.recv()
            with pytest.raises(InvalidStatus) as refused:
                await connect(url)
            assert refused.value.response.status_code == 503
            assert "Retry-After" in refused.value.response.headers
        await freed(pool)
        async with connect(url) as socket:
            await socket.recv()

    served(pool, main)


def test_sessions_never_see_each_other() -> None:
    pool = serving.pool(["x"], [STORY[:47]])

    async def main(address: str) -> None:
        async with serving.stock(address) as client:

            async def one(secret: str) -> None:
                async with client.realtime.connect(model="backchat") as connection:
                    talk = Talk(connection)
                    for _ in range(2):
                        await talk.typed(f"My secret is {secret}.")
                        await talk.until("response.done")
                    everything = " ".join(event.model_dump_json() for event in talk.events)
                    assert secret in everything
                    assert not [other for other in secrets if other != secret and other in everything]

            secrets = ["alpha7", "beta8", "gamma9"]
            async with anyio.create_task_group() as tasks:
                for secret in secrets:
                    tasks.start_soon(one, secret)
            for model in pool.model.each:
                texts = [" ".join(m.content for m in messages) for messages in model.asked]
                assert len({secret for text in texts for secret in secrets if secret in text}) <= 1

    served(pool, main)


def test_a_server_that_stops_lets_the_reply_end() -> None:
    pool = serving.pool(["x"], ["A bell, my friend, and it rings."])

    async def main(address: str) -> None:
        async with connect(f"ws{address.removeprefix('http')}/v1/realtime") as socket:
            await socket.send('{"type": "response.create"}')
            told: list[dict] = []
            while not told or told[-1]["type"] != "response.output_audio.delta":
                told.append(json.loads(await socket.recv()))
            pool.close()
            assert await closing(socket, told) == 1001
            (done,) = [event for event in told if event["type"] == "response.done"]
            assert done["response"]["status"] == "completed"
            with pytest.raises(InvalidStatus):
                await connect(f"ws{address.removeprefix('http')}/v1/realtime")

    served(pool, main)
