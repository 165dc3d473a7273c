"""A telephone call over Twilio's Media Streams: what the caller hears, and what of it the agent knows."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Coroutine

import anyio
import numpy as np
import pytest
import serving
from telephone import FORMAT, SILENCE, Twilio, from_24k
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from agent.testing import SECONDS_PER_CHARACTER
from audio.g711 import MU_LAW

pytestmark = pytest.mark.net

STORY = (
    "Once upon a time there was a king who had three sons and a daughter. They lived in a castle by the "
    "sea, with a very old horse, and a clock that was always wrong by an hour."
)
TOKEN = "a-token-of-more-than-16-characters"
LOUD, QUIET = from_24k(serving.tone(1.0)), np.zeros(4000, np.float32)


def called(
    pool: serving.Scripted,
    main: Callable[[Twilio], Coroutine],
    path: str = "/v1/twilio",
    token: str | None = None,
    late: float = 0.0,
) -> Twilio:
    """Hold a call; a deadlock fails, and so does a slot that is not given back."""
    found: list[Twilio] = []

    async def inside() -> None:
        with anyio.fail_after(40):
            async with serving.running(pool, token) as address:
                async with connect(f"ws{address.removeprefix('http')}{path}") as socket:
                    found.append(call := Twilio(socket, late))
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(call.read)
                        await main(call)
                        await socket.close()
                while not pool.idle:
                    await anyio.sleep(0.01)

    anyio.run(inside, backend="asyncio")
    return found[0]


async def until(ready: Callable[[], object], call: Twilio | None = None) -> None:
    """Wait for something, in silence on the line."""
    while not ready():
        if call is not None:
            await call.sound(SILENCE)
        await anyio.sleep(0.02)


def reply_of(pool: serving.Scripted) -> list[tuple[str, str]]:
    """What the model was told last, but for its instructions."""
    return [(m.role, m.content) for m in pool.model.asked[-1] if m.role != "system"]


def test_a_call_is_answered_and_everything_that_was_sent_is_heard() -> None:
    pool = serving.pool(["What is that?"], ["A bell."])

    async def main(call: Twilio) -> None:
        await call.begin()
        await call.say(np.concatenate([LOUD, QUIET]))
        await until(lambda: call.marks and call.marks[-1][0] == call.of("mark")[-1]["mark"]["name"], call)
        await until(lambda: len(call.of("mark")) == len(call.marks) and len(call.played) > 100, call)

    call = called(pool, main)
    assert not call.of("clear")
    assert all(played for _, played in call.marks)
    assert {message["streamSid"] for message in call.told} == {"MZ1"}
    heard = MU_LAW.decode(b"".join(call.played))
    assert np.abs(heard).max() > 0.05
    assert all(len(base64.b64decode(m["media"]["payload"])) <= 160 for m in call.of("media"))


def seconds(text: str) -> float:
    """How long the scripted voice takes for it."""
    return len(text) * SECONDS_PER_CHARACTER


def test_who_speaks_over_a_reply_clears_it_and_has_heard_what_the_marks_say() -> None:
    pool = serving.pool(["Tell me a story.", "Stop, what time is it?"], [STORY, "Noon."])

    async def main(call: Twilio) -> None:
        await call.begin()
        await call.say(np.concatenate([LOUD, QUIET]))
        await until(lambda: len(call.played) > 3000, call)
        await call.say(np.concatenate([LOUD, QUIET]))
        await until(lambda: len(pool.model.asked) > 1, call)

    call = called(pool, main, late=0.1)
    assert len(call.of("clear")) == 1
    (_, (role, heard), question) = reply_of(pool)
    assert (role, question) == ("assistant", ("user", "Stop, what time is it?"))
    assert STORY.startswith(heard)
    marked = max(int(name.partition(".")[2]) for name, played in call.marks if played) / 24_000
    expected = [end for end in ends(STORY) if seconds(STORY[:end]) <= marked]
    assert abs(len(heard.split()) - len(expected)) <= 1
    assert 3.0 - 0.2 <= marked < seconds(STORY) - 1


def test_marks_that_come_back_because_of_clear_were_not_heard() -> None:
    """A key interrupts at once, while Twilio has a second of the reply that it has not played."""
    pool = serving.pool([], [STORY, "Noon."], "server.lead=1")
    played: list[float] = []

    async def main(call: Twilio) -> None:
        await call.begin(greeting="Tell a story.")
        await until(lambda: len(call.played) > 2000)
        await call.send("dtmf", dtmf={"track": "inbound_track", "digit": "#"})
        await until(lambda: any(not played for _, played in call.marks))
        played.append(len(call.played) / 1000)
        await until(lambda: len(pool.model.asked) > 1)

    called(pool, main, late=0.3)
    ((_, heard),) = [each for each in reply_of(pool) if each[0] == "assistant"]
    assert STORY.startswith(heard)
    assert played[0] - 1.1 <= seconds(heard) <= played[0], "no more than had been played, or was known to be"


def ends(text: str) -> list[int]:
    return [match.end() for match in re.finditer(r"\S+", text)]


def test_what_is_typed_is_an_event_and_a_turn() -> None:
    pool = serving.pool([], ["Thank you.", "Well."])

    async def main(call: Twilio) -> None:
        await call.begin()
        for key in "42#":
            await call.send("dtmf", dtmf={"track": "inbound_track", "digit": key})
        await until(lambda: call.of("mark"), call)
        await call.send("dtmf", dtmf={"track": "inbound_track", "digit": "7"})
        await until(lambda: len(pool.model.asked) > 1, call)

    called(pool, main)
    questions = [messages[-1].content for messages in pool.model.asked]
    assert questions == ["I pressed 4 2 #.", "I pressed 7."]


def test_a_call_brings_its_instructions_and_is_greeted() -> None:
    pool = serving.pool([], ["Good day."])

    async def main(call: Twilio) -> None:
        await call.begin(instructions="You are a porter.", greeting="Greet the caller.")
        await until(lambda: call.played, call)

    called(pool, main)
    (asked,) = pool.model.asked[0]
    assert (asked.role, asked.content) == ("system", "You are a porter. Greet the caller.")


def test_a_recorded_call_is_replayed() -> None:
    """Twilio's messages of one call, sent again to another server: the same is understood."""
    texts, replies = ["What is that?"], ["A bell."]
    first, second = serving.pool(texts, replies), serving.pool(texts, replies)

    async def record(call: Twilio) -> None:
        await call.begin()
        await call.say(np.concatenate([LOUD, QUIET]))
        await until(lambda: first.model.asked, call)

    recording = [json.dumps(message) for message in called(first, record).recording]

    async def replay(call: Twilio) -> None:
        for message in recording:
            await call.socket.send(message)
            await anyio.sleep(0.02 if '"media"' in message else 0)
        await until(lambda: second.model.asked, call)

    called(second, replay)
    assert reply_of(first) == reply_of(second) == [("user", "What is that?")]


