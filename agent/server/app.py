"""The routes: which path leads where. Knows no protocol and no engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from agent.errors import MissingExtra, RequestError
from agent.server.admission.guard import Guard, address
from agent.server.calls import twilio
from agent.server.calls.webrtc import call, hang_up, ways
from agent.server.http.converse import converse
from agent.server.http.kept import Kept, forgotten, shown
from agent.server.http.model_responses import converse_on, respond
from agent.server.http.openapi import description
from agent.server.http.responses import Answer, Streamed, answer, error_answer
from agent.server.http.speech import speech, transcription
from agent.server.http.text import chat, generate, model, models, voices
from agent.server.http.websocket import websocket
from agent.server.page import FILES, page
from agent.server.pool import STOPPING, Pool
from agent.server.realtime.client_secrets import beta, client_secret
from agent.server.realtime.connection import talk
from agent.server.reception import Reception
from agent.server.telemetry.log import GONE
from agent.transports.disclosure import told

if TYPE_CHECKING:
    from starlette.requests import Request

CALLS = (
    ("/v1/realtime/calls", call, "POST"),
    ("/v1/realtime/calls/{name}/hangup", hang_up, "POST"),
    ("/v1/realtime/ice_servers", ways, "GET"),
)
PHONE = ("/v1/twilio", "/v1/twilio/{token}")
"""Twilio sets no header: its token is part of the path."""

Handler: TypeAlias = Callable[["Request"], Awaitable[Streamed | Answer]]


def application(reception: Reception) -> Guard:
    """The whole server as an ASGI application. Raises MissingExtra."""
    try:
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.requests import ClientDisconnect
        from starlette.routing import Route, WebSocketRoute
    except ImportError as error:
        raise MissingExtra("the server's libraries are missing", "server") from error
    pool, metrics = reception.pool, reception.metrics

    async def health(request: Request) -> Answer:
        return answer({"status": "ok"})

    async def ready(request: Request) -> Answer:
        if pool.closing:
            return answer({"status": "stopping"}, 503, {"retry-after": str(STOPPING)})
        return answer({"status": "ready"})

    async def figures(request: Request) -> Answer:
        return Answer(await metrics.page(), "text/plain; version=0.0.4")

    async def described(request: Request) -> Answer:
        return answer(description())

    async def wrong(request: Request, error: Any) -> Any:
        reception.refused("http", address(request.scope), error)
        return error_answer(error)

    def route(path: str, handler: Handler, method: str = "GET") -> Route:
        async def answered(request: Request) -> Any:
            with told(path, HTTPException, ClientDisconnect):
                return await handler(request)

        return Route(path, answered, methods=[method])

    secret = partial(client_secret, pool=pool, secrets=reception.admission.secrets)
    routes = [
        *(route(path, page) for path in FILES),
        route("/healthz", health),
        route("/readyz", ready),
        route("/metrics", figures),
        route("/openapi.json", described),
        route("/v1/models", partial(models, pool=pool)),
        route("/v1/models/{name:path}", partial(model, pool=pool)),
        route("/v1/audio/voices", partial(voices, pool=pool)),
        route("/generate", _in_slot(pool, partial(generate, pool=pool)), "POST"),
        route("/converse", _in_slot(pool, partial(converse, reception=reception)), "POST"),
        route("/v1/chat/completions", _in_slot(pool, partial(chat, pool=pool)), "POST"),
        *(route(path, handler, method) for path, handler, method in _responses(pool)),
        route("/v1/audio/speech", _in_shared_slot(pool, partial(speech, pool=pool)), "POST"),
        route("/v1/audio/transcriptions", _in_shared_slot(pool, partial(transcription, pool=pool)), "POST"),
        route("/v1/realtime/client_secrets", secret, "POST"),
        *(route(f"/v1/realtime/{name}", beta, "POST") for name in ("sessions", "transcription_sessions")),
        *(route(path, partial(handler, reception=reception), method) for path, handler, method in CALLS),
        *(WebSocketRoute(path, websocket(reception, "twilio", twilio.talk)) for path in PHONE),
        WebSocketRoute("/v1/realtime", websocket(reception, "realtime", talk, "realtime")),
    ]
    handlers: Any = {RequestError: wrong, HTTPException: _unknown, ClientDisconnect: _gone}
    app: Any = Starlette(routes=routes, exception_handlers=handlers)
    return Guard(app, pool.config.server, reception.admission, reception.refusals)


def _responses(pool: Pool) -> list[tuple[str, Handler, str]]:
    """`/v1/responses`, and what of them is kept."""
    kept = Kept[Any](pool.config.server)
    return [
        ("/v1/responses", _in_slot(pool, partial(respond, pool=pool, kept=kept)), "POST"),
        ("/v1/conversations", partial(converse_on, pool=pool, kept=kept), "POST"),
        *(
            (f"/v1/{kind}s/{{name}}", partial(handler, kept=kept, kind=kind), method)
            for kind in ("response", "conversation")
            for handler, method in ((shown, "GET"), (forgotten, "DELETE"))
        ),
    ]


def _in_slot(pool: Pool, handler: Handler) -> Handler:
    """`handler`, which is not asked, nor any body read, where there is no slot."""

    async def answered(request: Request) -> Streamed | Answer:
        await pool.expect_slot()
        return await handler(request)

    return answered


def _in_shared_slot(pool: Pool, handler: Handler) -> Handler:
    """The same for a shared slot."""

    async def answered(request: Request) -> Streamed | Answer:
        pool.expect_shared_slot()
        return await handler(request)

    return answered


async def _gone(request: Request, error: Exception) -> Any:
    """Nobody reads this answer; without one, it would be a fault of ours."""
    return error_answer(RequestError("the client has gone", GONE, "gone"))


async def _unknown(request: Request, error: Exception) -> Any:
    """What the router does not take."""
    status, where = getattr(error, "status_code", 500), f"{request.method} {request.url.path[:80]}"
    what = "no such thing" if status in (404, 405) else getattr(error, "detail", "")
    return error_answer(RequestError(f"{where}: {what}", status), getattr(error, "headers", None))
