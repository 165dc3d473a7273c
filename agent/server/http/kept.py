"""What was said in responses that may be gone on with, and in conversations of them. In memory alone."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from agent.errors import RequestError
from agent.server.http.responses import Answer, answer
from agent.settings import ServerConfig
from agent.transports.memory import weight

if TYPE_CHECKING:
    from starlette.requests import Request

Kind = Literal["response", "conversation"]

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One of them. items: all that was said, from the beginning. shown: itself, as it is told.

    Who has its id may read it: there are too many to guess.
    """

    kind: Kind
    shown: Mapping[str, Any]
    items: tuple[T, ...] = ()
    size: int = field(init=False)

    def __post_init__(self) -> None:
        held = weight(dict(self.shown)) + sum(weight(item.model_dump()) for item in self.items)
        object.__setattr__(self, "size", held)


class Kept(Generic[T]):
    """The newest, by their ids: at most `responses` of them, and `memory` bytes together."""

    def __init__(self, limits: ServerConfig) -> None:
        self._limits = limits
        self._entries: dict[str, Entry[T]] = {}

    @property
    def able(self) -> bool:
        """Whether anything is kept here."""
        return self._limits.responses > 0

    def keep(self, name: str, entry: Entry[T]) -> None:
        """Keep it under that id, as the newest."""
        self._entries.pop(name, None)
        self._entries[name] = entry
        size = sum(each.size for each in self._entries.values())
        while len(self._entries) > self._limits.responses or size > self._limits.memory:
            size -= self._entries.pop(next(iter(self._entries))).size

    def add(self, name: str, items: Sequence[T]) -> None:
        """This was said in a conversation too, if it is still there."""
        entry = self._entries.get(name)
        if entry is not None and entry.kind == "conversation":
            self.keep(name, replace(entry, items=(*entry.items, *items)))

    def find(self, kind: Kind, name: str, param: str | None = None) -> Entry[T]:
        """Raises RequestError where it is not there."""
        entry = self._entries.get(name)
        if entry is None or entry.kind != kind:
            why = f"no {kind} {name[:80]!r} is kept here" if self.able else f"no {kind} is kept here"
            status, what = (404, kind) if param in (None, kind) else (400, "previous_response")  # as OpenAI
            raise RequestError(f"{why} (server.responses)", status, f"{what}_not_found", param=param)
        return entry

    def forget(self, kind: Kind, name: str) -> None:
        """Raises RequestError where it is not there."""
        self.find(kind, name)
        del self._entries[name]


async def shown(request: Request, kept: Kept[Any], kind: Kind) -> Answer:
    """`GET /v1/responses/{name}` and `/v1/conversations/{name}`. Raises RequestError."""
    if wish := sorted(request.query_params):
        raise RequestError(f"{wish[0][:80]}: not to be had here; leave it out", param=wish[0][:80])
    return answer(dict(kept.find(kind, request.path_params["name"]).shown))


async def forgotten(request: Request, kept: Kept[Any], kind: Kind) -> Answer:
    """`DELETE` of one. Raises RequestError."""
    name = request.path_params["name"]
    kept.forget(kind, name)
    told = kind if kind == "response" else f"{kind}.deleted"
    return answer({"id": name, "object": told, "deleted": True})


def conversation(kept: Kept[T], items: Sequence[T], metadata: Mapping[str, str]) -> Mapping[str, Any]:
    """A new conversation in which this was said, as it is told."""
    name = f"conv_{uuid.uuid4().hex}"
    about = {"object": "conversation", "created_at": int(time.time()), "metadata": dict(metadata)}
    kept.keep(name, Entry("conversation", {"id": name, **about}, tuple(items)))
    return {"id": name, **about}
