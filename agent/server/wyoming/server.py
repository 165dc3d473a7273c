"""Where Wyoming is spoken: who may come, and which service each event is for. Knows no service.

The protocol has no token. Who comes from an address that is named (`server.wyoming_clients`) needs none; from
this machine nobody does where there is none; anybody else shows it in an event of ours, `authorize`, first.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.stapled import MultiListener

from agent.errors import RequestError
from agent.server.admission.connections import Connection
from agent.server.admission.exposure import authority, host_and_port
from agent.server.admission.forwarded import Client
from agent.server.admission.guard import is_loopback
from agent.server.admission.listening import listening, take
from agent.server.reception import Reception
from agent.server.wyoming.announcement import announced
from agent.server.wyoming.asr import transcribe
from agent.server.wyoming.caller import Caller
from agent.server.wyoming.conversations import Conversations
from agent.server.wyoming.handle import handle
from agent.server.wyoming.info import info
from agent.server.wyoming.library import domain
from agent.server.wyoming.satellite import converse
from agent.server.wyoming.satellites import attend, keep_alive
from agent.server.wyoming.tts import synthesize, synthesize_stream
from agent.server.wyoming.wake import detect
from agent.server.wyoming.wire import Received, Wire
from agent.transports.disclosure import told

Service: TypeAlias = Callable[[Caller, Received], Awaitable[None]]

SERVICES: dict[str, Service] = {
    "audio-start": transcribe,
    "detect": detect,
    "run-pipeline": converse,
    "synthesize": synthesize,
    "synthesize-start": synthesize_stream,
    "transcribe": transcribe,
    "transcript": handle,
}
"""What each event begins. Any other belongs to something that is over, or to a later version."""


@asynccontextmanager
async def running_server(reception: Reception) -> AsyncGenerator[list[str]]:
    """Wyoming at `server.wyoming` and with `server.satellites`, within the block; gives where it listens.

    Raises MissingExtra, ConfigError.
    """
    settings = reception.pool.config.server
    entrance = _Entrance(reception, info(reception.pool))
    async with AsyncExitStack() as stack:
        addresses = list[str]()
        listeners: MultiListener[SocketStream] | None = None
        if settings.wyoming:
            host, port = host_and_port(settings.wyoming)
            listeners = await stack.enter_async_context(
                await listening(host, port, "server.wyoming", "--wyoming")
            )
            found = listeners.extra(SocketAttribute.local_port)
            addresses.append(f"tcp://{authority(host, found)}")
            if settings.announce:
                await stack.enter_async_context(announced(host, found))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        if listeners is not None:
            tasks.start_soon(take, listeners, reception.connections, entrance.serve)
        for each in settings.satellites:
            tasks.start_soon(attend, each, partial(entrance.call, each))
        yield addresses
        tasks.cancel_scope.cancel()


class _Entrance:
    """Whom the port lets in, and what they are told."""

    def __init__(self, reception: Reception, described: Any) -> None:
        self._reception, self._described = reception, described
        self._limits = reception.pool.config.server
        self._named = [ipaddress.ip_network(each) for each in self._limits.wyoming_clients]
        self._conversations = Conversations(self._limits)

    async def serve(self, stream: SocketStream, connection: Connection) -> None:
        """Speak with a client until it goes."""
        client = self._reception.admission.client(connection.address, "tcp", {})
        wire = Wire(stream, self._limits)
        async with self._telling(wire, client):
            await self._admit(wire, client)
            await self._work(self._caller(wire, client), connection, client)

    async def call(self, address: str, stream: SocketStream) -> None:
        """Speak with a satellite that we have called, until it goes."""
        client, wire = Client(host_and_port(address)[0], "tcp", False), Wire(stream, self._limits)
        caller = self._caller(wire, client)
        async with self._telling(wire, client), anyio.create_task_group() as tasks:
            await caller.send(domain("satellite").RunSatellite())
            tasks.start_soon(keep_alive, caller, self._limits.client_timeout)
            await self._work(caller, Connection(), client, self._limits.client_timeout)
            tasks.cancel_scope.cancel()

    def _caller(self, wire: Wire, client: Client) -> Caller:
        return Caller(wire, self._reception, client.address, self._described, self._conversations)

    @asynccontextmanager
    async def _telling(self, wire: Wire, client: Client) -> AsyncGenerator[None]:
        """Whatever goes wrong within is told to the other side, and ends the connection.

        It could go on, but for Home Assistant: that waits for the answer to each event of its own, and an
        error is none; only the connection's end is.
        """
        try:
            with told("this connection"):
                yield
        except RequestError as error:
            self._reception.refused("wyoming", client.address, error)
            await wire.part(error)

    async def _work(
        self, caller: Caller, connection: Connection, client: Client, limit: float | None = None
    ) -> None:
        """Do what the other side asks for, until it goes. limit: seconds that it may say nothing at all."""
        while (event := await caller.next(limit)) is not None:
            connection.asked()
            if (service := SERVICES.get(event.type)) is not None:
                self._reception.admission.count(client)
                with connection.request(body=True) as caller.whole:
                    await service(caller, event)

    async def _admit(self, wire: Wire, client: Client) -> None:
        """Raise RequestError for who may not come."""
        admission = self._reception.admission
        if self._knows(client.address) or (admission.open and is_loopback(client.address)):
            return
        if admission.open:
            text = f"{client.address} is not named in server.wyoming_clients, and there is no token to show"
            raise RequestError(text, 403, "forbidden_address")
        if (event := await wire.read()) is None:
            return
        shown = event.data.get("token") if event.type == "authorize" else None
        admission.check(client, shown if isinstance(shown, str) else "")

    def _knows(self, address: str) -> bool:
        try:
            return any(ipaddress.ip_address(address) in network for network in self._named)
        except ValueError:
            return False
