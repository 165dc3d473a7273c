"""A client chooses its voice and its language: for a session, for a response, for a text, on every wire."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import httpx
import pytest
import serving
from polyglot import Choir, Ears, sure
from realtime_client import Client, talked

from agent.config import load
from agent.errors import RequestError
from agent.server.pool import Pool
from agent.server.realtime.session_config import RealtimeConfig, Update

THREE = ("stt.language=auto", 'stt.languages=["en","es","fr"]')


def polyglot(replies: list[str], said: list[tuple[str, dict[str, float]]] | None = None) -> tuple[Any, Choir]:
    """A pool with several voices, and what they have said."""
    config = load(None, [*serving.SETTINGS, "server.port=0", *THREE])
    llm, choir = serving.SharedLLM(replies, config.server.sessions), Choir()
    engines = serving.scripted.with_loudness(Ears(said or [("What?", sure("en"))]), llm, choir)
    made = serving.Scripted(config, [engines])
    made.model = llm
    return made, choir


def test_every_name_stands_for_a_voice_and_openais_are_spread_over_those_of_its_language() -> None:
    pool, _ = polyglot([])
    assert pool.voice == "anna"
    assert [pool.voice_of(name) for name in ("anna", "dora", "siwis", "default", "")] == [
        *("anna", "dora", "siwis", "anna", "anna"),
    ]
    assert pool.voice_of(None) == "anna"
    stood = {pool.voice_of(name) for name in ("alloy", "ash", "coral", "verse")}
    assert stood == {"anna", "bert"}  # what is read stays English
    assert pool.voice_of("alloy") == pool.voice_of("alloy")
    with pytest.raises(RequestError, match="no voice 'nobody' here") as refused:
        pool.voice_of("nobody")
    assert (refused.value.status, refused.value.param) == (404, "voice")


def test_one_that_is_called_like_an_alias_is_the_one_that_it_stands_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Choir, "loaded_voices", {"anna": "en-us", "af_nova": "en-us", "ef_coral": "es"})
    pool, _ = polyglot([])
    assert pool.voice_of("nova") == "af_nova"
    assert {pool.voice_of(name) for name in ("alloy", "coral", "verse")} == {"anna"}


def test_a_voice_without_others_stands_for_all_names() -> None:
    pool = serving.pool([], [])
    assert {pool.voice_of(name) for name in ("alloy", "marin", "default", None)} == {"default"}


@pytest.mark.parametrize(
    ("wish", "language", "languages"),
    [
        ({}, "auto", ("en", "es", "fr")),
        ({"language": "fr"}, "fr", ()),
        ({"language": "fr-FR"}, "fr", ()),
        ({"languages": ["en", "fr"]}, "auto", ("en", "fr")),
    ],
)
def test_a_realtime_client_says_what_is_spoken(
    wish: dict[str, Any], language: str, languages: tuple[str, ...]
) -> None:
    choices = RealtimeConfig(polyglot([])[0], "sess_1")
    assert choices.update(Update.model_validate({"audio": {"input": {"transcription": wish}}})) == []
    stt = choices.config().stt
    assert (stt.language, stt.languages) == (language, languages)


def test_one_that_is_not_understood_is_refused_by_name() -> None:
    pool, _ = polyglot([])
    with pytest.raises(RequestError, match="'de' is not understood here; en, es, fr is"):
        pool.hearing("de")
    deaf = Pool(pool.config, [replace(pool._halves[0].engines, stt=Ears([], detects=False))])
    with pytest.raises(RequestError, match="is no choice here"):
        deaf.hearing("es")


@pytest.mark.net
def test_voices_of_a_session_and_of_a_response_over_realtime() -> None:
    pool, choir = polyglot(["One.", "Two.", "Three.", "Cuatro."])

    async def main(client: Client) -> None:
        await client.until("session.created")
        session = await client.update(audio={"output": {"voice": "bert"}})
        assert session["audio"]["output"]["voice"] == "bert"
        await client.put("Hello.")
        assert (await client.respond())["audio"]["output"]["voice"] == "bert"
        await client.put("Hello.")
        done = await client.respond(audio={"output": {"voice": "anna"}})
        assert done["audio"]["output"]["voice"] == "anna"
        aside = await client.respond(conversation="none", audio={"output": {"voice": "siwis"}})
        assert aside["audio"]["output"]["voice"] == "siwis"
        await client.update(audio={"input": {"transcription": {"language": "es"}}})
        await client.put("Hola.")
        await client.respond()
        assert client.errors == []

    talked(pool, main)
    assert choir.heard == [("bert", "One."), ("anna", "Two."), ("siwis", "One."), ("dora", "Three.")]


@pytest.mark.net
def test_voices_over_http() -> None:
    async def main() -> None:
        pool, choir = polyglot(["Ten."])
        async with serving.running(pool) as address, httpx.AsyncClient(base_url=address) as http:
            listed = (await http.get("/v1/audio/voices")).json()["data"]
            own = [each for each in listed if each["id"] == each["name"]]
            assert [(each["id"], each["language"]) for each in own] == [
                *(("anna", "en-us"), ("bert", "en-us"), ("dora", "es"), ("siwis", "fr")),
            ]
            for voice in ("dora", {"id": "siwis"}, None):
                body = {"input": "21", "voice": voice, "response_format": "pcm"}
                assert (await http.post("/v1/audio/speech", json=body)).status_code == 200
            answer = await http.post("/converse?voice=bert&language=en", content=serving.wav(1.5))
            assert answer.status_code == 200
            assert (await http.post("/converse?voice=nobody", content=serving.wav(1.5))).status_code == 404
            assert (await http.post("/converse?language=de", content=serving.wav(1.5))).status_code == 400
            form = {
                "files": {"file": ("q.wav", serving.wav(0.5))},
                "data": {"response_format": "verbose_json"},
            }
            told = (await http.post("/v1/audio/transcriptions", **form)).json()
            assert told["language"] == "english"
            form["data"]["language"] = "es"
            assert (await http.post("/v1/audio/transcriptions", **form)).json()["language"] == "spanish"
        assert choir.heard == [
            *(("dora", "veintiuno"), ("siwis", "vingt et un"), ("anna", "twenty one"), ("bert", "Ten.")),
        ]

    anyio.run(main, backend="asyncio")