def test_a_server_that_stops_lets_the_last_word_be_heard() -> None:
    pool = serving.pool([], ["Good day to you all."], "server.lead=1")

    async def main(call: Twilio) -> None:
        await call.begin(greeting="Greet.")
        await until(lambda: call.played)
        pool.close()
        await call.socket.wait_closed()
        assert call.socket.close_code == 1001

    call = called(pool, main, late=0.2)
    assert len(call.played) / 1000 == pytest.approx(seconds("Good day to you all."), abs=0.1)
    assert all(played for _, played in call.marks)


def derived(token: str) -> str:
    return hmac.new(token.encode(), b"twilio", hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("path", "opens"),
    [
        ("/v1/twilio/" + derived(TOKEN), True),
        ("/v1/twilio/" + TOKEN, False),  # the server's own is not to be in an address
        ("/v1/twilio/" + derived("another-token-of-16-characters"), False),
        ("/v1/twilio", False),
        ("/v1/twilio/", False),
    ],
)
def test_a_call_shows_a_token_of_its_own_in_its_path(path: str, opens: bool) -> None:
    pool = serving.pool([], ["Good day."])

    async def main(call: Twilio) -> None:
        await call.begin(greeting="Greet.")
        await until(lambda: call.played, call)

    if opens:
        called(pool, main, path, TOKEN)
        return
    with pytest.raises(ExceptionGroup) as raised:
        called(pool, main, path, TOKEN)
    (refused,) = raised.value.exceptions
    assert isinstance(refused, InvalidStatus)
    assert refused.response.status_code == 401


def test_the_token_of_a_call_opens_nothing_else() -> None:
    import httpx

    pool = serving.pool([], [])

    async def main() -> None:
        async with serving.running(pool, TOKEN) as address, httpx.AsyncClient(base_url=address) as client:
            for path in ("/v1/models", f"/v1/models/{derived(TOKEN)}"):
                reply = await client.get(path, headers={"authorization": f"Bearer {derived(TOKEN)}"})
                assert reply.status_code == 401

    anyio.run(main, backend="asyncio")


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("no json", "not a JSON message"),
        ("[1]", "a message is a JSON object"),
        ({"event": "media", "media": {"payload": "?"}}, "media.payload: not base64"),
        ({"event": "media", "media": {"payload": "AA\u00e4="}}, "media.payload: not base64"),
        ({"event": "media", "media": {"payload": 5}}, "media.payload: base64 of mu-law"),
        ({"event": "media"}, "media: an object is missing"),
        ({"event": "media", "media": {"payload": "A" * 1_000_000}}, ""),
        ({"event": "mark", "mark": {"name": "nobody's"}}, ""),
        ({"event": "dtmf", "dtmf": {"digit": "call me"}}, ""),
        ({"event": "of next year", "more": {"x": 1}}, ""),
    ],
)
def test_what_is_wrong_is_said_as_the_call_ends_and_what_is_unknown_is_let_be(message, why: str) -> None:
    pool = serving.pool([], ["Good day."], "server.max_buffer=1000")

    async def main(call: Twilio) -> None:
        await call.begin(greeting="" if why else "Greet.")
        await call.socket.send(message if isinstance(message, str) else json.dumps(message))
        if why:
            await call.socket.wait_closed()
            assert call.socket.close_code == 1008
            assert why in call.socket.close_reason
        else:
            await until(lambda: call.played, call)

    called(pool, main)


@pytest.mark.parametrize("form", [{"encoding": "audio/x-alaw"}, {"sampleRate": 16000}, {"channels": 2}])
def test_a_format_that_is_not_spoken_here_is_refused(form: dict) -> None:
    async def main(call: Twilio) -> None:
        await call.send("start", start={"mediaFormat": {**FORMAT, **form}})
        await call.socket.wait_closed()
        assert (call.socket.close_code, "mediaFormat" in call.socket.close_reason) == (1008, True)

    called(serving.pool([], []), main)
