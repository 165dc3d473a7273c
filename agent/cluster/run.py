"""Runs the server on a Ray cluster: one that is there, or one of its own on this machine."""

from __future__ import annotations

import logging
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from agent import signals
from agent.cluster.deployments import application, served
from agent.cluster.library import ray, serve
from agent.cluster.line import APP
from agent.config import load
from agent.engines.registry import check
from agent.errors import ConfigError, EngineFault, first_line
from agent.runner import Runner
from agent.server.admission.exposure import authority
from agent.settings import Config

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_SERVE_LOG_TO_STDERR": "0"}
"""Ray tells nobody of this cluster, and its own log is in its files."""
ALONE = {**QUIET, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""All of its ports are on loopback. On other systems than Windows and macOS it takes no other word for that:
an address of 127.0.0.1 is replaced by one that others reach."""


def build(given: dict[str, Any]) -> Any:
    """The application for `serve run`, `serve deploy` and a `RayService`, from the `args` of its file.

    given: `config`, the path of a TOML file; `set`, a list of `section.key=value`. Raises ConfigError.
    """
    if unknown := sorted(given.keys() - {"config", "set"}):
        raise ConfigError(f"args: {unknown[0]!r} is not known here; there are config and set")
    file = given.get("config")
    config = load(None if file is None else Path(file), given.get("set", ()))
    check(config)
    return application(config)


def run_cluster(
    config: Config, started: Callable[[list[str]], None], certificate: Path | None, key: Path | None
) -> None:
    """Serve until SIGINT or SIGTERM. started: is told the address.

    Raises MissingExtra, ConfigError; EngineFault where a replica does not come up.
    """
    address = begin(config, certificate, key)
    anyio.run(_until_told, [address], started, backend="asyncio")


def begin(config: Config, certificate: Path | None = None, key: Path | None = None) -> str:
    """Have it run, and return its address. `end` ends it. Raises as `run_cluster` does."""
    check(config)
    os.environ |= ALONE if not config.cluster.address else QUIET
    if not ray().is_initialized():
        _enter(config)
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    tls = {"ssl_certfile": str(certificate), "ssl_keyfile": str(key or certificate)} if certificate else {}
    host, port = config.server.host, config.server.port or _free_port(config.server.host)
    serve().start(http_options={"host": host, "port": port, **tls})
    try:
        serve().run(application(config), name=APP, route_prefix="/")
    except RuntimeError as error:
        raise EngineFault(f"the cluster did not come up: {_why() or first_line(error)}") from error
    return f"{'https' if certificate else 'http'}://{authority(host, port)}"


def _enter(config: Config) -> None:
    """Join the cluster that the settings name, or start one that nobody but this machine reaches."""
    cluster = config.cluster
    if cluster.address:
        try:
            ray().init(address=cluster.address, logging_level=logging.ERROR)
        except (ConnectionError, ValueError) as error:
            text = f"cluster.address: no Ray cluster at {cluster.address}: {first_line(error)}"
            raise ConfigError(text) from error
        return
    processes = cluster.sessions + sum(getattr(cluster, kind) for kind in served(config))
    cores = max(os.cpu_count() or 1, math.ceil(processes * cluster.cpus))
    ray().init(address="local", num_cpus=cores, include_dashboard=False, logging_level=logging.ERROR)


def _free_port(host: str) -> int:
    import socket

    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as made:
        return made.getsockname()[1]


def _why() -> str:
    """What Serve knows of why a deployment did not come up: the last line of what was raised there."""
    app = serve().status().applications.get(APP)
    told = [each.message for each in app.deployments.values()] if app is not None else []
    lines = [line.strip() for text in told for line in text.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "Error" in line or "Fault" in line), "")[:300]


def end() -> None:
    """Let replies end, and close."""
    serve().shutdown()
    ray().shutdown()


async def _until_told(addresses: list[str], started: Callable[[list[str]], None]) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as told:
        started(addresses)
        await anext(told)
        signals.at_once()
        await Runner().wait_for(end)
