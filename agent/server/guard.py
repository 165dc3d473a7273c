"""Who may talk to the server, how much and how often. Knows no route; the token is never written down."""

from __future__ import annotations

import hmac
import ipaddress
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

import anyio

from agent.errors import ConfigError, RequestError
from agent.server import cors
from agent.server.journal import Refusals
from agent.server.page import FILES
from agent.server.stream import Receive, Scope, Send, error_answer
from agent.settings import ServerConfig

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = ("/healthz", "/readyz", *FILES)
"""Paths that tell nothing, and are for whoever asks."""
IN_PROTOCOL = "openai-insecure-api-key."
"""Browsers cannot set headers on a WebSocket: they name the token as one of its protocols, after this."""
MINUTE = 60.0
ADDRESSES = 10_000
"""Addresses whose requests are counted; beyond that the one that was quiet longest is forgotten."""


def check_exposure(config: ServerConfig, token: str | None) -> None:
    """Raises ConfigError where strangers could reach a server without a token."""
    if not token and not _loopback(config.host):
        raise ConfigError(
            f"server.host: {config.host} can be reached by others, so a token is needed: "
            f"export {config.token_env}=$(openssl rand -hex 24), or take server.host=127.0.0.1"
        )


class Visits:
    """How often each address comes: at most `rate` times in a minute."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._times: dict[str, deque[float]] = {}

    def count(self, address: str) -> None:
        """One more request. Raises RequestError for one too many."""
        now = time.monotonic()
        times = self._times.pop(address, None) or deque[float]()
        while times and times[0] < now - MINUTE:
            times.popleft()
        self._times[address] = times
        if len(self._times) > ADDRESSES:
            del self._times[next(iter(self._times))]
        if len(times) >= self._rate:
            raise RequestError(
                f"more than {self._rate} requests in a minute; slow down",
                429,
                "rate_limit_exceeded",
                retry_after=math.ceil(times[0] + MINUTE - now),
            )
        times.append(now)


class Guard:
    """An ASGI application around another: token, origin, rate and size are checked before it sees anything.

    token: what clients must show; None lets in who comes by a loopback name.
    """

    def __init__(self, app: App, config: ServerConfig, token: str | None) -> None:
        self._app, self._config = app, config
        self._token = token.encode() if token else None
        self._visits = Visits(config.rate)
        self._refusals = Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin1"): value.decode("latin1") for name, value in scope["headers"]}
        if scope["type"] == "http":
            send = cors.telling(send, headers, self._config.origins)
            if (permission := cors.preflight(scope, headers, self._config.origins)) is not None:
                await permission(scope, receive, send)
                return
        try:
            self._check(scope, headers)
        except RequestError as error:
            self._refusals.note(address(scope), error.code, scope["type"])
            await refuse(error, scope, receive, send)
            return
        if scope["type"] == "http":
            receive = self._bounded(receive)
        await self._app(scope, receive, send)

    def _check(self, scope: Scope, headers: dict[str, str]) -> None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if origin is not None and origin not in self._config.origins:
            scheme, _, where = origin.partition("://")
            if where != host or scheme not in ("http", "https"):
                raise RequestError(
                    "this page's origin is not allowed; see server.origins", 403, "forbidden_origin"
                )
        if scope["path"] in OPEN:
            return
        self._visits.count(address(scope))
        if self._token is None:
            if not _loopback(host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host):
                raise RequestError("only this machine's own names lead here", 403, "forbidden_host")
        elif not hmac.compare_digest(_shown(scope, headers).encode(), self._token):
            raise RequestError("a bearer token is needed, and this is not it", 401, "invalid_api_key")
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._config.body:
            raise RequestError(f"more than {self._config.body} bytes", 413, "too_large")

    def _bounded(self, receive: Receive) -> Receive:
        """`receive`, which gives up on a body that is too large or does not come."""
        left, done = self._config.body, False

        async def bounded() -> MutableMapping[str, Any]:
            nonlocal left, done
            if done:  # after the body there is only the client's going, which takes as long as it takes
                return await receive()
            try:
                with anyio.fail_after(self._config.patience):
                    message = await receive()
            except TimeoutError as error:
                raise RequestError("the request did not come to its end in time", 408, "timeout") from error
            left -= len(message.get("body", b""))
            done = message["type"] != "http.request" or not message.get("more_body", False)
            if left < 0:
                raise RequestError(f"more than {self._config.body} bytes", 413, "too_large")
            return message

        return bounded


def address(scope: Scope) -> str:
    """Where a client comes from; empty where the server does not know."""
    client = scope.get("client")
    return client[0] if client else ""


async def refuse(error: RequestError, scope: Scope, receive: Receive, send: Send) -> None:
    """Tell the client why not; a WebSocket too, where the server can say it before the handshake."""
    if scope["type"] == "http":
        await error_answer(error)(scope, receive, send)
        return
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": str(error)[:120]})
        return

    async def as_websocket(message: MutableMapping[str, Any]) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    await error_answer(error)(scope, receive, as_websocket)


def _shown(scope: Scope, headers: dict[str, str]) -> str:
    """The token that the client shows, or nothing."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    if scope["type"] == "websocket":
        named = [p for p in scope.get("subprotocols", []) if p.startswith(IN_PROTOCOL)]
        return named[0].removeprefix(IN_PROTOCOL) if named else ""
    return ""


def _loopback(host: str) -> bool:
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
