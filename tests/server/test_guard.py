"""Who is let in: tokens, origins, hosts, rates, sizes; and that no token is ever written down."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import anyio
import httpx
import pytest
import serving
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from agent.config import load
from agent.errors import ConfigError, RequestError
from agent.server.admission.exposure import check_exposure, checked_token
from agent.server.admission.guard import OPEN
from agent.server.telemetry.log import Refusals
from agent.settings import Config, ServerConfig

pytestmark = pytest.mark.net

TOKEN = "a-token-of-some-length"
PATHS = ["/generate", "/v1/models", "/metrics", "/v1/chat/completions", "/nowhere", "/../etc/passwd"]


def served(main: Callable, *settings: str, token: str | None = TOKEN) -> None:
    async def inside() -> None:
        with anyio.fail_after(30):
            async with serving.running(serving.pool(["x"], ["y"], *settings), token) as address:
                await main(address)

    anyio.run(inside, backend="asyncio")


async def status(address: str, path: str = "/v1/models", **headers: str) -> int:
    async with httpx.AsyncClient(base_url=address) as client:
        return (await client.get(path, headers=headers)).status_code


async def handshake(address: str, **options: object) -> int:
    """The status that a WebSocket is refused with; 101 when it is let in."""
    try:
        async with connect(f"ws{address.removeprefix('http')}/v1/realtime", **options) as socket:
            await socket.recv()
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer é",
    ],
)
def test_without_the_token_nothing_is_to_be_had(header: str | None) -> None:
    async def main(address: str) -> None:
        headers = {} if header is None else {"authorization": header.encode()}
        async with httpx.AsyncClient(base_url=address) as client:
            for path in PATHS:
                reply = await client.get(path, headers=headers)
                assert reply.status_code == 401, path
                assert reply.headers["www-authenticate"] == "Bearer"
                assert TOKEN not in reply.text
            assert (await client.get("/healthz")).status_code == 200
        assert await handshake(address) == 401

    served(main)


def test_with_the_token_everything_is() -> None:
    async def main(address: str) -> None:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert await status(address, **bearer) == 200
        assert await handshake(address, additional_headers=bearer) == 101
        protocols = ["realtime", f"openai-insecure-api-key.{TOKEN}"]
        assert await handshake(address, subprotocols=protocols) == 101
        assert await handshake(address, subprotocols=["realtime", "openai-insecure-api-key.wrong"]) == 401

    served(main)


def test_pages_of_other_hosts_are_refused_unless_named() -> None:
    async def main(address: str) -> None:
        own, friend = address, "https://friend.example"
        for origin, expected in [(own, 200), (friend, 200), ("https://evil.example", 403), ("null", 403)]:
            assert await status(address, Origin=origin) == expected, origin
        assert await handshake(address, origin="https://evil.example") == 403
        assert await handshake(address, origin=friend) == 101

    served(main, 'server.origins=["https://friend.example"]', token=None)


def test_without_a_token_only_loopback_names_lead_here() -> None:
    """A page that has its own name resolved to 127.0.0.1 (DNS rebinding) gets nothing."""

    async def main(address: str) -> None:
        for host, expected in [
            ("localhost:1", 200),
            ("127.0.0.1", 200),
            ("[::1]:5", 200),
            ("evil.example", 403),
        ]:
            assert await status(address, Host=host) == expected, host

    served(main, token=None)


def test_too_many_requests_and_too_large_ones_are_refused() -> None:
    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            body = json.dumps({"prompt": "x" * 2000}).encode()
            assert (await client.post("/generate", content=body)).status_code == 413

            async def dripping():
                for _ in range(20):
                    yield b"x" * 100

            assert (await client.post("/generate", content=dripping())).status_code == 413
            for _ in range(3):
                assert (await client.get("/v1/models")).status_code == 200
            reply = await client.get("/v1/models")
            assert (reply.status_code, reply.json()["error"]["code"]) == (429, "rate_limit_exceeded")
            assert reply.json()["error"]["type"] == "rate_limit_error"

    served(main, "server.body=1000", "server.rate=5", token=None)


def test_a_body_that_does_not_come_is_given_up() -> None:
    async def main(address: str) -> None:
        host, port = address.removeprefix("http://").split(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            head = f"POST /generate HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-length: 100\r\n\r\n"
            await stream.send(head.encode() + b"{")
            with anyio.fail_after(10):
                assert b"408" in await stream.receive()

    served(main, "server.client_timeout=0.3", token=None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_others_may_only_reach_a_server_that_has_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match=r"a token is needed: .* --token-file token"):
        check_exposure(ServerConfig(host=host), None)
    check_exposure(ServerConfig(host=host), TOKEN)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_on_loopback_none_is_needed(host: str) -> None:
    check_exposure(ServerConfig(host=host), None)


def test_a_short_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKCHAT_TOKEN", "short")
    with pytest.raises(ConfigError, match="16 characters at least"):
        checked_token(Config())


def test_neither_the_token_nor_what_is_said_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main(address: str) -> None:
        bearer = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=address, headers=bearer) as client:
            await client.post("/generate", json={"prompt": "my secret is alpha7"})
            await client.post(f"/generate?token={TOKEN}", content=b"alpha7")
        await handshake(address, subprotocols=["realtime", f"openai-insecure-api-key.{TOKEN}"])

    with caplog.at_level(logging.INFO):
        served(main)
    logged = "\n".join(r.getMessage() for r in caplog.records if r.name in ("backchat", "uvicorn.error"))
    assert "listening" in logged
    assert TOKEN not in logged
    assert "alpha7" not in logged


FRIEND = "https://friend.example"
ALLOWING = f'server.origins=["{FRIEND}"]'
ROUTES = [
    ("GET", "/healthz", 200),
    ("GET", "/readyz", 200),
    ("GET", "/metrics", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/v1/models", 200),
    ("POST", "/generate", 400),
    ("POST", "/converse", 400),
    ("POST", "/v1/chat/completions", 400),
    ("POST", "/v1/audio/speech", 400),
    ("POST", "/v1/audio/transcriptions", 400),
    ("GET", "/nowhere", 404),
    ("DELETE", "/v1/models", 405),
]


def test_a_page_that_is_named_may_use_every_route() -> None:
    """Preflights come without a token; answers, also refusals, are told to be for that page and no other."""

    async def main(address: str) -> None:
        bearer = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=address) as client:
            for method, path, expected in ROUTES:
                wanted = {
                    "origin": FRIEND,
                    "access-control-request-method": method,
                    "access-control-request-headers": "authorization, content-type, x-stainless-lang",
                }
                asked = await client.options(path, headers=wanted)
                assert (asked.status_code, asked.content) == (200, b"")
                assert asked.headers["access-control-allow-origin"] == FRIEND
                named = set(asked.headers["access-control-allow-headers"].split(", "))
                assert named == {"authorization", "content-type", "x-stainless-lang"}
                assert method == "DELETE" or method in asked.headers["access-control-allow-methods"]
                for headers, status in [(bearer, expected), ({}, 200 if path in OPEN else 401)]:
                    reply = await client.request(method, path, headers={**headers, "origin": FRIEND})
                    assert reply.status_code == status, (method, path)
                    assert reply.headers["access-control-allow-origin"] == FRIEND
                    assert reply.headers["vary"] == "Origin"
                    assert "retry-after" in reply.headers["access-control-expose-headers"]

    served(main, ALLOWING)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", FRIEND + ".evil", "http://friend.example"]
)
def test_no_other_page_is_told_anything(origin: str) -> None:
    async def main(address: str) -> None:
        asks = {"origin": origin, "access-control-request-method": "POST"}
        async with httpx.AsyncClient(base_url=address) as client:
            for reply in [
                await client.options("/generate", headers=asks),
                await client.post("/generate", headers={"origin": origin}),
                await client.get("/healthz", headers={"origin": origin}),
            ]:
                assert reply.status_code == 403
                assert not [name for name in reply.headers if name.startswith("access-control")]
            plain = await client.get("/healthz")
            assert plain.headers["vary"] == "Origin", "a cache must not give it to that page"

    served(main, ALLOWING)


@pytest.mark.parametrize("origin", ["*", "https://*.example", "friend.example", "https://friend.example/"])
def test_an_origin_that_no_browser_sends_is_no_setting(origin: str) -> None:
    with pytest.raises(ConfigError, match="origins"):
        load(None, [f'server.origins=["{origin}"]'])


def test_who_is_too_quick_is_told_when_to_come_again() -> None:
    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            for _ in range(2):
                assert (await client.get("/v1/models")).status_code == 200
            for method, path, _ in ROUTES[2:]:
                reply = await client.request(method, path)
                assert reply.status_code == 429
                assert 59 <= int(reply.headers["retry-after"]) <= 60
                assert reply.json()["error"]["code"] == "rate_limit_exceeded"

    served(main, "server.rate=2", token=None)


def told(caplog: pytest.LogCaptureFixture, *what: str) -> list[dict[str, object]]:
    """The lines of the log that say one of these."""
    return [{"what": r.getMessage(), **r.data} for r in caplog.records if r.getMessage() in what]


def test_who_is_refused_is_one_line_however_often(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main(address: str) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            for _ in range(50):
                await client.get("/v1/models", headers={"authorization": "Bearer a-wrong-token-xyz"})
            await client.get("/v1/models", headers={"origin": "https://evil.example"})
        assert await handshake(address) == 401

    served(main)
    line = {"what": "refused", "address": "127.0.0.1", "wire": "http"}
    assert told(caplog, "refused") == [
        {**line, "why": "invalid_api_key"},
        {**line, "why": "forbidden_origin"},
    ]
    assert "a-wrong-token" not in caplog.text


def test_those_without_a_line_are_counted_in_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    now = [0.0]
    monkeypatch.setattr("agent.server.telemetry.log.time.monotonic", lambda: now[0])
    refusals, wrong = Refusals(), RequestError("no", 401, "invalid_api_key")
    for now[0] in (0.0, 1.0, 59.9, 60.0, 61.0, 200.0):
        refusals.note("10.0.0.1", wrong, "http")
    refusals.note("10.0.0.2", wrong, "http")
    lines = [(line["address"], line.get("before", 0)) for line in told(caplog, "refused")]
    assert lines == [("10.0.0.1", 0), ("10.0.0.1", 2), ("10.0.0.1", 1), ("10.0.0.2", 0)]


def test_sessions_are_in_the_log_without_a_word_of_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    names: list[str] = []

    async def main(address: str) -> None:
        async with connect(f"ws{address.removeprefix('http')}/v1/realtime") as socket:
            names.append(json.loads(await socket.recv())["session"]["id"])
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "secret"}]}
            await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
            await socket.send(json.dumps({"type": "response.create"}))
            while json.loads(await socket.recv())["type"] != "response.done":
                pass
        async with httpx.AsyncClient(base_url=address) as client:
            await client.post("/converse", content=serving.wav(0.5))
            assert (await client.post("/converse", content=b"no sound")).status_code == 400

    served(main, token=None)
    begun, ended = told(caplog, "session begins"), told(caplog, "session ends")
    assert [line["wire"] for line in begun] == ["realtime", "http", "http"]
    assert [line["session"] for line in begun] == [line["session"] for line in ended]
    assert begun[0]["session"] == names[0]
    assert [(line["turns"], line["why"]) for line in ended] == [
        (1, "client_left"),
        (1, "answered"),
        (0, "invalid_request_error"),
    ]
    assert all(0.0 <= line["seconds"] < 20 for line in ended)
    assert "secret" not in caplog.text
