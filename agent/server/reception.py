"""Where a client of any wire is received: its slot, the log and the figures of its session, and its end.

For a wire this is all that it has to do with others. Who may come is decided before: by `Guard` for HTTP
and WebSockets, by the interceptor for gRPC. Knows no protocol.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from anyio.abc import TaskGroup

from agent import events as ev
from agent.conversation.reply import Manner
from agent.errors import RequestError
from agent.server.admission.auth import Admission
from agent.server.admission.connections import Connections
from agent.server.pool import Pool
from agent.server.telemetry import log as journal
from agent.server.telemetry.metrics import Metrics
from agent.settings import Config
from agent.transports.remote import RemoteSession
from agent.transports.resumption import LocalStore, Store
from agent.transports.slot import SessionSlot
from audio.echo.front_end import FrontEnd


@dataclass
class Visit:
    """One client's session, from its slot to its end.

    entry: it in the log; a wire may say there why it ended. watchers: see all that happens in it.
    """

    pool: Pool
    slot: SessionSlot
    entry: journal.Entry
    watchers: Sequence[ev.Watcher]
    store: Store | None = None
    """Where it may be kept for a client that loses its connection."""
    hang_up: Callable[[], None] = lambda: None
    """Called when the server closes: the last reply is said, then it is over."""
    lost: Callable[[], None] = lambda: None
    """Called when the client's connection is over: what it sent and was not heard yet is nobody's."""

    def session(
        self, config: Config | None = None, manner: Manner | None = None, front: FrontEnd | None = None
    ) -> RemoteSession:
        """The session itself, with settings of its own; it hangs up when the server closes."""
        session = RemoteSession(self.slot, config or self.pool.config, self.watchers, manner, front)
        self.hang_up = session.hang_up
        return session


@dataclass
class Reception:
    """One for a server, which all of its wires share."""

    pool: Pool
    admission: Admission
    metrics: Metrics
    connections: Connections
    """Those that are open."""
    store: Store | None
    """Where sessions are kept for clients that lose their connection; None: nowhere."""
    refusals: journal.Refusals = field(default_factory=journal.Refusals)
    calls: dict[str, Callable[[], None]] = field(default_factory=dict[str, Callable[[], None]])
    """Sessions that go on without a connection of ours, by name; each call ends one."""
    tasks: TaskGroup = field(init=False)
    """Where sessions go on whose request is answered at once; the server's own."""

    @classmethod
    def of(cls, pool: Pool, token: str | None, metrics: Metrics, store: Store | None = None) -> Reception:
        """A new one, by the pool's settings. token: what clients must show. store: None: one in this process,
        where sessions are to be kept.
        """
        settings = pool.config.server
        connections = Connections(settings.connections, settings.client_timeout)
        kept = (store or LocalStore.of(settings)) if settings.resume else None
        return cls(pool, Admission(settings, token), metrics, connections, kept)

    def begin(self, tasks: TaskGroup) -> None:
        """Receive clients from now on, as long as `tasks` go on."""
        self.tasks = tasks
        tasks.start_soon(self.connections.watch)
        if self.store is not None:
            tasks.start_soon(self.store.tend)

    @asynccontextmanager
    async def visit(self, wire: str, address: str) -> AsyncGenerator[Visit]:
        """A session for whoever came by `wire` from `address`, as long as the block lasts. Raises Busy."""
        received: list[Visit] = []

        def hang_up() -> None:
            for visit in received:
                visit.hang_up()

        async with self.pool.slot(hang_up) as slot:
            with journal.session(wire, address) as entry:
                watchers = [*self.metrics.watchers(), entry.watch]
                received.append(Visit(self.pool, slot, entry, watchers, self.store))
                yield received[0]
                if self.pool.closing:
                    entry.why = "server_stops"

    def refused(self, wire: str, address: str, error: RequestError) -> None:
        """Somebody was not received, or is sent away: counted, and noted in the log.

        A session that was cut for its silence (408) was no refusal: the log has its end.
        """
        if error.status == 408:
            return
        self.metrics.refused.labels(error.code).inc()
        self.refusals.note(address, error, wire)
