"""Says in the local network that Wyoming is spoken here (mDNS, RFC 6762 and 6763). Knows no event."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import anyio

from agent.errors import ConfigError
from agent.server.wyoming.library import module

SERVICE = "_wyoming._tcp.local."
"""What Home Assistant looks for."""


@asynccontextmanager
async def announced(host: str, port: int) -> AsyncGenerator[None]:
    """Within the block, whoever looks for Wyoming in the local network finds this machine.

    host: the address that is listened on; all of this machine's, where it is all of them. Needs asyncio.
    Raises MissingExtra; ConfigError where nobody else could come, or nothing can be said in the network.
    """
    mdns = module("zeroconf.asyncio")
    adapters = module("ifaddr").get_adapters()
    own = [str(each.ip) for adapter in adapters for each in adapter.ips if each.is_IPv4]
    here = await _reachable(host, own)
    name = socket.gethostname().partition(".")[0][:40] or "here"
    service = mdns.AsyncServiceInfo(
        SERVICE,
        f"backchat on {name}.{SERVICE}",
        parsed_addresses=here,
        port=port,
        server=f"{name}.local.",
    )
    try:
        network = mdns.AsyncZeroconf(interfaces=here)
        await network.async_register_service(service, allow_name_change=True)
    except OSError as error:
        why = error.strerror or error
        raise ConfigError(f"server.announce: the network takes nothing ({why}); leave it out") from error
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await network.async_unregister_all_services()
            await network.async_close()


async def _reachable(host: str, own: Sequence[str]) -> list[str]:
    """The addresses at which others reach what listens on `host`. Raises ConfigError where there is none.

    own: this machine's, for all of which "0.0.0.0" stands.
    """
    found = [ipaddress.ip_address(each[4][0]) for each in await anyio.getaddrinfo(host, None)]
    if any(each.is_unspecified for each in found):
        found = [ipaddress.ip_address(each) for each in own]
    here = sorted({str(each) for each in found if not each.is_loopback})
    if not here:
        raise ConfigError("server.announce: nobody else can come to server.wyoming; leave it out")
    return here
