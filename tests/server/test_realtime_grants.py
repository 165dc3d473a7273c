"""What a stock client asks for without meaning it is granted; what cannot be is refused by name, alone."""

from __future__ import annotations

import copy
import json
import typing
from typing import Any

import anyio
import httpx
import pytest
import serving
from hypothesis import given
from hypothesis import strategies as st
from openai.types import audio_model
from openai.types.audio import speech_create_params
from openai.types.realtime import realtime_audio_config_output_param, realtime_session_create_request_param
from openai.types.shared import chat_model
from realtime_client import Client, talked
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from agent.errors import RequestError
from agent.server.fields import MANY, granted
from agent.server.pool import Pool
from agent.server.realtime.client_events import _Item
from agent.server.realtime.session_config import RealtimeConfig, Update

HINTS = typing.get_type_hints


def literals(published: Any) -> set[str]:
    """All strings that a type of the stock client names, however deep."""
    found = [literals(part) for part in typing.get_args(published) if not isinstance(part, str)]
    return {part for part in typing.get_args(published) if isinstance(part, str)}.union(*found)


VOICES = literals(HINTS(speech_create_params.SpeechCreateParams)["voice"]) | literals(
    HINTS(realtime_audio_config_output_param.RealtimeAudioConfigOutputParam)["voice"]
)
MODELS = {
    "llm": literals(HINTS(realtime_session_create_request_param.RealtimeSessionCreateRequestParam)["model"])
    | literals(chat_model.ChatModel),
    "stt": literals(audio_model.AudioModel),
    "tts": literals(HINTS(speech_create_params.SpeechCreateParams)["model"]),
}


@pytest.fixture(scope="module")
def pool() -> Pool:
    return serving.pool([], [])


@pytest.mark.parametrize("name", sorted({*VOICES, "", "default", "heart"}))
def test_every_voice_that_openai_publishes_stands_for_one_that_is_here(name: str, pool: Pool) -> None:
    if name != "heart":
        pool.voice_of(name)
    with pytest.raises(RequestError, match="no voice 'voice_1'"):
        pool.voice_of("voice_1")


@pytest.mark.parametrize("kind", ["llm", "stt", "tts"])
def test_every_model_that_openai_publishes_stands_for_the_one_that_is_here(kind: str, pool: Pool) -> None:
    assert len(MODELS[kind]) > 3
    for name in (*MODELS[kind], "", "backchat", pool.names[kind]):
        pool.check(kind, name)
    with pytest.raises(RequestError, match="no model 'llama-9'") as wrong:
        pool.check(kind, "llama-9")
    assert wrong.value.status == 404


def test_which_names_stand_for_it_is_a_setting() -> None:
    pool = serving.pool([], [], 'server.model_aliases=["llama-*"]', 'server.voice_aliases=["Ada"]')
    pool.check("llm", "llama-9")
    pool.voice_of("Ada")
    for check in (lambda: pool.check("llm", "gpt-4o"), lambda: pool.voice_of("alloy")):
        with pytest.raises(RequestError):
            check()


GOOD: dict[str, Any] = {
    "type": "realtime",
    "instructions": "Rhyme.",
    "output_modalities": ["text"],
    "max_output_tokens": 50,
    "audio": {
        "input": {
            "turn_detection": {"type": "server_vad", "threshold": 0.6, "silence_duration_ms": 700},
            "transcription": {"language": "en"},
        },
        "output": {"speed": 1.0},
    },
}
WRONG: list[tuple[tuple[str, ...], Any]] = [
    (("nobody_knows",), 1),
    (("x-y",), {"deep": [1]}),
    (("max_output_tokens",), 0),
    (("output_modalities",), ["video"]),
    (("truncation",), {"type": "retention_ratio"}),
    (("audio", "more"), True),
    (("audio", "input", "format"), {"type": "audio/mp3"}),
    (("audio", "input", "noise_reduction"), {"type": "near_field"}),
    (("audio", "input", "turn_detection", "threshold"), 5),
    (("audio", "input", "turn_detection", "str"), 5),
    (("audio", "input", "transcription", "delay"), "slow"),
    (("audio", "output", "speed"), 3),
    (("audio", "output", "voice"), 3),
]
"""Places in a session, and what cannot be granted there."""


def without(session: dict[str, Any], place: tuple[str, ...]) -> None:
    for part in place[:-1]:
        session = session[part]
    session.pop(place[-1], None)


@given(st.lists(st.sampled_from(range(len(WRONG))), unique=True))
def test_what_cannot_be_granted_is_left_out_and_nothing_else(which: list[int]) -> None:
    asked, kept = copy.deepcopy(GOOD), copy.deepcopy(GOOD)
    for number in which:
        place, value = WRONG[number]
        inside = asked
        for part in place[:-1]:
            inside = inside[part]
        inside[place[-1]] = value
        without(kept, place)
    before = copy.deepcopy(asked)
    got, refused = granted(Update, asked)
    assert got == Update.model_validate(kept)
    assert len(refused) == len(which)
    for number in which:
        place = ".".join(WRONG[number][0])
        assert any(str(one.param).startswith(place) for one in refused), (place, refused)
    assert asked == before, "the client's own event is as it was"


def test_with_too_much_that_is_wrong_all_of_it_is_refused() -> None:
    _, refused = granted(Update, {f"x{number}": 1 for number in range(MANY)})
    assert len(refused) == MANY
    with pytest.raises(RequestError):
        granted(Update, {f"x{number}": 1 for number in range(MANY + 1)})


