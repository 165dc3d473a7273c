"""Client secrets: whom they let in, where, for how long, and into which session. Nobody else learns them."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable

import anyio
import httpx
import openai
import pytest
import serving
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from agent.errors import RequestError
from agent.server.admission import client_secrets
from agent.server.admission.client_secrets import ClientSecrets
from agent.settings import ServerConfig

TOKEN = "correct-horse-battery-staple"
RHYME = {"type": "realtime", "instructions": "Rhyme.", "output_modalities": ["text"]}


def served(main: Callable, *sets: str, token: str | None = TOKEN) -> None:
    async def inside() -> None:
        with anyio.fail_after(30):
            async with serving.running(serving.pool(["What?"], ["Ten."], *sets), token) as address:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                async with httpx.AsyncClient(base_url=f"{address}/v1", headers=headers) as http:
                    await main(http, f"ws{address.removeprefix('http')}/v1/realtime")

    anyio.run(inside, backend="asyncio")


async def made(http: httpx.AsyncClient, **body: object) -> dict:
    reply = await http.post("/realtime/client_secrets", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def created(url: str, secret: str, *, in_protocol: bool = False) -> dict:
    """The session of whom it lets in."""
    protocols = ["realtime", f"openai-insecure-api-key.{secret}"] if in_protocol else None
    headers = {} if in_protocol else {"Authorization": f"Bearer {secret}"}
    async with connect(url, additional_headers=headers, subprotocols=protocols) as socket:
        assert in_protocol == (socket.subprotocol == "realtime")
        told = json.loads(await socket.recv())
        assert told["type"] == "session.created"
        return told["session"]


@pytest.mark.net
@pytest.mark.parametrize("token", [TOKEN, None], ids=["with a token", "open"])
def test_a_secret_opens_the_session_that_it_is_bound_to(
    token: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    secrets: list[str] = []

    async def main(http: httpx.AsyncClient, url: str) -> None:
        secret = await made(http, session=RHYME, expires_after={"anchor": "created_at", "seconds": 60})
        secrets.append(secret["value"])
        assert secret["value"].startswith("ek_")
        assert 55 < secret["expires_at"] - time.time() <= 60
        assert secret["session"]["instructions"] == "Rhyme."
        for in_protocol in (False, True):
            session = await created(url, secret["value"], in_protocol=in_protocol)
            assert (session["instructions"], session["output_modalities"]) == ("Rhyme.", ["text"])
        heard = await made(
            http, session={"type": "transcription", "audio": {"input": {"turn_detection": None}}}
        )
        session = await created(url, heard["value"])
        assert (session["type"], session["audio"]["input"]["turn_detection"]) == ("transcription", None)
        whatever = await made(http)
        assert (await created(url, whatever["value"]))["instructions"] == session_of_the_server()
        mine = {"Authorization": f"Bearer {token}"} if token else {}
        async with connect(f"{url}?model=gpt-realtime", additional_headers=mine) as socket:
            assert json.loads(await socket.recv())["session"]["instructions"] == session_of_the_server()

    with caplog.at_level(logging.INFO):
        served(main, token=token)
    assert secrets[0] not in caplog.text


def session_of_the_server() -> str:
    return serving.load(None, []).session.system


@pytest.mark.net
def test_it_opens_nothing_else_and_nobody_makes_one_with_it() -> None:
    async def main(http: httpx.AsyncClient, url: str) -> None:
        value = (await made(http))["value"]
        chat = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi."}]}
        mine = {"headers": {"Authorization": f"Bearer {value}"}}
        for path, body in (("/chat/completions", chat), ("/realtime/client_secrets", {})):
            assert (await http.post(path, json=body, **mine)).status_code == 401
        for wrong in ("ek_" + "0" * 48, value[:-1]):
            with pytest.raises(InvalidStatus) as refused:
                await created(url, wrong)
            assert refused.value.response.status_code == 401

    served(main)
    served(main, token=None)


@pytest.mark.net
def test_the_stock_client_makes_one_and_connects_with_it() -> None:
    async def main(http: httpx.AsyncClient, url: str) -> None:
        base = str(http.base_url)
        async with openai.AsyncOpenAI(base_url=base, api_key=TOKEN, max_retries=0) as client:
            secret = await client.realtime.client_secrets.create(session=RHYME)  # pyright: ignore
        assert secret.session.type == "realtime"
        async with (
            openai.AsyncOpenAI(base_url=base, api_key=secret.value, max_retries=0) as client,
            client.realtime.connect(model="gpt-realtime") as connection,
        ):
            event = await connection.recv()
            assert event.type == "session.created"
            assert event.session.instructions == "Rhyme."

    served(main)


@pytest.mark.net
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"expires_after": {"seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "last_used"}}, "expires_after.anchor"),
        ({"session": {"nobody_knows": 1}}, "session.nobody_knows"),
        ({"session": {"audio": {"output": {"voice": "nobody"}}}}, "session.audio.output.voice"),
        ({"session": {"type": "transcription", "instructions": "x"}}, "session.instructions"),
        ({"session": {"type": "translation"}}, "session"),
        ({"voice": "alloy"}, "voice"),
    ],
)
def test_what_cannot_be_had_is_refused_by_its_name(body: dict, param: str) -> None:
    async def main(http: httpx.AsyncClient, url: str) -> None:
        reply = await http.post("/realtime/client_secrets", json=body)
        assert reply.json()["error"]["param"] == param, reply.text
        assert reply.status_code in (400, 404)

    served(main)


@pytest.mark.net
def test_the_beta_had_other_ways() -> None:
    async def main(http: httpx.AsyncClient, url: str) -> None:
        bodies = [("/realtime/client_secrets", {"session": {"voice": "alloy"}})]
        for path, body in [("/realtime/sessions", {}), ("/realtime/transcription_sessions", {}), *bodies]:
            reply = await http.post(path, json=body)
            assert (reply.status_code, reply.json()["error"]["code"]) == (400, "beta_api_shape_disabled")

    served(main)


@pytest.mark.net
def test_who_comes_with_one_is_counted_as_everybody() -> None:
    async def main(http: httpx.AsyncClient, url: str) -> None:
        value = (await made(http))["value"]
        await created(url, value)
        with pytest.raises(InvalidStatus) as refused:
            await created(url, value)
        assert refused.value.response.status_code == 429
        assert int(refused.value.response.headers["retry-after"]) > 0

    served(main, "server.rate=2")


def test_they_expire_and_only_so_many_are_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(client_secrets.time, "time", lambda: now)
    secrets = ClientSecrets(ServerConfig(secrets=2))
    first, expires = secrets.make({"type": "realtime"}, 10)
    second, _ = secrets.make({}, 20)
    assert expires == 1010
    assert first != second
    with pytest.raises(RequestError, match=r"server\.secrets") as many:
        secrets.make({}, 10)
    assert (many.value.status, many.value.retry_after) == (429, 10)
    now = 1009.9
    assert secrets.session(first) == {"type": "realtime"}
    now = 1010.0
    assert secrets.session(first) is None
    assert secrets.session(second) == {}
    assert secrets.session(secrets.make({}, 10)[0]) == {}


def test_what_they_are_bound_to_takes_no_more_than_is_allowed() -> None:
    secrets = ClientSecrets(ServerConfig(memory=3000))
    secrets.make({"instructions": "x" * 2000}, 10)
    with pytest.raises(RequestError, match=r"server\.memory"):
        secrets.make({"instructions": "y" * 2000}, 10)
    secrets.make({"instructions": "y" * 200}, 10)
