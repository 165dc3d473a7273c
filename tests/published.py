"""The fields that OpenAI publishes for requests, walked beside ours: which of them we take, and which not."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import typing_extensions

from agent.server.fields import Fields, _members

Verdict = Literal["honoured", "refused", "about"]


@dataclass(frozen=True)
class Published:
    """One field. path: through objects and lists, with the kind of a member of a union in brackets."""

    path: str
    verdict: Verdict
    hint: Any
    """Its type; of a kind of object that is refused whole, a list of some."""
    owner: type[Fields]
    name: str


def walk(published: Any, ours: type[Fields], path: str = "", but: Sequence[str] = ()) -> Iterator[Published]:
    """Every field of a published object, and of what is in it as far as we take it.

    Raises AssertionError for a field, or a kind of object, that we have not decided about.
    """
    for name, hint in typing.get_type_hints(published).items():
        where = f"{path}.{name}" if path else name
        if where in but:
            continue
        known = {field.alias or own: field.annotation for own, field in ours.model_fields.items()}
        decided = [name in known.keys() - ours.ELSEWHERE.keys(), name in ours.ELSEWHERE, name in ours.ABOUT]
        assert decided.count(True) == 1, f"{ours.__name__}.{name} ({where})"
        verdict: Verdict = "honoured" if decided[0] else "refused" if decided[1] else "about"
        yield Published(where, verdict, hint, ours, name)
        if verdict == "honoured":
            yield from _inside(hint, known[name], where, ours, name)


def _inside(hint: Any, kind: Any, path: str, owner: type[Fields], name: str) -> Iterator[Published]:
    theirs = [member for member in _flat(hint) if typing_extensions.is_typeddict(member)]
    own = [member for member in _flat(kind) if isinstance(member, type) and issubclass(member, Fields)]
    for member in theirs:
        hints = typing.get_type_hints(member)
        tags, roles = _tags(hints.get("type")), _tags(hints.get("role"))
        found = [each for each in own if _takes(each, "type", tags) and _takes(each, "role", roles)]
        label = f"{path}[{','.join(sorted(roles or tags))}]" if len(theirs) > 1 else path
        if not found:
            wrong = [{"type": tag} for tag in tags] or [{"role": role} for role in roles]
            yield Published(label, "refused", wrong, owner, name)
            continue
        yield from walk(member, found[0], label)


def _flat(hint: Any) -> list[Any]:
    """The types in a type: of unions, lists and so on each one."""
    inner = [part for part in typing.get_args(hint) if not isinstance(part, str)]
    if typing.get_origin(hint) is Literal or not inner:
        return [hint]
    return [each for part in inner for each in _flat(part)]


def _tags(hint: Any) -> set[str]:
    return {part for member in _members(hint) for part in typing.get_args(member) if isinstance(part, str)}


def _takes(kind: type[Fields], name: str, values: set[str]) -> bool:
    field = kind.model_fields.get(name)
    return not values or field is None or bool(values & _tags(field.annotation))
