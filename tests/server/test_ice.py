"""Servers that help a call's packets across NAT: what is asked, what is told to whom, and what is refused."""

from __future__ import annotations

import base64
import hmac
import json
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
import serving

from agent.config import load
from agent.errors import ConfigError
from agent.server.calls.ice import SPARE, ice_servers
from agent.server.calls.peer import connected
from agent.server.telemetry.concealment import Concealment
from agent.settings import Config

STUN = {"urls": ["stun:stun.example.org:3479"]}
TURN = {"urls": ["turn:t.example.org", "turns:t.example.org:443?transport=tcp"], "credential_env": "T"}
NAMED = {**TURN, "username": "ada"}


def config(*servers: dict[str, Any]) -> Config:
    tables = [
        "{" + ", ".join(f"{name} = {json.dumps(value)}" for name, value in each.items()) + "}"
        for each in servers
    ]
    return load(None, [*serving.SETTINGS, "server.port=0", f"server.ice_servers=[{', '.join(tables)}]"])


def test_a_turn_server_gets_the_user_that_is_set_or_one_for_the_call() -> None:
    found = ice_servers(config(STUN, NAMED, TURN).server, 1000.0, {"T": "secret\n"})
    until = round(1000 + 3600 + SPARE)
    # As coturn makes it (its README.turnserver): base64(HMAC-SHA1(secret, "EXPIRY:NAME")).
    made = base64.b64encode(hmac.digest(b"secret", f"{until}:backchat".encode(), "sha1")).decode()
    assert found == [
        STUN,
        {"urls": TURN["urls"], "username": "ada", "credential": "secret"},
        {"urls": TURN["urls"], "username": f"{until}:backchat", "credential": made},
    ]


@pytest.mark.parametrize("environ", [{}, {"T": " "}])
def test_a_password_that_is_missing_is_said(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"variable T is to hold the password of turn:t\.example\.org"):
        ice_servers(config(TURN).server, 0.0, environ)


@pytest.mark.parametrize(
    "wrong",
    [
        {"urls": []},
        {"urls": ["stuns:stun.example.org"]},  # aiortc leaves it out without a word
        {"urls": ["stun:[::1]:3478"]},  # and takes no IPv6
        {"urls": ["stun:a b"]},
        {"urls": ["http://stun.example.org"]},
        {"urls": ["turns:t.example.org?transport=udp"], "credential_env": "T"},
        {"urls": ["turn:t.example.org"]},
        {**STUN, "credential_env": "T"},
        {**STUN, "username": "ada"},
        {**TURN, "password": "x"},
    ],
    ids=str,
)
def test_what_would_be_passed_over_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"server\.ice_servers"):
        config(wrong)


def test_a_password_stands_in_no_log() -> None:
    hidden = Concealment.of(config({**TURN, "credential_env": "RELAY"}), None, {"RELAY": "swordfish"})
    assert hidden("turn failed with swordfish") == "turn failed with [RELAY]"


def test_the_server_itself_asks_the_first_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T", "secret")

    async def main(settings: Config) -> tuple[Any, ...]:
        async with connected(settings.server) as peer:
            channel = peer._connection.createDataChannel("x")
            made = channel.transport.transport.transport._connection
            return made.stun_server, made.turn_server, made.turn_username, made.turn_password

    run = partial(anyio.run, main, backend="asyncio")
    assert run(Config()) == (None, None, None, None), "aiortc's own choice is stun.l.google.com"
    wanted = ("stun.example.org", 3479), ("t.example.org", 3478), "ada", "secret"
    assert run(config(STUN, NAMED)) == wanted


@pytest.mark.net
def test_a_client_is_told_of_them_if_it_may_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T", "secret")
    pool, token = serving.pool([""], [""], config=config(STUN, NAMED)), "0123456789abcdef"

    async def main() -> None:
        with anyio.fail_after(20):
            async with serving.running(pool, token) as address, httpx.AsyncClient(base_url=address) as http:
                where, key = "/v1/realtime/ice_servers", {"authorization": f"Bearer {token}"}
                assert (await http.get(where)).status_code == 401
                made = await http.post("/v1/realtime/client_secrets", headers=key, json={})
                for shown in (token, made.json()["value"]):
                    told = await http.get(where, headers={"authorization": f"Bearer {shown}"})
                    assert told.headers["cache-control"] == "no-store"
                    assert told.json() == {
                        "ice_servers": [
                            STUN,
                            {"urls": TURN["urls"], "username": "ada", "credential": "secret"},
                        ]
                    }

    anyio.run(main, backend="asyncio")
