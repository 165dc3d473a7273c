"""The routes: which path leads where. Knows no protocol and no engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from agent.errors import BackchatError, MissingExtra, RequestError
from agent.server.converse import converse
from agent.server.guard import Guard, refuse
from agent.server.metrics import Metrics
from agent.server.openapi import description
from agent.server.page import FILES, page
from agent.server.pool import Pool
from agent.server.realtime import Realtime
from agent.server.speech import speech, transcription
from agent.server.stream import Answer, Streamed, answer, error_answer
from agent.server.text import chat, generate, models

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.websockets import WebSocket

Handler: TypeAlias = Callable[["Request"], Awaitable[Streamed]]


def application(pool: Pool, token: str | None, metrics: Metrics) -> Guard:
    """The whole server as an ASGI application. Raises MissingExtra."""
    try:
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.routing import Route, WebSocketRoute
    except ImportError as error:
        raise MissingExtra("the server's libraries are missing: pip install 'backchat[server]'") from error

    async def health(request: Request) -> Answer:
        return answer({"status": "ok"})

    async def ready(request: Request) -> Answer:
        return answer({"status": "stopping" if pool.closing else "ready"}, 503 if pool.closing else 200)

    async def figures(request: Request) -> Answer:
        return Answer(metrics.text(), "text/plain; version=0.0.4")

    async def known(request: Request) -> Answer:
        return answer(models(pool))

    async def described(request: Request) -> Answer:
        return answer(description())

    async def realtime(socket: WebSocket) -> None:
        await _realtime(socket, pool, metrics)

    async def wrong(request: Request, error: Exception) -> Any:
        error = error if isinstance(error, BackchatError) else RequestError(str(error))
        cause = error.code if isinstance(error, RequestError) else "failed"
        metrics.refused.labels(cause).inc()
        return error_answer(error)

    async def unknown(request: Request, error: Exception) -> Any:
        status = getattr(error, "status_code", 500)
        return error_answer(RequestError(f"{request.method} {request.url.path[:80]}: no such thing", status))

    def posted(path: str, handler: Handler) -> Route:
        return Route(path, handler, methods=["POST"])

    routes = [
        *(Route(path, page) for path in FILES),
        Route("/healthz", health),
        Route("/readyz", ready),
        Route("/metrics", figures),
        Route("/openapi.json", described),
        Route("/v1/models", known),
        posted("/generate", partial(generate, pool=pool)),
        posted("/converse", partial(converse, pool=pool, metrics=metrics)),
        posted("/v1/chat/completions", partial(chat, pool=pool)),
        posted("/v1/audio/speech", partial(speech, pool=pool)),
        posted("/v1/audio/transcriptions", partial(transcription, pool=pool)),
        WebSocketRoute("/v1/realtime", realtime),
    ]
    handlers: Any = {BackchatError: wrong, HTTPException: unknown}
    app: Any = Starlette(routes=routes, exception_handlers=handlers)
    return Guard(app, pool.config.server, token)


async def _realtime(socket: WebSocket, pool: Pool, metrics: Metrics) -> None:
    """Admit a WebSocket, or refuse it before the handshake."""
    from starlette.websockets import WebSocketDisconnect

    session: list[Realtime] = []

    def hang_up() -> None:
        for one in session:
            one.hang_up()

    try:
        pool.check("llm", socket.query_params.get("model"))
        async with pool.seat(hang_up) as seat:
            offered = socket.scope.get("subprotocols", [])
            await socket.accept("realtime" if "realtime" in offered else None)
            session.append(Realtime(socket, seat, pool, metrics, WebSocketDisconnect))
            await session[0].run()
    except RequestError as error:
        metrics.refused.labels(error.code).inc()
        await refuse(error, socket.scope, socket.receive, socket.send)
