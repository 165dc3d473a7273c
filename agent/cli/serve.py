"""The command `serve`. Knows only options."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from agent import signals
from agent.cli.commands import configured, settings

if TYPE_CHECKING:
    from agent.settings import Config


@click.command()
@click.option("--host", help="Address to listen on; others than 127.0.0.1 need a token.")
@click.option("--port", type=int, help="Port; 0 takes any free one.")
@click.option("--grpc-port", type=int, help="Also a gRPC service, at this port.")
@click.option("--wyoming", metavar="URI", help="Also Home Assistant's Wyoming protocol, at tcp://HOST:PORT.")
@click.option("--token-file", metavar="FILE", help="The token that clients must show, in a file.")
@click.option("--certificate", metavar="FILE", help="TLS certificate chain, PEM.")
@click.option("--key", metavar="FILE", help="Its private key, PEM.")
@click.option(
    "--qr",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="Draw the page's address, with the token, as a code to scan; NAME is what others call this machine.",
)
@click.option("--cluster", is_flag=True, help="By Ray Serve: sessions and engines in processes of their own.")
@settings
def serve(
    host: str | None,
    port: int | None,
    grpc_port: int | None,
    wyoming: str | None,
    token_file: str | None,
    certificate: str | None,
    key: str | None,
    qr: str | None,
    cluster: bool,
    **options: Any,
) -> None:
    """Serve the agent over HTTP, the OpenAI Realtime WebSocket, gRPC, and a page to talk to; Ctrl-C ends.

    The token that clients must show is read from --token-file, which nobody else may be able to read, or
    from the environment: BACKCHAT_TOKEN_FILE names such a file, BACKCHAT_TOKEN holds the token itself.
    """
    from agent.cli.parts import page_link
    from agent.cli.parts.loading import loading, warn
    from agent.server.admission.exposure import checked_tls, checked_token, clear_text
    from agent.server.calls.ice import ice_servers
    from agent.server.pool import load_pool
    from agent.server.run import serve as run
    from agent.server.run import start_log
    from agent.server.telemetry.traces import traces_for

    here = {
        "server.host": host,
        "server.port": port,
        "server.grpc_port": grpc_port,
        "server.wyoming": wyoming,
        "server.token_file": token_file,
        "server.certificate": certificate,
        "server.key": key,
    }
    options["pairs"] += tuple(
        f"{name}={json.dumps(value)}" for name, value in here.items() if value is not None
    )
    config = configured(**options)
    chain, secret = checked_tls(config.server)
    token = checked_token(config)
    ice_servers(config.server)  # a password that is missing shows now
    _check_extras(config, cluster=cluster)
    if qr is not None:
        page_link.check_drawing()
    if why := clear_text(config.server, chain is not None):
        click.echo(f"backchat: {why}", err=True)

    def started(addresses: list[str]) -> None:
        click.echo("\n".join(addresses), err=True)
        if qr is not None:
            _draw(page_link.link(addresses[0], qr, token))

    if cluster:
        from agent.cluster.run import run_cluster

        run_cluster(config, started, chain, secret)
        signals.leave(0)
    traces = traces_for(config)
    warn(config)
    with loading() as (progress, tell):
        pool = load_pool(config, progress, tell)
    start_log(config, token)
    run(pool, token, chain, secret, started, traces)
    signals.leave(0)


def _draw(page: str) -> None:
    """Show the page's address to who sits here; the token is in it, so it goes into no file and no log."""
    from agent.cli.parts import page_link

    if sys.stderr.isatty():
        click.echo(f"\n{page_link.code(page)}\n{page}\n", err=True)
    else:
        click.echo("backchat: --qr draws its code at a terminal only, since the token is in it", err=True)


def _check_extras(config: Config, *, cluster: bool) -> None:
    """Raise MissingExtra before the models are loaded, which takes its time, rather than after."""
    from agent.cli.parts import installation
    from agent.errors import MissingExtra

    wanted = {"server": "serve"} | ({"cluster": "--cluster"} if cluster else {})
    if config.server.grpc_port >= 0:
        wanted["grpc"] = "server.grpc_port"
    if config.server.wyoming or config.server.satellites:
        wanted["wyoming"] = "server.wyoming"
    for extra in installation.extras():
        if extra.name in wanted and extra.lacking:
            raise MissingExtra(f"{wanted[extra.name]} needs {', '.join(extra.lacking)}", extra.name)
