"""The OpenAI Realtime protocol on a WebSocket: a client's events in, the session's out.

What a client asks for is done by `client_events.py`, what the session does is told by `server_events.py`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.lowlevel

from agent import events as ev
from agent.errors import RequestError
from agent.server.admission import budget
from agent.server.admission.guard import BOUND
from agent.server.realtime import server_events
from agent.server.realtime.client_events import ClientEvents
from agent.server.realtime.session_config import Kind, beta_refused
from agent.server.reception import Visit
from agent.settings import ServerConfig
from agent.text.cleaning import json_text
from agent.transports.disclosure import told
from agent.transports.remote import Item, RemoteSession

if TYPE_CHECKING:
    from starlette.websockets import WebSocket


LOOK = 0.05
"""Seconds between two looks at how long nobody has said anything."""
BETA_PROTOCOL = "openai-beta.realtime-v1"
"""How a browser says that it speaks the beta."""
LEFT = (1005, 1000, 1001)
"""The codes with which a client closes that does not mean to come back (RFC 6455, 7.4.1)."""
UNKNOWN = 4000
"""The code with which a connection is closed that asks for what is not here."""


async def talk(socket: WebSocket, visit: Visit, vanished: type[Exception]) -> None:
    """Speak the protocol on a connection that is open.

    Raises RequestError for who speaks its beta, or asks for a model or a wake word that is not here.
    """
    asked = socket.query_params
    kind: Kind = "transcription" if asked.get("intent") == "transcription" else "realtime"
    beta = socket.headers.get("openai-beta", "").strip().lower() == "realtime=v1"
    try:
        if beta or BETA_PROTOCOL in socket.scope.get("subprotocols", []):
            raise beta_refused("OpenAI-Beta: realtime=v1 is the beta of this protocol")
        visit.pool.check("stt" if kind == "transcription" else "llm", asked.get("model"))
        visit.pool.waking(asked.get("wake"))
    except RequestError as error:
        await socket.send_text(json_text(server_events.refused(error, None)))
        await socket.close(UNKNOWN, str(error)[:120])
        raise
    await Realtime(socket, visit, vanished, kind, socket.scope.get(BOUND)).run()


class Realtime:
    """One connection: what the client sends, what its session gives to the client.

    vanished: what the socket raises when the client has gone. kind: what it has connected for. bound: what
    its secret says of the session, if it came with one.
    """

    def __init__(
        self,
        socket: WebSocket,
        visit: Visit,
        vanished: type[Exception],
        kind: Kind = "realtime",
        bound: Mapping[str, Any] | None = None,
    ) -> None:
        self._socket, self._pool, self._vanished = socket, visit.pool, vanished
        self._entry, self._bound = visit.entry, bound
        self._client = ClientEvents(visit, self._send, kind)
        self._client.chosen.wake = visit.pool.waking(socket.query_params.get("wake"))
        visit.hang_up, visit.lost = self.hang_up, self.lost
        self._events = socket.query_params.get("events") == "all"
        self._sending = anyio.Lock()
        self._first_event: float | None = self._pool.config.server.first_event
        """Seconds that may pass before the client's first event."""
        self._work = anyio.CancelScope()
        self._gone = self._left = False

    def hang_up(self) -> None:
        """The server closes: the last reply is said, then it is over."""
        if self._client.session is not None:
            self._client.session.hang_up()
        else:
            self._client.settled.set()

    def lost(self) -> None:
        """The connection is over: what came on it and is not heard yet is nobody's any more."""
        self._gone = True
        self._work.cancel()

    async def run(self) -> None:
        """Talk with the client until it goes, the session ends or the server closes."""
        code, reason = 1000, ""
        try:
            with self._work, told("this session", TimeoutError, self._vanished):
                await self._client.begin(self._bound)
                async with anyio.create_task_group() as tasks:
                    self._client.tasks = tasks
                    tasks.start_soon(self._talk, tasks.cancel_scope)
                    tasks.start_soon(self.hear)
                    tasks.start_soon(self._client.keeper.run, self.lost)
                    await self._listen()
                    tasks.cancel_scope.cancel()
        except RequestError as error:
            code, reason = 1011 if error.status == 500 else 1008, str(error)
            self._entry.why = error.code
        except TimeoutError:
            code, reason = 1008, "nothing was read for too long (server.client_timeout)"
            self._entry.why = "timeout"
        except self._vanished:
            self._gone = True
        # Who vanished may come back, and who is sent away because the server stops, to another one.
        if self._left or not (self._gone or self._pool.closing):
            await self._client.keeper.forget()
        if self._pool.closing:
            code, reason = 1001, "the server stops"
            self._entry.why = "server_stops"
        if not self._gone:
            with anyio.move_on_after(self._pool.config.server.client_timeout), suppress(self._vanished):
                if reason:
                    kind = "server_error" if code == 1011 else "invalid_request_error"
                    last = server_events.error(reason, kind, self._entry.why)
                    await self._socket.send_text(json.dumps(last))
                await self._socket.close(code, reason[:120])

    async def _talk(self, all_over: anyio.CancelScope) -> None:
        """The session, once there is one: what it does goes to the client."""
        client, idle = self._client, self._pool.config.server.idle
        with anyio.move_on_after(idle) as silent:
            await client.settled.wait()
        if silent.cancelled_caught:  # from then on the session itself looks at the clock
            raise RequestError(f"nothing was said for {idle:g} s (server.idle)", 408, "session_expired")
        if (session := client.session) is not None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(session.run)
                tasks.start_soon(self._prompt, session)
                async for item in session.items():
                    if isinstance(item, ev.TurnEnded):
                        session.voice.muted = client.chosen.modality == "text"
                    await self.give(session, item)
                    if isinstance(item, ev.TurnEnded):
                        await self._answered(client.over(item))
                tasks.cancel_scope.cancel()
            await self.finish()
        all_over.cancel()

    async def give(self, session: RemoteSession, item: Item) -> None:
        """Tell the client of one thing that the session gave."""
        await self._send(self._client.server_events.tell(item))
        if self._events and not isinstance(item, server_events.Sound):
            await self._send([server_events.message("backchat.event", event=_told(item, session))])

    async def hear(self) -> None:
        """Take in sound that comes beside the events: none here."""

    async def finish(self) -> None:
        """The session has given all that it will."""

    async def do(self, fields: dict[str, Any]) -> None:
        """What one event asks. Raises RequestError."""
        await self._client.take(fields)

    async def _answered(self, work: Awaitable[None]) -> None:
        """Do what was asked for before; what is wrong with it is told."""
        try:
            with told("response.create", TimeoutError, self._vanished):
                await work
        except RequestError as error:
            await self._send([server_events.refused(error, None)])

    async def _prompt(self, session: RemoteSession) -> None:
        """Where the client wants it, the agent speaks when nobody has for too long."""
        while True:
            timeout, quiet = self._client.chosen.idle_timeout, session.quiet
            if timeout is not None and quiet is not None and session.runner.now() - quiet > timeout:
                session.quiet = None
                await self._client.prompt(quiet)
            await anyio.sleep(LOOK)

    async def _listen(self) -> None:
        """Take in what the client sends until it goes. Raises RequestError for one who never begins."""
        limit = self._first_event
        try:
            with anyio.fail_after(limit):
                message = await self._socket.receive()
        except TimeoutError as error:  # from its first word on it is `idle` that looks at the clock
            told = f"nothing came for {limit:g} s (server.first_event)"
            raise RequestError(told, 408, "session_expired") from error
        while message["type"] != "websocket.disconnect":
            await self._take(message.get("text") or message.get("bytes") or "")
            await anyio.lowlevel.checkpoint()  # a thousand that say nothing may have come at once
            message = await self._socket.receive()
        self._gone = True
        self._left = message.get("code", LEFT[0]) in LEFT

    async def _take(self, raw: str | bytes) -> None:
        """One client event; what is wrong with it is told, and the session goes on."""
        cause: str | None = None
        try:
            fields = _event(raw, self._pool.config.server)
            cause = fields.get("event_id") if isinstance(fields.get("event_id"), str) else None
            with told(str(fields.get("type"))[:80], TimeoutError, self._vanished):
                await self.do(fields)
        except RequestError as error:
            await self._send([server_events.refused(error, cause)])

    async def _send(self, messages: list[server_events.Message]) -> None:
        async with self._sending:
            for message in messages:
                if self._gone:  # another task has found out; starlette calls a second try a fault
                    raise self._vanished
                try:
                    with anyio.fail_after(self._pool.config.server.client_timeout):
                        await self._socket.send_text(json_text(message))
                except self._vanished:
                    self._gone = True
                    raise


def _event(raw: str | bytes, limits: ServerConfig) -> dict[str, Any]:
    """A client's event. Raises RequestError."""
    try:
        event: Any = budget.read(raw, limits)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"not a JSON event: {str(error)[:100]}", code="invalid_json") from error
    if not isinstance(event, dict):
        raise RequestError("an event is a JSON object with a type")
    return cast(dict[str, Any], event)


def _told(event: ev.Event, session: RemoteSession) -> dict[str, Any]:
    """An event of ours; of a word that was heard also where in the reply's audio it ends."""
    told = ev.as_dict(event)
    if isinstance(event, ev.WordHeard):
        told["audio_end_ms"] = round(session.position(event.turn, event.time) * 1000)
    return told
