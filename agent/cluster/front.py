"""The server's application in a replica of Ray Serve: it begins and ends with that. Knows no route."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio

from agent.cluster.drain import drained
from agent.cluster.library import replica
from agent.cluster.store import RayStore
from agent.errors import BackchatError
from agent.runner import Runner
from agent.server.admission.exposure import checked_token
from agent.server.admission.guard import Guard
from agent.server.app import application
from agent.server.http.responses import Receive, Scope, Send
from agent.server.pool import Pool, load_copies
from agent.server.reception import Reception
from agent.server.run import LOOK, start_log, tidy
from agent.server.telemetry.metrics import Gather, Metrics
from agent.server.telemetry.traces import traces_for
from agent.settings import Config
from agent.transports.resumption import TOUCH

NEWS = 2.0
"""Seconds until who sends clients here knows that this replica is to go; who comes before is let in."""


class Front:
    """An ASGI application that makes the server's own when it starts, on the event loop that it runs on.

    config: all settings. engines: the same, as the engines are loaded here.
    The token is read where the replica runs, from the environment or a file there, as by `backchat serve`.
    """

    def __init__(self, config: Config, engines: Config) -> None:
        self._config, self._engines = config, engines
        self._app: Guard | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Begin and end, or what the server's application does."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            token = checked_token(self._config)
            start_log(self._config, token)
            copies = await Runner().wait_for(partial(load_copies, self._engines))
            pool, traces = Pool(self._config, copies), traces_for(self._config)
        except BackchatError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        store, metrics = RayStore(self._config), Metrics(pool, traces)
        metrics.gather = partial(store.pages, replica())
        reception = Reception.of(pool, token, metrics, store)
        async with anyio.create_task_group() as tasks:
            reception.begin(tasks)
            tasks.start_soon(tidy, pool)
            tasks.start_soon(_hand_over, pool)
            tasks.start_soon(_tell, metrics.gather, metrics)
            self._app = application(reception)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            pool.close()
            with anyio.move_on_after(self._config.server.drain_timeout):
                while not pool.idle:
                    await anyio.sleep(LOOK)
            tasks.cancel_scope.cancel()
        if traces is not None:
            await Runner().wait_for(traces.close)
        await send({"type": "lifespan.shutdown.complete"})

    def __reduce__(self) -> tuple[Any, ...]:
        return Front, (self._config, self._engines)


async def _tell(gather: Gather, metrics: Metrics) -> None:
    """Have the figures known to the other replicas: any of them tells those of all."""
    while True:
        await gather(metrics.text().decode())
        await anyio.sleep(TOUCH)


async def _hand_over(pool: Pool) -> None:
    """Once this replica is to go nobody is admitted, replies end, and clients go on at another one."""
    await drained()
    await anyio.sleep(NEWS)
    pool.close()