@pytest.mark.parametrize(
    "wrong", [{"content": [{"type": "text", "words": "x"}]}, {"role": "judge"}, {"type": "y"}]
)
def test_an_item_without_what_makes_it_one_is_refused_whole(wrong: dict[str, Any]) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}
    assert granted(_Item, {**item, "priority": 1})[0].text == "x"
    with pytest.raises(RequestError):
        granted(_Item, {**item, **wrong})


@pytest.mark.net
def test_one_wrong_wish_leaves_the_others_in_force() -> None:
    async def main(client: Client) -> None:
        told = await client.update(
            model="gpt-realtime",
            instructions="Rhyme.",
            output_modalities=["text"],
            audio={
                "output": {"voice": "nobody", "speed": 3},
                "input": {"noise_reduction": {"type": "near_field"}, "turn_detection": None},
            },
            tracing="auto",
            secret=None,
            nobody_knows=1,
        )
        names = {error["param"] for error in client.errors}
        wrong = "audio.output.voice", "audio.output.speed", "audio.input.noise_reduction", "nobody_knows"
        assert names == {f"session.{name}" for name in wrong}
        assert (told["instructions"], told["output_modalities"]) == ("Rhyme.", ["text"])
        assert told["audio"]["input"]["turn_detection"] is None
        assert told["audio"]["output"]["voice"] == "default"
        await client.put("Hello.")
        done = await client.respond(audio={"output": {"voice": "marin"}}, nobody_knows=1, metadata=None)
        assert (done["status"], done["output_modalities"]) == ("completed", ["text"])
        assert [error["param"] for error in client.errors] == ["response.nobody_knows"]

    served = serving.pool([""], ["Ten."])
    talked(served, main, "?model=gpt-realtime-2")
    assert served.model.asked[-1][0].content == "Rhyme."


def test_a_session_is_shown_without_what_says_nothing(pool: Pool) -> None:
    """pipecat 1.14 fails at a field of a transcription that it doesn't know, as `languages`."""
    choices = RealtimeConfig(pool, "sess_1")
    heard = choices.as_dict()["audio"]["input"]
    assert heard["transcription"] == {"model": pool.names["stt"]}
    assert set(heard["turn_detection"]) == {"type", "eagerness", "create_response", "interrupt_response"}
    wish = {"transcription": {"languages": ["en"]}, "turn_detection": {"type": "server_vad"}}
    choices.update(Update.model_validate({"audio": {"input": wish}}))
    heard = choices.as_dict()["audio"]["input"]
    assert heard["transcription"] == {"model": pool.names["stt"], "languages": ["en"]}
    assert not {"threshold", "prefix_padding_ms", "idle_timeout_ms"} & heard["turn_detection"].keys()


@pytest.mark.net
def test_the_beta_of_the_protocol_is_refused_with_one_error() -> None:
    async def main(client: Client) -> None:
        beta = {"modalities": ["text"], "voice": "alloy", "input_audio_format": "pcm16"}
        await client.send("session.update", event_id="e1", session=beta)
        error = (await client.until("error"))["error"]
        assert (error["code"], error["event_id"]) == ("beta_api_shape_disabled", "e1")
        await client.update()
        assert client.errors == [error]

    talked(serving.pool([""], ["Ten."]), main)


@pytest.mark.net
def test_an_unknown_model_is_told_in_an_event_before_the_connection_is_closed() -> None:
    """A WebSocket that is refused before it is open shows its client a bare status."""

    async def main() -> None:
        with anyio.fail_after(20):
            async with serving.running(served := serving.pool([""], [""])) as address:
                url = f"ws{address.removeprefix('http')}/v1/realtime"
                async with connect(f"{url}?model=llama-9") as socket:
                    error = json.loads(await socket.recv())["error"]
                    assert (error["code"], error["param"]) == ("model_not_found", "model")
                    with pytest.raises(ConnectionClosed) as closed:
                        await socket.recv()
                    assert closed.value.rcvd is not None
                    assert closed.value.rcvd.code == 4000
                assert served.idle
                for model in ("", "gpt-realtime", "qwen2.5-0.5b"):
                    async with connect(f"{url}?model={model}") as socket:
                        assert json.loads(await socket.recv())["type"] == "session.created"

    anyio.run(main, backend="asyncio")


@pytest.mark.net
def test_the_same_names_are_taken_over_http() -> None:
    async def main() -> None:
        served = serving.pool(["What?"], ["Ten."])
        async with serving.running(served) as address, httpx.AsyncClient(base_url=f"{address}/v1") as http:
            chat = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi."}]}
            reply = await http.post("/chat/completions", json=chat)
            assert (reply.status_code, reply.json()["model"]) == (200, "qwen2.5-0.5b")
            for voice in ("alloy", {"id": "nova"}):
                speech = {"model": "tts-1", "input": "Hi.", "voice": voice, "response_format": "pcm"}
                assert (await http.post("/audio/speech", json=speech)).status_code == 200
            form = {"files": {"file": ("q.wav", serving.wav(0.2))}, "data": {"model": "whisper-1"}}
            assert (await http.post("/audio/transcriptions", **form)).json() == {"text": "What?"}

    anyio.run(main, backend="asyncio")
