"""`POST /v1/realtime/client_secrets`: a secret for somebody's browser or telephone. Knows no socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field

from agent.errors import RequestError
from agent.server.admission.client_secrets import ClientSecrets
from agent.server.fields import Fields
from agent.server.http.responses import Answer, answer
from agent.server.http.text import read_body
from agent.server.pool import Pool
from agent.server.realtime.server_events import new_id
from agent.server.realtime.session_config import (
    RealtimeConfig,
    TranscriptionUpdate,
    Update,
    beta_refused,
    not_beta,
)

if TYPE_CHECKING:
    from starlette.requests import Request


class _Expiry(Fields):
    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(default=600, ge=10, le=7200)


def _kind(given: Any) -> Any:
    """Without a type it is a conversation."""
    not_beta(given)
    if not isinstance(given, dict):
        return given
    wish = cast(dict[str, Any], given)
    return wish if wish.get("type") is not None else {**wish, "type": "realtime"}


class ClientSecret(Fields):
    """The body: what session the secret opens, and for how long it does."""

    expires_after: _Expiry = Field(default_factory=_Expiry)
    session: Annotated[Update | TranscriptionUpdate, Field(discriminator="type"), BeforeValidator(_kind)] = (
        Field(default_factory=Update)
    )


async def client_secret(request: Request, pool: Pool, secrets: ClientSecrets) -> Answer:
    """A new client secret. Raises RequestError, naming the field of the session that cannot be."""
    wanted = await read_body(request, ClientSecret, pool, pool.context)
    session = RealtimeConfig(pool, new_id("sess"))
    if refused := session.update(wanted.session):
        why = refused[0]
        raise RequestError(f"session: {why}", why.status, why.code, param=f"session.{why.param}")
    if isinstance(wanted.session, Update):
        session.instruct(wanted.session.instructions)
    bound = wanted.session.model_dump(exclude_unset=True, by_alias=True)
    value, expires = secrets.make({**bound, "type": session.kind}, wanted.expires_after.seconds)
    return answer({"value": value, "expires_at": expires, "session": session.as_dict()})


async def beta(request: Request) -> Answer:
    """How the protocol's beta made such secrets. Raises RequestError."""
    raise beta_refused(f"{request.url.path} is the beta of POST /v1/realtime/client_secrets")
