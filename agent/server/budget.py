"""How much one client may ask at once: characters of a request, and entries of a list.

One check for every wire. It looks at the request as it was read, before anything else is done with it, so
that a field which is added later is bounded already. Knows no route, and no field but those without text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from agent.errors import RequestError
from agent.settings import ServerConfig
from agent.text.tokens import least_tokens
from agent.transports.disclosure import said

DATA = {"audio", "image_url", "url"}
"""Fields that hold a sound or a picture in base64: their bytes are bounded where they are decoded."""
NAMES = {"model", "object", "role", "type", "voice"}
"""Fields whose words are nobody's conversation."""


def check(request: Any, limits: ServerConfig, context: int | None = None) -> None:
    """Refuse a request with more text, or longer lists, than the server takes.

    request: JSON data or a message of gRPC. context: tokens of the language model that is to read it at once,
    where that is known: what cannot fit by any tokenizer is refused as such, without asking a tokenizer.
    Raises RequestError.
    """
    total = solid = 0
    first: str | None = None
    for name, text in _texts(request, limits.entries):
        first = first or (name if len(text) > limits.characters else None)
        total += len(text)
        if context is not None:
            solid += least_tokens(text)
        if name.rpartition(".")[2] not in NAMES:
            said(text)
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


def _texts(value: Any, most: int, where: str = "") -> Iterator[tuple[str, str]]:
    """All texts in a request, each with the path to it."""
    name = where.rpartition(".")[2]
    if isinstance(value, str):
        if name not in DATA:
            yield where, value
        return
    if isinstance(value, list):
        pairs = [(str(at), each) for at, each in enumerate(cast(list[Any], value))]
    elif isinstance(value, dict):
        pairs = list(cast(dict[str, Any], value).items())
        yield from ((where, key) for key, _ in pairs)
    elif hasattr(value, "ListFields"):
        pairs = [(field.name, one) for field, one in value.ListFields()]
    elif not isinstance(value, str | bytes | int | float) and isinstance(value, Iterable):
        pairs = [
            (str(at), each) for at, each in enumerate(cast(Iterable[Any], value))
        ]  # a repeated field of gRPC
    else:
        return
    if len(pairs) > most:
        raise RequestError(
            f"{where or 'the request'}: {len(pairs)} entries are more than {most} (server.entries)",
            413,
            "too_large",
            param=where or None,
        )
    for key, each in pairs:
        yield from _texts(each, most, f"{where}.{key}".strip("."))
