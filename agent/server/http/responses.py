"""Answers over HTTP: whole, or piece by piece while the client reads. Knows no route and no engine."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

import anyio
from anyio.abc import TaskGroup

from agent.errors import RequestError
from agent.text.cleaning import json_text
from agent.transports.disclosure import told

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Write: TypeAlias = Callable[[bytes], Awaitable[None]]
Produce: TypeAlias = Callable[[Write], Awaitable[None]]

JSON, EVENTS, LINES, TEXT = "application/json", "text/event-stream", "application/x-ndjson", "text/plain"
SDP = "application/sdp"


class Answer:
    """A whole answer: an ASGI application that says one thing."""

    def __init__(
        self, body: bytes, media: str, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self._body, self.media, self.status = body, media, status
        self._headers = {name.lower(): value for name, value in (headers or {}).items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send(_start(self.status, self.media, {**self._headers, "content-length": str(len(self._body))}))
        await send({"type": "http.response.body", "body": self._body})


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """`data` as JSON."""
    return Answer(json.dumps(data).encode(), JSON, status, headers)


def error_body(error: RequestError) -> dict[str, Any]:
    """An error as the OpenAI API spells it."""
    told = {"message": str(error), "type": error_type(error), "code": error.code, "param": error.param}
    return {"error": told}


def error_type(error: RequestError) -> str:
    """What kind of error it is, as the OpenAI API calls it."""
    if error.status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if error.status < 500 else "server_error"


def error_answer(error: RequestError, more: Mapping[str, str] | None = None) -> Answer:
    """The same as a whole answer; `more`: further headers."""
    status, after = error.status, error.retry_after
    headers = dict(more or {}) | ({} if after is None else {"retry-after": str(after)})
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return answer(error_body(error), status, headers)


class Streamed:
    """An answer in pieces: an ASGI application around `produce`, which is given a `write`.

    What is refused before the first piece is raised, as RequestError; after it, `failed` writes it in the
    stream's own manner, or the connection is cut where there is none. A client that goes ends the work.
    client_timeout: seconds that it may take to read one piece. headers: further ones, in small letters.
    """

    def __init__(
        self,
        media: str,
        produce: Produce,
        client_timeout: float,
        failed: Callable[[RequestError], bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._media, self._produce = media, produce
        self._headers = {"cache-control": "no-store", **(headers or {})}
        self._client_timeout, self._failed = client_timeout, failed
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, for as long as somebody listens."""

        async def push(message: MutableMapping[str, Any]) -> None:
            with anyio.fail_after(self._client_timeout):
                await send(message)

        async def write(data: bytes) -> None:
            if not self._begun:
                self._begun = True
                await push(_start(200, self._media, self._headers))
            if data:
                await push({"type": "http.response.body", "body": data, "more_body": True})

        refused: RequestError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_until_gone, receive, tasks)
            try:
                with told("this request", TimeoutError):
                    await self._produce(write)
            except RequestError as error:
                refused = error
            except TimeoutError:  # who does not read is let go: the server closes the connection
                tasks.cancel_scope.cancel()
                return
            if refused is None or (self._begun and self._failed is not None):
                await write(self._failed(refused) if refused and self._failed else b"")
                await push({"type": "http.response.body", "body": b""})
            tasks.cancel_scope.cancel()
        if refused is not None and not self._begun:
            raise refused


async def _until_gone(receive: Receive, tasks: TaskGroup) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    tasks.cancel_scope.cancel()


def _start(status: int, media: str, headers: Mapping[str, str]) -> MutableMapping[str, Any]:
    charset = "; charset=utf-8" if media.startswith("text/") else ""
    pairs = {"content-type": media + charset, "x-content-type-options": "nosniff", **headers}
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [(name.encode(), value.encode()) for name, value in pairs.items()],
    }


def sse(data: Any, event: str | None = None) -> bytes:
    """One server-sent event: JSON data, and a name where it is not an ordinary one."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json_text(data)}\n\n".encode()


def line(data: Any) -> bytes:
    """One line of JSON."""
    return json_text(data).encode() + b"\n"
