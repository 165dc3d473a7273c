"""How much one client may ask at once: characters of a request, and entries of a list.

One check for every wire. It looks at the request as it was read, before anything else is done with it, so
that a field which is added later is bounded already. Refusing costs little, however much was sent: nothing
is looked for in a text before it is known to be short enough. Knows no route, and no field but those without
text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, cast

from agent.errors import RequestError
from agent.settings import ServerConfig
from agent.text.cleaning import cleaned
from agent.text.tokens import least_tokens
from agent.transports.disclosure import said

DATA = {"audio", "image_url", "payload", "url"}
"""Fields that hold a sound or a picture in base64: their bytes are bounded where they are decoded."""
NAMES = {"model", "object", "role", "type", "voice"}
"""Fields whose words are nobody's conversation."""
MANY = 20
"""Entries of all lists and objects of a request together, for each that one list may have."""


def read(raw: str | bytes, limits: ServerConfig, context: int | None = None) -> Any:
    """What a client sent as JSON, checked, and each text in it cleaned. Raises RequestError, ValueError.

    What cannot be within the limits is refused before it is read: a list of three bytes takes 56 in memory.
    """
    marks = sum(map(raw.count, ",[{") if isinstance(raw, str) else map(raw.count, (b",", b"[", b"{")))
    if marks > limits.characters + MANY * limits.entries:  # each is an entry, or a character of a text
        raise _too_many("the request", marks, MANY * limits.entries)
    given = json.loads(raw)
    check(given, limits, context)
    return _cleaned(given)


def check(request: Any, limits: ServerConfig, context: int | None = None) -> None:
    """Refuse a request with more text, or longer lists, than the server takes.

    request: JSON data or a message of gRPC. context: tokens of the language model that is to read it at once,
    where that is known: what cannot fit by any tokenizer is refused as such, without asking a tokenizer.
    Raises RequestError.
    """
    total = solid = 0
    first: str | None = None
    texts = list(_texts(request, limits.entries))
    for name, text in texts:
        first = first or (name if len(text) > limits.characters else None)
        total += len(text)
        if context is not None:
            solid += least_tokens(text)
    if context is not None and solid > context:
        raise RequestError(
            f"the prompt is at least {solid} tokens long, more than the model's context of {context}",
            code="context_length_exceeded",
            param=first,
        )
    if total > limits.characters:
        where = f"{first}: " if first else ""
        raise RequestError(
            f"{where}{total} characters are more than {limits.characters} (server.characters); send less",
            413,
            "too_large",
            param=first,
        )
    for name, text in texts:
        if _field(name) not in NAMES:
            said(text)


def _field(where: str) -> str:
    """The last name of a path."""
    return where.rpartition(".")[2]


def _texts(request: Any, most: int) -> Iterator[tuple[str, str]]:
    """All texts in a request, each with the path to it."""
    waiting: list[tuple[str, Any]] = [("", request)]
    count = 0
    while waiting:
        where, value = waiting.pop()
        if isinstance(value, str):
            if _field(where) not in DATA:
                yield where, value
            continue
        pairs = _entries(value)
        count += len(pairs)
        if len(pairs) > most:
            raise _too_many(where or "the request", len(pairs), most)
        if count > MANY * most:
            raise _too_many("the request", count, MANY * most)
        if isinstance(value, dict):
            yield from ((where, key) for key, _ in pairs)
        waiting += [(f"{where}.{key}".strip("."), each) for key, each in reversed(pairs)]


def _entries(value: Any) -> list[tuple[str, Any]]:
    """What a list, an object or a message of gRPC consists of, with the names; nothing of anything else."""
    if isinstance(value, dict):
        return list(cast(dict[str, Any], value).items())
    if hasattr(value, "ListFields"):
        return [(field.name, one) for field, one in value.ListFields()]
    if not isinstance(value, bytes | int | float) and isinstance(value, Iterable):  # also a repeated field
        return [(str(at), each) for at, each in enumerate(cast(Iterable[Any], value))]
    return []


def _too_many(where: str, count: int, most: int) -> RequestError:
    text = f"{where}: {count} entries are more than {most} (server.entries)"
    return RequestError(text, 413, "too_large", param=None if where == "the request" else where)


def _cleaned(value: Any, name: str = "") -> Any:
    """The data with each text in it cleaned, the names of fields too; but not what is no text."""
    if isinstance(value, str):
        return value if name in DATA else cleaned(value)
    if isinstance(value, list):
        return [_cleaned(each) for each in cast(list[Any], value)]
    if isinstance(value, dict):
        return {cleaned(key): _cleaned(each, key) for key, each in cast(dict[str, Any], value).items()}
    return value
