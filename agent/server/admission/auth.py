"""Whom every wire lets in: one token, one count of who comes. Knows no wire; writes no token down."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from hashlib import sha256

from agent.errors import RequestError
from agent.server.admission import forwarded
from agent.server.admission.bodies import Bodies
from agent.server.admission.client_secrets import PREFIX, ClientSecrets
from agent.server.admission.forwarded import Client
from agent.server.admission.ratelimit import RateLimit
from agent.server.telemetry.log import log
from agent.settings import ServerConfig

UNNAMED = (
    "requests come through a proxy and server.proxies names none, so all of its clients count as one: if it "
    'is yours, set server.proxies=["%s"] (docs/server.md)'
)
"""What the operator is told of the first that comes so."""


class Admission:
    """Whom the server lets in; all wires share one, so that who comes is counted wherever it comes.

    token: what clients must show; None lets in who comes from this machine, and not through a proxy.
    """

    def __init__(self, config: ServerConfig, token: str | None) -> None:
        self._token = token.encode() if token else None
        self._proxies = [ipaddress.ip_network(each) for each in config.proxies]
        # Apart, so that who has no token cannot use up the requests of who has, behind one address.
        self._admitted = RateLimit(config.rate, "requests", "server.rate")
        self._refused = RateLimit(config.refusals, "requests without the token", "server.refusals")
        self.bodies = Bodies(config.bodies)
        """What those who were let in have sent and is still in work."""
        self.secrets = ClientSecrets(config)
        """What lets clients into one session of Realtime each."""
        self._unnamed_proxy = False
        """Whether one has come that no setting names."""

    @property
    def open(self) -> bool:
        """Whether no token is needed."""
        return self._token is None

    def client(self, peer: str, scheme: str, headers: Mapping[str, str]) -> Client:
        """Who came, by the connection's other end and the headers it brought (see `forwarded.joined`)."""
        found = forwarded.client(peer, scheme, headers, self._proxies)
        if found.relayed and found.address and not (self._proxies or self.open or self._unnamed_proxy):
            self._unnamed_proxy = True
            log.warning("proxy", extra={"data": {"address": found.address, "why": UNNAMED % found.address}})
        return found

    def check_way(self, client: Client) -> None:
        """Raise RequestError for who came through a proxy where there is no token: it may be anybody."""
        if self._token is None and client.relayed:
            raise RequestError(
                "this came through a proxy, behind which anybody may be, so the server needs a token; "
                "docs/server.md says how it stands behind a proxy",
                403,
                "forbidden_proxy",
            )

    def knows(self, shown: str, purpose: str = "") -> bool:
        """Whether this is the token, or what is made of it for that purpose; the time tells nothing of it."""
        if self._token is None:
            return True
        wanted = derived(self._token, purpose) if purpose else self._token
        return hmac.compare_digest(shown.encode(), wanted)

    def check(self, client: Client, shown: str, purpose: str = "", *, realtime: bool = False) -> None:
        """Raise RequestError for who shows neither the token nor, for a Realtime session, a client secret.

        purpose: for which alone the token is, where it is for one.

        However many wrong ones there were, the right one is let in, so guesses are not held back; the
        shortest token that is allowed has too many for any number of them that a server can be asked.
        """
        if shown.startswith(PREFIX) and (self.open or not self.knows(shown, purpose)):
            known = realtime and self.secrets.session(shown) is not None
            wrong = "this client secret has expired, or is for something else: ask for a new one"
        else:
            known, wrong = self.knows(shown, purpose), "a bearer token is needed, and this is not it"
        if not known:
            self._refused.count(client.address)
            raise RequestError(wrong, 401, "invalid_api_key")

    def count(self, client: Client) -> None:
        """One more request of who may come. Raises RequestError for one too many."""
        self._admitted.count(client.address)


def derived(token: bytes, purpose: str) -> bytes:
    """A token for one purpose alone: who reads it, in an address or a proxy's log, learns not the other."""
    return hmac.new(token, purpose.encode(), sha256).hexdigest().encode()
