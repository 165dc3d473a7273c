"""Who a request comes from, also behind proxies that are trusted. Knows no wire and refuses nothing."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

PREFIX = "x-forwarded"
RELAYED = frozenset(
    {
        "cdn-loop",
        "cf-connecting-ip",
        "client-ip",
        "forwarded",
        "forwarded-for",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-original-forwarded-for",
        "x-proxyuser-ip",
        "x-real-ip",
    }
)
"""Headers that proxies add and no client does, beside all that begin with `PREFIX`."""

SITE = 64
"""Bits of an IPv6 address that one subscriber has at least: whoever has them may use all that begin so."""

_ADDRESS = re.compile(r"\[([^\]]+)\](?::\w+)?|([^:\[\]]+)(?::\w+)?|([^\[\]]+)")
"""An address with or without a port: "1.2.3.4:80", "[2001:db8::1]:80", "2001:db8::1"."""
_PAIR = re.compile(r'\s*(?:([\w!#$%&\'*+.^`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s",;=]*))?\s*([;,]|$)')
"""A parameter of a Forwarded header (RFC 7239, section 4) and the mark after it."""


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from.

    address: empty where it isn't known. scheme: "http" or "https", as the client used it. relayed: whether
    a proxy says that it stands between, trusted or not.
    """

    address: str
    scheme: str
    relayed: bool


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by their names in small letters; those that come several times as one list (RFC 9110, 5.2)."""
    merged = dict[str, str]()
    for name, value in headers:
        key = name.lower()
        merged[key] = f"{merged[key]}, {value}" if key in merged else value
    return merged


def client(peer: str, scheme: str, headers: Mapping[str, str], proxies: Sequence[Network]) -> Client:
    """Who is at the other end of a connection from `peer` that brought these headers.

    Behind a trusted proxy it is the right-most address of X-Forwarded-For or Forwarded that is no trusted
    proxy's: what stands to the left of it the client may have written itself. Where the two disagree, one
    of them may be the client's own, and the request is the proxy's.
    """
    relayed = any(name in RELAYED or name.startswith(PREFIX) for name in headers)
    scheme = _secure(scheme) or "http"
    last = parsed(peer)
    if last is None or not _trusted(last, proxies):
        return Client(peer if last is None else str(last), scheme, relayed)
    chains = list[Sequence[str]]()
    protocols = headers.get("x-forwarded-proto", "").split(",")
    if "x-forwarded-for" in headers:
        chains.append(headers["x-forwarded-for"].split(","))
    if "forwarded" in headers:
        steps = _forwarded(headers["forwarded"])
        chains.append([step.get("for", "") for step in steps])
        protocols.insert(0, steps[-1].get("proto", ""))
    found = {_beyond(last, chain, proxies) for chain in chains}
    seen = [known for each in protocols if (known := _secure(each))]  # the nearest proxy's word is the last
    return Client(str(found.pop() if len(found) == 1 else last), seen[-1] if seen else scheme, relayed)


def parsed(text: str) -> Address | None:
    """An address, its port left out and one that is mapped into IPv6 as IPv4; None for anything else."""
    match = _ADDRESS.fullmatch(text.strip())
    if match is None:
        return None
    try:
        address = ipaddress.ip_address(next(group for group in match.groups() if group))
    except ValueError:
        return None
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address


def subscriber(address: str) -> str:
    """What stands for everybody who may use this address: itself, of IPv6 its first 64 bits."""
    known = parsed(address)
    if not isinstance(known, ipaddress.IPv6Address):
        return address if known is None else str(known)
    return str(ipaddress.IPv6Network((int(known), SITE), strict=False))


def _beyond(peer: Address, chain: Sequence[str], proxies: Sequence[Network]) -> Address:
    """The first from the right that is no trusted proxy; where one isn't known, the proxy that says so."""
    here = peer
    for text in reversed(chain):
        there = parsed(text)
        if there is None or not _trusted(here, proxies):
            break
        here = there
    return here


def _forwarded(header: str) -> list[dict[str, str]]:
    """The steps of a Forwarded header, parameters in small letters; none where it isn't well formed.

    Nothing of a malformed one is taken: with a quote left open a client could swallow what a proxy adds.
    """
    steps, at = [dict[str, str]()], 0
    while (match := _PAIR.match(header, at)) is not None:
        name, value, mark = match.groups()
        if name:
            steps[-1][name.lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] == '"' else value
        if not mark:
            return steps
        if mark == ",":
            steps.append({})
        at = match.end()
    return [{}]


def _trusted(address: Address, proxies: Sequence[Network]) -> bool:
    return any(address in network for network in proxies)


def _secure(scheme: str) -> str | None:
    """A scheme as pages have it: some proxies name a WebSocket's own."""
    return {"http": "http", "ws": "http", "https": "https", "wss": "https"}.get(scheme.strip().lower())
