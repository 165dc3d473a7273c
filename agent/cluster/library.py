"""Ray, for those who use it; nothing of it is loaded before it is asked for."""

from __future__ import annotations

from typing import Any

from agent.errors import MissingExtra


def ray() -> Any:
    """The library. Raises MissingExtra."""
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtra('a cluster, and engine = "ray", needs Ray', "cluster") from error
    return ray  # pyright: ignore[reportUnknownVariableType]


def replica() -> str:
    """The name of the replica in which this runs."""
    return str(serve().get_replica_context().replica_id.unique_id)


def serve() -> Any:
    """Its part that runs servers. Raises MissingExtra."""
    ray()
    try:
        from ray import serve  # pyright: ignore
    except ImportError as error:
        raise MissingExtra("a cluster needs Ray Serve", "cluster") from error
    return serve  # pyright: ignore
