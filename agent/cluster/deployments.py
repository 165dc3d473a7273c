"""What Ray Serve runs: sessions behind HTTP, and each engine in processes of its own.

A replica of an engine's deployment does no work itself: it gives out the seats at its worker, a Ray actor
that has the engine, and keeps them while who has taken one is there. So Serve sees as many requests going on
as seats are taken, and scales by that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from agent.cluster.calls import Facts, Served
from agent.cluster.drain import draining
from agent.cluster.front import Front
from agent.cluster.library import ray, serve
from agent.cluster.line import DEPLOYMENTS
from agent.cluster.worker import Worker
from agent.errors import EngineFault
from agent.runner import Runner
from agent.settings import Config

SESSIONS = "Sessions"
LOOK = 0.5
"""Seconds between two looks at whether who has a seat is still there."""
REQUESTS = 8
"""Requests for each slot that a replica of the sessions is given; which of them are admitted it says."""
SPARE_REQUESTS = 64
MARGIN = 5.0
"""Seconds that Serve gives a replica beyond those in which replies end."""
CHECK = 1.0
"""Seconds between two looks of Serve at a replica: one that has died is replaced that soon."""
LOADING = 60.0
"""Seconds, three times of which Serve gives an engine whose process has died to load anew."""
ANSWER = 4.0
"""Seconds that a worker is given to answer what asks nothing of its engine."""
CALLS = 1000
"""Calls that a worker takes at once; the engine makes one item after the other all the same."""


class Seats:
    """One replica of an engine: its worker, and who has a seat there."""

    def __init__(self, kind: Served, config: Config, seats: int) -> None:
        gpus = getattr(config.cluster, f"{kind}_gpus", 0.0)
        made = ray().remote(Worker)
        self._worker = made.options(
            num_cpus=0,
            num_gpus=gpus,
            max_concurrency=CALLS,
            max_restarts=-1,
            scheduling_strategy=_here(elsewhere=bool(gpus)),
        ).remote(kind, config, seats)
        self._loaded = self._other = False
        self._next = 0.0

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

        A replica that is to go takes each seat back between two replies, once another one serves.

        caller: the actor that asks; None: it gives the seat back itself.
        """
        try:
            seated = not draining() and await asyncio.wait_for(self._asked("sit", name), ANSWER)
        except TimeoutError:  # it hangs, or begins anew: what it gives later is not waited for
            self._worker.leave.options(max_task_retries=-1).remote(name)
            seated = False
        if not seated:
            yield None
            return
        try:
            yield self._worker
            while await _there(caller) and not await self._over(name):
                await asyncio.sleep(LOOK)
        finally:
            await self._asked("leave", name)

    async def _over(self, name: str) -> bool:
        """Whether who has that seat is better off at another replica."""
        return draining() and await self._asked("rests", name) and await self._replaced()

    async def _replaced(self) -> bool:
        """Whether another replica serves; looked at once for all seats, until it does."""
        if not self._other and (now := time.monotonic()) >= self._next:
            self._next = now + LOOK
            self._other = await Runner().wait_for(_another)
        return self._other

    async def check_health(self) -> None:
        """Raises where the engine hangs for all who use it, or its process does: Serve replaces it."""
        if not self._loaded:  # Serve waits for that, and so long nobody is sent here
            await self._asked("healthy")
            self._loaded = True
            return
        try:
            healthy = await asyncio.wait_for(self._worker.healthy.remote(), ANSWER)
        except ray().exceptions.RayActorError:  # it has died, and loads anew
            self._loaded = False
            return
        if not healthy:
            raise EngineFault("the engine does not come back from its work")


def _another() -> bool:
    """Whether a replica of this deployment is in service: this one, which asks, is not."""
    own = serve().get_replica_context()
    app = serve().status().applications.get(own.app_name)
    there = app.deployments.get(own.deployment) if app is not None else None
    return there is not None and there.replica_states.get("RUNNING", 0) > 0


def _here(*, elsewhere: bool) -> Any:
    """On this machine, so that a replica and its worker die together; elsewhere: or where there is room."""
    node = ray().get_runtime_context().get_node_id()
    strategies = ray().util.scheduling_strategies
    return strategies.NodeAffinitySchedulingStrategy(node, soft=elsewhere, _spill_on_unavailable=elsewhere)


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
        ray_actor_options={"num_cpus": config.cluster.cpus},
        graceful_shutdown_timeout_s=config.server.drain_timeout + MARGIN,
        health_check_period_s=CHECK,
        health_check_timeout_s=LOADING,
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
        health_check_period_s=CHECK,
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
