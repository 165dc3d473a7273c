"""The command `serve`. Knows only options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.commands import configured, settings

if TYPE_CHECKING:
    from agent.settings import Config


@click.command()
@click.option("--host", help="Address to listen on; others than 127.0.0.1 need a token.")
@click.option("--port", type=int, help="Port; 0 takes any free one.")
@click.option("--grpc-port", type=int, help="Also a gRPC service, at this port.")
@click.option("--certificate", type=click.Path(path_type=Path), help="TLS certificate chain, PEM.")
@click.option("--key", type=click.Path(path_type=Path), help="Its private key, PEM.")
@settings
def serve(
    host: str | None,
    port: int | None,
    grpc_port: int | None,
    certificate: Path | None,
    key: Path | None,
    **options: Any,
) -> None:
    """Serve the agent over HTTP, the OpenAI Realtime WebSocket, gRPC, and a page to talk to; Ctrl-C ends.

    The token that clients must show is read from the environment variable BACKCHAT_TOKEN.
    """
    from agent.cli.loading import loading
    from agent.errors import ConfigError
    from agent.server.pool import load_pool
    from agent.server.run import checked_token, start_log
    from agent.server.run import serve as run
    from agent.server.traces import traces_for

    here = {"server.host": json.dumps(host), "server.port": port, "server.grpc_port": grpc_port}
    options["pairs"] += tuple(
        f"{name}={value}" for name, value in here.items() if value not in (None, "null")
    )
    config = configured(**options)
    for path in (certificate, key):
        if path is not None and not path.is_file():
            raise ConfigError(f"{path}: no such file; give a PEM file")
    if key is not None and certificate is None:
        raise ConfigError("--key: give the --certificate too")
    token = checked_token(config)
    _check_extras(config)
    traces = traces_for(config)
    with loading() as (progress, tell):
        pool = load_pool(config, progress, tell)
    start_log()
    run(pool, token, certificate, key, lambda addresses: click.echo("\n".join(addresses), err=True), traces)


def _check_extras(config: Config) -> None:
    """Raise MissingExtra before the models are loaded, which takes its time, rather than after."""
    from agent.cli import health
    from agent.errors import MissingExtra

    wanted = {"server"} if config.server.grpc_port < 0 else {"server", "grpc"}
    for extra in health.extras():
        if extra.name in wanted and extra.lacking:
            what = "server.grpc_port" if extra.name == "grpc" else "serve"
            raise MissingExtra(f"{what} needs {', '.join(extra.lacking)}", extra.name)
