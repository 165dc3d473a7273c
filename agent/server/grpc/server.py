"""The gRPC server: its port, its token, what an error is called there. Knows no method of ours."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
from anyio.abc import SocketAttribute

from agent.errors import MissingExtra, RequestError
from agent.server.admission import budget
from agent.server.admission.connections import Connection, Connections
from agent.server.admission.exposure import authority
from agent.server.admission.forwarded import Client, joined
from agent.server.admission.listening import listening
from agent.server.grpc.front import HOST, Front
from agent.server.pool import Pool
from agent.server.reception import Reception
from agent.server.telemetry.metrics import Metrics
from agent.settings import ServerConfig
from agent.transports.disclosure import told

if TYPE_CHECKING:
    from agent.server.grpc.methods import Method

SERVICE = "backchat.v1.Backchat"
OPEN = ("/grpc.health.v1.Health/Check",)
"""What tells nothing, and is for whoever asks. Not Watch, which a stranger could hold for ever."""
PING = 20.0
"""Seconds after which a silent connection is asked whether it is still there."""
LISTENING = 0.3
"""Seconds for which a call that is refused is read on. A client of `grpc.aio` whose message is under way when
the status comes is not told it, but INTERNAL, "Internal error from Core" (grpcio 1.85)."""

CODES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "ABORTED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "RESOURCE_EXHAUSTED",
}
"""gRPC's name for an HTTP status; INVALID_ARGUMENT for other requests that cannot be met."""


@dataclass(frozen=True)
class RunningServer:
    """A gRPC server that runs. `address`: host:port."""

    address: str
    _health: Any

    async def closing(self) -> None:
        """Tell whoever watches its health that it serves no newcomer any more."""
        await self._health.enter_graceful_shutdown()


@asynccontextmanager
async def running_server(
    pool: Pool,
    token: str | None,
    metrics: Metrics,
    certificate: Path | None = None,
    key: Path | None = None,
    reception: Reception | None = None,
) -> AsyncGenerator[RunningServer]:
    """A gRPC server on `server.grpc_port`, within the block; with TLS if there is a certificate (PEM).

    reception: that of the other wires, where there are some. Needs asyncio. Raises
    MissingExtra, ConfigError.
    """
    # Its C core writes a line for each scanner that comes, past Python's log, unless it is told not to.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    try:
        import grpc
        from grpc_health.v1 import health, health_pb2, health_pb2_grpc
        from grpc_reflection.v1alpha import reflection
    except ImportError as error:
        raise MissingExtra("gRPC's libraries are missing", "grpc") from error

    # The libraries are not typed, as far as they are used here.
    settings = pool.config.server
    reception = reception or Reception.of(pool, token, metrics)
    front = Front(reception.connections)
    calls = Connections(settings.connections, settings.client_timeout)
    entrance = _Entrance(reception, front, calls)
    server: Any = grpc.aio.server(interceptors=[_checking(entrance)], options=_options(settings))
    server.add_generic_rpc_handlers([_handlers(entrance)])
    checks = cast(Any, health).aio.HealthServicer()
    cast(Any, health_pb2_grpc).add_HealthServicer_to_server(checks, server)
    for name in ("", SERVICE):
        await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    inside = _opened(server, certificate, key)
    host, port = settings.host, settings.grpc_port
    opened = await listening(host, port, "server.grpc_port", "--grpc-port")
    async with opened as listeners, anyio.create_task_group() as tasks:
        await server.start()
        tasks.start_soon(front.serve, listeners, inside)
        try:
            where = listeners.extra(SocketAttribute.local_port)
            yield RunningServer(authority(host, where), checks)
        finally:
            with anyio.CancelScope(shield=True):
                await server.stop(0)
            tasks.cancel_scope.cancel()


def _opened(server: Any, certificate: Path | None, key: Path | None) -> int:
    """The port of the service itself, open for nobody but the front."""
    import grpc

    if certificate is None:
        return server.add_insecure_port(f"{HOST}:0")
    pair = ((key or certificate).read_bytes(), certificate.read_bytes())
    return server.add_secure_port(f"{HOST}:0", grpc.ssl_server_credentials([pair]))


