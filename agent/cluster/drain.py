"""Whether this replica is told to go: Serve tells a replica only when all it does has ended."""

from __future__ import annotations

from typing import Any

import anyio

from agent.cluster.library import ray

LOOK = 0.2
"""Seconds between two looks."""


def draining() -> bool:
    """Whether Serve has taken this replica out of service, and waits for the requests that go on.

    It has no word for that to a deployment (Ray 2.60), so the replica is looked at from inside; where it is
    not as it is there, nobody is told, and what goes on is cut after `graceful_shutdown_timeout_s`.
    """
    library = ray()
    own = library.get_runtime_context().get_actor_id()
    actor: Any = library._private.worker.global_worker.actors.get(library.ActorID.from_hex(own))
    return bool(getattr(getattr(actor, "_replica_impl", None), "_shutting_down", False))


async def drained() -> None:
    """Wait until this replica is told to go."""
    while not draining():
        await anyio.sleep(LOOK)
