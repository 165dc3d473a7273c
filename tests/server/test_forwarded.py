"""Who a request comes from: trusted proxies, what clients write themselves, ports, quotes, subscribers."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import load
from agent.errors import ConfigError
from agent.server.admission.forwarded import Client, client, joined, parsed, subscriber

PROXIES = [ipaddress.ip_network(each) for each in ("10.0.0.0/8", "::1", "fd00::/8")]
V4, V6 = st.ip_addresses(v=4), st.ip_addresses(v=6)
STRANGERS = st.one_of(V4, V6).filter(
    lambda ip: getattr(ip, "ipv4_mapped", None) is None and not any(ip in each for each in PROXIES)
)


def came(peer: str, *headers: tuple[str, str], scheme: str = "http") -> Client:
    return client(peer, scheme, joined(headers), PROXIES)


def with_port(address: object) -> list[str]:
    """Every way to write it in X-Forwarded-For."""
    text = str(address)
    return [f"[{text}]", f"[{text}]:80", text] if ":" in text else [text, f"{text}:4711"]


@given(
    STRANGERS, STRANGERS, st.lists(st.text(st.characters(codec="latin-1", exclude_characters=","))), st.data()
)
def test_what_a_client_writes_itself_does_not_change_who_it_is(real, forged, junk, data) -> None:
    """A proxy appends whom it saw; what a client sent before stands to its left, in either header."""
    written = data.draw(st.sampled_from(with_port(real)))
    mine = ",".join([str(forged), *junk])
    assert came("10.1.2.3", ("X-Forwarded-For", f"{mine}, {written}")).address == str(real)
    assert came("10.1.2.3", ("X-Forwarded-For", mine), ("x-forwarded-for", written)).address == str(real)
    quoted = f'"[{real}]:80"' if real.version == 6 else str(real)
    assert came("10.1.2.3", ("Forwarded", f"for={forged}, for={quoted};proto=https")).address == str(real)
    # A proxy that adds one header may pass on the other as the client wrote it.
    both = came("10.1.2.3", ("X-Forwarded-For", written), ("Forwarded", f'for="{forged}"'))
    assert both.address in (str(real), "10.1.2.3")


@given(st.text(st.characters(codec="latin-1")), V4)
def test_a_forwarded_header_that_is_no_such_names_nobody(mine: str, real) -> None:
    """Also not with a quote left open, which would swallow what the proxy adds."""
    found = came("10.1.2.3", ("Forwarded", f'{mine}, for={real};by="[::1]"')).address
    known = parsed(found)
    assert found == "10.1.2.3" or known == real or known in PROXIES[0]


@given(STRANGERS, STRANGERS)
def test_who_is_no_trusted_proxy_is_itself_whatever_it_says(real, forged) -> None:
    headers = [
        ("X-Forwarded-For", str(forged)),
        ("X-Forwarded-Proto", "https"),
        ("Forwarded", f"for={forged}"),
    ]
    assert came(str(real), *headers) == Client(str(real), "http", relayed=True)


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("10.0.0.1", {"x-forwarded-for": "1.2.3.4, 203.0.113.7, 10.9.9.9, fd00::2"}, "203.0.113.7"),
        ("::1", {"forwarded": 'for="[2001:db8::17]:4711";proto=https, for=10.2.2.2'}, "2001:db8::17"),
        ("::1", {"forwarded": "For=192.0.2.60;By=10.0.0.1"}, "192.0.2.60"),
        ("::ffff:10.0.0.1", {"x-forwarded-for": "::ffff:192.0.2.1"}, "192.0.2.1"),
        ("10.0.0.1", {"x-forwarded-for": "10.2.2.2, 10.3.3.3"}, "10.2.2.2"),
        ("10.0.0.1", {"x-forwarded-for": "1.2.3.4, unknown"}, "10.0.0.1"),
        ("10.0.0.1", {"x-forwarded-for": "1.2.3.4, unknown, 10.3.3.3"}, "10.3.3.3"),
        ("10.0.0.1", {"forwarded": "for=1.2.3.4, for=_hidden"}, "10.0.0.1"),
        ("10.0.0.1", {"forwarded": 'for=1.2.3.4;x=", for="[2001:db8::1]"'}, "10.0.0.1"),
        ("10.0.0.1", {"forwarded": "for=1.2.3.4", "x-forwarded-for": "5.6.7.8"}, "10.0.0.1"),
        ("10.0.0.1", {"forwarded": "for=5.6.7.8", "x-forwarded-for": "5.6.7.8"}, "5.6.7.8"),
        ("10.0.0.1", {}, "10.0.0.1"),
        ("192.0.2.9", {"x-forwarded-for": "5.6.7.8"}, "192.0.2.9"),
        ("::ffff:192.0.2.9", {}, "192.0.2.9"),
        ("", {"x-forwarded-for": "5.6.7.8"}, ""),
    ],
)
def test_who_it_is(peer: str, headers: dict[str, str], expected: str) -> None:
    assert came(peer, *headers.items()).address == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "http"),
        ({"x-forwarded-proto": "https"}, "https"),
        ({"x-forwarded-proto": "wss"}, "https"),
        ({"x-forwarded-proto": "http, https"}, "https"),
        ({"x-forwarded-proto": "gopher"}, "http"),
        ({"forwarded": "for=1.2.3.4;proto=https"}, "https"),
    ],
)
def test_a_trusted_proxy_says_how_it_was_asked(headers: dict[str, str], expected: str) -> None:
    assert came("10.0.0.1", *headers.items()).scheme == expected
    assert came("192.0.2.1", *headers.items()).scheme == "http"
    assert came("192.0.2.1", *headers.items(), scheme="wss").scheme == "https"


@given(V6, st.integers(0, 2**64 - 1), V4)
def test_a_subscriber_is_an_ipv4_address_or_64_bits_of_ipv6(one, rest: int, old) -> None:
    if one.ipv4_mapped is None:
        other = ipaddress.IPv6Address(int(one) >> 64 << 64 | rest)
        assert other.ipv4_mapped or subscriber(str(other)) == subscriber(str(one))
        beside = ipaddress.IPv6Address((int(one) ^ 1 << 64) & (2**128 - 1))
        assert beside.ipv4_mapped or subscriber(str(beside)) != subscriber(str(one))
    assert subscriber(f"::ffff:{old}") == subscriber(str(old)) == str(old)


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "example.org", "10.0.0.0/33", "", "*"])
def test_a_proxy_is_an_address_or_a_network(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.proxies"):
        load(None, [f'server.proxies=["{wrong}"]'])
