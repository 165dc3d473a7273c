"""Who is let in on every wire alike: the owner is never locked out, and a proxy is nobody's own machine."""

from __future__ import annotations

import logging

import anyio
import grpc
import httpx
import pytest
import serving
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from agent.errors import RequestError
from agent.server.admission.ratelimit import RateLimit
from agent.server.grpc import backchat_pb2 as pb
from agent.settings import ServerConfig

pytestmark = pytest.mark.net

TOKEN = "a-token-of-some-length"
BEARER = {"authorization": f"Bearer {TOKEN}"}
EMBEDDED = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
LINKED = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


class Wires:
    """Both ports of one server; each method makes one request and gives its status, gRPC's by name."""

    def __init__(self, http: str, rpc: str) -> None:
        self.http, self.rpc = http, rpc

    async def get(self, path: str = "/v1/models", **headers: str) -> int:
        async with httpx.AsyncClient(base_url=self.http) as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return (await client.get(path, headers=named)).status_code

    async def shake(self, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            async with connect(f"ws{self.http.removeprefix('http')}/v1/realtime", additional_headers=named):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    async def call(self, method: str = "backchat.v1.Backchat/Speak", **headers: str) -> str:
        metadata = [(name.replace("_", "-"), value) for name, value in headers.items()]
        async with grpc.aio.insecure_channel(self.rpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            ask = channel.unary_unary(f"/{method}", pb.SpeakRequest.SerializeToString)
            try:
                await ask(pb.SpeakRequest(), metadata=metadata)
            except grpc.aio.AioRpcError as refused:
                return refused.code().name
        return "OK"


def served(main, *settings: str, token: str | None = TOKEN) -> None:
    async def inside() -> None:
        with anyio.fail_after(60):
            pool = serving.pool(["x"], ["y"], "server.grpc_port=0", *settings)
            async with serving.both(pool, token) as (http, rpc):
                await main(Wires(http, rpc))

    anyio.run(inside, backend="asyncio")


def test_who_has_no_token_uses_up_nothing_of_who_has() -> None:
    """130 refusals of each kind from the owner's own address; then the right token is let in everywhere."""

    async def main(wires: Wires) -> None:
        async with httpx.AsyncClient(base_url=wires.http) as client:
            for headers in (
                {},
                {"authorization": "Bearer wrong"},
                {**BEARER, "origin": "https://evil.example"},
            ):
                seen = [(await client.get("/v1/models", headers=headers)).status_code for _ in range(130)]
                assert 200 not in seen
        assert await wires.get() == 429, "it is told to slow down"
        assert await wires.call() == "RESOURCE_EXHAUSTED", "and counted with the other wires"
        assert await wires.get(**BEARER) == 200
        assert await wires.shake(**BEARER) == 101
        assert await wires.call(**BEARER) == "INVALID_ARGUMENT", (
            "let in: it is the empty text that is refused"
        )

    served(main, "server.rate=120")


def test_pictures_and_links_of_other_pages_are_refused_and_not_counted() -> None:
    async def main(wires: Wires) -> None:
        async with httpx.AsyncClient(base_url=wires.http) as client:
            for path in ("/v1/models", "/icon.svg", "/"):
                for site in ("cross-site", "same-site"):
                    asked = {**EMBEDDED, "sec-fetch-site": site}
                    assert [(await client.get(path, headers=asked)).status_code for _ in range(5)] == [
                        403
                    ] * 5
            assert (await client.get("/v1/models", headers=LINKED)).status_code == 403
            framed = {**LINKED, "sec-fetch-dest": "iframe"}
            assert (await client.get("/", headers=framed)).status_code == 403
            assert (await client.get("/", headers=LINKED)).status_code == 200, (
                "a link to the page leads there"
            )
            for site in ("none", "same-origin"):
                asked = {"sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
                assert (await client.get("/v1/models", headers=asked)).status_code == 200
            friend = {**EMBEDDED, "sec-fetch-mode": "cors", "origin": "https://friend.example"}
            assert (await client.get("/v1/models", headers=friend)).status_code == 200
            assert (await client.get("/v1/models")).status_code == 429, "three were counted"

    served(main, "server.rate=3", 'server.origins=["https://friend.example"]', token=None)


def test_a_batch_of_120_small_requests_meets_no_limit() -> None:
    async def main(wires: Wires) -> None:
        async with httpx.AsyncClient(base_url=wires.http, headers=BEARER) as client:
            seen = {(await client.get("/v1/models")).status_code for _ in range(240)}
        assert seen == {200}

    served(main, f"server.rate={ServerConfig().rate}")


def test_every_wire_counts_in_one_table() -> None:
    async def main(wires: Wires) -> None:
        assert await wires.get() == 200
        assert await wires.shake() == 101
        assert await wires.call() == "INVALID_ARGUMENT"
        assert await wires.get() == 429
        assert await wires.shake() == 429
        assert await wires.call() == "RESOURCE_EXHAUSTED"

    served(main, "server.rate=3", token=None)


@pytest.mark.parametrize(
    "name", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Via", "X-Real-IP"]
)
def test_without_a_token_nobody_comes_through_a_proxy(name: str) -> None:
    """Whoever comes through one comes from loopback; to trust the proxy does not make them the owner."""

    async def main(wires: Wires) -> None:
        headers = {name.lower().replace("-", "_"): "127.0.0.1"}
        assert await wires.get(**headers) == 403
        assert await wires.get("/", **headers) == 403
        assert await wires.shake(**headers) == 403
        assert await wires.call(**headers) == "PERMISSION_DENIED"
        assert await wires.call("grpc.health.v1.Health/Check", **headers) == "PERMISSION_DENIED"
        async with httpx.AsyncClient(base_url=wires.http) as client:
            told = (await client.get("/v1/models", headers={name: "127.0.0.1"})).json()["error"]
        assert told["code"] == "forbidden_proxy"
        assert "needs a token" in told["message"]
        assert await wires.get() == 200

    served(main, 'server.proxies=["127.0.0.1"]', token=None)


def test_behind_a_trusted_proxy_each_client_is_counted_by_itself() -> None:
    async def main(wires: Wires) -> None:
        for address in ("203.0.113.7", "2001:db8:1:2::1", "2001:db8:1:3::1"):
            for _ in range(2):
                assert await wires.get(**BEARER, x_forwarded_for=address) == 200
            assert await wires.get(**BEARER, x_forwarded_for=f"198.51.100.1, {address}") == 429
            assert await wires.shake(**BEARER, x_forwarded_for=address) == 429
            assert await wires.call(**BEARER, x_forwarded_for=address) == "RESOURCE_EXHAUSTED"
        assert await wires.get(**BEARER, x_forwarded_for="2001:db8:1:2:ffff::9") == 429, "the same subscriber"

    served(main, "server.rate=2", 'server.proxies=["127.0.0.0/8"]')


def test_behind_an_unknown_proxy_the_proxy_is_counted() -> None:
    async def main(wires: Wires) -> None:
        assert await wires.get(**BEARER, x_forwarded_for="203.0.113.7") == 200
        assert await wires.get(**BEARER, x_forwarded_for="203.0.113.8") == 429

    served(main, "server.rate=1")


def test_the_operator_is_told_once_of_a_proxy_that_no_setting_names(caplog: pytest.LogCaptureFixture) -> None:
    async def main(wires: Wires) -> None:
        assert await wires.call(**BEARER, x_forwarded_for="203.0.113.7") == "INVALID_ARGUMENT"
        assert await wires.get(**BEARER, forwarded="for=203.0.113.7") == 200
        assert await wires.shake(**BEARER, x_forwarded_proto="https") == 101

    def told() -> list[str]:
        return [record.data["why"] for record in caplog.records if record.getMessage() == "proxy"]

    with caplog.at_level(logging.INFO):
        served(main)
        (why,) = told()
        assert 'server.proxies=["127.0.0.1"]' in why
        served(main, 'server.proxies=["127.0.0.1"]')
    assert len(told()) == 1, "one that is named is expected"


def test_behind_a_trusted_proxy_with_tls_its_own_page_is_the_one_over_tls() -> None:
    async def main(wires: Wires) -> None:
        seen = {"host": "voice.example", "x_forwarded_for": "203.0.113.7", **BEARER}
        for proto, origin, expected in [
            ("https", "https://voice.example", 200),
            ("https", "https://voice.example:443", 200),
            ("https", "http://voice.example", 403),
            ("http", "http://voice.example", 200),
            ("https", "https://evil.example", 403),
        ]:
            assert await wires.get(**seen, x_forwarded_proto=proto, origin=origin) == expected, (
                proto,
                origin,
            )
        assert (
            await wires.get(
                **{**seen, "host": "voice.example:443"},
                x_forwarded_proto="https",
                origin="https://voice.example",
            )
            == 200
        )

    served(main, 'server.proxies=["127.0.0.1"]')


def test_a_stranger_cannot_hold_a_call_that_is_for_whoever_asks() -> None:
    async def main(wires: Wires) -> None:
        assert await wires.call("grpc.health.v1.Health/Watch") == "UNAUTHENTICATED"
        assert await wires.call("grpc.health.v1.Health/Check") == "OK"

    served(main)


def test_a_limit_is_of_a_minute_and_refusals_do_not_lengthen_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("agent.server.admission.ratelimit.time.monotonic", lambda: now[0])
    limit = RateLimit(2, "requests", "server.rate")
    limit.count("10.0.0.1")
    now[0] = 30.0
    limit.count("10.0.0.1")
    for now[0], after in [(31.0, 29), (59.5, 1)]:
        with pytest.raises(RequestError) as refused:
            limit.count("10.0.0.1")
        assert (refused.value.status, refused.value.retry_after) == (429, after)
        assert "server.rate" in str(refused.value)
    limit.count("10.0.0.2")
    now[0] = 60.0
    limit.count("10.0.0.1")
