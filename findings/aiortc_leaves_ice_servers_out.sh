#!/usr/bin/env bash
# aiortc takes any RTCIceServer, and of those that it cannot use says nothing: stuns:, and turns: over UDP (RFC 7065,
# DTLS), are left out, as are all STUN servers but the first and all TURN servers but the first; a browser with the
# same list uses all of them. An address in IPv6 ("stun:[2001:db8::1]:3478", legal by RFC 7064) raises "malformed
# uri" when the connection gathers, not when it is given. Hurt: who gives the same list to the browser and to Python
# and believes that a call has a second way out; it fails at the one user whose network blocks the first.
#
# Seen: aiortc 1.16.0, CPython 3.11.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install aiortc==1.16.0
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

from aiortc import RTCIceServer
from aiortc.rtcicetransport import connection_kwargs


def used(*urls: str) -> dict:
    return connection_kwargs([RTCIceServer(url, "user", "secret") for url in urls])


lists = {
    "one": ["stun:one.example.org:3478"],
    "two": ["stun:one.example.org:3478", "stun:two.example.org:3478"],
    "secure": ["stuns:one.example.org:5349"],
    "turn": ["turn:one.example.org:3478", "turns:two.example.org:5349?transport=tcp"],
    "turn by DTLS": ["turns:one.example.org:5349?transport=udp"],
}
print("aiortc", version("aiortc"))
for name, urls in lists.items():
    print(f"{name}: {urls} -> {used(*urls)}")
assert used(*lists["two"]) == used(*lists["one"]) != {}
assert used(*lists["secure"]) == used(*lists["turn by DTLS"]) == {}
assert used(*lists["turn"])["turn_server"] == ("one.example.org", 3478) and "two" not in str(used(*lists["turn"]))
try:
    used("stun:[2001:db8::1]:3478")
except ValueError as error:
    print("IPv6:", error)
else:
    raise AssertionError("IPv6 is taken now")
PY
