"""What Ray Serve runs: sessions behind HTTP, and each engine in processes of its own.

A replica of an engine's deployment does no work itself: it gives out the seats at its worker, a Ray actor
that has the engine, and keeps them while who has taken one is there. So Serve sees as many requests going on
as seats are taken, and scales by that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from agent.cluster.calls import Facts, Served
from agent.cluster.drain import draining
from agent.cluster.front import Front
from agent.cluster.library import ray, serve
from agent.cluster.line import DEPLOYMENTS
from agent.cluster.worker import Worker
from agent.errors import EngineFault
from agent.settings import Config

SESSIONS = "Sessions"
LOOK = 0.5
"""Seconds between two looks at whether who has a seat is still there."""
REQUESTS = 8
"""Requests for each slot that a replica of the sessions is given; which of them are admitted it says."""
SPARE_REQUESTS = 64
MARGIN = 5.0
"""Seconds that Serve gives a replica beyond those in which replies end."""
CALLS = 1000
"""Calls that a worker takes at once; the engine makes one item after the other all the same."""


class Seats:
    """One replica of an engine: its worker, and who has a seat there."""

    def __init__(self, kind: Served, config: Config, seats: int) -> None:
        gpus = getattr(config.cluster, f"{kind}_gpus", 0.0)
        made = ray().remote(Worker)
        self._worker = made.options(
            num_cpus=config.cluster.cpus, num_gpus=gpus, max_concurrency=CALLS, max_restarts=-1
        ).remote(kind, config, seats)

    async def facts(self) -> Facts:
        """What is known of the engine, once it is loaded."""
        return await self._asked("facts")

    async def taken(self) -> list[str]:
        """The names of the seats that are taken; each begins with the number of the process that has it."""
        return await self._asked("taken")

    async def _asked(self, what: str, *args: Any) -> Any:
        """What the worker says; one whose process has died begins anew, and is waited for."""
        return await getattr(self._worker, what).options(max_task_retries=-1).remote(*args)

    async def sit(self, name: str, caller: Any) -> AsyncGenerator[Any]:
        """The worker, with a seat of that name at it until who asked goes; None where all are taken.

        A replica that is to go takes each seat back between two replies; another one has one then.

        caller: the actor that asks; None: it gives the seat back itself.
        """
        if draining() or not await self._asked("sit", name):
            yield None
            return
        try:
            yield self._worker
            while await _there(caller) and not (draining() and await self._asked("rests", name)):
                await asyncio.sleep(LOOK)
        finally:
            await self._asked("leave", name)

    async def check_health(self) -> None:
        """Raises where the engine hangs for all who use it: Serve replaces it."""
        if not await self._asked("healthy"):
            raise EngineFault("the engine does not come back from its work")


async def _there(actor: Any) -> bool:
    """Whether that actor's process is alive."""
    if actor is None:
        return True
    try:
        await actor.__ray_ready__.remote()
    except ray().exceptions.RayActorError:
        return False
    return True


def application(config: Config) -> Any:
    """The application for `serve.run`. Raises MissingExtra."""
    engines = [_engine(kind, config) for kind in served(config)]
    return _sessions(config, engines)


def served(config: Config) -> list[Served]:
    """The engines that these settings need."""
    kinds: list[Served] = ["stt", "llm", "tts"]
    return [*kinds, "endpointing"] if config.turns.by_sound else kinds


def seats(kind: Served, config: Config) -> int:
    """Those at each replica of an engine, unless the settings say it: enough for all places of all sessions.

    At a language model each is a slot with a cache of its own, so there its replicas share them.
    """
    places = config.cluster.sessions * config.server.sessions
    return config.cluster.seats or (-(-places // config.cluster.llm) if kind == "llm" else places)


def _engine(kind: Served, config: Config) -> Any:
    count = seats(kind, config)
    if kind == "llm":
        config = config.model_copy(update={"llm": config.llm.model_copy(update={"slots": count})})
    deployment = serve().deployment(
        Seats,
        name=DEPLOYMENTS[kind],
        num_replicas=getattr(config.cluster, kind),
        max_ongoing_requests=CALLS,
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_timeout_s=config.server.drain_timeout + MARGIN,
        health_check_period_s=2,
    )
    return deployment.bind(kind, config, count)


def _sessions(config: Config, engines: Sequence[Any]) -> Any:
    class Sessions:
        """The server's wires. engines: they are deployed with it; it asks them by name."""

        def __init__(self, *engines: Any) -> None: ...

    ingress = serve().ingress(Front(config, elsewhere(config)))(Sessions)
    deployment = serve().deployment(
        ingress,
        name=SESSIONS,
        num_replicas=config.cluster.sessions,
        max_ongoing_requests=REQUESTS * config.server.sessions + SPARE_REQUESTS,
        ray_actor_options={"num_cpus": config.cluster.cpus},
        graceful_shutdown_timeout_s=config.server.drain_timeout + MARGIN,
    )
    return deployment.bind(*engines)


def elsewhere(config: Config) -> Config:
    """The settings by which a replica of the sessions loads its engines: all are in other processes.

    Each slot has a line of its own to each of them.
    """
    changed: dict[str, Any] = {
        kind: getattr(config, kind).model_copy(update={"engine": "ray"}) for kind in ("stt", "llm", "tts")
    }
    if config.turns.by_sound:
        changed["turns"] = config.turns.model_copy(update={"endpointing": "ray"})
    changed["server"] = config.server.model_copy(update={"copies": config.server.sessions})
    return config.model_copy(update=changed)
