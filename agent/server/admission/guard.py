"""What HTTP and WebSockets let in: who, from which page, how much and how slowly. Knows no route."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TypeAlias

import anyio

from agent.errors import RequestError
from agent.server.admission.auth import Admission
from agent.server.admission.connections import Connection
from agent.server.admission.forwarded import Client, joined
from agent.server.http import cors
from agent.server.http.responses import Receive, Scope, Send, error_answer
from agent.server.page import FILES
from agent.server.telemetry.log import Refusals
from agent.settings import ServerConfig
from agent.transports.disclosure import told

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = ("/healthz", "/readyz", *FILES)
"""Paths that tell nothing, and are for whoever asks."""
CONNECTION = "connection"
"""Where in a scope's state its `Connection` is."""
REALTIME = ("/v1/realtime", "/v1/realtime/calls", "/v1/realtime/ice_servers")
"""Paths that a client secret opens."""
BOUND = "backchat.bound"
"""Where in a scope it is what session the client's secret is for."""
IN_PATH = ("twilio",)
"""Paths below /v1 on which a token of their own is the rest of the path: their clients can set no header."""
IN_PROTOCOL = "openai-insecure-api-key."
"""Browsers cannot set headers on a WebSocket: they name the token as one of its protocols, after this."""


class Guard:
    """An ASGI application around another: who comes, from where, how often and with how much, is checked
    before it sees anything.
    """

    def __init__(self, app: App, config: ServerConfig, admission: Admission, refusals: Refusals) -> None:
        self._app, self._config, self._admission = app, config, admission
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on. A fault of ours that gets here is in the log, and the connection is cut."""
        # Whoever sends to a client that has gone gets an OSError, as ASGI has it: that is nobody's fault.
        with suppress(OSError, RequestError), told("a request", OSError):
            await self._admit(scope, receive, send)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = joined((name.decode("latin1"), value.decode("latin1")) for name, value in scope["headers"])
        if scope["type"] == "http":
            send = cors.telling(send, headers, self._config.origins)
            if (permission := cors.preflight(scope, headers, self._config.origins)) is not None:
                await permission(scope, receive, send)
                return
        connection: Connection = scope.get("state", {}).get(CONNECTION) or Connection()
        connection.asked()
        client = self._admission.client(address(scope), scope["scheme"], headers)
        scope = {**scope, "client": (client.address, 0)}
        try:
            scope[BOUND] = self._check(scope, headers, client)
        except RequestError as error:
            self._refusals.note(client.address, error, scope["type"])
            await refuse(error, scope, receive, send)
            return
        if scope["path"] in OPEN:  # who asks for no more keeps no connection from others
            await self._app(scope, receive, send)
            return
        body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        with self._admission.bodies.holding() as hold, connection.request(body=body) as whole:
            if scope["type"] == "http":
                receive = self._bounded(receive, hold, whole)
            await self._app(scope, receive, send)

    def _check(self, scope: Scope, headers: Mapping[str, str], client: Client) -> Mapping[str, Any] | None:
        """What session the client's secret is for, if it shows one."""
        self._admission.check_way(client)
        self._check_page(scope, headers, client)
        if scope["path"] in OPEN:
            return None
        host = headers.get("host", "")
        if self._admission.open and not is_loopback(_name(host)):
            raise RequestError("only this machine's own names lead here", 403, "forbidden_host")
        shown, purpose = _shown(scope, headers)
        self._admission.check(client, shown, purpose, realtime=scope["path"] in REALTIME)
        self._admission.count(client)
        length = headers.get("content-length", "0")
        if length.isdigit():
            self._check_size(int(length))
            self._admission.bodies.check(int(length))
        return self._admission.secrets.session(shown)

    def _check_size(self, size: int) -> None:
        if size > self._config.body:
            raise RequestError(f"more than {self._config.body} bytes (server.body)", 413, "too_large")

    def _check_page(self, scope: Scope, headers: Mapping[str, str], client: Client) -> None:
        """Refuse what a page of another host has a browser send, before it counts as anybody's request."""
        origin = headers.get("origin")
        if origin is not None and origin in self._config.origins:
            return
        if origin is not None and _canonical(origin) != _canonical(
            f"{client.scheme}://{headers.get('host', '')}"
        ):
            raise RequestError(
                "this page's origin is not allowed; see server.origins, and server.proxies where a proxy "
                "leads here",
                403,
                "forbidden_origin",
            )
        # Pictures and links of other pages come without an origin, but browsers say where they are from.
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not (
            scope["path"] in OPEN
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") == "document"
        ):
            raise RequestError(
                "another host's page asked for this, and may not; see server.origins", 403, "forbidden_origin"
            )

    def _bounded(self, receive: Receive, hold: Callable[[int], None], whole: Callable[[], None]) -> Receive:
        """`receive`, which gives up on a body that is too large, does not come or does not come to its end.

        hold: is told the bytes of each part. whole: is called once nothing more is to come.
        """
        size, done, end = 0, False, anyio.current_time() + self._config.body_time

        async def bounded() -> MutableMapping[str, Any]:
            nonlocal size, done
            if done:  # after the body there is only the client's going, which takes as long as it takes
                return await receive()
            rest = end - anyio.current_time()
            try:
                with anyio.fail_after(min(self._config.client_timeout, rest)):
                    message = await receive()
            except TimeoutError as error:
                limit = "body_time" if rest < self._config.client_timeout else "client_timeout"
                seconds = f"{getattr(self._config, limit):g} s (server.{limit})"
                raise RequestError(f"the request did not come within {seconds}", 408, "timeout") from error
            part = len(message.get("body", b""))
            size += part
            self._check_size(size)
            hold(part)
            done = message["type"] != "http.request" or not message.get("more_body", False)
            if done:
                whole()
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


def _shown(scope: Scope, headers: Mapping[str, str]) -> tuple[str, str]:
    """The token that the client shows, or nothing; and for which purpose alone it is, if it is for one."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip(), ""
    purpose, _, token = scope["path"].removeprefix("/v1/").partition("/")
    if purpose in IN_PATH:
        return token, purpose
    if scope["type"] == "websocket":
        named = [p for p in scope.get("subprotocols", []) if p.startswith(IN_PROTOCOL)]
        return (named[0].removeprefix(IN_PROTOCOL) if named else ""), ""
    return "", ""


def _name(host: str) -> str:
    """The name or address in a Host header, without its port."""
    name, _, port = host.rpartition(":")
    return name if port.isdigit() else host


def _canonical(origin: str) -> str:
    """An origin as browsers write it: in small letters, without the port that its scheme has anyway."""
    origin = origin.lower()
    usual = {"http": ":80", "https": ":443"}.get(origin.partition("://")[0])
    return origin.removesuffix(usual) if usual else origin


def is_loopback(host: str) -> bool:
    """Whether only this machine is reached by this name or address."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