def _options(settings: ServerConfig) -> list[tuple[str, int]]:
    client_timeout = round(settings.client_timeout * 1000)
    return [
        ("grpc.max_receive_message_length", settings.message),
        ("grpc.max_metadata_size", 16_384),
        ("grpc.max_concurrent_streams", 100),
        ("grpc.server_handshake_timeout_ms", client_timeout),
        ("grpc.max_connection_idle_ms", client_timeout),  # without a call; clients come again by themselves
        ("grpc.keepalive_time_ms", round(PING * 1000)),
        ("grpc.keepalive_timeout_ms", client_timeout),
        ("grpc.so_reuseport", 0),
    ]


@dataclass(frozen=True)
class _Entrance:
    """Whom the calls let in, and who is told of those that it does not."""

    reception: Reception
    front: Front
    calls: Connections
    """Calls, which are held open as connections are."""

    def connection(self, context: Any) -> Connection:
        """What the call came on. Raises RequestError for one that did not come by the front."""
        port = str(context.peer()).rpartition(":")[2]
        connection = self.front.connection(int(port)) if port.isdigit() else None
        if connection is None:
            raise RequestError("this is no way in", 403, "forbidden_way")
        return connection

    def client(self, context: Any) -> Client:
        """Who calls."""
        try:
            address = self.connection(context).address
        except RequestError:
            address = ""
        return self.reception.admission.client(address, "http", _headers(context.invocation_metadata()))

    @contextmanager
    def holding(self, context: Any) -> Generator[Callable[[], None]]:
        """A call that was let in, as long as it lasts; call what is yielded once its first message came.

        Until then another may need its place more. Raises RequestError when it must go.
        """
        connection = self.connection(context)
        connection.asked()
        with (
            self.calls.holding(connection.address) as call,
            call.request(body=True) as begun,
            connection.request(body=True) as whole,
        ):

            def came() -> None:
                begun()
                whole()

            yield came

    async def refuse(self, context: Any, client: Client, error: RequestError) -> None:
        """End the call with the error's status, and note who was refused."""
        self.reception.refused("grpc", client.address, error)
        await _refuse(context, error)


def _checking(entrance: _Entrance) -> Any:
    """Refuses whoever may not come, whatever is asked for."""
    import grpc

    admission = entrance.reception.admission

    async def refuse(request: Any, context: Any) -> None:
        client = entrance.client(context)
        try:
            admission.check_way(client)
            admission.check(client, _shown(_headers(context.invocation_metadata())))
        except RequestError as error:
            await entrance.refuse(context, client, error)

    class Checking(grpc.aio.ServerInterceptor):
        """Looks at the metadata of each call."""

        async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            headers = _headers(handler_call_details.invocation_metadata)
            try:
                admission.check_way(admission.client("", "http", headers))
            except RequestError:
                return refusing
            if handler_call_details.method in OPEN or admission.knows(_shown(headers)):
                found = await continuation(handler_call_details)
                return _kept(found, entrance) if found is not None and found.unary_stream else found
            return refusing

    refusing = cast(Any, grpc).stream_stream_rpc_method_handler(refuse)
    return Checking()


def _kept(found: Any, entrance: _Entrance) -> Any:
    """A method whose answer goes on for ever, as watching the service's health does: counted as a call."""

    async def handler(request: Any, context: Any) -> None:
        try:
            with entrance.holding(context):
                await found.unary_stream(request, context)
        except RequestError as error:
            await entrance.refuse(context, entrance.client(context), error)

    return found._replace(unary_stream=handler)


def _headers(metadata: Any) -> dict[str, str]:
    """A call's metadata that is text."""
    return joined((key, value) for key, value in metadata or () if isinstance(value, str))


def _shown(headers: Mapping[str, str]) -> str:
    """The token that a caller shows, or nothing."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token if kind.lower() == "bearer" else ""


def _handlers(entrance: _Entrance) -> Any:
    """The service's four methods, each guarded."""
    import grpc

    from agent.server.grpc import backchat_pb2 as pb
    from agent.server.grpc.methods import METHODS

    handlers = dict[str, Any]()
    for method in pb.DESCRIPTOR.services_by_name["Backchat"].methods:
        request, reply = getattr(pb, method.input_type.name), getattr(pb, method.output_type.name)
        reads = entrance.reception.pool.context if method.name == "Generate" else None
        # All of them as streams: on the wire a single message is a stream of one.
        handlers[method.name] = grpc.stream_stream_rpc_method_handler(
            _guarded(METHODS[method.name], entrance, reads),
            request_deserializer=request.FromString,
            response_serializer=reply.SerializeToString,
        )
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


def _guarded(method: Method, entrance: _Entrance, reads: int | None) -> Any:
    """A method of ours as gRPC wants it: what goes wrong in it becomes a status.

    reads: tokens of the language model that reads the request at once, where one does and they are known.
    """

    limits = entrance.reception.pool.config.server

    async def handler(requests: Any, context: Any) -> None:
        failed: RequestError | None = None
        client = entrance.client(context)
        try:
            # A client that goes cancels this task as asyncio does it: once, and through every shield. The
            # group makes our own kind of it, which lets an engine come to the end of its item.
            with (
                told("this call"),
                entrance.reception.admission.bodies.holding() as hold,
                entrance.holding(context) as came,
            ):
                async with anyio.create_task_group() as tasks:
                    entrance.reception.admission.count(client)
                    caller = _Caller(context, limits, client.address, reads, hold, came)
                    tasks.start_soon(method, caller, entrance.reception)
        except RequestError as error:
            failed = error
        if failed is not None and not context.cancelled():
            await entrance.refuse(context, client, failed)

    return handler


async def _refuse(context: Any, error: RequestError) -> None:
    """End the call with the error's status; a busy server says when to come again."""
    import grpc

    name, trailer = CODES.get(error.status, "INVALID_ARGUMENT"), [("error-code", error.code)]
    if error.retry_after is not None:
        trailer.append(("grpc-retry-pushback-ms", str(error.retry_after * 1000)))
        trailer.append(("retry-after", str(error.retry_after)))
    with anyio.move_on_after(LISTENING):
        await _read_to_the_end(context)
    await context.abort(getattr(grpc.StatusCode, name), str(error), tuple(trailer))


async def _read_to_the_end(context: Any) -> None:
    """Let what the client is still sending arrive. Returns where nothing more can be read."""
    import grpc
    from google.protobuf.message import DecodeError

    with suppress(cast(Any, grpc).aio.InternalError):  # gone, or too large, or a read is left from before
        while True:
            with suppress(DecodeError):
                if await context.read() is cast(Any, grpc).aio.EOF:
                    return


class _Caller:
    """The other side of one call, as `methods.Caller`."""

    def __init__(
        self,
        context: Any,
        limits: ServerConfig,
        address: str,
        reads: int | None,
        hold: Callable[[int], None],
        came: Callable[[], None],
    ) -> None:
        self._context, self._limits, self._reads = context, limits, reads
        self._hold, self._came = hold, came
        self.address = address

    def hold(self, count: int) -> None:
        self._hold(count)

    async def read(self) -> Any:
        import grpc
        from google.protobuf.message import DecodeError

        try:
            message = await self._context.read()
        except DecodeError as error:
            raise RequestError("a message that cannot be read; see backchat.proto") from error
        self._came()
        if message is cast(Any, grpc).aio.EOF:
            return None
        budget.check(message, self._limits, self._reads)
        return message

    async def write(self, message: Any) -> None:
        import grpc

        try:
            # Shielded, since gRPC cannot take a write back: a call with one on its way cannot be refused.
            with anyio.CancelScope(shield=True), anyio.fail_after(self._limits.client_timeout):
                await self._context.write(message)
        except TimeoutError as error:
            raise RequestError(
                "nothing was read for too long (server.client_timeout)", 408, "timeout"
            ) from error
        except cast(Any, grpc).aio.InternalError as error:
            raise RequestError("the client has gone", 499, "gone") from error
